"""Scores against the size of the object: bins of equal count, and a smooth curve."""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import t

from segrisk.statistics.door import per_case
from segrisk.statistics.groups import add_by_group, case_groups, group_ranks, group_sums
from segrisk.statistics.intervals import check_level, standard_error, t_quantile

GROUPS_FOR_BAND = 5
"""An interval of fewer groups is too uncertain itself to be drawn."""


@dataclass(frozen=True)
class SizeBins:
    """Which case counts how much in which bin; the same for all models."""

    weights: np.ndarray
    """(bins, cases); a case of a size that ends one bin and begins the next counts in both."""
    edges: tuple[float, ...]
    """Between the bins, midway."""
    medians: tuple[float, ...]
    """Of the sizes in each bin."""
    n_cases: tuple[int, ...]


@dataclass(frozen=True)
class BinMean:
    """The mean score of a bin, with a group t interval where there are groups enough."""

    mean: float
    low: float | None
    high: float | None
    n_groups: int


def size_bins(sizes: Any, bins: int = 10) -> SizeBins:
    """Divide cases by size into bins of equal count: sorted, then cut as `np.array_split` does.

    Where a size of k cases is cut, j of them in a bin, each of the k counts j/k there: no order of
    equal cases can matter.

    Raises ValueError for sizes that are not finite, and for fewer cases than bins.

    >>> size_bins([1, 2, 2, 2, 5, 9], bins=3).weights.round(2)
    array([[1.  , 0.33, 0.33, 0.33, 0.  , 0.  ],
           [0.  , 0.67, 0.67, 0.67, 0.  , 0.  ],
           [0.  , 0.  , 0.  , 0.  , 1.  , 1.  ]])
    """
    values = per_case(sizes, "the sizes")
    if not 1 <= bins <= len(values):
        raise ValueError(f"{len(values)} cases cannot fill {bins} bins: ask for fewer")
    parts = np.array_split(np.sort(values), bins)
    distinct, which, totals = np.unique(values, return_inverse=True, return_counts=True)
    inside = np.array([(part[:, None] == distinct).sum(axis=0) for part in parts])
    return SizeBins(
        (inside / totals)[:, which],
        tuple(float((left[-1] + right[0]) / 2) for left, right in pairwise(parts)),
        tuple(float(np.median(part)) for part in parts),
        tuple(len(part) for part in parts),
    )


def bin_means(
    bins: SizeBins,
    scores: Any,
    groups: Iterable[Hashable] | None = None,
    *,
    level: float = 0.95,
) -> tuple[BinMean, ...]:
    """The mean of the scores (cases,) in each bin, with group t intervals of at least 5 groups.

    Raises ValueError as `group_sums` does, and for a level outside (0, 1).

    >>> found = bin_means(size_bins([1, 2, 3, 4], bins=2), [0.5, 0.75, 0.75, 1.0])
    >>> [point.mean for point in found], found[0].low
    ([0.625, 0.875], None)
    """
    check_level(level)
    values = per_case(scores)
    names = case_groups(groups, len(values))
    if not len(values) == len(names) == bins.weights.shape[1]:
        raise ValueError(
            f"got {len(values)} scores and groups of {len(names)} cases for bins of "
            f"{bins.weights.shape[1]}: give all for the same cases"
        )
    return tuple(_bin_mean(row, values, names, level) for row in bins.weights)


def _bin_mean(
    weights: np.ndarray, values: np.ndarray, names: list[Hashable], level: float
) -> BinMean:
    members = np.flatnonzero(weights)
    inside = [names[index] for index in members]
    sums = group_sums((weights * values)[members], inside).sums
    counts = group_sums(weights[members], inside).sums
    mean = float(sums.sum() / counts.sum())
    if len(counts) < GROUPS_FOR_BAND:
        return BinMean(mean, None, None, len(counts))
    half = float(t_quantile(len(counts), level) * standard_error(sums, counts))
    return BinMean(mean, mean - half, mean + half, len(counts))


@dataclass(frozen=True)
class SizeCurve:
    """Ten bins of what has a size; empty references stand apart, for they have none."""

    bins: SizeBins
    means: tuple[BinMean, ...]
    empty: BinMean | None
    n_empty: int


