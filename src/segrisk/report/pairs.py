"""Two models on the same cases: every number that is said of their difference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from segrisk.report.results import Metric, Results, metric_named
from segrisk.report.tasks import Scores, TaskInfo
from segrisk.statistics import (
    Effect,
    Equivalence,
    GroupSums,
    MarksTest,
    MaxT,
    PairInterval,
    PairTest,
    bootstrap_intervals,
    effect,
    group_table,
    holm,
    judge_equivalence,
    max_t,
    minimum_detectable,
    wilcoxon_test,
)
from segrisk.statistics.door import in_unit
from segrisk.statistics.paired import SIGN_FLIP, resampled_shares
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


def all_pairs(results: Results, tasks: Sequence[TaskInfo], scores: Scores) -> tuple[Pair, ...]:
    """Every pair of models on every task and metric, corrected within each metric."""
    pairs = [pair for task in tasks for pair in _pairs(results, task, scores)]
    for name in results.plan.metrics:
        family = [index for index, pair in enumerate(pairs) if pair.metric.name == name]
        adjusted = holm([pairs[index].test.p for index in family])
        for index, p_value in zip(family, adjusted.tolist(), strict=True):
            pairs[index] = replace(pairs[index], p_adjusted=p_value)
    return tuple(pairs)


def _pairs(results: Results, task: TaskInfo, scores: Scores) -> list[Pair]:
    """All pairs and metrics of one task: they share every draw."""
    plan, chance = results.plan, {"resamples": results.plan.resamples, "seed": results.plan.seed}
    keys = [
        (metric, a.name, b.name)
        for metric in plan.metrics
        for a, b in combinations(results.models, 2)
    ]
    if not keys:
        return []
    both = {
        (name, a, b): (scores[task.name, name, a], scores[task.name, name, b])
        for name, a, b in keys
    }
    differences = {key: a - b for key, (a, b) in both.items()}
    table = in_unit(group_table(differences, task.groups), task.unit)
    tests = max_t(differences, task.groups, unit=task.unit, **chance)
    below, above = resampled_shares(table.sums, **chance)
    usual, narrow = (
        bootstrap_intervals(differences, task.groups, level=level, unit=task.unit, **chance)
        if task.n_groups > 1
        else {}
        for level in (1 - plan.alpha, 1 - 2 * plan.alpha)
    )
    pairs = []
    for row, (key, columns) in enumerate(both.items()):
        metric, sums = metric_named(key[0]), GroupSums(table.sums[row], table.counts)
        margin = plan.margin if metric.name == plan.primary and key in narrow else None
        pairs.append(
            Pair(
                task.name,
                metric,
                *key[1:],
                test=_test(task, sums, tests, key),
                interval=usual.get(key),
                equivalence=judge_equivalence(narrow[key], margin) if margin else None,
                effect=effect(
                    *columns,
                    task.groups,
                    better="lower" if metric.better == "lower" else "higher",
                    unit=task.unit,
                ),
                is_one_sided=is_one_sided(sums),
                detectable=minimum_detectable(sums, alpha=plan.alpha) if key in usual else None,
                p_bootstrap=min(1.0, 2 * float(min(below[row], above[row]))),
                p_wilcoxon=wilcoxon_test(*columns, task.groups).p,
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
