"""Whether probabilities mean what they say: reliability, temperature, and a ceiling on Dice."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, logit

from segrisk.decision.door import as_kind_of, probabilities
from segrisk.decision.tally import LEVELS, Case, Tally, tallies
from segrisk.similarity import Confusion, dice

HOTTEST = 20.0
"""Temperatures are sought in [1/20, 20]."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Observed against stated frequencies in bins of p, pooled over cases, and the error of each.

    Bin k holds p in (k/B, (k + 1)/B], the first also p = 0. Means of an empty bin are NaN.
    """

    stated: np.ndarray
    """(B,) the mean p of each bin."""
    observed: np.ndarray
    """(B,) the share of foreground."""
    voxels: np.ndarray
    """(B,)"""
    error: float
    """Σ_bins |Σ(p − y)| / d over all voxels of all cases together."""
    case_errors: np.ndarray
    """(cases,) the same of each case by itself: never below what their pooled sums show."""


def reliability(cases: Iterable[Case | Tally], bins: int = 16) -> Reliability:
    """The reliability of maps against their references, per case and pooled.

    Pooled errors of opposite sign in different cases cancel, per case they do not. Where most
    voxels are certain background both are small numbers: compare them with the foreground's share.
    `bins` must divide 1024. ValueError otherwise, and for no cases.

    >>> found = reliability([([0.75, 0.75, 0.75, 0.75], [True, True, True, False])])
    >>> print(found.error, found.stated[11], found.observed[11])
    0.0 0.75 0.75
    """
    if not (bins > 0 and 1024 % bins == 0):
        raise ValueError(f"the number of bins must divide 1024, got {bins}: give 16 or 32")
    counted = tallies(cases)
    # The bin of a tally ends at a level, and so in one bin of these.
    starts = np.searchsorted(LEVELS, np.arange(bins) / bins, side="left") + 1
    starts[0] = 0
    voxels, positives, mass = (
        np.add.reduceat(np.array([getattr(c, name) for c in counted]), starts, axis=1)
        for name in ("voxels", "positives", "mass")
    )
    sizes = voxels.sum(1)
    pooled = voxels.sum(0)
    with np.errstate(invalid="ignore"):
        stated, observed = mass.sum(0) / pooled, positives.sum(0) / pooled
    error = float(np.abs((mass - positives).sum(0)).sum() / sizes.sum())
    return Reliability(stated, observed, pooled, error, np.abs(mass - positives).sum(1) / sizes)


@dataclass(frozen=True)
class Temperature:
    """p ↦ sigmoid(logit(p) / value): above 1 it takes certainty away. 0, 1/2 and 1 stay.

    >>> Temperature(2.0).apply([0.9, 0.5, 0.0]).round(3)
    array([0.75, 0.5 , 0.  ])
    """

    value: float

    def __post_init__(self) -> None:
        if not 0 < self.value < float("inf"):
            raise ValueError(f"a temperature is positive and finite, got {self.value}")

    def apply(self, p: Any) -> Any:
        """The map at this temperature, of the type, shape and kind of p."""
        values = probabilities(p)
        return as_kind_of(self._of(values.astype(np.float64)).astype(values.dtype), p)

    def tally(self, case: Tally) -> Tally:
        """The tally at this temperature, each bin moved with its mean probability."""
        stated = self._of(case.mass / np.maximum(case.voxels, 1))
        bins = np.searchsorted(LEVELS, stated, side="left")
        length = len(case.voxels)

        def moved(weights: np.ndarray) -> np.ndarray:
            return np.bincount(bins, weights, minlength=length)

        return replace(
            case,
            voxels=moved(case.voxels).astype(np.int64),
            positives=moved(case.positives).astype(np.int64),
            mass=moved(case.voxels * stated),
            hits=float(case.positives @ stated),
            squares=float(case.voxels @ stated**2),
            peak=float(self._of(np.array(case.peak))),
        )

    def _of(self, p: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return expit(logit(p) / self.value)


def fit_temperature(cases: Iterable[Case | Tally]) -> Temperature:
    """The temperature with the largest likelihood of the references, over all voxels together.

    Probabilities of exactly 0 and 1, which no temperature moves, are left out. ValueError where
    the references hold one class, or nothing is left (Guo et al. 2017).
    """
    counted = tallies(cases)
    voxels = np.sum([case.voxels for case in counted], axis=0)
    positives = np.sum([case.positives for case in counted], axis=0)
    if positives.sum() in (0, voxels.sum()):
        raise ValueError(
            f"the references of all {len(counted)} cases hold one class: "
            "no temperature can be fitted"
        )
    stated = np.sum([case.mass for case in counted], axis=0) / np.maximum(voxels, 1)
    used = (stated > 0) & (stated < 1)
    if not used.any():
        raise ValueError(
            "every probability is 0 or 1: these are masks; give probabilities to be calibrated"
        )
    z, positives, voxels = logit(stated[used]), positives[used], voxels[used]

    def cost(log_temperature: float) -> float:
        scaled = z / np.exp(log_temperature)
        negatives = voxels - positives
        return -float(positives @ log_expit(scaled) + negatives @ log_expit(-scaled))

    bound = np.log(HOTTEST)
    found = minimize_scalar(cost, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-6})
    return Temperature(float(np.exp(found.x)))


@dataclass(frozen=True)
class Ceiling:
    """The pooled soft Dice that a map would have if it were calibrated, and the one it has."""

    value: float
    """Σp²/Σp."""
    soft_dice: float
    """2Σpy/(Σp + Σy)."""


def ceiling(cases: Iterable[Case | Tally]) -> Ceiling:
    """E[p²]/E[p]: the pooled soft Dice of calibrated p, and the most of all that is made from it.

    If E[y | p] = p, then E[py] = E[p²] and E[p] = E[y], so the soft Dice of all voxels together,
    2E[py]/(E[p] + E[y]), *is* E[p²]/E[p]: two numbers that differ show that p is not calibrated.
    And a calibrated f that knows no more than p has f = E[p | f], so E[f²] ≤ E[p²] at the same
    mean, and a soft Dice of at most E[p²]/E[p]. So a map that passes the ceiling of a calibrated
    one is either not calibrated, as sharpened maps are not, or knows more about the image.

    It bounds neither the mean Dice of single images nor that of masks: p = 1/2 everywhere has the
    ceiling 1/2, and the full mask scores 2/3. ValueError for maps without any mass.

    >>> ceiling([([0.5, 0.5], [True, False])])
    Ceiling(value=0.5, soft_dice=0.5)
    """
    counted = tallies(cases)
    mass = sum(case.volume for case in counted)
    if not mass:
        raise ValueError("every probability is 0: there is no soft Dice to bound")
    hits = sum(case.hits for case in counted)
    reference = sum(case.reference_volume for case in counted)
    total = sum(case.size for case in counted)
    masses = Confusion(hits, mass - hits, reference - hits, total - mass - reference + hits)
    return Ceiling(float(sum(case.squares for case in counted) / mass), float(dice(masses)))
