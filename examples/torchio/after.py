"""TorchIO's patches and transforms with a loss that knows what an absent class costs."""

# %%
import torch
import torchio as tio
from torch import nn

from segrisk.losses import SoftDice

torch.manual_seed(0)
grid = torch.stack(torch.meshgrid(*[torch.arange(24)] * 3, indexing="ij"))
subjects = []
for _ in range(8):
    centre = 8 + 8 * torch.rand(3, 1, 1, 1)
    label = (((grid - centre) ** 2).sum(0, keepdim=True) < 36).float()
    image = label + 0.5 * torch.randn(label.shape)
    subjects.append(
        tio.Subject(image=tio.ScalarImage(tensor=image), label=tio.LabelMap(tensor=label))
    )
transform = tio.Compose([tio.ZNormalization(), tio.RandomFlip(axes=(0, 1, 2))])
loader = tio.SubjectsLoader(tio.SubjectsDataset(subjects, transform=transform), batch_size=4)

# %%
network = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv3d(8, 2, 3, padding=1))
optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
criterion = SoftDice()

# %%
for _ in range(12):
    for batch in loader:
        optimizer.zero_grad()
        loss = criterion(network(batch["image"][tio.DATA]), batch["label"][tio.DATA].long())
        loss.backward()
        optimizer.step()
print(f"loss {float(loss.detach()):.3f}")
