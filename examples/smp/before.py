"""segmentation_models_pytorch with its own loss and score."""

# %%
import segmentation_models_pytorch as smp
import torch

torch.manual_seed(0)
row, column = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
centre, radius = 10 + 12 * torch.rand(16, 2, 1, 1, 1), 3 + 6 * torch.rand(16, 1, 1, 1)
masks = ((row - centre[:, 0]) ** 2 + (column - centre[:, 1]) ** 2 < radius**2).long()
images = masks + 0.5 * torch.randn(masks.shape)
train, valid = slice(0, 12), slice(12, 16)

# %%
network = smp.Unet("resnet18", encoder_weights=None, in_channels=1, classes=1)
optimizer = torch.optim.Adam(network.parameters(), lr=0.002)
criterion = smp.losses.DiceLoss(smp.losses.BINARY_MODE, from_logits=True)

# %%
for _ in range(15):
    optimizer.zero_grad()
    criterion(network(images[train]), masks[train]).backward()
    optimizer.step()

# %%
network.eval()
with torch.no_grad():
    predicted = network(images[valid]) > 0
    counts = smp.metrics.get_stats(predicted.long(), masks[valid], mode="binary")
    score = smp.metrics.iou_score(*counts, reduction="micro-imagewise")
print(f"Jaccard {float(score):.3f}")
