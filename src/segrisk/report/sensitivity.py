"""Whether a conclusion hangs on what empty masks score."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from segrisk.frames import Frame
from segrisk.report.pairs import Pair
from segrisk.report.results import Alternative, Results, metric_named
from segrisk.report.tasks import Scores, TaskInfo, by_case
from segrisk.scores import ScoreFrame
from segrisk.statistics import Unit, case_weights, holm, max_t

NAN = float("nan")
NO_SIZES = np.empty(0)

EMPTY_REFERENCES: Mapping[str, Mapping[float, float]] = {
    "both masks empty: left out (as nnU-Net)": {1.0: NAN},
    "reference empty: left out (as MONAI)": {1.0: NAN, 0.0: NAN},
    "both masks empty: 0": {1.0: 0.0},
}
"""Other conventions for overlap, as what they make of the scores at empty references."""


Tests = dict[tuple[str, str, str], tuple[float, float]]
"""(task, a, b) to the mean difference and its raw p-value."""


@dataclass(frozen=True)
class Sensitivity:
    """The primary metric of one task under another convention.

    Means are over what the convention keeps of each model's cases, as its tools give them; tests
    are over the cases that it keeps of all models.
    """

    task: str
    convention: str
    means: Mapping[str, float]
    n_cases: int
    changes: tuple[str, ...]
    """Conclusions that are not those of the convention in force."""


def sensitivity(
    results: Results, tasks: Sequence[TaskInfo], scores: Scores, pairs: Sequence[Pair]
) -> tuple[Sensitivity, ...]:
    """Every task under every other convention that changes a score of it."""
    found = []
    for alternative in results.alternatives or _overlap_conventions(results):
        there, changed = _changed(results, tasks, alternative)
        moved = [
            (task, other)
            for task, other in zip(tasks, there, strict=True)
            if any(_moves(task, other, key, v, scores) for key, v in changed.items())
        ]
        tests = _tests(results, [other for _, other in moved], changed)
        adjusted = holm([p_value for _, p_value in tests.values()])
        real = {
            key: difference
            for (key, (difference, _)), p_value in zip(tests.items(), adjusted, strict=True)
            if p_value < results.plan.alpha
        }
        for task, other in moved:
            own = [p for p in pairs if (p.task, p.metric.name) == (task.name, results.plan.primary)]
            means = _means_kept(results, other, changed)
            changes = _changes(results, task, scores, means, own, real)
            kept = int(_kept_of_all(results, other, changed).sum())
            found.append(Sensitivity(task.name, alternative.name, means, kept, tuple(changes)))
    return tuple(found)


def _overlap_conventions(results: Results) -> Iterator[Alternative]:
    """The conventions for overlap, where every score at an empty reference is 0 or 1."""
    own = results.scores.where(metric=results.plan.primary)
    own = own.take(_at_empty(results, own))
    values = own.numbers("value")
    is_overlap = metric_named(results.plan.primary).better == "higher"
    if is_overlap and np.isin(values, (0, 1)).all():
        for name, becomes in EMPTY_REFERENCES.items():
            changed = values.copy()
            for value, other in becomes.items():
                changed[values == value] = other
            yield Alternative(name, own.replaced(value=changed))


def _at_empty(results: Results, scores: ScoreFrame) -> np.ndarray:
    """Which scores (rows,) are of a reference without an object."""
    empty = results.cases.take(results.cases.numbers("fraction") == 0)
    names, labels = empty.text("case").names, ("", *results.scores.text("label").names)
    tasks = empty.text("task").names
    held = np.zeros((len(tasks) + 1, len(names) + 1, len(labels) + 1), dtype=bool)
    held[
        empty.text("task").places(tasks),
        empty.text("case").places(names),
        empty.text("label").places(labels),
    ] = True
    own = held[scores.text("task").places(tasks), scores.text("case").places(names)]
    return own[:, 0] | own[np.arange(len(own)), scores.text("label").places(labels)]


def _changed(
    results: Results, tasks: Sequence[TaskInfo], alternative: Alternative
) -> tuple[list[TaskInfo], Scores]:
    """The primary metric as the convention has it, NaN where it leaves a case out.

    With the tasks that this is of: what the convention in force leaves out is back in them.
    """
    primary = results.plan.primary
    before = results.scores.where(metric=primary)
    both = Frame.joined([before, alternative.scores.where(metric=primary)])
    keys = both.keys("task", "label", "case", "model", "seed")
    _, last = np.unique(keys[::-1], return_index=True)
    # The convention's own scores stand below those in force, and replace them.
    both = both.take(np.sort(len(keys) - 1 - last))
    there = []
    for task in tasks:
        own = both.where(task=task.task, label=task.label)
        _, first = np.unique(own.text("case").codes, return_index=True)
        own = own.take(first)
        names, groups = own.text("case").values(), own.text("group").values()
        there.append(TaskInfo(task.name, names, groups, NO_SIZES, task.task, task.label, task.unit))
    return there, by_case(there, both)


def _moves(
    task: TaskInfo,
    there: TaskInfo,
    key: tuple[str, str, str],
    changed: np.ndarray,
    scores: Scores,
) -> bool:
    """Whether a model's scores on the task are others; where one is left out it is NaN in both."""
    if key[0] != task.name:
        return False
    own = scores[key]
    if tuple(task.cases) != tuple(there.cases):
        before = dict(zip(task.cases, own, strict=True))
        own = np.array([before.get(case, NAN) for case in there.cases])
    return not np.array_equal(own, changed, equal_nan=True)