def size_curve(
    sizes: Any,
    scores: Any,
    groups: Iterable[Hashable] | None = None,
    *,
    bins: int = 10,
    level: float = 0.95,
) -> SizeCurve:
    """The scores (cases,) against the sizes (cases,), cases of size 0 apart.

    Raises ValueError for negative sizes, and as `size_bins` and `bin_means` do.

    >>> curve = size_curve([0, 1, 2, 3, 4], [1.0, 0.5, 0.75, 0.75, 1.0], bins=2)
    >>> curve.bins.edges, [point.mean for point in curve.means], curve.empty.mean
    ((2.5,), [0.625, 0.875], 1.0)
    """
    extents, values = per_case(sizes, "the sizes"), per_case(scores)
    names = case_groups(groups, len(values))
    filled = with_size(extents, values, names)
    divided = size_bins(extents[filled], bins)
    chosen = [name for name, keep in zip(names, filled, strict=True) if keep]
    means = bin_means(divided, values[filled], chosen, level=level)
    empty = _bin_mean(~filled * 1.0, values, names, level) if not filled.all() else None
    return SizeCurve(divided, means, empty, int((~filled).sum()))


def with_size(sizes: np.ndarray, values: np.ndarray, names: list[Hashable]) -> np.ndarray:
    """Which cases have a size above 0; ValueError for negative ones and lengths that differ."""
    if not len(sizes) == len(values) == len(names):
        raise ValueError(
            f"got {len(sizes)} sizes, {len(values)} scores and groups of {len(names)} cases: "
            "give all for the same cases"
        )
    if (sizes < 0).any():
        raise ValueError(f"{(sizes < 0).sum()} sizes are negative: give volumes or fractions")
    return sizes > 0


@dataclass(frozen=True)
class SmoothCurve:
    """A local mean against size, at points equally spaced in log size, with pointwise intervals."""

    sizes: np.ndarray
    means: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


def smooth_curve(
    sizes: Any,
    scores: Any,
    groups: Iterable[Hashable] | None = None,
    *,
    points: int = 50,
    span: float = 0.5,
    level: float = 0.95,
) -> SmoothCurve:
    """The local linear mean of the scores against log size; cases of size 0 are left out.

    At each point the nearest `span` of the cases count, by tricube weights. The mean is linear in
    the scores, Σ l_i v_i, so its error is √(G/(G − 1) Σ_g (Σ_{i ∈ g} l_i e_i)²) with residuals e
    and the groups of the window; none is given below 5 groups. (Cleveland 1979.)

    Raises ValueError for a span outside (0, 1], fewer than 2 sizes, and as `size_curve` does.

    >>> sizes = np.arange(1, 41)
    >>> curve = smooth_curve(sizes, 0.5 + 0.1 * np.log(sizes), points=3)
    >>> curve.means.round(3), curve.sizes.round(2)
    (array([0.5  , 0.684, 0.869]), array([ 1.  ,  6.32, 40.  ]))
    """
    check_level(level)
    if not 0 < span <= 1:
        raise ValueError(f"the span must lie in (0, 1], got {span}: give a share of the cases")
    extents, values = per_case(sizes, "the sizes"), per_case(scores)
    names = case_groups(groups, len(values))
    filled = with_size(extents, values, names)
    x, values = np.log(extents[filled]), values[filled]
    if len(np.unique(x)) < 2:
        raise ValueError("all sizes are equal: there is nothing to draw against")
    of_group = group_ranks([name for name, keep in zip(names, filled, strict=True) if keep])
    grid = np.linspace(x.min(), x.max(), points)
    weights = _local_linear(x, grid, math.ceil(span * len(x)))
    means = weights @ values
    if of_group.max() + 1 < GROUPS_FOR_BAND:
        return SmoothCurve(np.exp(grid), means, None, None)
    pulls = add_by_group(weights * (values - np.interp(x, grid, means)), of_group)
    inside = np.maximum(2, (add_by_group(weights != 0, of_group) > 0).sum(axis=1))
    errors = np.sqrt(inside / (inside - 1) * (pulls**2).sum(axis=1))
    half = t.ppf((1 + level) / 2, inside - 1) * errors
    return SmoothCurve(np.exp(grid), means, means - half, means + half)


def _local_linear(x: np.ndarray, grid: np.ndarray, nearest: int) -> np.ndarray:
    """Weights (points, cases) that turn values into local linear means."""
    away = x - grid[:, None]
    width = np.sort(np.abs(away), axis=1)[:, nearest - 1 : nearest]
    # The farthest of the nearest counts a little, or ties at its distance could leave none.
    ratio = np.abs(away) / np.maximum(1.001 * width, 1e-9)
    tricube = np.clip(1 - ratio**3, 0, None) ** 3
    tricube /= tricube.sum(axis=1, keepdims=True)
    centre = (tricube * away).sum(axis=1, keepdims=True)
    spread = (tricube * (away - centre) ** 2).sum(axis=1, keepdims=True)
    tilt = np.divide(-centre, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    return tricube * (1 + tilt * (away - centre))
