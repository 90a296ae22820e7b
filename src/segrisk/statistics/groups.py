"""The one table that every procedure works from: per group, the sum and the number of cases."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

Groups = list[Hashable] | np.ndarray
"""The group of each case, by name, or by number in an array of integers."""


@dataclass(frozen=True)
class GroupSums:
    """Sums of a value over the cases of each group, ordered by the group's name.

    For a pair of models the value is the difference of their scores. A group (the patient) is what
    is independent of all others: it is resampled, or its sign flipped, as one.

    Raises ValueError for a table that no procedure could use: without groups, with columns that do
    not match, with a sum that is not finite (it would make every test significant) or a group
    without cases.
    """

    sums: np.ndarray
    """(groups,) float64."""
    counts: np.ndarray
    """(groups,) int64, the number of cases."""

    def __post_init__(self) -> None:
        if self.sums.ndim != 1 or self.sums.shape != self.counts.shape:
            raise ValueError(
                f"got sums of shape {self.sums.shape} and counts of shape {self.counts.shape}: "
                "give one sum and one count for each group"
            )
        if not len(self.sums):
            raise ValueError("there are no groups: a mean or a test needs at least one")
        if not np.isfinite(self.sums).all():
            raise ValueError(
                f"{np.count_nonzero(~np.isfinite(self.sums))} of {len(self.sums)} sums are not "
                "finite: give every case a finite score before it is tested"
            )
        if (self.counts < 1).any():
            raise ValueError(
                f"{np.count_nonzero(self.counts < 1)} of {len(self.counts)} groups have no case: "
                "leave them out"
            )

    @property
    def mean(self) -> float:
        """The mean over cases, not over groups: the number that a table prints."""
        return float(self.sums.sum() / self.counts.sum())

    @property
    def n_cases(self) -> int:
        return int(self.counts.sum())

    @property
    def n_groups(self) -> int:
        return len(self.counts)

    def group_means(self) -> "GroupSums":
        """Each group as one case, its mean: what follows speaks of the mean over groups."""
        return GroupSums(self.sums / self.counts, np.ones_like(self.counts))


@dataclass(frozen=True)
class GroupTable:
    """Several values of the same cases, one row of sums to each: the groups are shared."""

    names: tuple[Hashable, ...]
    sums: np.ndarray
    """(names, groups) float64."""
    counts: np.ndarray
    """(groups,) int64, the number of cases."""

    def group_means(self) -> "GroupTable":
        """Each group as one case, its mean."""
        return GroupTable(self.names, self.sums / self.counts, np.ones_like(self.counts))


def group_sums(values: Any, groups: Iterable[Hashable]) -> GroupSums:
    """Add up `values` (cases,) by `groups` (cases,).

    Groups are named by anything that hashes and sorts: texts, numbers, tuples of them.

    Raises ValueError for no cases, for lengths that differ, for values that are not finite (a
    missing score must be resolved before a test sees it), and for names that are missing or mixed.

    >>> group_sums([0.5, 0.25, 1.0], ["b", "a", "b"])
    GroupSums(sums=array([0.25, 1.5 ]), counts=array([1, 2]))
    """
    values, names = np.asarray(values, dtype=np.float64), case_groups(groups, 0)
    if values.shape != (len(names),):
        raise ValueError(
            f"got values of shape {values.shape} and groups of {len(names)} cases: "
            "give one value and one group for each case"
        )
    if not len(values):
        raise ValueError("there are no cases: a mean or a test needs at least one")
    if not np.isfinite(values).all():
        raise ValueError(
            f"{np.count_nonzero(~np.isfinite(values))} of {len(values)} values are not finite: "
            "give every case a score before it is tested"
        )
    group_of = group_ranks(names)
    # Within a group the values are added in sorted order, so that the order of cases, which means
    # nothing, cannot move the last bit.
    order = np.argsort(values, kind="stable")
    return GroupSums(add_by_group(values[order], group_of[order]), np.bincount(group_of))


def group_table(values: Mapping[Hashable, Any], groups: Iterable[Hashable]) -> GroupTable:
    """Add up each of the named `values` (cases,) by `groups` (cases,), as `group_sums` does.

    Raises ValueError for no values, and as `group_sums` does.

    >>> group_table({"dice": [0.5, 0.25, 1.0], "jaccard": [0.5, 0.0, 1.0]}, "bab").sums
    array([[0.25, 1.5 ],
           [0.  , 1.5 ]])
    """
    if not values:
        raise ValueError("there are no values to add up: give at least one by its name")
    group_of = group_ranks(case_groups(groups, 0))
    rows = [group_sums(row, group_of) for row in values.values()]
    return GroupTable(tuple(values), np.array([row.sums for row in rows]), rows[0].counts)


def case_groups(groups: Iterable[Hashable] | None, count: int) -> Groups:
    """The group of each case; where none is named, each of the `count` cases is its own.

    Groups that are numbered already, in an array of integers, stay so.
    """
    if groups is None:
        return np.arange(count)
    return groups if _numbered(groups) else list(groups)


def add_by_group(values: np.ndarray, group_of: np.ndarray) -> np.ndarray:
    """Sums (…, groups) of values (…, cases), whose groups are numbered from 0."""
    return adder(group_of)(values)


def adder(group_of: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """`add_by_group` for many values of the same cases."""
    order = np.argsort(group_of, kind="stable")
    first = np.flatnonzero(np.diff(group_of[order], prepend=-1))
    return lambda values: np.add.reduceat(values[..., order], first, axis=-1)


def group_ranks(names: Groups) -> np.ndarray:
    """The place of each name among the distinct names, sorted.

    Raises ValueError for names that are missing or mixed.
    """
    if _numbered(names):
        return np.unique(names, return_inverse=True)[1] if _has_gaps(names) else names
    # An array of names would turn 1 and "1" into one patient, and a missing name into a patient.
    try:
        distinct = sorted(set(names))
    except TypeError as error:
        raise ValueError(
            f"the groups' names cannot be sorted ({error}): give every case a group, "
            "all named by one type, such as text"
        ) from error
    missing = sum(name != name for name in names)
    if missing:
        raise ValueError(
            f"{missing} of {len(names)} cases have no group (NaN): give every case one"
        )
    rank_of = {name: rank for rank, name in enumerate(distinct)}
    return np.array([rank_of[name] for name in names])


def _numbered(groups: Any) -> TypeGuard[np.ndarray]:
    return isinstance(groups, np.ndarray) and groups.ndim == 1 and groups.dtype.kind in "iu"


def _has_gaps(numbers: np.ndarray) -> bool:
    """Whether they are anything but the places 0, 1, …, each of them taken."""
    if not len(numbers):
        return False
    low, high = int(numbers.min()), int(numbers.max())
    return low != 0 or high >= len(numbers) or not np.bincount(numbers).all()
