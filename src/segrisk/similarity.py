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

    Each is anything that adds and divides: numbers, NumPy arrays, tensors, fractions. Confusions
    of blocks, batches or processes add up to that of the whole.

    >>> sum([Confusion(1, 0, 2, 5), Confusion(3, 1, 0, 4)])
    Confusion(tp=4, fp=1, fn=2, tn=9)
    """

    tp: Any
    fp: Any
    fn: Any
    tn: Any

    def __add__(self, other: Any) -> "Confusion":
        return Confusion(*(a + b for a, b in zip(self, other, strict=True)))

    def __radd__(self, other: Any) -> "Confusion":
        return self if other == 0 else NotImplemented  # what `sum` starts from

    @property
    def positives(self) -> Any:
        """The mass of the reference's foreground, |y|."""
        return self.tp + self.fn

    @property
    def total(self) -> Any:
        """The mass of everything, d."""
        return self.tp + self.fp + self.fn + self.tn


def confusion(mask: Any, target: Any) -> Confusion:
    """The counts of two boolean masks of one shape, both arrays or both tensors.

    >>> confusion(np.array([True, True, False]), np.array([True, False, False]))
    Confusion(tp=1, fp=1, fn=0, tn=1)
    """
    # Tensors count themselves: this module, which statistics may load too, needs no torch.
    tensors = hasattr(mask, "count_nonzero") and hasattr(target, "count_nonzero")
    if not tensors:
        mask, target = np.asarray(mask), np.asarray(target)
    if mask.shape != target.shape:
        raise ValueError(
            f"the mask has shape {tuple(mask.shape)} and the target {tuple(target.shape)}: "
            "they must be of one grid (nothing is broadcast)"
        )
    if not (str(mask.dtype) in {"bool", "torch.bool"} and target.dtype == mask.dtype):
        raise ValueError(
            f"masks must be boolean, got {mask.dtype} and {target.dtype}: threshold them first"
        )

    def count(voxels: Any) -> int:
        return int(voxels.count_nonzero() if tensors else np.count_nonzero(voxels))

    tp, predicted, positive = count(mask & target), count(mask), count(target)
    total = int(np.prod(mask.shape))
    return Confusion(tp, predicted - tp, positive - tp, total - predicted - positive + tp)


@dataclass(frozen=True)
class Similarity:
    """A ratio of two functions of the masses; 1 exactly where there are no errors.

    `parts` maps (tp, fp, fn, tn) to numerator and denominator by plain arithmetic. A ratio 0/0
    says that both masks are empty and is 1, the same for every similarity. `of_foreground` says
    that true negatives alone earn nothing: against an empty reference every non-empty prediction
    then has the same value, 0.

    >>> from fractions import Fraction
    >>> dice(Confusion(*map(Fraction, (2, 1, 1, 6))))
    Fraction(2, 3)
    >>> dice(Confusion(0, 0, 0, 9)), jaccard(Confusion(0, 0, 0, 9))
    (1.0, 1.0)
    """

    name: str
    parts: Callable[[Any, Any, Any, Any], tuple[Any, Any]]
    of_foreground: bool = True

    def __call__(self, masses: Confusion) -> Any:
        numerator, denominator = self.parts(*masses)
        # Adding the indicator of 0/0 to both sides makes it 1/1. No branch is taken, so one line
        # serves numbers, arrays and tensors, and the gradient at 0/0 stays finite.
        undefined = denominator == 0
        return (numerator + undefined) / (denominator + undefined)

    def loss(self, masses: Confusion) -> Any:
        """One minus the similarity, where the reference has foreground; else fp / d.

        An empty reference makes a similarity of the foreground a constant 0 for every non-empty
        prediction, which teaches nothing. The share of falsely marked voxels takes its place: it
        is 0 exactly for the empty prediction, and each false voxel costs 1 / d. Similarities that
        count the background need no such rule.
        """
        if not self.of_foreground:
            return 1 - self(masses)
        empty = masses.positives == 0
        nothing = masses.total == 0
        # `empty` selects by arithmetic, as above; both sides are finite for all masses.
        share = masses.fp / (masses.total + nothing)
        return (1 - self(masses)) * (1 - empty * 1) + share * empty

    @property
    def is_symmetric(self) -> bool:
        """Whether false positives and false negatives count alike."""
        # Two rational functions that agree at a point in general position agree everywhere.
        probe = Confusion(5.0, 3.0, 7.0, 11.0)
        return bool(self(probe) == self(probe._replace(fp=probe.fn, fn=probe.fp)))

    @property
    def counts_background(self) -> bool:
        """Whether true negatives change the value."""
        probe = Confusion(5.0, 3.0, 7.0, 11.0)
        return bool(self(probe) != self(probe._replace(tn=13.0)))

    @property
    def tversky_weights(self) -> tuple[Any, Any] | None:
        """(α, β) where this is Tversky's index tp / (tp + α·fp + β·fn), else None.

        >>> dice.tversky_weights, f_beta(2).tversky_weights, hamming.tversky_weights
        ((0.5, 0.5), (0.2, 0.8), None)
        """
        scale = self.parts(1, 0, 0, 0)[1]
        if not scale:
            return None
        alpha, beta = (self.parts(*unit)[1] / scale for unit in ((0, 1, 0, 0), (0, 0, 1, 0)))
        if not (alpha > 0 and beta > 0):
            return None
        probe = Confusion(5.0, 3.0, 7.0, 11.0)
        return (alpha, beta) if abs(self(probe) - tversky(alpha, beta)(probe)) < 1e-12 else None


