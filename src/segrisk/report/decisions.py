"""What the decision adds to the loss: rules instead of p > 1/2, on the same predictions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from segrisk.frames import Frame
from segrisk.report.results import Arm, Results
from segrisk.report.tasks import Scores, TaskInfo, by_case, means
from segrisk.statistics import PairInterval, Unit, bootstrap_intervals, max_t


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
    mean_over: Unit


@dataclass(frozen=True)
class Decisions:
    """All that is known of the arms of a study."""

    means: Mapping[tuple[str, str, str], float]
    """Of (task, metric, name), of losses and arms alike."""
    contrasts: tuple[Contrast, ...]

    def gain(self, arm: Arm, metric: str) -> Contrast:
        """What a rule adds to its loss."""
        wanted = (arm.task, metric, arm.name, arm.model)
        return next(c for c in self.contrasts if (c.task, c.metric, c.a, c.b) == wanted)


def decisions(results: Results, tasks: Sequence[TaskInfo]) -> Decisions | None:
    """Every arm's scores and contrasts; None for results without arms."""
    if not results.arms:
        return None
    scores = by_case(tasks, Frame.joined([results.scores, results.arm_scores]))
    contrasts = tuple(
        contrast
        for task in tasks
        for metric in results.plan.metrics
        for contrast in _contrasts(results, scores, task, metric)
    )
    return Decisions(means(tasks, scores), contrasts)


@dataclass(frozen=True)
class _Question:
    """What is compared, and the loss at p > 1/2 that a gap is measured from."""

    text: str
    a: str
    b: str
    origin: str | None = None


def _questions(results: Results, task: str) -> Iterator[_Question]:
    arms = [arm for arm in results.arms if arm.task == task]
    family = {model.name: model.family for model in results.models}
    of_pixel_losses = [arm for arm in arms if family[arm.model] == "pixel"]
    for arm in arms:
        yield _Question("what the decision adds", arm.name, arm.model)
    for loss in (name for name in family if family[name] == "metric"):
        for arm in of_pixel_losses:
            text = "what a metric-sensitive loss adds to it"
            yield _Question(text, loss, arm.name, origin=arm.model)
    for loss in (name for name in family if family[name] == "metric"):
        own = {arm.decision: arm.name for arm in arms if arm.model == loss}
        for arm in of_pixel_losses:
            if arm.decision in own:
                yield _Question("both with the decision", own[arm.decision], arm.name)


def _contrasts(results: Results, scores: Scores, task: TaskInfo, metric: str) -> Iterator[Contrast]:
    """Every question on one task and metric: they share every draw."""
    plan, chance = results.plan, {"resamples": results.plan.resamples, "seed": results.plan.seed}
    questions = list(_questions(results, task.task))
    compared = [(question.a, question.b) for question in questions]
    gaps = [(question.a, question.origin) for question in questions if question.origin]
    differences = {
        (a, b): scores[task.name, metric, a] - scores[task.name, metric, b]
        for a, b in dict.fromkeys([*compared, *gaps])
    }
    p_values = max_t(differences, task.group_of, unit=task.unit, **chance).p
    intervals = (
        bootstrap_intervals(
            differences, task.group_of, level=1 - plan.alpha, unit=task.unit, **chance
        )
        if task.n_groups > 1
        else {}
    )
    for question in questions:
        pair = question.a, question.b
        interval = intervals.get(pair)
        difference = task.mean(differences[pair])
        yield Contrast(
            task=task.name,
            metric=metric,
            question=question.text,
            a=question.a,
            b=question.b,
            difference=difference,
            low=interval.low if interval else None,
            high=interval.high if interval else None,
            p_sign_flip=p_values[pair],
            closed=_closed(intervals.get((question.a, question.origin)), difference),
            n_cases=task.n_cases,
            n_groups=task.n_groups,
            mean_over=task.unit,
        )


def _closed(gap: PairInterval | None, left: float) -> float | None:
    """The share of a gap of which `left` is left; None where its interval is not above 0."""
    return None if gap is None or gap.low <= 0 else 1 - left / gap.difference
