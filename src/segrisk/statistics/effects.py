"""How large a difference is, how often it goes which way, and how few cases carry it."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from segrisk.statistics.door import Better, Unit, case_differences, in_unit, sign_of
from segrisk.statistics.groups import Groups, GroupSums, case_groups, group_sums
from segrisk.statistics.intervals import standard_error
from segrisk.statistics.resampling import TIE


@dataclass(frozen=True)
class Effect:
    """The difference a − b beside its significance; wins are a's, as `better` says.

    Wins, ties, losses and carriers count cases, or groups where the unit is the group mean.
    """

    difference: float
    size: float
    """`effect_size`: infinite where every group has the same difference, but 0."""
    wins: int
    ties: int
    losses: int
    win_rate: float
    """Share that a wins, ties counted as half."""
    carriers: int
    """`carriers` of the cases, or of the groups' means."""
    group_carriers: int
    """`carriers` of the groups."""
    n_cases: int
    n_groups: int


def effect(
    a: Any,
    b: Any,
    groups: Iterable[Hashable] | None = None,
    *,
    better: Better = "higher",
    unit: Unit = "case",
) -> Effect:
    """Describe the difference of two models' scores (cases,) or (cases, seeds) of the same cases.

    Raises ValueError for scores that do not pair up or are not finite, and for another `better` or
    unit.

    >>> found = effect([0.8, 0.7, 0.9, 0.2], [0.79, 0.69, 0.89, 0.6])
    >>> print(f"{found.difference:.4f}; wins {found.wins} of 4; carried by {found.carriers} case")
    -0.0925; wins 3 of 4; carried by 1 case
    """
    differences = case_differences(a, b)
    names = case_groups(groups, len(differences))
    sums = group_sums(differences, names)
    return effect_of(differences, sums, names, better=better, unit=unit)


def effect_of(
    differences: np.ndarray,
    sums: GroupSums,
    groups: Groups,
    *,
    better: Better = "higher",
    unit: Unit = "case",
) -> Effect:
    """`effect` of the differences (cases,), with their sums over the groups."""
    if unit == "case":
        each = differences
        tie = TIE * np.abs(differences)
    else:
        # Differences that cancel in a group may leave what rounding did.
        each = sums.group_means().sums
        tie = TIE * group_sums(np.abs(differences), groups).group_means().sums
    sums = in_unit(sums, unit)
    wins = int((sign_of(better) * each > tie).sum())
    ties = int((np.abs(each) <= tie).sum())
    return Effect(
        difference=sums.mean,
        size=effect_size(sums),
        wins=wins,
        ties=ties,
        losses=len(each) - wins - ties,
        win_rate=(wins + ties / 2) / len(each),
        carriers=carriers(each),
        group_carriers=carriers(sums.sums),
        n_cases=len(differences),
        n_groups=sums.n_groups,
    )


def effect_size(differences: GroupSums) -> float:
    """The mean difference in standard deviations of what one group adds to it.

    d = m / (√G · error), with the error of the group t interval: the paired d_z where each case is
    its own group (Cohen 1988). It does not grow with the number of groups.

    >>> round(effect_size(GroupSums(np.array([1.0, 2.0, 3.0]), np.array([1, 1, 1]))), 12)
    2.0
    """
    mean = differences.mean
    if differences.n_groups < 2 or mean == 0:
        return float("nan") if mean else 0.0
    error = float(standard_error(differences.sums, differences.counts))
    spread = np.sqrt(differences.n_groups) * error
    return float(mean / spread) if spread > 0 else float(np.copysign(np.inf, mean))


def carriers(contributions: Any) -> int:
    """The least number of contributions without which the sum has lost its sign.

    They are taken from the largest in the direction of the sum down. One carrier of a hundred means
    that one case decides; none, that the sum is 0.

    >>> carriers([0.01, 0.01, 0.01, -0.4]), carriers([0.1, 0.1, 0.1, -0.1])
    (1, 2)
    """
    values = np.asarray(contributions, dtype=np.float64)
    total = values.sum()
    # 0, before or after, may come with rounding.
    nothing = TIE * np.abs(values).sum()
    if abs(total) <= nothing:
        return 0
    towards = np.sort(np.sign(total) * values)[::-1]
    return int(np.argmax(abs(total) - np.cumsum(towards) <= nothing) + 1)
