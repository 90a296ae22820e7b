"""Confidence intervals of a mean over cases that come in groups."""

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
    if not 0 < level < 1:
        raise ValueError(
            f"the level must lie strictly between 0 and 1, got {level}: give a share, such as 0.95"
        )
    groups = sums.n_groups
    if groups < 2:
        raise ValueError(
            f"an interval needs at least 2 groups, got {groups}: "
            "score more patients, or report the mean alone"
        )
    residuals = sums.sums - sums.mean * sums.counts
    deviation = np.sqrt(groups / (groups - 1) * (residuals**2).sum()) / sums.n_cases
    half = float(t.ppf((1 + level) / 2, groups - 1) * deviation)
    return Interval(sums.mean, sums.mean - half, sums.mean + half, groups, level)


def equivalent(differences: GroupSums, margin: float, *, alpha: float = 0.05) -> bool:
    """Whether the mean difference lies within ±margin, by two one-sided tests at `alpha`.

    That is the case where the 1 − 2·alpha interval lies inside (−margin, margin). A difference
    that is not significant is no evidence of equality; this is (Schuirmann 1987).

    Raises ValueError for a margin that is not positive and finite, an alpha outside (0, 0.5), and
    fewer than 2 groups.

    >>> differences = GroupSums(np.array([0.002, -0.001, 0.001, 0.0]), np.array([1, 1, 1, 1]))
    >>> equivalent(differences, 0.01), equivalent(differences, 0.001)
    (True, False)
    """
    if not 0 < margin < np.inf:
        raise ValueError(
            f"the margin must be positive and finite, got {margin}: "
            "give the largest difference that does not matter, such as 0.01 Dice"
        )
    if not 0 < alpha < 0.5:
        raise ValueError(
            f"alpha must lie strictly between 0 and 0.5, got {alpha}: "
            "give the level of each one-sided test, such as 0.05"
        )
    interval = group_t_interval(differences, level=1 - 2 * alpha)
    return bool(-margin < interval.low and interval.high < margin)
