"""Whether two models are the same for practice: not being significant is no evidence of it."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from segrisk.statistics.bootstrap import PairInterval, paired_bootstrap
from segrisk.statistics.door import Unit

GROUPS_FOR_EQUIVALENCE = 50
"""Below, an interval is too uncertain itself for a claim that two models are the same."""


@dataclass(frozen=True)
class Equivalence:
    """What an interval says about |mean(a) − mean(b)| < margin."""

    interval: PairInterval
    """At level 1 − 2·alpha: both one-sided tests at once."""
    margin: float

    @property
    def within(self) -> bool:
        """Whether the interval lies inside (−margin, margin)."""
        return -self.margin < self.interval.low and self.interval.high < self.margin

    @property
    def equivalent(self) -> bool:
        """Whether equivalence is claimed: `within`, on enough groups."""
        return self.within and self.interval.n_groups >= GROUPS_FOR_EQUIVALENCE

    @property
    def words(self) -> str:
        """The claim, or why there is none."""
        found = self.interval
        ends = f"{100 * found.level:g} % interval [{found.low:+.4g}, {found.high:+.4g}]"
        if self.equivalent:
            return f"equivalent within ±{self.margin:g}: {ends}"
        if found.n_groups < GROUPS_FOR_EQUIVALENCE:
            return (
                f"{found.n_groups} groups cannot support a claim of equivalence, which needs "
                f"{GROUPS_FOR_EQUIVALENCE}: {ends}"
            )
        return f"not shown to be equivalent within ±{self.margin:g}: {ends}"


def judge_equivalence(interval: PairInterval, margin: float) -> Equivalence:
    """Two one-sided tests, each at (1 − level) / 2, read off an interval that is there already.

    Raises ValueError for a margin that is not positive and finite.
    """
    if not 0 < margin < np.inf:
        raise ValueError(
            f"the margin must be positive and finite, got {margin}: "
            "give the largest difference that does not matter, such as 0.01 Dice"
        )
    return Equivalence(interval, margin)


def equivalence_test(
    a: Any,
    b: Any,
    margin: float,
    groups: Iterable[Hashable] | None = None,
    *,
    alpha: float = 0.05,
    method: str = "hull",
    resamples: int = 9999,
    seed: int = 0,
    unit: Unit = "case",
) -> Equivalence:
    """Whether mean(a) − mean(b) lies within ±margin, by two one-sided tests at `alpha`.

    That is the case where the 1 − 2·alpha interval lies inside (−margin, margin); the interval is
    `paired_bootstrap`'s. The margin is the largest difference that does not matter, declared before
    the scores are seen. Below 50 groups nothing is claimed. (Schuirmann 1987.)

    Raises ValueError for a margin that is not positive and finite, an alpha outside (0, 0.5), and
    as `paired_bootstrap` does.

    >>> a = np.tile([0.8, 0.7, 0.9, 0.6], 20)
    >>> print(equivalence_test(a, a + np.tile([0.002, -0.002], 40), 0.01).words)
    equivalent within ±0.01: 90 % interval [-0.0003745, +0.0003745]
    """
    if not 0 < alpha < 0.5:
        raise ValueError(
            f"alpha must lie strictly between 0 and 0.5, got {alpha}: "
            "give the level of each one-sided test, such as 0.05"
        )
    interval = paired_bootstrap(
        a,
        b,
        groups,
        level=1 - 2 * alpha,
        method=method,
        resamples=resamples,
        seed=seed,
        unit=unit,
    )
    return judge_equivalence(interval, margin)