def _dice(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    return 2 * tp, 2 * tp + fp + fn


def _jaccard(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    return tp, tp + fp + fn


def _hamming(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    return tp + tn, tp + fp + fn + tn


def _kappa(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    return (
        2 * (tp * tn - fp * fn),
        (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn),
    )


def _clipped_hamming(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
    surplus = 2 * tp + fn - fp
    kept = surplus * (surplus > 0)
    return kept, kept + fp + fn


dice = Similarity("dice", _dice)
"""D = 2tp / (2tp + fp + fn), Eq. 2 of the paper."""

jaccard = Similarity("jaccard", _jaccard)
"""J = tp / (tp + fp + fn), Eq. 2; J = D / (2 − D), Eq. 4."""

hamming = Similarity("hamming", _hamming, of_foreground=False)
"""H = (tp + tn) / d, Eq. 2: the share of voxels that are right."""

kappa = Similarity("kappa", _kappa)
"""Cohen's κ = 2(tp·tn − fp·fn) / ((tp + fp)(fp + tn) + (tp + fn)(fn + tn)), in [−1, 1].

Agreement beyond chance; it tends to Dice as the background grows (Zijdenbos et al. 1994).
"""

clipped_hamming = Similarity("clipped_hamming", _clipped_hamming)
"""1 − min(1, (fp + fn) / (2|y|)): the errors per voxel of this reference's foreground, clipped.

Its loss stays within a factor 2 of the Dice loss (`docs/theory.md`, Eq. 14). With the surplus
k = max(0, 2|y| − fp − fn) it is k / (k + fp + fn), which needs no case for |y| = 0.
"""


def tversky(alpha: float, beta: float) -> Similarity:
    """Tversky's index tp / (tp + α·fp + β·fn), α for false positives, β for false negatives.

    α = β = 1/2 is Dice, α = β = 1 Jaccard.

    >>> tversky(0.5, 0.5)(Confusion(2, 1, 1, 6)) == dice(Confusion(2, 1, 1, 6))
    True
    """
    if not (0 < alpha < float("inf") and 0 < beta < float("inf")):
        raise ValueError(f"Tversky's weights must be positive and finite, got {alpha} and {beta}")
    return Similarity(
        f"tversky({float(alpha):g}, {float(beta):g})",
        lambda tp, fp, fn, tn: (tp, tp + alpha * fp + beta * fn),
    )


def f_beta(beta: float) -> Similarity:
    """F-beta, which holds sensitivity `beta` times as important as precision; F-1 is Dice.

    >>> round(f_beta(2)(Confusion(2, 1, 1, 6)), 4)
    0.6667
    """
    if not 0 < beta < float("inf"):
        raise ValueError(f"beta must be positive and finite, got {beta}")
    return Similarity(
        f"f_beta({float(beta):g})",
        lambda tp, fp, fn, tn: (
            (1 + beta**2) * tp,
            (1 + beta**2) * tp + fp + beta**2 * fn,
        ),
    )


def weighted_hamming(gamma: float) -> Similarity:
    """Hγ = 1 − γ·fn/|y| − (1 − γ)·fp/(d − |y|), Eq. 3: foreground and background weighed apart.

    A part that the reference lacks costs nothing (0/0 inside is 0): for |y| = 0 it is
    1 − (1 − γ)·fp/d, for |y| = d it is 1 − γ·fn/d. At γ = |y|/d it is the Hamming similarity.

    >>> weighted_hamming(0.3)(Confusion(2, 1, 1, 6)) == hamming(Confusion(2, 1, 1, 6))
    True
    """
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma must lie in [0, 1], got {gamma}")

    def parts(tp: Any, fp: Any, fn: Any, tn: Any) -> tuple[Any, Any]:
        foreground, background = tp + fn, fp + tn
        missed = fn / (foreground + (foreground == 0))
        invented = fp / (background + (background == 0))
        return 1 - gamma * missed - (1 - gamma) * invented, 1

    return Similarity(f"weighted_hamming({float(gamma):g})", parts, of_foreground=False)


SIMILARITIES = {
    similarity.name: similarity
    for similarity in (
        dice,
        jaccard,
        hamming,
        kappa,
        clipped_hamming,
    )
}
"""Those without parameters, by the names that files and the command line give them."""
