"""Training in plain PyTorch, as tutorials show it."""

# %%
import torch
from torch import nn

torch.manual_seed(0)
row, column = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
centre, radius = 10 + 12 * torch.rand(40, 2, 1, 1, 1), 2 + 7 * torch.rand(40, 1, 1, 1)
masks = ((row - centre[:, 0]) ** 2 + (column - centre[:, 1]) ** 2 < radius**2).float()
images = masks + 0.7 * torch.randn(masks.shape)
train, valid = slice(0, 30), slice(30, 40)

# %%
network = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 1, 5, padding=2))
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
criterion = nn.BCEWithLogitsLoss()

# %%
for _ in range(80):
    optimizer.zero_grad()
    criterion(network(images[train]), masks[train]).backward()
    optimizer.step()

# %%
with torch.no_grad():
    predicted = network(images[valid]) > 0
    overlap = (predicted * masks[valid]).sum()
    score = (2 * overlap + 1e-6) / (predicted.sum() + masks[valid].sum() + 1e-6)
print(f"Dice {float(score):.3f}")
