"""From the scores of two models, as users hold them, to the table that procedures work from."""

from collections.abc import Hashable, Iterable
from typing import Any, Literal, TypeVar

import numpy as np

from segrisk.statistics.groups import GroupSums, GroupTable, case_groups, group_ranks, group_sums

Unit = Literal["case", "group_mean"]
"""What the mean is taken over: cases, as Table 1 does, or the means of groups."""

Table = TypeVar("Table", GroupSums, GroupTable)

MEAN_OVER: dict[str, str] = {"case": "cases", "group_mean": "group means"}
"""How texts name what each unit's mean is taken over."""

Better = Literal["higher", "lower"]
"""Which values of a metric are better: higher for Dice, lower for distances."""


def per_case(scores: Any, name: str = "the scores") -> np.ndarray:
    """One float64 score for each case: seeds (cases, seeds) are averaged, whatever their order.

    Raises ValueError for other shapes, for no cases, and for scores that are not finite.

    >>> per_case([[0.5, 0.7], [0.9, 0.9]])
    array([0.6, 0.9])
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(
            f"{name}: got shape {values.shape}: give (cases,), or (cases, seeds), not empty"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name}: {np.count_nonzero(~np.isfinite(values))} of {values.size} are not finite: "
            "a missing or failed prediction needs its worst value, not a NaN"
        )
    return values if values.ndim == 1 else np.sort(values, axis=1).mean(axis=1)


def case_differences(a: Any, b: Any) -> np.ndarray:
    """a − b for each case, seeds averaged first; models may have different numbers of seeds.

    Raises ValueError where the cases differ in number (nothing is broadcast), and as `per_case`.

    >>> case_differences([0.5, 0.75], [0.25, 1.0])
    array([ 0.25, -0.25])
    """
    first, second = per_case(a, "a"), per_case(b, "b")
    if len(first) != len(second):
        raise ValueError(
            f"a has {len(first)} cases and b has {len(second)}: "
            "give both models' scores of the same cases, in the same order"
        )
    return first - second


def paired_sums(
    a: Any, b: Any, groups: Iterable[Hashable] | None = None, *, unit: Unit = "case"
) -> GroupSums:
    """The table of the differences a − b: what every paired procedure works from.

    Without `groups` every case is its own. With `unit="group_mean"` each group counts as one case,
    its mean. Raises ValueError for another unit, and as `case_differences` and `group_sums` do.

    >>> paired_sums([0.5, 0.75, 0.5], [0.25, 0.5, 0.5], ["p", "p", "q"])
    GroupSums(sums=array([0.5, 0. ]), counts=array([2, 1]))
    """
    differences = case_differences(a, b)
    sums = group_sums(differences, case_groups(groups, len(differences)))
    return in_unit(sums, unit)


def in_unit(table: Table, unit: Unit) -> Table:
    """The table as it is, or with each group's mean as one case; ValueError for another unit."""
    check_unit(unit)
    return table if unit == "case" else table.group_means()


def case_weights(groups: Iterable[Hashable], unit: Unit = "case") -> np.ndarray:
    """What each case weighs in the mean over the unit: 1, or 1 over its group's number of cases.

    Raises ValueError for another unit and for names of groups that are missing or mixed.

    >>> case_weights(["p", "p", "q"], "group_mean")
    array([0.5, 0.5, 1. ])
    """
    check_unit(unit)
    group_of = group_ranks(case_groups(groups, 0))
    return np.ones(len(group_of)) if unit == "case" else 1 / np.bincount(group_of)[group_of]


def check_unit(unit: Unit) -> None:
    """ValueError for anything but a key of MEAN_OVER."""
    if unit not in MEAN_OVER:
        raise ValueError(f"the unit must be one of {list(MEAN_OVER)}, got {unit!r}")


def no_group_means(unit: Unit, groups: Iterable[Hashable]) -> str | None:
    """Why means of groups say nothing of cases with these groups; None where they do.

    >>> no_group_means("group_mean", ["p", "p", "q"]), no_group_means("case", ["p", "q"])
    (None, None)
    >>> no_group_means("group_mean", ["p", "q"])
    'group_mean is over the means of groups, but every case is a group of its own'
    """
    if unit == "case" or len(set(groups := list(groups))) < len(groups):
        return None
    return f"{unit} is over the means of groups, but every case is a group of its own"


def sign_of(better: Better) -> int:
    """1 where higher is better, −1 where lower is; ValueError for anything else."""
    if better not in ("higher", "lower"):
        raise ValueError(f"better must be 'higher' or 'lower', got {better!r}")
    return 1 if better == "higher" else -1
