"""Confidence intervals of a mean over cases that come in groups, by the t law."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from segrisk.statistics.groups import GroupSums


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval of a mean over cases."""

    estimate: float
    low: float
    high: float
    n_groups: int
    level: float


def check_level(level: float) -> None:
    """ValueError for what is no share strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(
            f"the level must lie strictly between 0 and 1, got {level}: give a share, such as 0.95"
        )


def check_groups(groups: int) -> None:
    """ValueError for fewer than two groups."""
    if groups < 2:
        raise ValueError(
            f"an interval needs at least 2 groups, got {groups}: "
            "score more patients, or report the mean alone"
        )


def group_t_interval(sums: GroupSums, *, level: float = 0.95) -> Interval:
    """The t interval of the mean over cases, with groups as the independent units.

    The mean m = Σ S_g / Σ n_g is a ratio of sums; with residuals r_g = S_g − m n_g its variance is
    G / (G − 1) · Σ r_g² / (Σ n_g)², and the quantile is that of t with G − 1 degrees of freedom.
    With one case to a group it is the usual t interval. Source: the ratio estimator of cluster
    samples (Cochran, Sampling Techniques, 1977).

    Raises ValueError for fewer than 2 groups and for a level outside (0, 1).

    >>> interval = group_t_interval(GroupSums(np.array([1.0, 2.0, 3.0]), np.array([1, 1, 1])))
    >>> print(f"{interval.low:.3f} {interval.estimate:.3f} {interval.high:.3f}")
    -0.484 2.000 4.484
    """
    check_level(level)
    check_groups(sums.n_groups)
    half = float(t_quantile(sums.n_groups, level) * standard_error(sums.sums, sums.counts))
    return Interval(sums.mean, sums.mean - half, sums.mean + half, sums.n_groups, level)


def t_quantile(groups: int, level: float) -> float:
    """The two-sided quantile of t with groups − 1 degrees of freedom."""
    return float(t.ppf((1 + level) / 2, groups - 1))


def standard_error(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of the mean over cases: of each row of sums (…, groups) with counts (groups,)."""
    groups, cases = len(counts), counts.sum()
    residuals = sums - (sums.sum(axis=-1, keepdims=True) / cases) * counts
    return np.sqrt(groups / (groups - 1) * (residuals**2).sum(axis=-1)) / cases
