"""The best weight γ of the weighted Hamming similarity, certified from both sides.

For given masses every measure's demand is linear in γ. A few masses bound the best measure from
below; the worst masses at the γ that is best for them bound it from above, and join them (Kelley
1960). The two bounds meet after a few rounds.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from segrisk.similarity import Confusion, Similarity, weighted_hamming
from segrisk.theory.regions import Region
from segrisk.theory.search import ENDLESS, Extreme, Supremum, largest_difference, largest_ratio

ROUNDS = 60
CLOSE = 1e-9
"""The relative gap between the bounds at which the search for γ ends."""

Linear = Iterable[tuple[float, float]]
"""Demands c₀ + c₁·γ ≤ 0."""


@dataclass(frozen=True)
class Best:
    """`low` ≤ least measure of any γ ≤ `high`, which `gamma` has; None where all are infinite."""

    low: float
    high: float
    gamma: float | None
    worst: tuple[Extreme, ...]


@dataclass(frozen=True)
class _Masses:
    """The value s of the fixed similarity and h₀ + γ(h₁ − h₀) of Hγ at an extreme."""

    extreme: Extreme
    s: float
    h0: float
    h1: float


def best_absolute(similarity: Similarity, region: Region) -> Best:
    """min over γ of sup |S − Hγ|."""

    def demands(masses: list[_Masses], error: float) -> Linear:
        for point in masses:
            slope = point.h1 - point.h0
            yield point.h0 - point.s - error, slope
            yield point.s - point.h0 - error, -slope

    def worst(gamma: float) -> tuple[Supremum, ...]:
        other = weighted_hamming(gamma)
        return (
            largest_difference(similarity, other, region),
            largest_difference(other, similarity, region),
        )

    def size(over: float, under: float) -> float:
        return max(over, under)

    return _meet(similarity, demands, worst, size, floor=0.0, loss=False)


def best_relative(similarity: Similarity, region: Region, *, loss: bool) -> Best:
    """min over γ of sup max(S/Hγ, Hγ/S), or of the losses; the relative error is 1 less."""

    def demands(masses: list[_Masses], ratio: float) -> Linear:
        for point in masses:
            slope = point.h1 - point.h0
            yield point.h0 - ratio * point.s, slope
            yield point.s - ratio * point.h0, -ratio * slope

    return _meet(similarity, demands, _ratios(similarity, region, loss), max, floor=1.0, loss=loss)


def best_distortion(similarity: Similarity, region: Region, *, loss: bool) -> Best:
    """min over γ of sup S/Hγ · sup Hγ/S, or of the losses: what no constant factor mends."""

    def demands(masses: list[_Masses], product: float) -> Linear:
        known = [point for point in masses if point.s > 0]
        for one in known:
            for other in known:
                c0 = one.h0 / one.s - product * other.h0 / other.s
                c1 = (one.h1 - one.h0) / one.s - product * (other.h1 - other.h0) / other.s
                yield c0, c1
        for point in masses:
            if point.s == 0:  # then Hγ must be 0 too
                yield point.h0, point.h1 - point.h0

    def size(over: float, under: float) -> float:
        return over * under

    return _meet(similarity, demands, _ratios(similarity, region, loss), size, floor=1.0, loss=loss)


def _ratios(similarity: Similarity, region: Region, loss: bool) -> Callable:
    def worst(gamma: float) -> tuple[Supremum, ...]:
        other = weighted_hamming(gamma)
        return (
            largest_ratio(similarity, other, region, loss=loss),
            largest_ratio(other, similarity, region, loss=loss),
        )

    return worst


def _meet(
    similarity: Similarity,
    demands: Callable[[list[_Masses], float], Linear],
    worst: Callable[[float], tuple[Supremum, ...]],
    size: Callable[[float, float], float],
    *,
    floor: float,
    loss: bool,
) -> Best:
    masses: list[_Masses] = []
    low, high, best_gamma, gamma, extremes = floor, np.inf, None, 0.5, ()
    tried: set[float] = set()
    for _ in range(ROUNDS):
        tried.add(gamma)
        sides = worst(gamma)
        value = size(*(side.high for side in sides))
        worsts = tuple(side.worst for side in sides if side.worst)
        if value < high:
            high, best_gamma, extremes = value, gamma, worsts
        masses += [_evaluated(similarity, extreme, loss) for extreme in worsts]
        low, gamma = _least(partial(demands, masses), floor)
        if low == np.inf or gamma in tried or (high < np.inf and high - low <= CLOSE * high):
            break
    if best_gamma is None:
        return Best(np.inf, np.inf, None, masses[-1:] and (masses[-1].extreme,))
    active = tuple(_active(masses, best_gamma, high, demands))
    return Best(min(low, high), high, best_gamma, active or extremes)


def _evaluated(similarity: Similarity, extreme: Extreme, loss: bool) -> _Masses:
    # Fractions, because 1 − S cancels where there are almost no errors.
    masses = Confusion(*map(Fraction, extreme.masses))
    values = (member(masses) for member in (similarity, weighted_hamming(0), weighted_hamming(1)))
    return _Masses(extreme, *(float(1 - value if loss else value) for value in values))


def _least(demands: Callable[[float], Linear], floor: float) -> tuple[float, float]:
    """The least bound that some γ meets, and that γ; infinite where none up to `ENDLESS` is."""
    low, high = floor, floor + 1.0
    while (interval := _interval(demands(high))) is None:
        low, high = high, 4 * high
        if high > ENDLESS:
            return np.inf, 1.0
    while high - low > 1e-15 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        found = _interval(demands(middle))
        if found is None:
            low = middle
        else:
            high, interval = middle, found
    return low, (interval[0] + interval[1]) / 2


def _interval(demands: Linear) -> tuple[float, float] | None:
    """The γ in [0, 1] that meet all demands."""
    low, high = 0.0, 1.0
    for c0, c1 in demands:
        if c1 > 0:
            high = min(high, -c0 / c1)
        elif c1 < 0:
            low = max(low, -c0 / c1)
        elif c0 > 0:
            return None
        if low > high:
            return None
    return low, high


def _active(
    masses: list[_Masses], gamma: float, bound: float, demands: Callable
) -> Iterator[Extreme]:
    """The masses that alone refuse γ a bound a little smaller, each once."""
    seen = set()
    for point in masses:
        key = tuple(round(float(mass), 4) for mass in point.extreme.masses)
        refused = any(c0 + c1 * gamma > 0 for c0, c1 in demands([point], bound * (1 - 1e-6)))
        if refused and key not in seen:
            seen.add(key)
            yield point.extreme
