"""From results to all numbers that tables, figures and page show: computed once, then frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from segrisk.metrics import MEASURES
from segrisk.report.decisions import Decisions, decisions
from segrisk.report.drawn import Drawn, drawn
from segrisk.report.marks import Marks, marks
from segrisk.report.pairs import Pair, all_pairs
from segrisk.report.ranks import Across, ranks_across
from segrisk.report.results import Metric, Model, Results, metric_named
from segrisk.report.risks import Risk, Surrogates, risks, surrogates
from segrisk.report.seeds import SeedClaim, seed_claims
from segrisk.report.sensitivity import Sensitivity, sensitivity
from segrisk.report.sizes import Curve, curve, has_curve
from segrisk.report.tasks import Scores, TaskInfo, by_case, means, task_infos
from segrisk.scores import ScoreFrame
from segrisk.statistics import PairInterval, Rank
from segrisk.statistics.bootstrap import intervals_of


@dataclass(frozen=True)
class Block:
    """All numbers of one way to choose the epoch."""

    selection: str
    scores: Scores
    means: Mapping[tuple[str, str, str], float]
    """Of (task, metric, model), over the plan's unit."""
    pairs: tuple[Pair, ...]
    intervals: Mapping[tuple[str, str, str], PairInterval]
    """Of the mean of (task, metric, model); none where there is one group."""
    raw: Mapping[tuple[str, str, str], Marks]
    """Marks of (task, metric, model) by raw p-values of the test that the plan names for them."""
    corrected: Mapping[tuple[str, str, str], Marks]
    """Marks by Holm-adjusted p-values, of the primary metric only."""

    def mean(self, task: str, metric: str, model: str) -> float:
        return self.means[task, metric, model]

    def of(self, task: str, metric: str) -> list[Pair]:
        """The pairs of one task and metric."""
        return [pair for pair in self.pairs if (pair.task, pair.metric.name) == (task, metric)]


@dataclass(frozen=True)
class Summary:
    """Everything that is shown."""

    results: Results
    tasks: tuple[TaskInfo, ...]
    by_loss: Block
    by_dice: Block | None
    curves: tuple[Curve, ...]
    left_out: tuple[str, ...]
    """Tasks with too few objects for a curve."""
    ranks: Mapping[str, tuple[Rank, ...]]
    """By task, the models by their mean of the primary metric, and how stable that order is."""
    across: tuple[Across, ...]
    """The ranking across data sets; none where there is one."""
    sensitivity: tuple[Sensitivity, ...]
    seed_claims: tuple[SeedClaim, ...]
    """In the primary metric."""
    decisions: Decisions | None
    risks: tuple[Risk, ...]
    surrogates: tuple[Surrogates, ...]

    @property
    def models(self) -> tuple[Model, ...]:
        return self.results.models

    @property
    def primary(self) -> Metric:
        return metric_named(self.results.plan.primary)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(metric_named(name) for name in self.results.plan.metrics)

    @property
    def labels(self) -> dict[str, str]:
        """What each model is called."""
        return {model.name: model.label for model in self.models}

    @property
    def ranked(self) -> dict[str, list[Model]]:
        """By task, the models from the best mean of the primary metric down."""
        models = {model.name: model for model in self.models}
        return {task: [models[place.model] for place in own] for task, own in self.ranks.items()}


def summarise(results: Results) -> Summary:
    """Compute every mean, test, mark and curve of `results`."""
    tasks = task_infos(results)
    by_loss, promised = _block(results, tasks, results.scores, "validation loss")
    by_dice = (
        _block(results, tasks, results.scores_by_dice, "validation Dice")[0]
        if results.scores_by_dice
        else None
    )
    primary = results.plan.primary
    return Summary(
        results=results,
        tasks=tasks,
        by_loss=by_loss,
        by_dice=by_dice,
        curves=tuple(
            curve(results, task, by_loss.scores, by_loss.of(task.name, primary))
            for task in tasks
            if has_curve(task)
        ),
        left_out=tuple(task.name for task in tasks if not has_curve(task)),
        ranks={task.name: promised[task.name].ranks() for task in tasks},
        across=ranks_across(results, tasks, by_loss.scores),
        sensitivity=sensitivity(results, tasks, by_loss.scores, by_loss.pairs),
        seed_claims=seed_claims(results, tasks, primary) if results.subject == "loss" else (),
        decisions=decisions(results, tasks),
        risks=risks(results),
        surrogates=surrogates(results),
    )


def conclusions_changed(summary: Summary) -> tuple[str, ...]:
    """What the marks of Table 1 gain or lose when the validation Dice chooses the epoch."""
    if summary.by_dice is None:
        return ()
    changes = []
    for (task, metric, name), before in summary.by_loss.raw.items():
        after = summary.by_dice.raw[task, metric, name]
        for mark, word in (("italic", "italic"), ("underline", "underlined"), ("bold", "bold")):
            was, now = getattr(before, mark), getattr(after, mark)
            if was != now:
                verb = "is no longer" if was else "becomes"
                label = summary.labels[name]
                changes.append(f"{task}, {metric.capitalize()}: {label} {verb} {word}")
    return tuple(changes)


def _block(
    results: Results, tasks: Sequence[TaskInfo], scores: ScoreFrame, selection: str
) -> tuple[Block, dict[str, Drawn]]:
    """All numbers of a block, and by task what was drawn for them."""
    values = by_case(tasks, scores)
    promised = {task.name: drawn(results, task, values) for task in tasks}
    pairs = all_pairs(results, tasks, promised)
    raw, corrected = {}, {}
    for task in tasks:
        for metric in results.plan.metrics:
            own = [pair for pair in pairs if (pair.task, pair.metric.name) == (task.name, metric)]
            p_values = [pair.p_of_marks(results.plan.marks) for pair in own]
            raw |= _marked(results, task, metric, own, p_values)
            if metric == results.plan.primary:
                p_values = [pair.p_adjusted for pair in own]
                corrected |= _marked(results, task, metric, own, p_values)
    intervals = _intervals(results, tasks, promised)
    block = Block(selection, values, means(tasks, values), pairs, intervals, raw, corrected)
    return block, promised


def _marked(
    results: Results,
    task: TaskInfo,
    metric: str,
    pairs: Sequence[Pair],
    p_values: Sequence[float],
) -> dict[tuple[str, str, str], Marks]:
    better = {
        (pair.better, pair.worse)
        for pair, p_value in zip(pairs, p_values, strict=True)
        if p_value < results.plan.alpha and pair.gain
    }
    found = marks(results.models, better)
    return {(task.name, metric, name): mark for name, mark in found.items()}


def _intervals(
    results: Results, tasks: Sequence[TaskInfo], promised: Mapping[str, Drawn]
) -> dict[tuple[str, str, str], PairInterval]:
    """The interval of every mean."""
    found = {}
    for task in tasks:
        if sample := promised[task.name].models:
            level = 1 - results.plan.alpha
            own = intervals_of(sample, level, n_cases=task.n_cases, unit=task.unit)
            found |= {key: _within_bounds(key[1], one) for key, one in own.items()}
    return found


def _within_bounds(metric: str, interval: PairInterval) -> PairInterval:
    """No mean is outside what its metric can be: one failed case of many alike reaches far."""
    measure = MEASURES.get(metric)
    if measure is None:
        return interval
    low, high = measure.bounds
    return replace(interval, low=max(low, interval.low), high=min(high, interval.high))
