"""The cases of each task in one order, and scores as arrays in that order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segrisk.report.results import Results
from segrisk.scores import ScoreFrame
from segrisk.statistics import Unit, case_weights
from segrisk.statistics.groups import group_ranks

Scores = Mapping[tuple[str, str, str], np.ndarray]
"""(task, metric, model) to the scores (cases,), averaged over seeds, in the task's order."""


@dataclass(frozen=True, eq=False)
class TaskInfo:
    """A task's cases in the order of their ids; each label of a task is reported as one of its own.

    `name` is the task's, with the label where there are several.
    """

    name: str
    cases: Sequence[str]
    groups: Sequence[str]
    fractions: np.ndarray
    """(cases,)"""
    task: str
    label: str
    unit: Unit = "case"
    """What its means are over."""
    doubtful: int = 0
    """How many references nobody says to be empty or not."""

    def mean(self, values: np.ndarray) -> float:
        """The mean of `values` (cases,) over the unit: what a table prints.

        >>> task = TaskInfo("t", ("a", "b", "c"), ("p", "p", "q"), None, "t", "1", "group_mean")
        >>> task.mean(np.array([0.25, 0.75, 1.0]))
        0.75
        """
        return float(np.average(values, weights=self.weights))

    @property
    def weights(self) -> np.ndarray:
        """What each case weighs in a mean (cases,)."""
        return case_weights(self.group_of, self.unit)

    @cached_property
    def group_of(self) -> np.ndarray:
        """The place of each case's group among the sorted names (cases,): groups, as numbers."""
        return group_ranks(self.groups)

    @property
    def n_cases(self) -> int:
        return len(self.cases)

    @property
    def has_sizes(self) -> bool:
        """Whether the size of every object is known; tables of scores do not say it."""
        return bool(np.isfinite(self.fractions).all())

    @property
    def n_groups(self) -> int:
        return int(self.group_of.max()) + 1


def task_infos(results: Results) -> tuple[TaskInfo, ...]:
    """The cases of every task and label."""
    return tuple(
        _task_info(results, task, label, f"{task}, {label}" if len(labels) > 1 else task)
        for task, labels in ((task, results.labels(task)) for task in results.tasks)
        for label in labels
    )


def _task_info(results: Results, task: str, label: str, name: str) -> TaskInfo:
    own = results.cases.where(task=task)
    labels = own.text("label")
    own = own.take(labels.equals("") | labels.equals(label))
    own = own.take(np.argsort(own.text("case").codes, kind="stable"))
    return TaskInfo(
        name,
        tuple(own.text("case").values()),
        tuple(own.text("group").values()),
        own.numbers("fraction"),
        task,
        label,
        results.plan.unit,
        int((np.isnan(own.numbers("fraction")) & ~own.numbers("occupied")).sum()),
    )


def means(tasks: Sequence[TaskInfo], scores: Scores) -> dict[tuple[str, str, str], float]:
    """The mean over the unit of each (task, metric, model)."""
    named = {task.name: task for task in tasks}
    return {key: named[key[0]].mean(values) for key, values in scores.items()}


def by_case(tasks: Sequence[TaskInfo], scores: ScoreFrame) -> Scores:
    """The mean over seeds of each case's score."""
    found = {}
    for task in tasks:
        own = scores.where(task=task.task, label=task.label)
        places = own.text("case").places(task.cases)
        values, metrics, models = own.numbers("value"), own.text("metric"), own.text("model")
        for model in models.seen():
            of_model = models.equals(model) & (places >= 0)
            for metric in metrics.seen():
                rows = of_model & metrics.equals(metric)
                if rows.any():
                    found[task.name, metric, model] = _means(
                        places[rows], values[rows], task.n_cases
                    )
    return found


def _means(places: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """The mean of the values of each place (count,), in their sorted order; NaN of none."""
    means, times = np.full(count, np.nan), np.bincount(places, minlength=count)
    order = np.lexsort((values, places)) if times.max() > 1 else np.argsort(places, kind="stable")
    places, values = places[order], values[order]
    for many in np.unique(times[times > 0]).tolist():
        inside = times[places] == many
        means[times == many] = values[inside].reshape(-1, many).mean(axis=1)
    return means
