"""The losses that are compared: ours and what others offer for the same work."""

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from kornia.losses import dice_loss, lovasz_hinge_loss, lovasz_softmax_loss, tversky_loss
from monai.losses import DiceCELoss, DiceLoss, TverskyLoss
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from segrisk.losses import CrossEntropy, LovaszJaccard, SoftDice, SoftJaccard, SoftTversky

Role = Literal["pixel", "soft", "sorting", "compound", "ours"]


@dataclass(frozen=True)
class Contender:
    """A loss of `logits` (B, C, *space) and integer `target` (B, *space), and what it stands for.

    `pixel` is PyTorch's cross-entropy, `soft` a peer's soft loss, `sorting` a peer's Lovász loss or
    our own exact one, `compound` a peer's Dice with cross-entropy.
    """

    name: str
    role: Role
    loss: Callable[[Tensor, Tensor], Tensor]


def contenders(channels: int) -> list[Contender]:
    """Peers first, then ours."""
    return [*(_of_classes() if channels > 1 else _binary()), *_ours()]


def _ours() -> list[Contender]:
    return [
        Contender("Lovász, exact", "sorting", LovaszJaccard(exact=True)),
        Contender("CE", "ours", CrossEntropy()),
        Contender("soft Dice", "ours", SoftDice()),
        Contender("soft Jaccard", "ours", SoftJaccard()),
        Contender("soft Tversky", "ours", SoftTversky()),
        Contender("CE + soft Dice", "ours", CrossEntropy() + SoftDice()),
        Contender("Lovász", "ours", LovaszJaccard()),
    ]


def _of_classes() -> list[Contender]:
    smp = smp_losses()
    options = {"softmax": True, "to_onehot_y": True}
    dice, both, tversky = DiceLoss(**options), DiceCELoss(**options), TverskyLoss(**options)
    smp_dice, smp_jaccard, smp_tversky, smp_lovasz = (
        getattr(smp, name)("multiclass")
        for name in ("DiceLoss", "JaccardLoss", "TverskyLoss", "LovaszLoss")
    )
    return [
        Contender("PyTorch CE", "pixel", lambda x, y: cross_entropy(x, y.long())),
        Contender("MONAI Dice", "soft", lambda x, y: dice(x, y.unsqueeze(1))),
        Contender("MONAI Tversky", "soft", lambda x, y: tversky(x, y.unsqueeze(1))),
        Contender("SMP Dice", "soft", lambda x, y: smp_dice(x, y.long())),
        Contender("SMP Jaccard", "soft", lambda x, y: smp_jaccard(x, y.long())),
        Contender("SMP Tversky", "soft", lambda x, y: smp_tversky(x, y.long())),
        Contender("kornia Dice", "soft", lambda x, y: dice_loss(*flat(x, y), average="macro")),
        Contender("kornia Tversky", "soft", lambda x, y: tversky_loss(*flat(x, y), 0.5, 0.5)),
        Contender("MONAI Dice + CE", "compound", lambda x, y: both(x, y.unsqueeze(1))),
        Contender("SMP Lovász", "sorting", lambda x, y: smp_lovasz(x, y.long())),
        Contender("kornia Lovász", "sorting", lambda x, y: lovasz_softmax_loss(*flat(x, y))),
    ]


def _binary() -> list[Contender]:
    smp = smp_losses()
    dice, both, tversky = (
        DiceLoss(sigmoid=True),
        DiceCELoss(sigmoid=True),
        TverskyLoss(sigmoid=True),
    )
    smp_dice, smp_jaccard, smp_tversky, smp_lovasz = (
        getattr(smp, name)("binary")
        for name in ("DiceLoss", "JaccardLoss", "TverskyLoss", "LovaszLoss")
    )
    return [
        Contender(
            "PyTorch BCE",
            "pixel",
            lambda x, y: binary_cross_entropy_with_logits(x, y.unsqueeze(1).float()),
        ),
        Contender("MONAI Dice", "soft", lambda x, y: dice(x, y.unsqueeze(1))),
        Contender("MONAI Tversky", "soft", lambda x, y: tversky(x, y.unsqueeze(1))),
        Contender("SMP Dice", "soft", lambda x, y: smp_dice(x, y.unsqueeze(1))),
        Contender("SMP Jaccard", "soft", lambda x, y: smp_jaccard(x, y.unsqueeze(1))),
        Contender("SMP Tversky", "soft", lambda x, y: smp_tversky(x, y.unsqueeze(1))),
        Contender("MONAI Dice + CE", "compound", lambda x, y: both(x, y.unsqueeze(1).float())),
        Contender("SMP Lovász", "sorting", lambda x, y: smp_lovasz(x, y.unsqueeze(1).float())),
        Contender("kornia Lovász", "sorting", lambda x, y: lovasz_hinge_loss(*flat(x, y))),
    ]


def flat(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Volumes as wide images, for losses that are made for images alone."""
    return logits.flatten(2).unsqueeze(2), target.flatten(1).unsqueeze(1).long()


def smp_losses() -> types.ModuleType:
    """SMP's losses, without its networks and what those need."""
    name = "segmentation_models_pytorch"
    if name not in sys.modules:
        spec = importlib.util.find_spec(name)  # finds without importing
        if spec is None:
            raise ModuleNotFoundError(f"{name}: `make bench` installs it for the benchmark")
        sys.modules[name] = importlib.util.module_from_spec(spec)  # without running it
    return importlib.import_module(f"{name}.losses")


def data(
    size: tuple[int, ...], *, trained: bool = False, dtype: torch.dtype = torch.uint8
) -> tuple[Tensor, Tensor]:
    """Logits (B, C, *space) and labels with a tenth of foreground.

    Random logits are standard normal; trained-like ones lie around 5 where a class is, around −8
    where it is not, with standard deviation 2.
    """
    generator = torch.Generator().manual_seed(0)
    batch, channels, *space = size
    target = torch.randint(0, max(channels, 2), (batch, *space), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.9] = 0
    logits = torch.randn(size, generator=generator)
    if trained:
        own = torch.arange(channels).view(1, -1, *[1] * len(space)) == target.unsqueeze(1)
        own = own if channels > 1 else target.unsqueeze(1) == 1
        logits = logits.mul_(2).add_(torch.where(own, 5.0, -8.0))
    return logits, target.to(dtype)
