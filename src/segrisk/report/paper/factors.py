"""What makes the gain of the metric-sensitive losses larger or smaller from task to task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from segrisk.report.paper.extents import mean_difference
from segrisk.report.paper.rule import Evidence
from segrisk.report.paper.statements import CROSS_ENTROPY, SENSITIVE
from segrisk.report.summary import Summary
from segrisk.report.tasks import TaskInfo
from segrisk.statistics import GroupSums, group_sums, holm, independent_contrast
from segrisk.statistics.equivalence import GROUPS_FOR_EQUIVALENCE


@dataclass(frozen=True)
class Design:
    """A 2 × 2 design of tasks: the gain of the metric-sensitive losses over cross-entropy."""

    factors: Mapping[str, tuple[str, str]]
    """Each factor with its two levels, in the order of the study."""
    gains: tuple[tuple[TaskInfo, Evidence], ...]
    """On each task; Holm over the four."""
    effects: tuple[Evidence, ...]
    """Of the first factor, of the second, and their interaction; Holm over the three."""


def across_tasks(
    summary: Summary,
    pairs: Sequence[tuple[str, str]],
    two: Sequence[tuple[TaskInfo, TaskInfo]],
) -> list[Evidence]:
    """The difference on one task minus that on another, for each two; Holm over all of them."""
    found = [
        _contrast(summary, pairs, {a: 1.0, b: -1.0}, f"{a.name} − {b.name}", len(two))
        for a, b in two
    ]
    return _adjusted(found)


def design(summary: Summary, of_loss: Mapping[str, str]) -> Design | None:
    """The effects of two factors on the gain; None where the tasks are no 2 × 2 design of them.

    With gains g of the tasks at (level of factor 1, level of factor 2) the effect of factor 1 is
    (g₂₁ + g₂₂ − g₁₁ − g₁₂)/2, and the interaction g₂₂ − g₂₁ − g₁₂ + g₁₁. The tasks have their own
    cases, so that the errors of the four means add up.
    """
    placed = summary.results.factors
    names = list(next(iter(placed.values()), ()))
    if not {CROSS_ENTROPY, *SENSITIVE} <= of_loss.keys() or len(names) != 2:
        return None
    levels = {n: tuple(dict.fromkeys(own.get(n, "") for own in placed.values())) for n in names}
    (first, second), one = names, {task.task: task for task in summary.tasks}
    by_levels = {(own[first], own[second]): one.get(task) for task, own in placed.items()}
    cells = [by_levels.get(pair) for pair in product(levels[first], levels[second])]
    if [len(own) for own in levels.values()] != [2, 2]:
        return None
    tasks = [task for task in cells if task is not None and task.n_groups > 1]
    if len(tasks) < 4:
        return None
    pairs = [(of_loss[name], of_loss[CROSS_ENTROPY]) for name in SENSITIVE]
    gains = [_contrast(summary, pairs, {task: 1.0}, task.name, 4) for task in tasks]
    (a, b), (c, d) = levels[first], levels[second]
    effects = [
        _contrast(summary, pairs, dict(zip(tasks, weights, strict=True)), what, 3)
        for what, weights in (
            (f"{first}: {b} − {a}", (-0.5, -0.5, 0.5, 0.5)),
            (f"{second}: {d} − {c}", (-0.5, 0.5, -0.5, 0.5)),
            (f"interaction: ({second}: {d} − {c}) at {b} − at {a}", (1.0, -1.0, -1.0, 1.0)),
        )
    ]
    return Design(
        {first: (a, b), second: (c, d)},
        tuple(zip(tasks, _adjusted(gains), strict=True)),
        tuple(_adjusted(effects)),
    )


def _contrast(
    summary: Summary,
    pairs: Sequence[tuple[str, str]],
    weights: Mapping[TaskInfo, float],
    what: str,
    count: int,
) -> Evidence:
    """Σ w_k m_k of the mean over `pairs` of a − b on task k; p still to be adjusted."""
    plan = summary.results.plan
    tables = [_sums(summary, task, pairs) for task in weights]
    wide, narrow = (
        independent_contrast(tables, list(weights.values()), level=level)
        for level in (1 - plan.alpha, 1 - 2 * plan.alpha)
    )
    is_within = -plan.margin < narrow.low and narrow.high < plan.margin
    return Evidence(
        contrast=what,
        difference=wide.estimate,
        low=wide.low,
        high=wide.high,
        p_adjusted=wide.p,
        family=f"{count} contrast{'s' if count > 1 else ''}",
        equivalent=is_within and wide.fewest_groups >= GROUPS_FOR_EQUIVALENCE,
        margin=plan.margin,
        alpha=plan.alpha,
        n_cases=wide.n_cases,
        n_groups=wide.n_groups,
        speaks_of="these trained models",
    )


def _sums(summary: Summary, task: TaskInfo, pairs: Sequence[tuple[str, str]]) -> GroupSums:
    sums = group_sums(mean_difference(summary, task, pairs), task.groups)
    return sums.group_means() if task.unit == "group_mean" else sums


def _adjusted(found: Sequence[Evidence]) -> list[Evidence]:
    p_values = holm([one.p_adjusted for one in found]).tolist()
    return [replace(one, p_adjusted=p) for one, p in zip(found, p_values, strict=True)]
