"""The one table that every procedure works from: per group, the sum and the number of cases."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


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


def group_sums(values: Any, groups: Iterable[Hashable]) -> GroupSums:
    """Add up `values` (cases,) by `groups` (cases,).

    Groups are named by anything that hashes and sorts: texts, numbers, tuples of them.

    Raises ValueError for no cases, for lengths that differ, for values that are not finite (a
    missing score must be resolved before a test sees it), and for names that are missing or mixed.

    >>> group_sums([0.5, 0.25, 1.0], ["b", "a", "b"])
    GroupSums(sums=array([0.25, 1.5 ]), counts=array([1, 2]))
    """
    values, names = np.asarray(values, dtype=np.float64), list(groups)
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
    # Within a group the values are added in sorted order, so that the order of cases, which means
    # nothing, cannot move the last bit.
    ranks = _ranks(names)
    order = np.lexsort((values, ranks))
    _, first, counts = np.unique(ranks[order], return_index=True, return_counts=True)
    return GroupSums(np.add.reduceat(values[order], first), counts.astype(np.int64))


def _ranks(names: list[Hashable]) -> np.ndarray:
    """The place of each name among the distinct names, sorted."""
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
