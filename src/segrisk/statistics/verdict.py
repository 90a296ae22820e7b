"""What numbers allow to be said, in sentences: for captions and for people in a hurry."""

from segrisk.statistics.door import MEAN_OVER, Better, sign_of
from segrisk.statistics.groups import GroupSums
from segrisk.statistics.paired import SIGN_FLIP, PairTest
from segrisk.statistics.power import no_mark_possible

FEW_CASES = 50
FEW_GROUPS = 20
SKEWED = 0.25
"""Skewness over √G beyond which the sign-flip test marks more than 6.5 % at .05, simulated."""


def verdict(
    test: PairTest,
    *,
    a: str = "A",
    b: str = "B",
    better: Better = "higher",
    level: float = 0.05,
    family: int = 1,
    p_adjusted: float | None = None,
) -> str:
    """Which model is better, or that this is not shown, or that it could not be.

    `better` says which values of the metric are: `lower` for distances. With `p_adjusted`, in a
    `family` of tests, that decides. Raises ValueError for another `better`.

    >>> test = PairTest(-1.5, 0.002, 60, 60, False, 9999, "two-sided sign-flip test")
    >>> print(verdict(test, better="lower"))
    A is better than B by 1.5 (two-sided sign-flip test over cases, p = 0.002)
    """
    gain = sign_of(better) * test.difference
    p = test.p if p_adjusted is None else p_adjusted
    adjusted = "" if p_adjusted is None else "adjusted "
    ground = f"({test.method} over {MEAN_OVER[test.unit]}, {adjusted}p = {p:.3g})"
    if p < level and gain:
        first, second = (a, b) if gain > 0 else (b, a)
        return f"{first} is better than {second} by {abs(gain):.4g} {ground}"
    impossible = no_mark_possible(
        test.n_groups, family=family, level=level, resamples=test.resamples
    )
    if impossible and test.method == SIGN_FLIP:
        return f"{a} and {b} cannot be told apart: {impossible}"
    return f"{a} and {b} are not shown to differ {ground}; nor is this evidence that they are equal"


def cautions(
    differences: GroupSums, *, family: int = 1, level: float = 0.05, resamples: int = 9999
) -> tuple[str, ...]:
    """What a reader must know before believing a test of these differences; often nothing.

    >>> import numpy as np
    >>> print(*cautions(GroupSums(np.array([0.1, 0.2, 0.1, 0.2]), np.ones(4, int))), sep="\\n")
    no mark is possible: with 4 groups the smallest p-value is 0.125, which is not below 0.05
    4 cases in 4 groups are few; expect wide intervals
    """
    found = []
    impossible = no_mark_possible(
        differences.n_groups, family=family, level=level, resamples=resamples
    )
    if impossible:
        found.append(impossible)
    if differences.n_cases < FEW_CASES or differences.n_groups < FEW_GROUPS:
        found.append(
            f"{differences.n_cases} cases in {differences.n_groups} groups are few; "
            "expect wide intervals"
        )
    if is_one_sided(differences):
        found.append(
            f"the differences are one-sided (skewness {skewness_of(differences):+.1f}): the "
            "sign-flip test, exact for symmetric ones, then marks more often than its level, so "
            "trust the interval"
        )
    return tuple(found)


def is_one_sided(differences: GroupSums) -> bool:
    """Whether the groups are skewed enough for the sign-flip test to mark too often.

    >>> import numpy as np
    >>> is_one_sided(GroupSums(np.array([0.0] * 19 + [4.0]), np.ones(20, int)))
    True
    """
    return abs(skewness_of(differences)) > SKEWED * differences.n_groups**0.5


def skewness_of(differences: GroupSums) -> float:
    """Skewness of the groups' residuals S_g − m n_g; 0 where they are equal.

    >>> import numpy as np
    >>> round(skewness_of(GroupSums(np.array([0.0, 0.0, 0.0, 4.0]), np.ones(4, int))), 3)
    1.155
    """
    residuals = differences.sums - differences.mean * differences.counts
    square = (residuals**2).mean()
    return float((residuals**3).mean() / square**1.5) if square > 0 else 0.0
