"""The score against the size of the object, and whether a difference changes with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segrisk.report.pairs import Pair
from segrisk.report.results import Results
from segrisk.report.tasks import Scores, TaskInfo
from segrisk.statistics import (
    SizeCurve,
    SizeSlope,
    SmoothCurve,
    holm,
)
from segrisk.statistics.size import size_curves, smooth_curves
from segrisk.statistics.slope import size_slopes

CASES_FOR_CURVE = 50


@dataclass(frozen=True)
class Trend:
    """How the difference a − b changes with size; `p_adjusted` is Holm's over the task's pairs."""

    a: str
    b: str
    slope: SizeSlope
    p_adjusted: float


@dataclass(frozen=True)
class Curve:
    """The primary metric against the foreground fraction on one task, by model."""

    task: TaskInfo
    binned: Mapping[str, SizeCurve]
    smooth: Mapping[str, SmoothCurve]
    trends: tuple[Trend, ...]


def has_curve(task: TaskInfo) -> bool:
    """Whether all sizes are known, enough cases have an object, and not all of one size."""
    sizes = task.fractions[task.fractions > 0]
    return task.has_sizes and len(sizes) >= CASES_FOR_CURVE and bool((sizes != sizes[0]).any())


def curve(results: Results, task: TaskInfo, scores: Scores, pairs: Sequence[Pair]) -> Curve:
    """Ten bins of equal count, a smooth curve, and the slope of every pair's difference."""
    columns = {
        model.name: scores[task.name, results.plan.primary, model.name] for model in results.models
    }
    level, sizes, groups = 1 - results.plan.alpha, task.fractions, task.group_of
    return Curve(
        task,
        size_curves(sizes, columns, groups, level=level),
        smooth_curves(sizes, columns, groups, level=level),
        _trends(task, columns, pairs, level),
    )


def _trends(
    task: TaskInfo, columns: Mapping[str, np.ndarray], pairs: Sequence[Pair], level: float
) -> tuple[Trend, ...]:
    """The slope of every pair; none where sizes and groups, the same for all, tell no error."""
    differences = [columns[pair.a] - columns[pair.b] for pair in pairs]
    try:
        slopes = size_slopes(differences, task.fractions, task.group_of, level=level)
    except ValueError:
        return ()
    adjusted = holm([slope.p for slope in slopes])
    return tuple(
        Trend(pair.a, pair.b, slope, float(p_value))
        for pair, slope, p_value in zip(pairs, slopes, adjusted, strict=True)
    )
