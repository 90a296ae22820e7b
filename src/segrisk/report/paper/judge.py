"""Every claim of the paper, judged from what a study's tests say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from segrisk.losses import PAPER
from segrisk.report.paper.evidence import of_pair
from segrisk.report.paper.extents import mean_difference, of_bins, of_larger_half, slope_words
from segrisk.report.paper.factors import Design, across_tasks, design
from segrisk.report.paper.rule import Evidence, Verdict, judge, judge_order, together
from segrisk.report.paper.statements import STATEMENTS, WHERE, Statement
from segrisk.report.seeds import SeedClaim, seed_claims
from segrisk.report.summary import Summary
from segrisk.report.tasks import TaskInfo
from segrisk.report.verdict import listed

BALANCED = (0.25, 0.75)
"""Between which shares of foreground, on average, a task counts as balanced."""

UNIFORM = 0.25
"""The largest standard deviation of log size at which objects count as of one size."""


FEWEST = 20
"""Groups that the ten bins of size need: two each."""


@dataclass(frozen=True)
class Judgement:
    """A claim on one task, or on all: what came, part by part, and what follows."""

    statement: Statement
    task: str
    verdict: Verdict
    parts: tuple[Evidence, ...]
    verdicts: tuple[Verdict, ...]
    """Of each part."""
    note: str = ""
    """What else must be said of it."""


@dataclass(frozen=True)
class LeftOut:
    """A claim that a task cannot be asked about."""

    statement: Statement
    task: str
    why: str


@dataclass(frozen=True)
class Claims:
    """All claims on all tasks; `design` where the tasks are a 2 × 2 design."""

    judged: tuple[Judgement, ...]
    left_out: tuple[LeftOut, ...]
    design: Design | None


Answer = tuple[Sequence[Evidence], Sequence[Verdict], str] | str
"""The parts of a claim with their verdicts and a note, or why there are none."""


def judge_claims(summary: Summary) -> Claims | None:
    """Judge every claim; None where nothing can be judged, as for models that are no losses.

    Losses are found by what they are, `Model.loss`, whatever they are called and in any order.
    """
    of_loss = {model.loss: model.name for model in reversed(summary.models) if model.loss in PAPER}
    if not summary.primary.sign:
        return None
    claims = _seed_claims(summary)
    judged: list[Judgement] = []
    left_out: list[LeftOut] = []
    for statement in STATEMENTS:
        names = ["all tasks"] if statement.asked == "tasks" else [t.name for t in summary.tasks]
        tasks = {task.name: task for task in summary.tasks}
        for name in names:
            answer = _ask(summary, statement, of_loss, tasks.get(name), claims)
            if isinstance(answer, str):
                left_out.append(LeftOut(statement, name, answer))
                continue
            parts, verdicts, note = answer
            verdict = together(statement.over, verdicts)
            judged.append(Judgement(statement, name, verdict, tuple(parts), tuple(verdicts), note))
    if not judged:
        return None
    return Claims(tuple(judged), tuple(left_out), design(summary, of_loss))


def _seed_claims(summary: Summary) -> dict[str, tuple[SeedClaim, ...]]:
    """By metric, the claims over trainings; empty with one seed."""
    results = summary.results
    return {
        metric.name: summary.seed_claims
        if metric == summary.primary or not summary.seed_claims
        else seed_claims(results, summary.tasks, metric.name)
        for metric in summary.metrics
    }


def _ask(
    summary: Summary,
    statement: Statement,
    of_loss: Mapping[str, str],
    task: TaskInfo | None,
    claims: Mapping[str, Sequence[SeedClaim]],
) -> Answer:
    missing = [name for name in PAPER if name in statement.losses - of_loss.keys()]
    if missing:
        return f"the study does not train {' and '.join(missing)}"
    pairs = [(of_loss[a], of_loss[b]) for a, b in statement.pairs]
    if task is None:
        return _tasks(summary, statement, pairs)
    if outside := _outside(summary, statement, task):
        return outside
    if statement.asked in ("bins", "larger half"):
        return _sizes(summary, statement, task, pairs)
    ask: Callable[..., Answer] = _order if statement.asked == "order" else _means
    return ask(summary, statement, task, pairs, claims)


def _outside(summary: Summary, statement: Statement, task: TaskInfo) -> str:
    """Why a claim on some tasks alone is not asked here; "" where it is."""
    if statement.where == "everywhere":
        return ""
    if not task.has_sizes:
        return "the size of the objects is not known"
    if statement.where in ("balanced", "unbalanced"):
        share = float(np.mean(task.fractions))
        stands = summary.results.stands_for.get(task.task)
        is_balanced = BALANCED[0] <= share <= BALANCED[1] or stands == "MO17"
        is_inside = is_balanced == (statement.where == "balanced")
        found = f"the foreground covers {100 * share:.2g} % of the mean image"
    else:
        logs = np.log([fraction for fraction in task.fractions if fraction > 0])
        spread = float(np.std(logs)) if len(logs) else np.inf
        is_inside = spread <= UNIFORM
        found = f"the standard deviation of log size is {spread:.2g}"
    return "" if is_inside else f"{found}: asked of {WHERE[statement.where]}"


def _means(
    summary: Summary,
    statement: Statement,
    task: TaskInfo,
    pairs: Sequence[tuple[str, str]],
    claims: Mapping[str, Sequence[SeedClaim]],
) -> Answer:
    metric = summary.primary.name
    parts = [of_pair(summary, task, metric, a, b, claims[metric]) for a, b in pairs]
    return parts, [judge(statement.expected, part) for part in parts], ""


def _order(
    summary: Summary,
    _: Statement,
    task: TaskInfo,
    pairs: Sequence[tuple[str, str]],
    claims: Mapping[str, Sequence[SeedClaim]],
) -> Answer:
    if not {"dice", "jaccard"} <= {metric.name for metric in summary.metrics}:
        return "it needs Dice and Jaccard among the metrics"
    both = [
        [of_pair(summary, task, metric, a, b, claims[metric]) for metric in ("dice", "jaccard")]
        for a, b in pairs
    ]
    turned = [
        f"{dice.contrast} ({dice.difference:+.4f} in Dice, {jaccard.difference:+.4f} in Jaccard)"
        for dice, jaccard in both
        if dice.difference * jaccard.difference < 0
    ]
    note = (
        f"the means themselves swap {'; '.join(turned).replace('-', '−')}"
        if turned
        else "the means themselves rank alike"
    )
    verdicts = [judge_order(dice, jaccard) for dice, jaccard in both]
    return [part for two in both for part in two], verdicts, note


def _sizes(
    summary: Summary, statement: Statement, task: TaskInfo, pairs: Sequence[tuple[str, str]]
) -> Answer:
    if task.name not in {curve.task.name for curve in summary.curves}:
        return "fewer than 50 objects of known size, or all of one"
    if task.n_groups < FEWEST:
        return f"{task.n_groups} groups are too few to be divided by size"
    difference = mean_difference(summary, task, pairs)
    parts = (
        of_bins(summary, task, difference)
        if statement.asked == "bins"
        else [of_larger_half(summary, task, difference)]
    )
    verdicts = [judge(statement.expected, part) for part in parts]
    names = list(dict.fromkeys(summary.labels[a] for a, _ in pairs))
    mean = f"the mean of {listed(names)}" if len(names) > 1 else names[0]
    slope = slope_words(summary, task, difference)
    return parts, verdicts, f"{mean} − {summary.labels[pairs[0][1]]} changes by {slope}"


def _tasks(summary: Summary, statement: Statement, pairs: Sequence[tuple[str, str]]) -> Answer:
    if len({task.task for task in summary.tasks}) < 2:
        return "it needs two tasks, and this study has one"
    two = [
        (a, b)
        for a, b in combinations(summary.tasks, 2)
        if a.task != b.task and min(a.n_groups, b.n_groups) > 1
    ]
    if not two:
        return "no two tasks have two groups each"
    parts = across_tasks(summary, pairs, two)
    return parts, [judge(statement.expected, part) for part in parts], ""
