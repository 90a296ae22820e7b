"""The order of the models on each data set and across them, and how firm it is."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segrisk.report.results import Results, metric_named
from segrisk.report.tasks import Scores, TaskInfo
from segrisk.statistics import Rank, ranking_across


@dataclass(frozen=True)
class Across:
    """The models by the mean of their ranks on several data sets, in the primary metric."""

    label: str
    """What the data sets have in common; "" where each has one label alone."""
    tasks: tuple[str, ...]
    places: tuple[Rank, ...]


def ranks_across(results: Results, tasks: Sequence[TaskInfo], scores: Scores) -> tuple[Across, ...]:
    """The ranking across tasks, label by label; none of one model, or of one task.

    Labels of a task are no data sets of their own: they are of the same patients, whom the ranking
    across data sets takes to be others.
    """
    has_labels = len(tasks) > len({task.task for task in tasks})
    by_label: dict[str, list[TaskInfo]] = defaultdict(list)
    for task in tasks:
        by_label[task.label if has_labels else ""].append(task)
    return tuple(
        Across(
            label,
            tuple(task.task for task in own),
            ranking_across(
                {task.name: columns(results, task, scores) for task in own},
                {task.name: task.group_of for task in own},
                **options(results),
            ),
        )
        for label, own in sorted(by_label.items())
        if len(own) > 1 and len(results.models) > 1
    )


def columns(results: Results, task: TaskInfo, scores: Scores) -> dict[str, np.ndarray]:
    """What the models of a task are ranked by."""
    metric = metric_named(results.plan.primary)
    columns = {model.name: scores[task.name, metric.name, model.name] for model in results.models}
    if metric.better == "zero":
        # No mean is better for its sign; what is far from 0 in a case is worse.
        return {name: abs(column) for name, column in columns.items()}
    return columns


def options(results: Results) -> dict[str, Any]:
    """How they are ranked."""
    plan = results.plan
    return {
        "better": "higher" if metric_named(plan.primary).better == "higher" else "lower",
        "level": 1 - plan.alpha,
        "resamples": plan.resamples,
        "seed": plan.seed,
        "unit": plan.unit,
    }
