"""The cases of each task in one order, and scores as arrays in that order."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segrisk.report.results import Results
from segrisk.scores import Score

Scores = Mapping[tuple[str, str, str], np.ndarray]
"""(task, metric, model) to the scores (cases,), averaged over seeds, in the task's order."""


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


def task_info(results: Results, name: str) -> TaskInfo:
    """The cases of the task `name`."""
    cases = sorted((info for info in results.cases if info.task == name), key=lambda i: i.case)
    return TaskInfo(
        name,
        tuple(info.case for info in cases),
        tuple(info.group for info in cases),
        tuple(info.fraction for info in cases),
    )


def by_case(tasks: Sequence[TaskInfo], scores: Iterable[Score]) -> Scores:
    """The mean over seeds of each case's score."""
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
