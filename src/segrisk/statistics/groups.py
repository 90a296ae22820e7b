"""The one table that every procedure works from: per group, the sum and the number of cases."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np

from segrisk.statistics.threads import two_at_once

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
    names = case_groups(groups, 0)
    values = _one_each(values, len(names))
    add = Adder(group_ranks(names))
    return GroupSums(add.sorted(values), add.counts)


def _one_each(values: Any, count: int) -> np.ndarray:
    """The values (cases,); ValueError for others than so many that are finite."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (count,):
        raise ValueError(
            f"got values of shape {values.shape} and groups of {count} cases: "
            "give one value and one group for each case"
        )
    if not count:
        raise ValueError("there are no cases: a mean or a test needs at least one")
    if not np.isfinite(values).all():
        raise ValueError(
            f"{np.count_nonzero(~np.isfinite(values))} of {count} values are not finite: "
            "give every case a score before it is tested"
        )
    return values


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
    rows = [_one_each(row, len(group_of)) for row in values.values()]
    add = Adder(group_of)
    sums = two_at_once(add.sorted, rows, len(rows) * len(group_of))
    return GroupTable(tuple(values), np.array(sums), add.counts)


def case_groups(groups: Iterable[Hashable] | None, count: int) -> Groups:
    """The group of each case; where none is named, each of the `count` cases is its own.

    Groups that are numbered already, in an array of integers, stay so.
    """
    if groups is None:
        return np.arange(count)
    return groups if _numbered(groups) else list(groups)


class Adder:
    """Sums (…, groups) of values (…, cases) by groups, numbered from 0, each with a case.

    What depends on the groups alone is done once.

    >>> Adder(np.array([1, 0, 1])).sorted(np.array([0.5, 0.25, 1.0]))
    array([0.25, 1.5 ])
    """

    def __init__(self, group_of: np.ndarray):
        self.counts = np.bincount(group_of)
        self.order = np.argsort(group_of, kind="stable")
        """The cases group by group: what follows speaks of places in this order."""
        self.first = np.cumsum(self.counts) - self.counts

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self.in_order(values[..., self.order])

    def in_order(self, values: np.ndarray) -> np.ndarray:
        """Of values that stand in the order already."""
        return np.add.reduceat(values, self.first, axis=-1)

    def sorted(self, values: np.ndarray) -> np.ndarray:
        """Of values (cases,), within a group from the smallest up.

        So the order of cases, which means nothing, cannot move the last bit.
        """
        own = values[self.order]
        for inside in self.alike:
            if inside.shape[1] > 1:
                own[inside] = np.sort(own[inside], axis=1)
        return self.in_order(own)

    @cached_property
    def alike(self) -> list[np.ndarray]:
        """The places of all groups of one size (groups, size), for each size."""
        sizes = np.unique(self.counts).tolist()
        return [self.first[self.counts == size][:, None] + np.arange(size) for size in sizes]


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
