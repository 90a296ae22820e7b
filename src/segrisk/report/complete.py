"""Whether scores are of the cases that are listed, once for every model, and numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from segrisk.frames import Frame
from segrisk.scores import ScoreFrame


@dataclass(frozen=True)
class CaseInfo:
    """A case with the foreground fraction of its reference, which orders Figure 1.

    Where labels of a task differ in it, there is one for each label; "" stands for all of them.
    Where the fraction is not known (NaN), `occupied` may yet say that there is an object.
    """

    task: str
    case: str
    group: str
    fraction: float
    label: str = ""
    occupied: bool = False


Cases = Frame[CaseInfo]


def no_cases() -> Cases:
    """None at all."""
    return Frame.of(CaseInfo, ())


def check_known(
    scores: ScoreFrame, cases: Cases, models: Iterable[str], metrics: Sequence[str]
) -> None:
    """No score may be of something else, in another group, or not a number."""
    models = set(models)
    group_of, known = _groups(scores, cases), scores.text("group").places(cases.text("group").names)
    faults = [
        group_of < 0,
        scores.text("model").places(sorted(models)) < 0,
        scores.text("metric").places(list(metrics)) < 0,
        group_of != known,
        ~np.isfinite(scores.numbers("value")),
    ]
    wrong = np.logical_or.reduce(faults)
    if not wrong.any():
        return
    first = int(wrong.argmax())
    score, place = scores[first], f"case '{scores[first].case}' of {scores[first].task}"
    unlisted, strange, undeclared, moved, _ = (bool(fault[first]) for fault in faults)
    if unlisted:
        raise ValueError(f"{place} is scored for '{score.model}', but is not listed")
    if strange:
        raise ValueError(f"{place} is scored for '{score.model}', which is no model here")
    if undeclared:
        raise ValueError(f"{place} has a {score.metric}, which the plan does not name")
    if moved:
        raise ValueError(
            f"{place} is of group '{score.group}' for '{score.model}', "
            f"but of '{cases.text('group').names[group_of[first]]}' where the cases are listed"
        )
    raise ValueError(
        f"{place}: the {score.metric} of '{score.model}' is {score.value}; "
        "a missing prediction needs a value, its worst"
    )


def _groups(scores: ScoreFrame, cases: Cases) -> np.ndarray:
    """The group of each score's case (rows,), as a place among the groups' names; −1 of none."""
    tasks, names = cases.text("task").names, cases.text("case").names
    listed = np.full((len(tasks) + 1, len(names) + 1), -1, dtype=np.int32)
    listed[cases.text("task").codes, cases.text("case").codes] = cases.text("group").codes
    # What is not found is −1, the last row and column.
    return listed[scores.text("task").places(tasks), scores.text("case").places(names)]


def check_complete(
    scores: ScoreFrame,
    cases: Cases,
    models: Sequence[tuple[str, str]],
    metrics: Sequence[str],
) -> None:
    """Every model must have been scored once on every case: nothing is dropped in silence.

    `models` are pairs (task, model).
    """
    seeds = np.unique(scores.numbers("seed"))
    tables = []
    for task in dict.fromkeys(task for task, _ in models):
        names = [model for other, model in models if other == task]
        own = scores.where(task=task), cases.where(task=task)
        tables.append(_counted(*own, names, metrics, seeds))
    for table in tables:
        table.refuse_twice()
    for table in tables:
        table.refuse_missing()


@dataclass(frozen=True)
class _Counted:
    """How often each score that one task needs is there."""

    scores: ScoreFrame
    cases: Cases
    labels: tuple[str, ...]
    models: Sequence[str]
    metrics: Sequence[str]
    seeds: np.ndarray
    wanted: tuple[np.ndarray, np.ndarray]
    """Of each place, the row of its case and its label."""
    at: np.ndarray
    """Where each score is counted (scores,); −1 for what nobody asked for."""
    counts: np.ndarray
    """(places, models, metrics, seeds), 2 for more than one."""

    def refuse_twice(self) -> None:
        """ValueError for a score that is there more than once."""
        others = self.scores.take(self.at < 0)
        twice = self.at >= 0
        twice[twice] = self.counts.ravel()[self.at[twice]] > 1
        if twice.any():
            first = self.scores[int(twice.argmax())]
        else:
            keys = others.keys("model", "metric", "seed", "case", "label")
            _, place, counts = np.unique(keys, return_index=True, return_counts=True)
            if not (counts > 1).any():
                return
            first = others[int(place[counts > 1].min())]
        raise ValueError(f"case '{first.case}' of {first.task} is scored twice for '{first.model}'")

    def refuse_missing(self) -> None:
        """ValueError for a score that is not there."""
        if self.counts.all():
            return
        place, model, metric, seed = np.argwhere(self.counts == 0)[0].tolist()
        info, label = self.cases[int(self.wanted[0][place])], self.labels[self.wanted[1][place]]
        of_label = f" of label '{label}'" if len(self.labels) > 1 else ""
        raise ValueError(
            f"case '{info.case}' of {info.task} has no {self.metrics[metric]}{of_label} for "
            f"'{self.models[model]}', seed {self.seeds[seed]}: every model needs every case"
        )


def _counted(
    scores: ScoreFrame,
    cases: Cases,
    models: Sequence[str],
    metrics: Sequence[str],
    seeds: np.ndarray,
) -> _Counted:
    scored = scores.text("label").used()
    labels = tuple(sorted({*scored, *cases.text("label").used()} - {""} | set(scored)))
    own = cases.text("label").places(labels)
    is_for_all = cases.text("label").equals("")
    wanted = own[:, None] == np.arange(len(labels))
    wanted[is_for_all] = np.isin(labels, scored)
    rows, columns = np.nonzero(wanted)
    names = cases.text("case").names
    place_of = np.full((len(names) + 1, len(labels) + 1), -1, dtype=np.int64)
    place_of[cases.text("case").codes[rows], columns] = np.arange(len(rows))
    at = place_of[scores.text("case").places(names), scores.text("label").places(labels)]
    shape = (len(rows), len(models), len(metrics), len(seeds))
    inside = at >= 0
    for size, places in (
        (len(models), scores.text("model").places(models)),
        (len(metrics), scores.text("metric").places(metrics)),
        (len(seeds), np.searchsorted(seeds, scores.numbers("seed"))),
    ):
        at = at * size + places
    at[~inside] = -1
    counts = np.minimum(np.bincount(at[inside], minlength=int(np.prod(shape))), 2)
    counts = counts.astype(np.uint8).reshape(shape)
    return _Counted(scores, cases, labels, models, metrics, seeds, (rows, columns), at, counts)
