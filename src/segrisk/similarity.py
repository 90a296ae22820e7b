"""The one idea: a similarity is one formula of the four confusion masses.

The metric puts counts of hard masks into it, a soft loss masses of probabilities, the Lovász loss
the masses along the sorted errors, a bound points of the simplex of masses. So a formula stands
here and nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Confusion(NamedTuple):
    """The masses of true and false positives and negatives; tp + fp + fn + tn = d.

    Each is anything that adds and divides: numbers, NumPy arrays, tensors, fractions.
    """

    tp: Any
    fp: Any
    fn: Any
    tn: Any

    @property
    def positives(self) -> Any:
        """The mass of the reference's foreground, |y|."""
        return self.tp + self.fn

    @property
    def total(self) -> Any:
        """The mass of everything, d."""
        return self.tp + self.fp + self.fn + self.tn


def confusion(mask: np.ndarray, target: np.ndarray) -> Confusion:
    """The counts of two boolean masks of one shape.

    >>> confusion(np.array([True, True, False]), np.array([True, False, False]))
    Confusion(tp=1, fp=1, fn=0, tn=1)
    """
    mask, target = np.asarray(mask), np.asarray(target)
    if mask.shape != target.shape:
        raise ValueError(
            f"the mask has shape {mask.shape} and the target {target.shape}: "
            "they must be of one grid (nothing is broadcast)"
        )
    if mask.dtype != bool or target.dtype != bool:
        raise ValueError(
            f"masks must be boolean, got {mask.dtype} and {target.dtype}: threshold them first"
        )
    tp = int(np.count_nonzero(mask & target))
    predicted, positive = int(np.count_nonzero(mask)), int(np.count_nonzero(target))
    return Confusion(tp, predicted - tp, positive - tp, mask.size - predicted - positive + tp)


@dataclass(frozen=True)
class Similarity:
    """A ratio of two linear functions of the masses, with values in [0, 1].

    `parts` maps (tp, fp, fn, tn) to numerator and denominator by plain arithmetic. A ratio 0/0
    says that both masks are empty and is 1, the same for every similarity.

    >>> from fractions import Fraction
    >>> dice(Confusion(*map(Fraction, (2, 1, 1, 6))))
    Fraction(2, 3)
    >>> dice(Confusion(0, 0, 0, 9)), jaccard(Confusion(0, 0, 0, 9))
    (1.0, 1.0)
    """

    name: str
    parts: Callable[[Any, Any, Any, Any], tuple[Any, Any]]

    def __call__(self, masses: Confusion) -> Any:
        numerator, denominator = self.parts(*masses)
        # Adding the indicator of 0/0 to both sides makes it 1/1. No branch is taken, so one line
        # serves numbers, arrays and tensors, and the gradient at 0/0 stays finite.
        undefined = denominator == 0
        return (numerator + undefined) / (denominator + undefined)

    def loss(self, masses: Confusion) -> Any:
        """One minus the similarity, where the reference has foreground; else fp / d.

        An empty reference makes Dice and Jaccard a constant 0 for every non-empty prediction,
        which teaches nothing. The share of falsely marked voxels takes its place: it is 0 exactly
        for the empty prediction, and each false voxel costs 1 / d.
        """
        empty = masses.positives == 0
        # `empty` selects by arithmetic, as above; both sides are finite for all masses.
        return (1 - self(masses)) * (1 - empty * 1) + (masses.fp / masses.total) * empty


def _dice(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    return 2 * tp, 2 * tp + fp + fn


def _jaccard(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    return tp, tp + fp + fn


def _hamming(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    return tp + tn, tp + fp + fn + tn


dice = Similarity("dice", _dice)  # Eq. 2, D
jaccard = Similarity("jaccard", _jaccard)  # Eq. 2, J
hamming = Similarity("hamming", _hamming)  # Eq. 2, H

SIMILARITIES = {similarity.name: similarity for similarity in (dice, jaccard, hamming)}
