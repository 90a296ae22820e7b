"""Tests of the difference between two models that were scored on the same cases.

    sign_flip_test(a, b, groups=patients).p

The functions that end in `_test` take the scores of two models; the others take the table of their
differences (`paired_sums`), for callers that hold one.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.stats import wilcoxon

from segrisk.statistics.door import Unit, case_differences, in_unit, paired_sums, per_case
from segrisk.statistics.groups import GroupSums, case_groups, group_sums
from segrisk.statistics.resampling import (
    EXACT_GROUPS,
    TIE,
    Draws,
    all_signs,
    check_resamples,
    random_signs,
)

Groups = Iterable[Hashable] | None

SIGN_FLIP = "two-sided sign-flip test of the mean difference"


@dataclass(frozen=True)
class PairTest:
    """A two-sided test of the difference a − b."""

    difference: float
    """mean(a) − mean(b), over the `unit`."""
    p: float
    n_cases: int
    n_groups: int
    exact: bool
    resamples: int
    """How many were looked at: all sign vectors where the test is exact; 0 without any."""
    method: str
    """What was done, in words for a caption."""
    unit: Unit = "case"


def sign_flip(differences: GroupSums, *, resamples: int = 9999, seed: int = 0) -> PairTest:
    """The two-sided sign-flip test of the mean difference over cases.

    If the models are exchangeable within each group, its sum of differences S_g is as likely to
    be −S_g. With signs s and observed sum |Σ S_g|,

        p = #{s : |Σ s_g S_g| ≥ |Σ S_g|} / 2^G

    over all sign vectors for G ≤ 16 groups, which is exact; else p = (k + 1) / (B + 1), with k of
    B random sign vectors as extreme as the observed one. Ties count as extreme. The number of
    cases is fixed, so this orders sign vectors as the mean over cases does.

    `resamples` (B) and `seed` matter only above 16 groups; the result records how many sign
    vectors were tried. Below 6 groups p cannot reach 0.05. Raises ValueError for resamples < 1.

    >>> sign_flip(GroupSums(np.array([1.0, 2.0, 3.0]), np.array([1, 1, 1]))).p
    0.25
    """
    exact = differences.n_groups <= EXACT_GROUPS
    return PairTest(
        differences.mean,
        float(flip_p_values(differences.sums[None], resamples=resamples, seed=seed)[0]),
        differences.n_cases,
        differences.n_groups,
        exact,
        2**differences.n_groups if exact else resamples,
        SIGN_FLIP,
    )


def flip_p_values(sums: np.ndarray, *, resamples: int, seed: int) -> np.ndarray:
    """The p-value of `sign_flip` for each row of sums (rows, groups), on shared sign vectors."""
    check_resamples(resamples)
    groups = sums.shape[1]
    threshold = np.abs(sums.sum(axis=1)) - TIE * np.abs(sums).sum(axis=1)
    if groups <= EXACT_GROUPS:
        return (np.abs(all_signs(groups) @ sums.T) >= threshold).mean(axis=0)
    count = sum(
        np.count_nonzero(np.abs(signs @ sums.T) >= threshold, axis=0)
        for signs in random_signs(groups, resamples, seed)
    )
    return (count + 1) / (resamples + 1)


def sign_flip_test(
    a: Any,
    b: Any,
    groups: Groups = None,
    resamples: int = 9999,
    seed: int = 0,
    *,
    unit: Unit = "case",
) -> PairTest:
    """The primary test: is mean(a) − mean(b) more than chance? See `sign_flip`.

    a, b: scores (cases,) or (cases, seeds) of the same cases, seeds being averaged first; `groups`
    (cases,) names what is independent (the patient), by default each case. Exact where differences
    are symmetric about 0 under the null hypothesis; for one-sided skew only asymptotically.

    Raises ValueError for scores that do not pair up or are not finite, and for resamples < 1.

    >>> test = sign_flip_test([0.81, 0.9, 0.75, 0.8, 0.7, 0.6], [0.8, 0.85, 0.7, 0.79, 0.6, 0.58])
    >>> print(f"{test.difference:.3f}, p = {test.p}, {test.resamples} sign vectors")
    0.040, p = 0.03125, 64 sign vectors
    """
    test = sign_flip(paired_sums(a, b, groups, unit=unit), resamples=resamples, seed=seed)
    return replace(test, n_cases=len(per_case(a)), unit=unit)


def resampled_means(differences: GroupSums, *, resamples: int = 9999, seed: int = 0) -> PairTest:
    """A paired bootstrap of the mean difference, two-sided: one public reading of the paper's test.

    Groups are drawn with replacement, mean* = Σ S* / Σ n*, and

        p = min(1, 2 · min(share of mean* ≤ 0, share of mean* ≥ 0)).

    The authors' later code marks a share below .05 or above .95, which is this p below .10. It is
    anti-conservative on few groups (heavy-tailed differences of 10 to 50 groups: 8 to 12 % false
    marks at p < 0.05, simulated), and may give 0: `sign_flip` is the primary test. Raises
    ValueError for resamples < 1.

    >>> resampled_means(GroupSums(np.zeros(20), np.ones(20, int))).p
    1.0
    """
    below, above = resampled_shares(differences.sums[None], resamples=resamples, seed=seed)
    return PairTest(
        differences.mean,
        min(1.0, 2 * float(min(below[0], above[0]))),
        differences.n_cases,
        differences.n_groups,
        False,
        resamples,
        "two-sided paired bootstrap of the mean difference",
    )


def resampled_shares(
    sums: np.ndarray, *, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The shares of mean* ≤ 0 and of mean* ≥ 0 for each row of sums (rows, groups)."""
    return shares(sums, Draws(sums.shape[1], resamples, seed))()


