"""Whether losses can learn from the labels of a task: soft ones, and those with ignored voxels.

Losses may be anybody's code, so they are asked: each is given a few logits and labels before the
first training.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segrisk.configuration import ConfigurationError
from segrisk.losses.base import Sum
from segrisk.losses.soft import Soft
from segrisk.study.config import LossChoice
from segrisk.study.task import Task
from segrisk.training.labels import cost

ROUNDING = 1e-6
"""How far a loss may change, relative to itself, when only ignored labels do."""


def check_soft(losses: Sequence[LossChoice], task: Task, where: str) -> None:
    """ConfigurationError names a loss that cannot learn from the share of raters."""
    logits, y = _probe(task, 0)
    for choice in losses:
        loss = choice.build(prior=0.5)
        advice = (
            "train on what most raters marked (leave out `train_on`), or leave the loss out; soft "
            "Dice and soft Jaccard take soft labels"
        )
        if any(isinstance(part, Soft) and part.relaxation == "product" for part in _parts(loss)):
            raise ConfigurationError(
                f"{where}: loss '{choice.name}' with relaxation 'product' is not least where the "
                "prediction equals a soft label; l1, the default, is: leave out `relaxation`"
            )
        try:
            _value(loss, logits, y)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"{where}: loss '{choice.name}' takes no soft labels ({error}): {advice}"
            ) from error


def check_ignoring(losses: Sequence[LossChoice], task: Task, where: str) -> None:
    """ConfigurationError names a loss that has no `mask`, or counts voxels that it leaves out."""
    for choice in losses:
        loss = choice.build(prior=0.5)
        try:
            one, other = (_value(loss, *_ignoring(task, label)) for label in (0, 1))
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"{where}: has ignored voxels, and loss '{choice.name}' cannot leave them out "
                f"({error}): give it a third argument `mask`, boolean (B, 1, *space), true where "
                "a voxel counts; or leave it out of the study"
            ) from error
        if abs(one - other) > ROUNDING * max(1, abs(one)):
            raise ConfigurationError(
                f"{where}: has ignored voxels, and loss '{choice.name}' changes with the labels "
                "under its `mask`, or hands it to no part of a sum that is not segrisk's own: "
                "leave out what the mask leaves out, or leave the loss out of the study"
            )


def _probe(task: Task, label: int) -> tuple[Tensor, Tensor]:
    """Logits (1, 1, *window) and labels, soft at some voxels, and `label` on one half of them."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 1, *task.window, generator=generator)
    y = (torch.rand(logits.shape, generator=generator) * 5).floor() / 4
    y = y if task.is_soft else (y > 0.5).float()
    y[..., : task.window[-1] // 2] = label
    return logits, y


def _ignoring(task: Task, label: int) -> tuple[Tensor, Tensor]:
    """The same with the half that has `label` ignored."""
    logits, y = _probe(task, label)
    ignored = torch.zeros_like(y)
    ignored[..., : task.window[-1] // 2] = 1
    return logits, torch.cat([y, ignored], dim=1)


def _value(loss: nn.Module, logits: Tensor, targets: Tensor) -> float:
    """What a loss says, the same every time even where it draws voxels."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return float(cost(loss, logits, targets))


def _parts(loss: nn.Module) -> Sequence[object]:
    return loss.losses if isinstance(loss, Sum) else [loss]
