"""From results to all numbers that tables, figures and page show: computed once, then frozen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np

from segrisk.report.decisions import Decisions, decisions
from segrisk.report.results import Model, Results
from segrisk.report.risks import Risk, Surrogates, risks, surrogates
from segrisk.report.tasks import Scores, TaskInfo, by_case, task_info
from segrisk.scores import Score
from segrisk.statistics import (
    equivalent,
    group_sums,
    group_t_interval,
    holm,
    paired_bootstrap,
    sign_flip,
)

BINS = 10
CASES_FOR_CURVE = 50
GROUPS_FOR_BAND = 5


@dataclass(frozen=True)
class Pair:
    """Two models on one task and metric: the difference a − b and what the tests say of it.

    Interval and equivalence need two groups and are None below; `holm` is None outside the primary
    metric, which alone forms the family that is corrected.
    """

    task: str
    metric: str
    a: str
    b: str
    difference: float
    low: float | None
    high: float | None
    p_sign_flip: float
    exact: bool
    resamples: int
    p_bootstrap: float
    p_holm: float | None
    equivalent: bool | None
    n_cases: int
    n_groups: int


@dataclass(frozen=True)
class Marks:
    """The paper's marks of one number in Table 1."""

    italic: bool = False
    underline: bool = False
    bold: bool = False


@dataclass(frozen=True)
class Block:
    """All numbers of one way to choose the epoch."""

    selection: str
    scores: Scores
    pairs: tuple[Pair, ...]
    raw: Mapping[tuple[str, str, str], Marks]
    """Marks of (task, metric, model) by raw p-values."""
    corrected: Mapping[tuple[str, str, str], Marks]
    """Marks by Holm-adjusted p-values, of the primary metric only."""

    def mean(self, task: str, metric: str, model: str) -> float:
        return float(self.scores[task, metric, model].mean())


@dataclass(frozen=True)
class Point:
    """The mean score of one model in one bin of foreground fraction, with a group-t interval."""

    model: str
    bin: int
    fraction: float
    mean: float
    low: float | None
    high: float | None
    n_cases: int


