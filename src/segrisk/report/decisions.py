"""What the decision adds to the loss: rules instead of p > 1/2, on the same predictions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from segrisk.report.results import Arm, Results
from segrisk.report.tasks import Scores, TaskInfo, by_case
from segrisk.statistics import group_sums, group_t_interval, sign_flip


@dataclass(frozen=True)
class Contrast:
    """A difference a − b between two ways to a mask: a loss, at p > 1/2 or with a rule.

    `closed` is the share of the gap between the two losses at p > 1/2 that the rule alone closes.
    It is None for other contrasts, and where the gap's own interval holds 0: there is no gap.
    """

    task: str
    metric: str
    question: str
    a: str
    b: str
    difference: float
    low: float | None
    high: float | None
    p_sign_flip: float
    closed: float | None
    n_cases: int
    n_groups: int


@dataclass(frozen=True)
class Decisions:
    """All that is known of the arms of a study."""

    scores: Scores
    """Of losses and arms alike."""
    contrasts: tuple[Contrast, ...]

    def mean(self, task: str, metric: str, name: str) -> float:
        return float(self.scores[task, metric, name].mean())

    def gain(self, arm: Arm, metric: str) -> Contrast:
        """What a rule adds to its loss."""
        wanted = (arm.task, metric, arm.name, arm.model)
        return next(c for c in self.contrasts if (c.task, c.metric, c.a, c.b) == wanted)


def decisions(results: Results, tasks: Sequence[TaskInfo]) -> Decisions | None:
    """Every arm's scores and contrasts; None for results without arms."""
    if not results.arms:
        return None
    scores = by_case(tasks, (*results.scores, *results.arm_scores))
    contrasts = tuple(
        _contrast(results, scores, task, metric, *pair)
        for task in tasks
        for metric in results.plan.metrics
        for pair in _pairs(results, task.name)
    )
    return Decisions(scores, contrasts)


def _pairs(results: Results, task: str) -> Iterator[tuple[str, str, str, str | None]]:
    """Each question with the two names it compares, and the loss that a gap is measured from."""
    arms = [arm for arm in results.arms if arm.task == task]
    metric_losses = [model for model in results.models if model.family == "metric"]
    for arm in arms:
        yield "what the decision adds", arm.name, arm.model, None
    for loss in metric_losses:
        for arm in _of_pixel_losses(results, arms):
            yield "what a metric-sensitive loss adds to it", loss.name, arm.name, arm.model
    for loss in metric_losses:
        own = {arm.decision: arm.name for arm in arms if arm.model == loss.name}
        for arm in _of_pixel_losses(results, arms):
            if arm.decision in own:
                yield "both with the decision", own[arm.decision], arm.name, None


def _of_pixel_losses(results: Results, arms: list[Arm]) -> list[Arm]:
    pixel = {model.name for model in results.models if model.family == "pixel"}
    return [arm for arm in arms if arm.model in pixel]


def _contrast(
    results: Results,
    scores: Scores,
    task: TaskInfo,
    metric: str,
    question: str,
    a: str,
    b: str,
    origin: str | None,
) -> Contrast:
    plan = results.plan

    def difference(one: str, other: str) -> np.ndarray:
        return scores[task.name, metric, one] - scores[task.name, metric, other]

    sums = group_sums(difference(a, b), task.groups)
    interval = group_t_interval(sums) if sums.n_groups > 1 else None
    return Contrast(
        task=task.name,
        metric=metric,
        question=question,
        a=a,
        b=b,
        difference=sums.mean,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        p_sign_flip=sign_flip(sums, resamples=plan.resamples, seed=plan.seed).p_value,
        closed=None if origin is None else _closed(difference(a, origin), sums.mean, task),
        n_cases=sums.n_cases,
        n_groups=sums.n_groups,
    )


def _closed(gap: np.ndarray, left: float, task: TaskInfo) -> float | None:
    """The share of a gap of which `left` is left; None where 0 is in the gap's own interval."""
    sums = group_sums(gap, task.groups)
    if sums.n_groups < 2 or group_t_interval(sums).low <= 0:
        return None
    return 1 - left / sums.mean
