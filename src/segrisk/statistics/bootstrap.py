"""Intervals of mean differences by resampling groups: one draw for all models, metrics and pairs.

paired_bootstrap(a, b, groups=patients).low
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from segrisk.statistics.door import Unit, case_differences, in_unit, per_case
from segrisk.statistics.groups import GroupTable, case_groups, group_table
from segrisk.statistics.intervals import check_groups, check_level, standard_error, t_quantile
from segrisk.statistics.resampling import TIE, Draws, mean_of

Bounds = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class PairInterval:
    """A two-sided confidence interval of the difference a − b."""

    difference: float
    """mean(a) − mean(b), over the `unit`."""
    low: float
    high: float
    level: float
    method: str
    """One of METHODS."""
    n_cases: int
    n_groups: int
    resamples: int
    unit: Unit = "case"


class Sample:
    """What intervals are made from: rows of sums of the same groups, and the draws to use.

    What the `method` needs of the draws is asked for at once, so that samples that are made
    together share one pass. All levels share what was drawn.
    """

    def __init__(self, table: GroupTable, drawn: Draws, *, method: str = "hull"):
        if method not in METHODS:
            raise ValueError(f"the method must be one of {list(METHODS)}, got {method!r}")
        check_groups(len(table.counts))
        self.table, self.sums, self.counts, self.method = table, table.sums, table.counts, method
        self.resamples = 0 if method == "t" else drawn.resamples
        self.means = self.sums.sum(axis=1) / self.counts.sum()
        """(rows,), over cases."""
        if method in ("percentile", "bca"):
            self.resampled = mean_of(table, drawn)
            """mean* (resamples, rows)."""
        if method in ("hull", "studentised"):
            self._deviations = _deviations(self, drawn)

    @cached_property
    def deviations(self) -> Bounds:
        """mean* − m and its standard error, both (resamples, rows)."""
        return self._deviations()

    def bounds(self, level: float) -> Bounds:
        """The ends of the interval of each row."""
        check_level(level)
        return METHODS[self.method](self, level)


def tails(level: float) -> list[float]:
    """Which share lies below each end of an interval."""
    tail = (1 - level) / 2
    return [tail, 1 - tail]


def t_bounds(sample: Sample, level: float) -> Bounds:
    """The group t interval: see `group_t_interval`."""
    half = t_quantile(len(sample.counts), level) * standard_error(sample.sums, sample.counts)
    return sample.means - half, sample.means + half


def percentile_bounds(sample: Sample, level: float) -> Bounds:
    """Quantiles of mean* = Σ S* / Σ n*: too narrow on few groups."""
    low, high = np.quantile(sample.resampled(), tails(level), axis=0)
    return low, high


def bca_bounds(sample: Sample, level: float) -> Bounds:
    """Percentiles moved for bias and acceleration, the latter by leaving out each group.

    With z₀ = Φ⁻¹(share of mean* below m) and the skewness a of the jackknife, the percentile of
    each side is Φ(z₀ + (z₀ + z) / (1 − a(z₀ + z))). (Efron 1987.)
    """
    means = sample.resampled()
    # A mean that is drawn exactly, as with many equal differences, is half below; rounding apart.
    tie = TIE * np.abs(sample.sums).sum(axis=1) / sample.counts.sum()
    below = (means < sample.means - tie).mean(axis=0) + (means <= sample.means + tie).mean(axis=0)
    half = 1 / (2 * sample.resamples)
    bias = ndtri(np.clip(below / 2, half, 1 - half))
    totals = sample.sums.sum(axis=1, keepdims=True) - sample.sums
    left_out = totals / (sample.counts.sum() - sample.counts)
    away = left_out.mean(axis=1, keepdims=True) - left_out
    square = (away**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        acceleration = np.where(square > 0, (away**3).sum(axis=1) / (6 * square**1.5), 0.0)
    bounds = []
    for z in map(ndtri, tails(level)):
        moved = ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))
        bounds.append(np.array([np.quantile(m, q) for m, q in zip(means.T, moved, strict=True)]))
    return bounds[0], bounds[1]


def studentised_bounds(sample: Sample, level: float) -> Bounds:
    """m − t*·error at the quantiles of t* = (mean* − m) / error*, the latter of the resample.

    Where every group drawn has the same mean, error* is 0: such a t* counts as the largest that is
    finite on its side.
    """
    deviations, errors = sample.deviations
    error = standard_error(sample.sums, sample.counts)
    # Squares that cancel leave 1e-8 of what they were.
    flat = errors <= 1e-6 * error
    ratios = np.divide(deviations, errors, out=np.zeros_like(errors), where=~flat)
    largest, smallest = ratios.max(axis=0), ratios.min(axis=0)
    ratios += flat * (largest * (deviations > 0) + smallest * (deviations < 0))
    high, low = np.quantile(ratios, tails(level), axis=0)
    return sample.means - low * error, sample.means - high * error


def hull_bounds(sample: Sample, level: float) -> Bounds:
    """From the lower of the ends of `t_bounds` and `studentised_bounds` to the higher."""
    t_low, t_high = t_bounds(sample, level)
    low, high = studentised_bounds(sample, level)
    return np.minimum(t_low, low), np.maximum(t_high, high)


METHODS: Mapping[str, Callable[[Sample, float], Bounds]] = {
    "hull": hull_bounds,
    "studentised": studentised_bounds,
    "percentile": percentile_bounds,
    "bca": bca_bounds,
    "t": t_bounds,
}
"""How an interval can be made; the hull is the default."""


def paired_bootstrap(
    a: Any,
    b: Any,
    groups: Iterable[Hashable] | None = None,
    *,
    level: float = 0.95,
    method: str = "hull",
    resamples: int = 9999,
    seed: int = 0,
    unit: Unit = "case",
) -> PairInterval:
    """A confidence interval of mean(a) − mean(b) over cases, groups being resampled as one.

    a, b: scores (cases,) or (cases, seeds) of the same cases, seeds being averaged first; `groups`
    (cases,) names what is independent, by default each case. A resample draws G groups and divides
    by the number of cases that it then has. The default `method` is the hull of the group t
    interval and the studentised bootstrap: the one is too short for skewed differences, the other
    for some symmetric ones. All of METHODS work for any number of groups from 2.

    Raises ValueError for scores that do not pair up or are not finite, another method or unit, a
    level outside (0, 1), fewer than 2 groups and resamples < 1.

    >>> a, b = [0.81, 0.9, 0.75, 0.8, 0.7, 0.6], [0.8, 0.85, 0.7, 0.79, 0.6, 0.58]
    >>> interval = paired_bootstrap(a, b, method="t")
    >>> print(f"{interval.difference:.3f} [{interval.low:.3f}, {interval.high:.3f}]")
    0.040 [0.004, 0.076]
    """
    found = bootstrap_intervals(
        {"a − b": case_differences(a, b)},
        groups,
        level=level,
        method=method,
        resamples=resamples,
        seed=seed,
        unit=unit,
    )
    return found["a − b"]


def bootstrap_intervals(
    differences: Mapping[Hashable, Any],
    groups: Iterable[Hashable] | None = None,
    *,
    level: float = 0.95,
    method: str = "hull",
    resamples: int = 9999,
    seed: int = 0,
    unit: Unit = "case",
) -> dict[Hashable, PairInterval]:
    """`paired_bootstrap` of many named differences (cases,) of the same cases, in one draw.

    Each interval is what it is alone, at `level` for itself. Raises as `paired_bootstrap` does.

    >>> a, b, c = np.array([0.8, 0.7, 0.9]), np.array([0.7, 0.7, 0.8]), np.array([0.7, 0.6, 0.8])
    >>> found = bootstrap_intervals({("a", "b"): a - b, ("a", "c"): a - c}, method="t")
    >>> print({pair: round(interval.difference, 3) for pair, interval in found.items()})
    {('a', 'b'): 0.067, ('a', 'c'): 0.1}
    """
    values = {name: per_case(row, f"the difference {name}") for name, row in differences.items()}
    count = len(next(iter(values.values()), ()))
    table = in_unit(group_table(values, case_groups(groups, count)), unit)
    sample = Sample(table, Draws(len(table.counts), resamples, seed), method=method)
    return intervals_of(sample, level, n_cases=count, unit=unit)


def intervals_of(
    sample: Sample, level: float, *, n_cases: int, unit: Unit = "case"
) -> dict[Hashable, PairInterval]:
    """The interval of each row of a sample, which was made from so many cases."""
    low, high = sample.bounds(level)
    return {
        name: PairInterval(
            difference=float(sample.means[row]),
            low=float(low[row]),
            high=float(high[row]),
            level=level,
            method=sample.method,
            n_cases=n_cases,
            n_groups=len(sample.counts),
            resamples=sample.resamples,
            unit=unit,
        )
        for row, name in enumerate(sample.table.names)
    }


def _deviations(sample: Sample, drawn: Draws) -> Callable[[], Bounds]:
    """A promise of `Sample.deviations`."""
    counts, groups = sample.counts, len(sample.counts)
    residuals = sample.sums - sample.means[:, None] * counts
    # All of Σ r*, Σ r*², Σ r* n*, Σ n* and Σ n*² in one product.
    columns = np.concatenate([residuals, residuals**2, residuals * counts, [counts, counts**2]]).T
    rows, products = len(residuals), drawn.times(columns)

    def made() -> Bounds:
        total, square, product, (cases, squares) = np.split(
            products().T, [rows, 2 * rows, 3 * rows]
        )
        deviation = total / cases
        variance = square - 2 * deviation * product + deviation**2 * squares
        error = np.sqrt(groups / (groups - 1) * np.maximum(variance, 0)) / cases
        return deviation.T, error.T

    return made
