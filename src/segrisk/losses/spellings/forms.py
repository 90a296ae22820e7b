"""What other libraries do and this package does not, each as a wrapper of what it does."""

from collections.abc import Callable

from torch import Tensor

from segrisk.losses.base import Loss
from segrisk.losses.door import Batch
from segrisk.losses.lovasz import Lovasz
from segrisk.losses.reduction import Reduction
from segrisk.losses.soft import Soft
from segrisk.similarity import Confusion, Similarity


class Smoothed(Similarity):
    """A similarity with constants in its ratio: (numerator + nr) / (denominator + dr).

    The constants are in the units of `similarity.parts`, for Dice those of 2tp / (2tp + fp + fn).
    The ratio holds where the reference is empty too: the loss there is 1 − nr / (denominator + dr)
    and not fp / d. Its gradient by each false voxel is nr / (denominator + dr)², which is nothing
    while there are many and a cliff where there are few. So this exists to reproduce the values of
    other libraries in `Soft`, and for nothing else.

    >>> from segrisk import dice
    >>> smoothed = Smoothed(dice, nr=1, dr=1)
    >>> smoothed(Confusion(0, 0, 4, 5)), smoothed.loss(Confusion(0, 3, 0, 6))
    (0.2, 0.75)
    """

    def __init__(self, similarity: Similarity, nr: float, dr: float) -> None:
        for constant in (nr, dr):
            if not 0 <= constant < float("inf"):
                raise ValueError(f"smoothing must be at least 0 and finite, got {nr} and {dr}")

        def parts(tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor) -> tuple[Tensor, Tensor]:
            numerator, denominator = similarity.parts(tp, fp, fn, tn)
            return numerator + nr, denominator + dr

        name = f"{similarity.name} smoothed by {float(nr):g} and {float(dr):g}"
        super().__init__(name, parts, similarity.of_foreground)
        for key, value in (("similarity", similarity), ("nr", nr), ("dr", dr)):
            object.__setattr__(self, key, value)

    def loss(self, masses: Confusion) -> Tensor:
        """One minus the ratio, whatever the reference."""
        return 1 - self(masses)


class Excused(Similarity):
    """A similarity whose loss is 0, and has no gradient, where the reference is empty.

    The term keeps its place in a mean, which `empty="skip"` takes from it.

    >>> from segrisk import dice
    >>> Excused(dice).loss(Confusion(0, 3, 0, 6)), Excused(dice).loss(Confusion(0, 3, 1, 5))
    (0.0, 1.0)
    """

    def __init__(self, similarity: Similarity) -> None:
        super().__init__(similarity.name, similarity.parts, similarity.of_foreground)
        object.__setattr__(self, "similarity", similarity)

    def loss(self, masses: Confusion) -> Tensor:
        """The loss of the similarity, times whether the reference has foreground."""
        return self.similarity.loss(masses) * (masses.positives > 0)


class EveryTerm(Reduction):
    """A mean in which images and classes without any voxel that counts have their place too."""

    def kept(self, masses: Confusion, selected: Tensor) -> Tensor:
        return super().kept(masses + Confusion(0, 0, 0, 1), selected)


def with_every_term(loss: Soft | Lovasz) -> Soft | Lovasz:
    """The loss, whose mean counts every term."""
    of = loss.reduction
    loss.reduction = EveryTerm(
        pool=of.pool,
        empty=of.empty,
        background=of.background,
        class_weight=of.class_weight,
        group=of.group,
    )
    return loss


class ByChannels(Loss):
    """A loss times a factor of the number of channels, which only the logits tell."""

    def __init__(self, loss: Loss, factor: Callable[[int], float]) -> None:
        super().__init__(activation=loss.activation, ignore_index=loss.ignore_index)
        self.loss, self.factor = loss, factor
        self.label, self.family = loss.label, loss.family

    def compute(self, batch: Batch) -> Tensor:
        return self.factor(batch.logits.shape[1]) * self.loss.compute(batch)


def one_channel(what: str, why: str) -> Callable[[int], float]:
    """A factor of 1 that refuses logits of several channels."""

    def factor(channels: int) -> float:
        if channels != 1:
            raise ValueError(f"{what} is spelled here for one channel, got {channels}: {why}")
        return 1.0

    return factor
