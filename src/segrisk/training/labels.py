"""Targets as they travel through training: labels, and perhaps which voxels count for nothing.

A target is (B, 1, *size) in [0, 1], or (B, 2, *size) where a task has ignored voxels: the second
channel is 1 there. So whatever moves labels (patches, augmentation, copies to a device) moves both.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from segrisk.similarity import Confusion


def split(targets: Tensor) -> tuple[Tensor, Tensor | None]:
    """The labels (B, 1, *size), and which voxels count, boolean; None where all do.

    >>> y, known = split(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]).movedim(0, 1))
    >>> y.tolist(), known.tolist()
    ([[[1.0, 0.0]]], [[[True, False]]])
    """
    if targets.shape[1] == 1:
        return targets, None
    return targets[:, :1], targets[:, 1:] == 0


def widened(logits: Tensor) -> Tensor:
    """Logits in float32 or better, as losses get them.

    >>> [str(widened(torch.zeros(1, dtype=kind)).dtype) for kind in (torch.bfloat16, torch.double)]
    ['torch.float32', 'torch.float64']
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def cost(loss: Callable[..., Tensor], logits: Tensor, targets: Tensor) -> Tensor:
    """What a loss says of logits; it gets a `mask` only where some voxels count for nothing.

    >>> from segrisk.losses import CrossEntropy
    >>> targets = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> print(f"{cost(CrossEntropy(), torch.tensor([[[0.0, 50.0]]]), targets):.4f}")
    0.6931
    """
    y, known = split(targets)
    return loss(logits, y) if known is None else loss(logits, y, mask=known)


def masses(logits: Tensor, targets: Tensor) -> Confusion:
    """The counts (B,) of p > 1/2 against the labels, of soft ones against what most raters say."""
    y, known = split(targets)
    mask, positive = (logits > 0).flatten(1), (y > 0.5).flatten(1)
    counted = torch.ones_like(mask) if known is None else known.flatten(1)
    pairs = ((mask, positive), (mask, ~positive), (~mask, positive), (~mask, ~positive))
    return Confusion(*((predicted & true & counted).sum(1) for predicted, true in pairs))
