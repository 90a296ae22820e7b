"""Whether a conclusion hangs on what empty masks score."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from segrisk.frames import Frame
from segrisk.report.pairs import Pair
from segrisk.report.results import Alternative, Results, metric_named
from segrisk.report.tasks import Scores, TaskInfo, by_case
from segrisk.scores import ScoreFrame
from segrisk.statistics import GroupTable, Unit, case_weights, group_table, holm
from segrisk.statistics.door import in_unit
from segrisk.statistics.multiple import max_t_of

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
    variants = [
        _variant(results, tasks, scores, alternative)
        for alternative in results.alternatives or _overlap_conventions(results)
    ]
    found = []
    for variant, tests in zip(variants, _tests(results, variants), strict=True):
        adjusted = holm([p_value for _, p_value in tests.values()])
        real = {
            key: difference
            for (key, (difference, _)), p_value in zip(tests.items(), adjusted, strict=True)
            if p_value < results.plan.alpha
        }
        for task, other in variant.moved:
            own = [p for p in pairs if (p.task, p.metric.name) == (task.name, results.plan.primary)]
            means = _means_kept(results, other, variant.scores)
            changes = _changes(results, task, scores, means, own, real)
            kept = int(_kept_of_all(results, other, variant.scores).sum())
            found.append(Sensitivity(task.name, variant.name, means, kept, tuple(changes)))
    return tuple(found)


@dataclass(frozen=True)
class _Variant:
    """The primary metric as a convention has it, NaN where it leaves a case out."""

    name: str
    scores: Scores
    moved: Sequence[tuple[TaskInfo, TaskInfo]]
    """Tasks with a score that changes, and what they are there: what the convention in force leaves
    out is back in them."""


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
    labels = ("", *sorted({*results.scores.text("label").names} - {""}))
    names = empty.text("case").names
    tasks = empty.text("task").names
    held = np.zeros((len(tasks) + 1, len(names) + 1, len(labels) + 1), dtype=bool)
    held[
        empty.text("task").places(tasks),
        empty.text("case").places(names),
        empty.text("label").places(labels),
    ] = True
    own = held[scores.text("task").places(tasks), scores.text("case").places(names)]
    return own[:, 0] | own[np.arange(len(own)), scores.text("label").places(labels)]


def _variant(
    results: Results, tasks: Sequence[TaskInfo], scores: Scores, alternative: Alternative
) -> _Variant:
    changed, moved = {}, []
    for task in tasks:
        of_task = {"task": task.task, "label": task.label, "metric": results.plan.primary}
        others, before = alternative.scores.where(**of_task), results.scores.where(**of_task)
        named = others.text("case").used()
        there = task if set(named) <= set(task.cases) else _with(task, others)
        keys = [(task.name, results.plan.primary, model.name) for model in results.models]
        own = {key: _spread(scores[key], task, there) for key in keys}
        # Only the cases that the convention names can change: the others keep their means.
        where = _places(there.cases, named)
        groups = [there.groups[place] for place in where.tolist()]
        part = replace(there, cases=named, groups=groups, fractions=NO_SIZES)
        new = by_case([part], _replaced(before.among("case", named), others))
        for key in keys:
            changed[key] = own[key].copy()
            if key in new:
                changed[key][where] = new[key]
        if any(not np.array_equal(own[key], changed[key], equal_nan=True) for key in keys):
            moved.append((task, there))
    return _Variant(alternative.name, changed, moved)


def _replaced(before: ScoreFrame, others: ScoreFrame) -> ScoreFrame:
    """The scores with others in place of those of the same mask and model."""
    both = Frame.joined([before, others])
    keys = both.keys("case", "model", "seed")
    _, last = np.unique(keys[::-1], return_index=True)
    return both.take(np.sort(len(keys) - 1 - last))


def _with(task: TaskInfo, others: ScoreFrame) -> TaskInfo:
    """The task with the cases of other scores beside its own."""
    names, groups = others.text("case").values(), others.text("group").values()
    own = dict(zip(task.cases, task.groups, strict=True)) | dict(zip(names, groups, strict=True))
    cases = sorted(own)
    return replace(task, cases=cases, groups=[own[c] for c in cases], fractions=NO_SIZES)


def _spread(values: np.ndarray, task: TaskInfo, there: TaskInfo) -> np.ndarray:
    """Values of a task's cases in the order of another's, NaN of those that it lacks."""
    if there is task:
        return values
    spread = np.full(there.n_cases, NAN)
    spread[_places(there.cases, task.cases)] = values
    return spread


def _places(cases: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Where each of the names stands among the cases."""
    place = dict(zip(cases, range(len(cases)), strict=True))
    return np.array([place[name] for name in names], dtype=int)


def _tests(results: Results, variants: Sequence[_Variant]) -> list[Tests]:
    """Difference and raw p-value of each pair, on the cases that each convention keeps of all.

    Those of as many groups share the sign vectors, which are those that each would draw alone.
    """
    plan = results.plan
    tests: list[Tests] = [{} for _ in variants]
    tables: dict[int, list[tuple[int, str, GroupTable]]] = defaultdict(list)
    for place, variant in enumerate(variants):
        for _, task in variant.moved:
            columns = _columns(results, task, variant.scores)
            kept = _kept_of_all(results, task, variant.scores)
            groups = task.group_of[kept]
            differences = {
                (a, b): columns[a][kept] - columns[b][kept] for a, b in combinations(columns, 2)
            }
            if differences and len(groups):
                table = in_unit(group_table(differences, groups), task.unit)
                tables[table.sums.shape[1]].append((place, task.name, table))
                for pair, values in differences.items():
                    tests[place][task.name, *pair] = _mean(values, groups, task.unit), NAN
    for own in tables.values():
        names = [(place, task, *pair) for place, task, table in own for pair in table.names]
        sums = np.concatenate([table.sums for *_, table in own])
        found = max_t_of(names, sums, resamples=plan.resamples, seed=plan.seed)
        for (place, *key), p_value in found.p.items():
            difference, _ = tests[place][tuple(key)]
            tests[place][tuple(key)] = difference, p_value
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
