"""The cases of each task in one order, and scores as arrays in that order."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan

import numpy as np

from segrisk.report.results import Results
from segrisk.scores import Score
from segrisk.statistics import Unit, case_weights

Scores = Mapping[tuple[str, str, str], np.ndarray]
"""(task, metric, model) to the scores (cases,), averaged over seeds, in the task's order."""


@dataclass(frozen=True)
class TaskInfo:
    """A task's cases in the order of their ids; each label of a task is reported as one of its own.

    `name` is the task's, with the label where there are several.
    """

    name: str
    cases: tuple[str, ...]
    groups: tuple[str, ...]
    fractions: tuple[float, ...]
    task: str
    label: str
    unit: Unit = "case"
    """What its means are over."""
    doubtful: int = 0
    """How many references nobody says to be empty or not."""

    def mean(self, values: np.ndarray) -> float:
        """The mean of `values` (cases,) over the unit: what a table prints.

        >>> task = TaskInfo("t", ("a", "b", "c"), ("p", "p", "q"), (), "t", "1", "group_mean")
        >>> task.mean(np.array([0.25, 0.75, 1.0]))
        0.75
        """
        return float(np.average(values, weights=self.weights))

    @property
    def weights(self) -> np.ndarray:
        """What each case weighs in a mean (cases,)."""
        return case_weights(self.groups, self.unit)

    @property
    def n_cases(self) -> int:
        return len(self.cases)

    @property
    def has_sizes(self) -> bool:
        """Whether the size of every object is known; tables of scores do not say it."""
        return all(map(isfinite, self.fractions))

    @property
    def n_groups(self) -> int:
        return len(set(self.groups))


def task_infos(results: Results) -> tuple[TaskInfo, ...]:
    """The cases of every task and label."""
    return tuple(
        _task_info(results, task, label, f"{task}, {label}" if len(labels) > 1 else task)
        for task, labels in ((task, results.labels(task)) for task in results.tasks)
        for label in labels
    )


def _task_info(results: Results, task: str, label: str, name: str) -> TaskInfo:
    own = [info for info in results.cases if info.task == task and info.label in ("", label)]
    own.sort(key=lambda info: info.case)
    return TaskInfo(
        name,
        tuple(info.case for info in own),
        tuple(info.group for info in own),
        tuple(info.fraction for info in own),
        task,
        label,
        results.plan.unit,
        sum(isnan(info.fraction) and not info.occupied for info in own),
    )


def means(tasks: Sequence[TaskInfo], scores: Scores) -> dict[tuple[str, str, str], float]:
    """The mean over the unit of each (task, metric, model)."""
    named = {task.name: task for task in tasks}
    return {key: named[key[0]].mean(values) for key, values in scores.items()}


def by_case(tasks: Sequence[TaskInfo], scores: Iterable[Score]) -> Scores:
    """The mean over seeds of each case's score."""
    names = {(task.task, task.label): task.name for task in tasks}
    order = {task.name: task.cases for task in tasks}
    collected: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for score in scores:
        name = names[score.task, score.label]
        collected[name, score.metric, score.model][score.case].append(score.value)
    return {
        key: np.array([np.mean(sorted(cases[case])) for case in order[key[0]]])
        for key, cases in collected.items()
    }