def _tests(results: Results, tasks: Iterable[TaskInfo], changed: Scores) -> Tests:
    """Difference and raw p-value of each pair, on the cases that the convention keeps of all."""
    plan, tests = results.plan, {}
    for task in tasks:
        columns = _columns(results, task, changed)
        kept = _kept_of_all(results, task, changed)
        groups = task.group_of[kept]
        differences = {
            (a, b): columns[a][kept] - columns[b][kept] for a, b in combinations(columns, 2)
        }
        if differences and len(groups):
            found = max_t(
                differences, groups, resamples=plan.resamples, seed=plan.seed, unit=task.unit
            )
            for (a, b), values in differences.items():
                tests[task.name, a, b] = _mean(values, groups, task.unit), found.p[a, b]
    return tests


def _changes(
    results: Results,
    task: TaskInfo,
    scores: Scores,
    means: Mapping[str, float],
    pairs: Sequence[Pair],
    real: Mapping[tuple[str, str, str], float],
) -> Iterator[str]:
    """What is concluded otherwise, in words."""
    primary, sign = results.plan.primary, metric_named(results.plan.primary).sign
    labels = {model.name: model.label for model in results.models}
    best = max(labels, key=lambda name: sign * means[name])
    before = max(labels, key=lambda name: sign * task.mean(scores[task.name, primary, name]))
    if best != before:
        yield f"{labels[best]} is best, not {labels[before]}"
    for pair in pairs:
        now = real.get((task.name, pair.a, pair.b))
        was = pair.real(results.plan.alpha)
        if was != (now is not None):
            verb = "no longer differ" if was else "differ"
            yield f"{labels[pair.a]} and {labels[pair.b]} {verb}"
        elif now is not None and sign * now * pair.gain < 0:
            yield f"{labels[pair.worse]} is better than {labels[pair.better]}"


def _columns(results: Results, task: TaskInfo, changed: Scores) -> dict[str, np.ndarray]:
    primary = results.plan.primary
    return {model.name: changed[task.name, primary, model.name] for model in results.models}


def _kept_of_all(results: Results, task: TaskInfo, changed: Scores) -> np.ndarray:
    return np.isfinite(list(_columns(results, task, changed).values())).all(axis=0)


def _means_kept(results: Results, task: TaskInfo, changed: Scores) -> dict[str, float]:
    columns = _columns(results, task, changed)
    return {name: _mean_kept(values, task) for name, values in columns.items()}


def _mean_kept(values: np.ndarray, task: TaskInfo) -> float:
    kept = ~np.isnan(values)
    return _mean(values[kept], task.group_of[kept], task.unit)


def _mean(values: np.ndarray, groups: np.ndarray, unit: Unit) -> float:
    return float(np.average(values, weights=case_weights(groups, unit))) if len(groups) else NAN