@dataclass(frozen=True)
class Curve:
    """The score against the foreground fraction on one task; `edges` lie between the bins."""

    task: TaskInfo
    edges: tuple[float, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Summary:
    """Everything that is shown."""

    results: Results
    tasks: tuple[TaskInfo, ...]
    by_loss: Block
    by_dice: Block | None
    curves: tuple[Curve, ...]
    left_out: tuple[str, ...]
    """Tasks with too few cases for a curve."""
    decisions: Decisions | None
    risks: tuple[Risk, ...]
    surrogates: tuple[Surrogates, ...]

    @property
    def models(self) -> tuple[Model, ...]:
        return self.results.models


def summarise(results: Results) -> Summary:
    """Compute every mean, test, mark and curve of `results`."""
    tasks = tuple(task_info(results, name) for name in results.tasks)
    by_loss = _block(results, tasks, results.scores, "validation loss")
    by_dice = (
        _block(results, tasks, results.scores_by_dice, "validation Dice")
        if results.scores_by_dice
        else None
    )
    large = [task for task in tasks if task.n_cases >= CASES_FOR_CURVE]
    return Summary(
        results=results,
        tasks=tasks,
        by_loss=by_loss,
        by_dice=by_dice,
        curves=tuple(_curve(results, task, by_loss) for task in large),
        left_out=tuple(task.name for task in tasks if task.n_cases < CASES_FOR_CURVE),
        decisions=decisions(results, tasks),
        risks=risks(results),
        surrogates=surrogates(results),
    )


def marks(
    models: Sequence[Model], pairs: Iterable[Pair], p_values: Iterable[float], alpha: float
) -> dict[str, Marks]:
    """The paper's marks of each model on one task and metric.

    Italic: lower than each metric-sensitive loss. Underline: lower than every other member of its
    own group. Bold: higher than all others. Each pair counts at two-sided p < alpha, in the
    direction of its difference.
    """
    higher: set[tuple[str, str]] = set()
    for pair, p_value in zip(pairs, p_values, strict=True):
        if p_value < alpha and pair.difference:
            higher.add((pair.a, pair.b) if pair.difference > 0 else (pair.b, pair.a))

    def below_all(model: Model, others: list[Model]) -> bool:
        return bool(others) and all((other.name, model.name) in higher for other in others)

    result = {}
    for model in models:
        others = [other for other in models if other != model]
        metric = [other for other in others if other.family == "metric"]
        group = [other for other in others if other.family == model.family != "other"]
        result[model.name] = Marks(
            italic=model.family != "metric" and below_all(model, metric),
            underline=below_all(model, group),
            bold=bool(others) and all((model.name, other.name) in higher for other in others),
        )
    return result


def conclusions_changed(summary: Summary) -> tuple[str, ...]:
    """What the marks of Table 1 gain or lose when the validation Dice chooses the epoch."""
    if summary.by_dice is None:
        return ()
    changes = []
    for (task, metric, name), before in summary.by_loss.raw.items():
        after = summary.by_dice.raw[task, metric, name]
        label = next(model.label for model in summary.models if model.name == name)
        for mark, word in (("italic", "italic"), ("underline", "underlined"), ("bold", "bold")):
            was, now = getattr(before, mark), getattr(after, mark)
            if was != now:
                verb = "is no longer" if was else "becomes"
                changes.append(f"{task}, {metric.capitalize()}: {label} {verb} {word}")
    return tuple(changes)


def _block(
    results: Results, tasks: Sequence[TaskInfo], scores: Iterable[Score], selection: str
) -> Block:
    values = by_case(tasks, scores)
    pairs = [
        _pair(results, task, metric, a, b, values)
        for task in tasks
        for metric in results.plan.metrics
        for a, b in combinations(results.models, 2)
    ]
    family = [index for index, pair in enumerate(pairs) if pair.metric == results.plan.primary]
    adjusted = holm([pairs[index].p_sign_flip for index in family])
    for index, p_value in zip(family, adjusted, strict=True):
        pairs[index] = replace(pairs[index], p_holm=float(p_value))
    raw, corrected = {}, {}
    for task in tasks:
        for metric in results.plan.metrics:
            own = [pair for pair in pairs if (pair.task, pair.metric) == (task.name, metric)]
            alpha = results.plan.alpha
            found = marks(results.models, own, [pair.p_sign_flip for pair in own], alpha)
            raw |= {(task.name, metric, name): mark for name, mark in found.items()}
            if metric == results.plan.primary:
                p_values = [pair.p_holm for pair in own if pair.p_holm is not None]
                found = marks(results.models, own, p_values, alpha)
                corrected |= {(task.name, metric, name): mark for name, mark in found.items()}
    return Block(selection, values, tuple(pairs), raw, corrected)


def _pair(
    results: Results,
    task: TaskInfo,
    metric: str,
    a: Model,
    b: Model,
    values: Scores,
) -> Pair:
    plan = results.plan
    difference = values[task.name, metric, a.name] - values[task.name, metric, b.name]
    sums = group_sums(difference, task.groups)
    flip = sign_flip(sums, resamples=plan.resamples, seed=plan.seed)
    several = sums.n_groups > 1
    interval = group_t_interval(sums) if several else None
    return Pair(
        task=task.name,
        metric=metric,
        a=a.name,
        b=b.name,
        difference=sums.mean,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        p_sign_flip=flip.p_value,
        exact=flip.exact,
        resamples=flip.resamples,
        p_bootstrap=paired_bootstrap(sums, resamples=plan.resamples, seed=plan.seed).p_value,
        p_holm=None,
        equivalent=equivalent(sums, plan.margin, alpha=plan.alpha) if several else None,
        n_cases=sums.n_cases,
        n_groups=sums.n_groups,
    )


def _curve(results: Results, task: TaskInfo, block: Block) -> Curve:
    """Ten bins of equal count over (fraction, id), the same for all models."""
    fractions = np.array(task.fractions)
    order = sorted(range(task.n_cases), key=lambda index: (fractions[index], task.cases[index]))
    bins = np.array_split(np.array(order), BINS)
    edges = tuple(
        float((fractions[left[-1]] + fractions[right[0]]) / 2) for left, right in pairwise(bins)
    )
    points = tuple(
        _point(model.name, number, members, task, block, results.plan.primary)
        for model in results.models
        for number, members in enumerate(bins)
    )
    return Curve(task, edges, points)


def _point(
    model: str, number: int, members: np.ndarray, task: TaskInfo, block: Block, metric: str
) -> Point:
    sums = group_sums(
        block.scores[task.name, metric, model][members], [task.groups[index] for index in members]
    )
    interval = group_t_interval(sums) if sums.n_groups >= GROUPS_FOR_BAND else None
    return Point(
        model=model,
        bin=number,
        fraction=float(np.median(np.array(task.fractions)[members])),
        mean=sums.mean,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n_cases=len(members),
    )
