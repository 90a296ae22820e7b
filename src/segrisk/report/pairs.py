"""Two models on the same cases: every number that is said of their difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segrisk.report.drawn import Drawn
from segrisk.report.results import Metric, Results, metric_named
from segrisk.report.tasks import TaskInfo
from segrisk.statistics import (
    Effect,
    Equivalence,
    GroupSums,
    MarksTest,
    MaxT,
    PairInterval,
    PairTest,
    holm,
    judge_equivalence,
    minimum_detectable,
)
from segrisk.statistics.bootstrap import intervals_of
from segrisk.statistics.effects import effect_of
from segrisk.statistics.multiple import max_t_of
from segrisk.statistics.paired import SIGN_FLIP, signed_ranks
from segrisk.statistics.verdict import is_one_sided


@dataclass(frozen=True)
class Pair:
    """Two models on one task and metric: the difference a − b and what the tests say of it.

    Interval, equivalence and detectable difference need two groups and are None below;
    equivalence is asked of the primary metric, which alone has a margin. `p_adjusted` is Holm's,
    over all pairs and tasks of the same metric.
    """

    task: str
    metric: Metric
    a: str
    b: str
    test: PairTest
    interval: PairInterval | None
    equivalence: Equivalence | None
    effect: Effect
    is_one_sided: bool
    """Whether the groups' differences are so skewed that the test marks too often."""
    detectable: float | None
    """The smallest true difference that a test like this would mostly find, power 80 %."""
    p_bootstrap: float
    """The paper's test."""
    p_wilcoxon: float
    p_max_t: float
    """Adjusted by max-T over all pairs and metrics of the task."""
    p_adjusted: float = 1.0

    @property
    def difference(self) -> float:
        return self.test.difference

    @property
    def gain(self) -> float:
        """How much better a is than b; 0 where the metric has no better direction."""
        return self.metric.sign * self.difference

    @property
    def low(self) -> float | None:
        return self.interval.low if self.interval else None

    @property
    def high(self) -> float | None:
        return self.interval.high if self.interval else None

    @property
    def equivalent(self) -> bool:
        """Whether equivalence is claimed."""
        return self.equivalence is not None and self.equivalence.equivalent

    @property
    def better(self) -> str:
        """The model with the better mean; "" where there is none."""
        return {1: self.a, -1: self.b}.get(int(np.sign(self.gain)), "")

    @property
    def worse(self) -> str:
        return {1: self.b, -1: self.a}.get(int(np.sign(self.gain)), "")

    def p_of_marks(self, test: MarksTest) -> float:
        """The raw p-value of the test that Table 1's marks come from."""
        return {"sign_flip": self.test.p, "bootstrap": self.p_bootstrap}[test]

    def of(self, *names: str) -> bool:
        """Whether it compares these models, in either order."""
        return {self.a, self.b} == set(names)

    def real(self, alpha: float) -> bool:
        """Whether one model is better after correction."""
        return self.p_adjusted < alpha and self.gain != 0


def all_pairs(
    results: Results, tasks: Sequence[TaskInfo], drawn: Mapping[str, Drawn]
) -> tuple[Pair, ...]:
    """Every pair of models on every task and metric, corrected within each metric."""
    pairs = [pair for task in tasks for pair in _pairs(results, task, drawn[task.name])]
    for name in results.plan.metrics:
        family = [index for index, pair in enumerate(pairs) if pair.metric.name == name]
        adjusted = holm([pairs[index].test.p for index in family])
        for index, p_value in zip(family, adjusted.tolist(), strict=True):
            pairs[index] = replace(pairs[index], p_adjusted=p_value)
    return tuple(pairs)


def _pairs(results: Results, task: TaskInfo, drawn: Drawn) -> list[Pair]:
    """All pairs and metrics of one task: they share every draw."""
    plan, table = results.plan, drawn.table
    if not drawn.differences:
        return []
    tests = max_t_of(table.names, table.sums, resamples=plan.resamples, seed=plan.seed)
    below, above = drawn.shares()
    usual, narrow = (
        intervals_of(drawn.pairs, level, n_cases=task.n_cases, unit=task.unit)
        if drawn.pairs
        else {}
        for level in (1 - plan.alpha, 1 - 2 * plan.alpha)
    )
    pairs = []
    for row, (key, differences) in enumerate(drawn.differences.items()):
        metric, sums = metric_named(key[0]), GroupSums(table.sums[row], table.counts)
        over_cases = GroupSums(drawn.sums.sums[row], drawn.sums.counts)
        margin = plan.margin if metric.name == plan.primary and key in narrow else None
        pairs.append(
            Pair(
                task.name,
                metric,
                *key[1:],
                test=_test(task, sums, tests, key),
                interval=usual.get(key),
                equivalence=judge_equivalence(narrow[key], margin) if margin else None,
                effect=effect_of(
                    differences,
                    over_cases,
                    task.group_of,
                    better="lower" if metric.better == "lower" else "higher",
                    unit=task.unit,
                ),
                is_one_sided=is_one_sided(sums),
                detectable=minimum_detectable(sums, alpha=plan.alpha) if key in usual else None,
                p_bootstrap=min(1.0, 2 * float(min(below[row], above[row]))),
                p_wilcoxon=signed_ranks(over_cases).p,
                p_max_t=tests.p_adjusted[key],
            )
        )
    return pairs


def _test(task: TaskInfo, sums: GroupSums, tests: MaxT, key: tuple[str, str, str]) -> PairTest:
    return PairTest(
        sums.mean,
        tests.p[key],
        task.n_cases,
        sums.n_groups,
        tests.exact,
        tests.resamples,
        SIGN_FLIP,
        task.unit,
    )
