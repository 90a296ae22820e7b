"""A LightningModule with cross-entropy and torchmetrics' Dice."""

# %%
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.segmentation import DiceScore


# %%
class Segmenter(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 3, 5, padding=2)
        )
        self.loss = nn.CrossEntropyLoss()
        self.dice = DiceScore(3, include_background=False, input_format="mixed")

    def training_step(self, batch, _):
        images, labels = batch
        return self.loss(self.network(images), labels)

    def validation_step(self, batch, _):
        images, labels = batch
        self.dice.update(self.network(images), labels)
        self.log("dice", self.dice, on_epoch=True)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


# %%
def loader(size, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(size, 32, 32, dtype=torch.long)
    for image in labels:
        for label in (1, 2):
            top, left = torch.randint(0, 22, (2,), generator=generator).tolist()
            image[top : top + 8, left : left + 8] = label
    images = labels.unsqueeze(1) + 0.5 * torch.randn(size, 1, 32, 32, generator=generator)
    return DataLoader(TensorDataset(images, labels), batch_size=8)


# %%
pl.seed_everything(0)
trainer = pl.Trainer(
    max_epochs=12,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Segmenter(), loader(32, 0), loader(16, 1))
print(f"Dice {float(trainer.callback_metrics['dice']):.3f}")
