"""What rules and calibration need of a case: counts by level of probability, not the map itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from segrisk.decision.door import LARGEST_HALF, pair
from segrisk.similarity import Confusion, Similarity


def _levels() -> np.ndarray:
    even = np.arange(1024) / 1024
    small = np.arange(0x4400, dtype=np.uint16)[::16].view(np.float16).astype(np.float64)
    return np.unique(np.r_[even, small[small < 1 / 16]])


LEVELS = _levels()
"""Candidate thresholds, rising from 0: steps of 1/1024, below 1/16 of at most 1/64 of the value.

Each is a float16, so that p > level means the same for every type of p.
"""

Case = tuple[Any, Any]
"""A map of probabilities and its reference mask, of one shape."""


@dataclass(frozen=True, eq=False)
class Tally:
    """One case, by level: bin b holds the voxels with exactly b levels below their probability.

    So p > LEVELS[k] are the bins beyond k: every candidate threshold is scored exactly.
    """

    voxels: np.ndarray
    """(L + 1,) int64."""
    positives: np.ndarray
    """(L + 1,) int64, those in the reference's foreground."""
    mass: np.ndarray
    """(L + 1,) float64, Σp."""
    hits: float
    """Σ p·y."""
    squares: float
    """Σ p²."""
    peak: float
    """max p."""

    @property
    def volume(self) -> float:
        """Σp, the expected number of foreground voxels of a calibrated map."""
        return float(self.mass.sum())

    @property
    def reference_volume(self) -> int:
        """|y|."""
        return int(self.positives.sum())

    @property
    def size(self) -> int:
        """The number of voxels, d."""
        return int(self.voxels.sum())

    def masses(self) -> Confusion:
        """The confusion of the mask p > level, each mass (L,), for all levels."""
        predicted = _beyond(self.voxels)
        tp = _beyond(self.positives)
        fn = self.reference_volume - tp
        return Confusion(tp, predicted - tp, fn, self.size - predicted - fn)

    def scores(self, similarity: Similarity) -> np.ndarray:
        """The score (L,) of the mask p > level, for all levels."""
        return np.asarray(similarity(self.masses()), dtype=np.float64)


def tally(p: Any, target: Any) -> Tally:
    """Count one case; maps may be arrays or tensors of any shape, the same for both.

    ValueError for what is no probability, no mask, or of two shapes.

    >>> from segrisk.similarity import dice
    >>> case = tally([0.9, 0.4, 0.1], [True, True, False])
    >>> case.scores(dice)[LEVELS == 0.25], case.reference_volume, round(case.volume, 6)
    (array([1.]), 2, 1.4)
    """
    values, y = pair(p, target)
    values, y = values.reshape(-1), y.reshape(-1)
    bins = _bins(values)
    weights = values.astype(np.float64)
    length = LEVELS.size + 1
    return Tally(
        voxels=np.bincount(bins, minlength=length),
        positives=np.bincount(bins[y], minlength=length),
        mass=np.bincount(bins, weights, minlength=length),
        hits=float(weights[y].sum()),
        squares=float(weights @ weights),
        peak=float(weights.max()),
    )


def tallies(cases: Iterable[Case | Tally]) -> list[Tally]:
    """Count cases one at a time; those that are counted already are passed on."""
    counted = [case if isinstance(case, Tally) else tally(*case) for case in cases]
    if not counted:
        raise ValueError("there are no cases: a rule is fitted on at least one, better on dozens")
    return counted


def mean_scores(cases: Iterable[Tally], similarity: Similarity) -> np.ndarray:
    """The mean score (L,) over cases of the mask p > level, for all levels."""
    return np.mean([case.scores(similarity) for case in cases], axis=0)


def _beyond(bins: np.ndarray) -> np.ndarray:
    """Σ of the bins beyond each level (L,)."""
    return bins[::-1].cumsum()[::-1][1:]


@cache
def _half_bins() -> np.ndarray:
    """The bin of every float16 in [0, 1], by its bits."""
    halves = np.arange(LARGEST_HALF + 1, dtype=np.uint16).view(np.float16)
    return np.searchsorted(LEVELS, halves.astype(np.float64), side="left")


def _bins(values: np.ndarray) -> np.ndarray:
    """How many levels lie below each value."""
    if values.dtype == np.float16:
        return _half_bins()[np.abs(values).view(np.uint16)]  # −0 is 0
    return np.searchsorted(LEVELS, values.astype(np.float64), side="left")
