"""What a number of groups can show: the smallest p-value, and the smallest difference."""

from scipy.special import nctdtrinc

from segrisk.statistics.groups import GroupSums
from segrisk.statistics.intervals import check_groups, standard_error, t_quantile
from segrisk.statistics.resampling import EXACT_GROUPS


def smallest_p(groups: int, *, family: int = 1, resamples: int = 9999) -> float:
    """The least adjusted p-value that the sign-flip test can give in a family of m.

    min(1, m · 2^(1 − G)) for up to 16 groups, min(1, m / (B + 1)) above, by Holm's correction.

    >>> smallest_p(5), smallest_p(8, family=10), smallest_p(100, family=10)
    (0.0625, 0.078125, 0.001)
    """
    alone = 2.0 ** (1 - groups) if groups <= EXACT_GROUPS else 1 / (resamples + 1)
    return min(1.0, family * alone)


def no_mark_possible(
    groups: int, *, family: int = 1, level: float = 0.05, resamples: int = 9999
) -> str | None:
    """Words where no data could give a mark at the level, else None.

    >>> print(no_mark_possible(5))
    no mark is possible: with 5 groups the smallest p-value is 0.0625, which is not below 0.05
    """
    least = smallest_p(groups, family=family, resamples=resamples)
    if least < level:
        return None
    corrected = f" and {family} comparisons" if family > 1 else ""
    more = "" if groups <= EXACT_GROUPS else f": take more than {resamples} resamples"
    return (
        f"no mark is possible: with {groups} groups{corrected} the smallest p-value is "
        f"{least:.3g}, which is not below {level:g}{more}"
    )


def minimum_detectable(differences: GroupSums, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest true difference that a two-sided t test at `alpha` finds with this `power`.

    error · λ, where the non-central t law with G − 1 degrees of freedom and non-centrality λ lies
    above t's quantile at 1 − alpha/2 with probability `power`. A study that found nothing could not
    have found less than this; it is made from the spread seen, never from the mean.

    Raises ValueError for fewer than 2 groups and for shares outside (0, 1).

    >>> import numpy as np
    >>> table = GroupSums(np.tile([-0.02, 0.02], 50), np.ones(100, int))
    >>> print(f"{minimum_detectable(table):.4f}")
    0.0057
    """
    for name, share in (("power", power), ("alpha", alpha)):
        if not 0 < share < 1:
            raise ValueError(f"{name} must lie strictly between 0 and 1, got {share}")
    check_groups(differences.n_groups)
    error = float(standard_error(differences.sums, differences.counts))
    bound = t_quantile(differences.n_groups, 1 - alpha)
    return error * float(nctdtrinc(differences.n_groups - 1, 1 - power, bound))
