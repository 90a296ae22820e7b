"""Many tests at once: a family is declared before it is seen, and errors are counted over it."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segrisk.statistics.door import Unit, in_unit, per_case
from segrisk.statistics.groups import case_groups, group_sums, group_table
from segrisk.statistics.resampling import (
    EXACT_GROUPS,
    TIE,
    all_signs,
    check_resamples,
    random_signs,
)
from segrisk.statistics.threads import ahead


def holm(p_values: Any) -> np.ndarray:
    """Holm's step-down adjusted p-values, in the order given.

    With p_(1) ≤ … ≤ p_(m): p̃_(i) = max over j ≤ i of min(1, (m − j + 1) p_(j)). Marking
    p̃ < alpha keeps the probability of any false mark in the family below alpha (Holm 1979).

    Raises ValueError for anything but a sequence of numbers in [0, 1]; an empty family is fine.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"got p-values of shape {values.shape}: give one sequence of p-values")
    outside = values[~((values >= 0) & (values <= 1))]
    if len(outside):
        raise ValueError(
            f"p-values must be numbers between 0 and 1, got {outside[0]}: "
            "leave out of the family what was not tested"
        )
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, factors * values[order]))
    return adjusted


@dataclass(frozen=True)
class MaxT:
    """A family of tests, adjusted together."""

    p: Mapping[Hashable, float]
    """Raw, of each comparison alone: the sign-flip test of its mean difference."""
    p_adjusted: Mapping[Hashable, float]
    n_groups: int
    exact: bool
    resamples: int

    @property
    def family(self) -> tuple[Hashable, ...]:
        """What was declared, in its order."""
        return tuple(self.p)


def max_t(
    differences: Mapping[Hashable, Any],
    groups: Iterable[Hashable] | Mapping[Hashable, Iterable[Hashable]] | None = None,
    *,
    resamples: int = 9999,
    seed: int = 0,
    unit: Unit = "case",
) -> MaxT:
    """The sign-flip tests of a declared family, adjusted by the law of their largest statistic.

    With T_k(s) = |Σ s_g S_gk| / √(Σ S_gk²), which orders sign vectors as `sign_flip` does and has
    one scale for all metrics, comparisons are taken from the largest T_k(1) down:

        p̃_k = share of s with max over j not larger than k of T_j(s) ≥ T_k(1),

    never below the one before it. A group's sign is the same for all pairs and metrics, so their
    correlation is kept, and Dice beside Jaccard costs next to nothing. It assumes what the test
    does, for the differences of one group together. (Westfall and Young 1993.)

    differences: by name, such as ("dice", "A", "B"), a − b for each case. groups: of the cases, one
    sequence for all or one by each name; equal names of groups flip together, so groups of
    different data sets need different names.

    Raises ValueError for an empty family, for names without groups, for another unit, and as
    `group_sums` does.

    >>> found = max_t({"dice": [0.1, 0.2, 0.3], "jaccard": [0.1, 0.3, 0.4]}, "pqr")
    >>> found.p_adjusted, found.family, found.resamples
    ({'dice': 0.25, 'jaccard': 0.25}, ('dice', 'jaccard'), 8)
    """
    check_resamples(resamples)
    if not differences:
        raise ValueError("the family is empty: declare at least one comparison")
    sums = _sums_of_all(differences, groups, unit)
    return max_t_of(tuple(differences), sums, resamples=resamples, seed=seed)


def max_t_of(
    names: Sequence[Hashable], sums: np.ndarray, *, resamples: int = 9999, seed: int = 0
) -> MaxT:
    """`max_t` of the named rows of sums (names, groups)."""
    p, adjusted = step_down(sums, resamples=resamples, seed=seed)
    count = sums.shape[1]
    exact = count <= EXACT_GROUPS
    return MaxT(
        dict(zip(names, p.tolist(), strict=True)),
        dict(zip(names, adjusted.tolist(), strict=True)),
        count,
        exact,
        2**count if exact else resamples,
    )


def step_down(sums: np.ndarray, *, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Raw and adjusted p-values of the rows of sums (comparisons, groups): see `max_t`."""
    count = sums.shape[1]
    scale = np.sqrt((sums**2).sum(axis=1, keepdims=True))
    scaled = np.divide(sums, scale, out=np.zeros_like(sums), where=scale > 0)
    observed = np.abs(scaled.sum(axis=1))
    order = np.argsort(-observed, kind="stable")
    scaled, threshold = scaled[order], observed[order] - TIE * np.abs(scaled[order]).sum(axis=1)
    blocks = [all_signs(count)] if count <= EXACT_GROUPS else random_signs(count, resamples, seed)
    alone = together = tried = 0
    for signs in ahead(iter(blocks), count * resamples):
        statistics = np.abs(signs @ scaled.T)
        alone = alone + (statistics >= threshold).sum(axis=0)
        largest = np.maximum.accumulate(statistics[:, ::-1], axis=1)[:, ::-1]
        together = together + (largest >= threshold).sum(axis=0)
        tried += len(signs)
    # The observed vector is one of all signs; to random ones it is added.
    added = int(count > EXACT_GROUPS)
    p, adjusted = np.empty_like(observed), np.empty_like(observed)
    p[order] = (alone + added) / (tried + added)
    adjusted[order] = np.maximum.accumulate((together + added) / (tried + added))
    return p, adjusted


def _sums_of_all(
    differences: Mapping[Hashable, Any],
    groups: Iterable[Hashable] | Mapping[Hashable, Iterable[Hashable]] | None,
    unit: Unit,
) -> np.ndarray:
    """Sums (comparisons, groups) over the groups of all; 0 where a comparison lacks a group."""
    values = {name: per_case(row, f"the difference {name}") for name, row in differences.items()}
    if not isinstance(groups, Mapping):
        if groups is None and len({len(row) for row in values.values()}) > 1:
            groups = {name: range(len(row)) for name, row in values.items()}
        else:
            shared = case_groups(groups, len(next(iter(values.values()))))
            return in_unit(group_table(values, shared), unit).sums
    missing = [name for name in values if name not in groups]
    if missing:
        raise ValueError(f"no groups are given for {missing[0]!r}: give one for each name")
    names = {name: list(groups[name]) for name in values}
    tables = [in_unit(group_sums(row, names[name]), unit) for name, row in values.items()]
    every = sorted(set().union(*names.values()))
    place = {group: index for index, group in enumerate(every)}
    sums = np.zeros((len(tables), len(every)))
    for row, table, own in zip(sums, tables, names.values(), strict=True):
        row[[place[group] for group in sorted(set(own))]] = table.sums
    return sums