def shares(sums: np.ndarray, drawn: Draws) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """A promise of `resampled_shares`."""
    # The sign of Σ S* / Σ n* is that of Σ S*: the counts are positive.
    tie, totals = TIE * np.abs(sums).sum(axis=1), drawn.times(sums.T)
    return lambda: ((totals() <= tie).mean(axis=0), (totals() >= -tie).mean(axis=0))


def swapped_ranks(ranks: GroupSums, *, resamples: int = 9999, seed: int = 0) -> PairTest:
    """Random swaps of the models' ranks: the other public reading of the paper's test.

    `ranks` holds each group's sum of rank(a) − rank(b), which is 1, 0 or −1 for a case. With random
    signs s, p is the share of |Σ s_g R_g| strictly above |Σ R_g|: ties do not count, and p may be
    0. It asks which model wins more cases, not which mean is higher. Raises ValueError for
    resamples < 1.

    >>> wins = GroupSums(np.array([1.0, 1.0, 1.0, -1.0, 1.0]), np.ones(5, int))
    >>> 0.04 < swapped_ranks(wins).p < 0.08
    True
    """
    check_resamples(resamples)
    observed = abs(ranks.sums.sum())
    above = sum(
        np.count_nonzero(np.abs(signs @ ranks.sums) > observed)
        for signs in random_signs(ranks.n_groups, resamples, seed)
    )
    return PairTest(
        ranks.mean,
        float(above / resamples),
        ranks.n_cases,
        ranks.n_groups,
        False,
        resamples,
        "two-sided test of the mean rank by random swaps, which is no test of the mean",
    )


Reading = Literal["resampled_means", "swapped_ranks"]


def bootstrap_test(
    a: Any,
    b: Any,
    groups: Groups = None,
    resamples: int = 9999,
    seed: int = 0,
    *,
    reading: Reading = "resampled_means",
    unit: Unit = "case",
) -> PairTest:
    """The paper's "non-parametric test (bootstrapping)", in either reading of its authors' code.

    `resampled_means` and `swapped_ranks` say what each does; `method` names the one in force. The
    difference is that of the means in both. For scores and `groups` see `sign_flip_test`.

    Raises ValueError for another reading or unit, and as `sign_flip_test` does.

    >>> a, b = [0.8, 0.9, 0.7, 0.8], [0.7, 0.8, 0.6, 0.9]
    >>> for reading in ("resampled_means", "swapped_ranks"):
    ...     print(bootstrap_test(a, b, reading=reading).method)
    two-sided paired bootstrap of the mean difference
    two-sided test of the mean rank by random swaps, which is no test of the mean
    """
    differences = case_differences(a, b)
    names = case_groups(groups, len(differences))
    sums = in_unit(group_sums(differences, names), unit)
    said = {"n_cases": len(differences), "unit": unit}
    if reading == "resampled_means":
        return replace(resampled_means(sums, resamples=resamples, seed=seed), **said)
    if reading == "swapped_ranks":
        ranks = in_unit(group_sums(np.sign(differences), names), unit)
        test = swapped_ranks(ranks, resamples=resamples, seed=seed)
        return replace(test, difference=sums.mean, **said)
    raise ValueError(f"the reading must be 'resampled_means' or 'swapped_ranks', got {reading!r}")


def wilcoxon_test(a: Any, b: Any, groups: Groups = None) -> PairTest:
    """Wilcoxon's signed-rank test, two-sided, of the groups' mean differences.

    It asks another question than a table of means does: a model that wins 94 of 100 cases by .004
    and loses 6 by .35 is "better" here, and worse on average. Zero differences are left out; exact
    up to 50 groups without ties, else the normal approximation. (Wilcoxon 1945.)

    For scores and `groups` see `sign_flip_test`, whose errors it raises.

    >>> wilcoxon_test([1.0, 2.0, 3.0, 4.0, 5.0], [0.5, 1.0, 1.5, 2.0, 2.5]).p
    0.0625
    """
    return signed_ranks(paired_sums(a, b, groups))


def signed_ranks(sums: GroupSums) -> PairTest:
    """`wilcoxon_test` of the differences' sums."""
    means = sums.group_means().sums
    p = float(wilcoxon(means).pvalue) if means.any() else 1.0
    return PairTest(
        sums.mean,
        p,
        sums.n_cases,
        sums.n_groups,
        False,
        0,
        "two-sided Wilcoxon signed-rank test of the groups' mean differences, "
        "which is no test of the mean",
    )
