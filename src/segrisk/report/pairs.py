"""Two models on the same cases: every number that is said of their difference."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from segrisk.report.results import Metric, Model, Results
from segrisk.report.tasks import Scores, TaskInfo
from segrisk.statistics import (
    Effect,
    Equivalence,
    PairInterval,
    PairTest,
    bootstrap_intervals,
    bootstrap_test,
    effect,
    group_sums,
    holm,
    judge_equivalence,
    minimum_detectable,
    sign_flip,
    wilcoxon_test,
)


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
    detectable: float | None
    """The smallest true difference that a test like this would mostly find, power 80 %."""
    p_bootstrap: float
    """The paper's test."""
    p_wilcoxon: float
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

    def of(self, *names: str) -> bool:
        """Whether it compares these models, in either order."""
        return {self.a, self.b} == set(names)

    def real(self, alpha: float) -> bool:
        """Whether one model is better after correction."""
        return self.p_adjusted < alpha and self.gain != 0


def all_pairs(
    results: Results, tasks: Sequence[TaskInfo], scores: Scores
) -> tuple[Pair, ...]:
    """Every pair of models on every task and metric, corrected within each metric."""
    pairs: list[Pair] = []
    for task in tasks:
        for name in results.plan.metrics:
            pairs += _pairs(results, task, results.metric(name), scores)
    adjusted = list(pairs)
    for name in results.plan.metrics:
        family = [index for index, pair in enumerate(pairs) if pair.metric.name == name]
        for index, p_value in zip(
            family, holm([pairs[index].test.p for index in family]), strict=True
        ):
            adjusted[index] = replace(pairs[index], p_adjusted=float(p_value))
    return tuple(adjusted)


def _pairs(results: Results, task: TaskInfo, metric: Metric, scores: Scores) -> Iterable[Pair]:
    plan = results.plan
    columns = {model.name: scores[task.name, metric.name, model.name] for model in results.models}
    names = list(combinations(columns, 2))
    differences = {(a, b): columns[a] - columns[b] for a, b in names}

    def intervals(level: float) -> dict[Any, PairInterval]:
        if task.n_groups < 2 or not differences:
            return {}
        return bootstrap_intervals(
            differences, task.groups, level=level, resamples=plan.resamples, seed=plan.seed
        )

    usual, narrow = intervals(1 - plan.alpha), {}
    if metric.name == plan.primary:
        narrow = intervals(1 - 2 * plan.alpha)
    chance = {"resamples": plan.resamples, "seed": plan.seed}
    for a, b in names:
        sums = group_sums(differences[a, b], task.groups)
        both = columns[a], columns[b], task.groups
        found = narrow.get((a, b))
        yield Pair(
            task=task.name,
            metric=metric,
            a=a,
            b=b,
            test=sign_flip(sums, **chance),
            interval=usual.get((a, b)),
            equivalence=judge_equivalence(found, plan.margin) if found else None,
            effect=effect(*both, better=metric.better or "higher"),
            detectable=minimum_detectable(sums, alpha=plan.alpha) if sums.n_groups > 1 else None,
            p_bootstrap=bootstrap_test(*both, **chance).p,
            p_wilcoxon=wilcoxon_test(*both).p,
        )
