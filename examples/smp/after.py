"""segmentation_models_pytorch with a loss of each image, as the score is."""

# %%
import segmentation_models_pytorch as smp
import torch

from segrisk.integrations.torchmetrics import OverlapScore
from segrisk.losses import SoftJaccard

torch.manual_seed(0)
row, column = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
centre, radius = 10 + 12 * torch.rand(16, 2, 1, 1, 1), 3 + 6 * torch.rand(16, 1, 1, 1)
masks = ((row - centre[:, 0]) ** 2 + (column - centre[:, 1]) ** 2 < radius**2).long()
images = masks + 0.5 * torch.randn(masks.shape)
train, valid = slice(0, 12), slice(12, 16)

# %%
network = smp.Unet("resnet18", encoder_weights=None, in_channels=1, classes=1)
optimizer = torch.optim.Adam(network.parameters(), lr=0.002)
criterion = SoftJaccard()

# %%
for _ in range(15):
    optimizer.zero_grad()
    criterion(network(images[train]), masks[train]).backward()
    optimizer.step()

# %%
network.eval()
with torch.no_grad():
    predicted = network(images[valid]) > 0
    score = OverlapScore("jaccard")(predicted, masks[valid])
print(f"Jaccard {float(score):.3f}")
