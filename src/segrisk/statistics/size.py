"""Scores against the size of the object: bins of equal count, and a smooth curve."""

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import t

from segrisk.statistics.door import per_case
from segrisk.statistics.groups import Adder, Groups, case_groups, group_ranks
from segrisk.statistics.intervals import check_level, standard_error, t_quantile
from segrisk.statistics.threads import two_at_once

Columns = Mapping[str, Any]
"""Scores (cases,) or (cases, seeds) by name, all of the same cases."""

NUMBERS = 2**21
"""Weights that are held at once, 16 MB in each of a few arrays."""

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
    _, which, totals = np.unique(values, return_inverse=True, return_counts=True)
    # Each size fills a stretch of the sorted cases, and so does each bin: what they share counts.
    ends, stops = np.cumsum(totals), np.cumsum([len(part) for part in parts])
    inside = np.array(
        [
            np.clip(np.minimum(ends, stop) - np.maximum(ends - totals, stop - len(part)), 0, None)
            for part, stop in zip(parts, stops.tolist(), strict=True)
        ]
    )
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
    group_of = group_ranks(case_groups(groups, len(values)))
    if not len(values) == len(group_of) == bins.weights.shape[1]:
        raise ValueError(
            f"got {len(values)} scores and groups of {len(group_of)} cases for bins of "
            f"{bins.weights.shape[1]}: give all for the same cases"
        )
    return tuple(_bin_means(row, [values], group_of, level)[0] for row in bins.weights)


def _bin_means(
    weights: np.ndarray, columns: Iterable[np.ndarray], group_of: np.ndarray, level: float
) -> list[BinMean]:
    """The mean of each of the columns (cases,) in one bin."""
    members = np.flatnonzero(weights)
    inside, add = weights[members], Adder(group_ranks(group_of[members]))
    counts = add.sorted(inside)
    return [_bin_mean(add.sorted(inside * own[members]), counts, level) for own in columns]


def _bin_mean(sums: np.ndarray, counts: np.ndarray, level: float) -> BinMean:
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
    return size_curves(sizes, {"": scores}, groups, bins=bins, level=level)[""]


def size_curves(
    sizes: Any,
    columns: Columns,
    groups: Iterable[Hashable] | None = None,
    *,
    bins: int = 10,
    level: float = 0.95,
) -> dict[str, SizeCurve]:
    """`size_curve` of several scores of the same cases, which share the bins."""
    filled, group_of, every = _door(sizes, columns, groups)
    divided = size_bins(per_case(sizes, "the sizes")[filled], bins)
    inside, n_empty = group_ranks(group_of[filled]), int((~filled).sum())
    own, none = [values[filled] for values in every.values()], [None] * len(every)
    by_bin = two_at_once(
        lambda weights: _bin_means(weights, own, inside, level),
        divided.weights,
        divided.weights.size * len(own),
    )
    empty = _bin_means(~filled * 1.0, every.values(), group_of, level) if n_empty else none
    return {
        name: SizeCurve(divided, means, of_empty, n_empty)
        for name, means, of_empty in zip(every, zip(*by_bin, strict=True), empty, strict=True)
    }


def _door(
    sizes: Any, columns: Columns, groups: Iterable[Hashable] | None
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Which cases have a size, the groups as numbers, and one score for each case."""
    extents, filled = per_case(sizes, "the sizes"), np.empty(0)
    every = {name: per_case(scores) for name, scores in columns.items()}
    names = case_groups(groups, len(next(iter(every.values()))))
    for values in every.values():
        filled = with_size(extents, values, names)
    return filled, group_ranks(names), every


def with_size(sizes: np.ndarray, values: np.ndarray, names: Groups) -> np.ndarray:
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
    options = {"points": points, "span": span, "level": level}
    return smooth_curves(sizes, {"": scores}, groups, **options)[""]


def smooth_curves(
    sizes: Any,
    columns: Columns,
    groups: Iterable[Hashable] | None = None,
    *,
    points: int = 50,
    span: float = 0.5,
    level: float = 0.95,
) -> dict[str, SmoothCurve]:
    """`smooth_curve` of several scores of the same cases, which share the weights."""
    check_level(level)
    if not 0 < span <= 1:
        raise ValueError(f"the span must lie in (0, 1], got {span}: give a share of the cases")
    filled, group_of, every = _door(sizes, columns, groups)
    x, group_of = np.log(per_case(sizes)[filled]), group_ranks(group_of[filled])
    scores = [values[filled] for values in every.values()]
    if (x == x[:1]).all():
        raise ValueError("all sizes are equal: there is nothing to draw against")
    grid, nearest = np.linspace(x.min(), x.max(), points), math.ceil(span * len(x))
    # All points at once where they fit: to make the weights costs more than to use them.
    parts = np.array_split(grid, -(-points * len(x) // NUMBERS))
    numbers = points * len(x) * len(scores)

    def added(part: np.ndarray) -> list[np.ndarray]:
        weights = _local_linear(x, part, nearest)
        return [weights @ own for own in scores]

    sums = two_at_once(added, parts, numbers)
    means = [np.concatenate(own) for own in zip(*sums, strict=True)]
    if group_of.max() + 1 < GROUPS_FOR_BAND:
        return {
            n: SmoothCurve(np.exp(grid), m, None, None) for n, m in zip(every, means, strict=True)
        }
    add = Adder(group_of)
    left = [
        (own - np.interp(x, grid, mean))[add.order] for own, mean in zip(scores, means, strict=True)
    ]

    def erred(part: np.ndarray) -> list[np.ndarray]:
        weights = _local_linear(x, part, nearest)[:, add.order]
        inside = np.maximum(2, (add.in_order(weights != 0) > 0).sum(axis=1))
        factor = t.ppf((1 + level) / 2, inside - 1), inside / (inside - 1)
        squares = [(add.in_order(weights * own) ** 2).sum(axis=1) for own in left]
        return [factor[0] * np.sqrt(factor[1] * square) for square in squares]

    errors = two_at_once(erred, parts, numbers)
    half = [np.concatenate(own) for own in zip(*errors, strict=True)]
    return {
        name: SmoothCurve(np.exp(grid), mean, mean - own, mean + own)
        for name, mean, own in zip(every, means, half, strict=True)
    }


def _local_linear(x: np.ndarray, grid: np.ndarray, nearest: int) -> np.ndarray:
    """Weights (points, cases) that turn values into local linear means."""
    away = x - grid[:, None]
    width = np.partition(np.abs(away), nearest - 1, axis=1)[:, nearest - 1 : nearest]
    # The farthest of the nearest counts a little, or ties at its distance could leave none.
    ratio = np.abs(away) / np.maximum(1.001 * width, 1e-9)
    tricube = np.clip(1 - ratio**3, 0, None) ** 3
    tricube /= tricube.sum(axis=1, keepdims=True)
    centre = (tricube * away).sum(axis=1, keepdims=True)
    spread = (tricube * (away - centre) ** 2).sum(axis=1, keepdims=True)
    tilt = np.divide(-centre, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    return tricube * (1 + tilt * (away - centre))
