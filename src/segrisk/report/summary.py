"""From results to all numbers that tables, figures and page show: computed once, then frozen."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from segrisk.report.results import Model, Results
from segrisk.scores import Score
from segrisk.statistics import (
    bin_means,
    bootstrap_intervals,
    group_sums,
    holm,
    judge_equivalence,
    resampled_means,
    sign_flip,
    size_bins,
)

CASES_FOR_CURVE = 50


@dataclass(frozen=True)
class TaskInfo:
    """A task's cases in the order of their ids."""

    name: str
    cases: tuple[str, ...]
    groups: tuple[str, ...]
    fractions: tuple[float, ...]

    @property
    def n_cases(self) -> int:
        return len(self.cases)

    @property
    def n_groups(self) -> int:
        return len(set(self.groups))


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
    scores: Mapping[tuple[str, str, str], np.ndarray]
    """(task, metric, model) to the scores (cases,), averaged over seeds, in the task's order."""
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

    @property
    def models(self) -> tuple[Model, ...]:
        return self.results.models


def summarise(results: Results) -> Summary:
    """Compute every mean, test, mark and curve of `results`."""
    tasks = tuple(_task(results, name) for name in results.tasks)
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


def _task(results: Results, name: str) -> TaskInfo:
    cases = sorted((info for info in results.cases if info.task == name), key=lambda i: i.case)
    return TaskInfo(
        name,
        tuple(info.case for info in cases),
        tuple(info.group for info in cases),
        tuple(info.fraction for info in cases),
    )


def _block(
    results: Results, tasks: Sequence[TaskInfo], scores: Iterable[Score], selection: str
) -> Block:
    values = _by_case(tasks, scores)
    pairs = [
        pair
        for task in tasks
        for metric in results.plan.metrics
        for pair in _pairs(results, task, metric, values)
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


def _by_case(
    tasks: Sequence[TaskInfo], scores: Iterable[Score]
) -> dict[tuple[str, str, str], np.ndarray]:
    """(task, metric, model) to the mean over seeds of each case's score, in the task's order."""
    collected: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for score in scores:
        collected[score.task, score.metric, score.model][score.case].append(score.value)
    order = {task.name: task.cases for task in tasks}
    return {
        key: np.array([np.mean(sorted(cases[case])) for case in order[key[0]]])
        for key, cases in collected.items()
    }


def _pairs(
    results: Results,
    task: TaskInfo,
    metric: str,
    values: Mapping[tuple[str, str, str], np.ndarray],
) -> list[Pair]:
    plan, chance = results.plan, {"resamples": results.plan.resamples, "seed": results.plan.seed}
    scores = {model.name: values[task.name, metric, model.name] for model in results.models}
    differences = {(a, b): scores[a] - scores[b] for a, b in combinations(scores, 2)}
    intervals, narrow = (
        bootstrap_intervals(differences, task.groups, level=level, **chance)
        if differences and task.n_groups > 1
        else {}
        for level in (0.95, 1 - 2 * plan.alpha)
    )
    pairs = []
    for (a, b), difference in differences.items():
        sums = group_sums(difference, task.groups)
        flip, interval = sign_flip(sums, **chance), intervals.get((a, b))
        pairs.append(
            Pair(
                task=task.name,
                metric=metric,
                a=a,
                b=b,
                difference=sums.mean,
                low=interval.low if interval else None,
                high=interval.high if interval else None,
                p_sign_flip=flip.p,
                exact=flip.exact,
                resamples=flip.resamples,
                p_bootstrap=resampled_means(sums, **chance).p,
                p_holm=None,
                equivalent=(
                    judge_equivalence(narrow[a, b], plan.margin).equivalent if interval else None
                ),
                n_cases=sums.n_cases,
                n_groups=sums.n_groups,
            )
        )
    return pairs


def _curve(results: Results, task: TaskInfo, block: Block) -> Curve:
    """Ten bins of equal count, the same for all models."""
    bins = size_bins(task.fractions)
    points = []
    for model in results.models:
        scores = block.scores[task.name, results.plan.primary, model.name]
        for number, point in enumerate(bin_means(bins, scores, task.groups)):
            points.append(
                Point(
                    model=model.name,
                    bin=number,
                    fraction=bins.medians[number],
                    mean=point.mean,
                    low=point.low,
                    high=point.high,
                    n_cases=bins.n_cases[number],
                )
            )
    return Curve(task, bins.edges, tuple(points))
