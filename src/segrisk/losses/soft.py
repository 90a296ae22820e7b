"""Soft losses: a similarity of the masses of probabilities."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from segrisk.losses.base import Loss
from segrisk.losses.door import Activation, Batch, Relaxation
from segrisk.losses.reduction import Empty, Reduction
from segrisk.similarity import Confusion, Similarity, dice, jaccard, tversky


class Soft(Loss):
    """The loss 1 − S of one similarity at the masses of probabilities.

    `relaxation` forms the masses (see `segrisk.kernels.masses`): `l1` is minimised exactly at
    p = y on soft labels too, `product` is not, `squared` is where false positives and negatives
    count alike, and is refused elsewhere. `pool`, `empty`, `background`, `class_weight` and
    `group`: see `Reduction`. A class that is absent from its reference costs fp / d. `curve` maps
    each term to its cost before the mean, as `segrisk.losses.log` does.
    """

    def __init__(
        self,
        similarity: Similarity,
        *,
        relaxation: Relaxation = "l1",
        pool: Sequence[str] = (),
        empty: Empty = "penalise",
        background: bool = True,
        class_weight: Sequence[float] | None = None,
        curve: Callable[[Tensor], Tensor] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        group: Any = None,
    ) -> None:
        super().__init__(activation=activation, ignore_index=ignore_index)
        if relaxation not in {"l1", "product", "squared"}:
            raise ValueError(f"relaxation must be 'l1', 'product' or 'squared', got {relaxation!r}")
        if relaxation == "squared" and not similarity.is_symmetric:
            raise ValueError(
                f"relaxation 'squared' does not tell false positives from false negatives, which "
                f"{similarity.name} weighs apart: use 'l1'"
            )
        self.similarity, self.relaxation, self.curve = similarity, relaxation, curve
        self.family = "metric" if similarity.of_foreground else "pixel"
        self.label = getattr(type(self), "label", f"soft {similarity.name}")
        self.reduction = Reduction(
            pool=pool,
            empty=empty,
            background=background,
            class_weight=class_weight,
            group=group,
        )

    def compute(self, batch: Batch) -> Tensor:
        selected = self.reduction.selected(batch)
        table = self.reduction.pooled(batch.masses(self.relaxation), selected)
        masses = Confusion(*table[..., :4].unbind(-1))
        terms = self.similarity.loss(masses)
        if self.curve is not None:
            terms = self.curve(terms)
        return self.reduction.mean(terms, self.reduction.kept(masses, selected))


class SoftDice(Soft):
    """Soft Dice: 1 − 2tp / (2tp + fp + fn) on probabilities.

    >>> hard = torch.tensor([[[20.0, 20.0, -20.0]]])
    >>> print(f"{SoftDice()(hard, torch.tensor([[[1, 0, 0]]])):.4f}")
    0.3333
    """

    label, family = "sDice", "metric"

    def __init__(self, **options: Any) -> None:
        super().__init__(dice, **options)


class SoftJaccard(Soft):
    """Soft Jaccard: 1 − tp / (tp + fp + fn) on probabilities.

    >>> hard = torch.tensor([[[20.0, 20.0, -20.0]]])
    >>> print(f"{SoftJaccard()(hard, torch.tensor([[[1, 0, 0]]])):.4f}")
    0.5000
    """

    label, family = "sJaccard", "metric"

    def __init__(self, **options: Any) -> None:
        super().__init__(jaccard, **options)


class SoftTversky(Soft):
    """Soft Tversky: 1 − tp / (tp + α·fp + β·fn), α for false positives, β for false negatives.

    >>> hard = torch.tensor([[[20.0, 20.0, -20.0]]])
    >>> print(f"{SoftTversky(alpha=0.3, beta=0.7)(hard, torch.tensor([[[1, 0, 0]]])):.4f}")
    0.2308
    """

    label, family = "sTversky", "metric"

    def __init__(self, alpha: float = 0.3, beta: float = 0.7, **options: Any) -> None:
        super().__init__(tversky(alpha, beta), **options)


SMALLEST_SHARE = 1e-6
"""Curves are bent where they would be steeper than this allows: their gradients stay finite."""


def log(terms: Tensor) -> Tensor:
    """−log S of each term 1 − S, steep where nothing is hit; its slope ends at 10⁶.

    >>> [round(float(cost), 4) for cost in log(torch.tensor([0, 0.5, 1]).double())]
    [0.0, 0.6931, 13.8155]
    """
    return math.log1p(SMALLEST_SHARE) - torch.log1p(SMALLEST_SHARE - terms)


def power(gamma: float) -> Callable[[Tensor], Tensor]:
    """(1 − S)^γ of each term, as the focal Tversky loss has; the slope at 0 is finite.

    >>> power(2)(torch.tensor([0.0, 0.5]))
    tensor([0.0000, 0.2500])
    """
    if not gamma > 0:
        raise ValueError(f"gamma must be positive, got {gamma}")

    def curve(terms: Tensor) -> Tensor:
        # From δ instead of 0, where a power below 1 is infinitely steep; 0 and 1 stay in place.
        low = SMALLEST_SHARE**gamma
        high = (1 + SMALLEST_SHARE) ** gamma
        return ((terms + SMALLEST_SHARE) ** gamma - low) / (high - low)

    return curve
