"""The one table that every procedure works from: per group, the sum and the number of cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class GroupSums:
    """Sums of a value over the cases of each group, ordered by the group's name.

    For a pair of models the value is the difference of their scores. A group (the patient) is what
    is independent of all others: it is resampled, or its sign flipped, as one.
    """

    sums: np.ndarray
    """(groups,) float64."""
    counts: np.ndarray
    """(groups,) int64, the number of cases."""

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


def group_sums(values: Any, groups: Sequence[Any]) -> GroupSums:
    """Add up `values` (cases,) by `groups` (cases,).

    Raises ValueError for no cases, for lengths that differ, and for values that are not finite: a
    missing score must be resolved before a test sees it.

    >>> group_sums([0.5, 0.25, 1.0], ["b", "a", "b"])
    GroupSums(sums=array([0.25, 1.5 ]), counts=array([1, 2]))
    """
    values, labels = np.asarray(values, dtype=np.float64), np.asarray(groups)
    if values.ndim != 1 or values.shape != labels.shape:
        raise ValueError(
            f"got values of shape {values.shape} and groups of shape {labels.shape}: "
            "give one group for each case"
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
    order = np.lexsort((values, labels))
    _, first, counts = np.unique(labels[order], return_index=True, return_counts=True)
    return GroupSums(np.add.reduceat(values[order], first), counts.astype(np.int64))
