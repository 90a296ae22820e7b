"""How far a training is: what it tells whoever watches. No PyTorch, so that looking is quick."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """One line of the validation curve; epoch 0 is the start, before any step."""

    epoch: int
    steps: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    validation_dice: float


@dataclass(frozen=True)
class Progress:
    """How far a phase is, as it is told to whoever watches."""

    epoch: int
    epochs: int
    step: int
    steps: int
    curve: tuple[Epoch, ...] = ()
    """The epochs that are over."""


def told(progress: Progress) -> dict[str, Any]:
    """A progress as JSON, which has no NaN: epoch 0 trained nothing, so its training loss is None.

    >>> told(Progress(1, 9, 2, 4))
    {'epoch': 1, 'epochs': 9, 'step': 2, 'steps': 4, 'curve': []}
    """
    curve = [
        {name: value if math.isfinite(value) else None for name, value in vars(epoch).items()}
        for epoch in progress.curve
    ]
    return {**vars(progress), "curve": curve}


def heard(curve: Sequence[dict[str, Any]] = (), **rest: int) -> Progress:
    """The progress that `told` made JSON of; older versions told no curve."""
    epochs = (
        Epoch(**{name: math.nan if value is None else value for name, value in epoch.items()})
        for epoch in curve
    )
    return Progress(**rest, curve=tuple(epochs))
