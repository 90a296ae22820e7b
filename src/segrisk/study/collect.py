"""From a store to the results that a report shows."""

import json
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from math import prod
from typing import Any

import numpy as np

from segrisk import __version__
from segrisk.data.prepare import PreparedTask
from segrisk.files import digest
from segrisk.frames import Frame
from segrisk.names import some
from segrisk.report.results import Arm, CaseInfo, Effort, Model, Results, StatisticsPlan
from segrisk.scores import ScoreFrame, no_scores, read_scores
from segrisk.study.config import Study, statistics_digest
from segrisk.study.plan import Cell
from segrisk.study.store import Store
from segrisk.study.task import Task


def collect(
    study: Study, store: Store, tasks: dict[str, PreparedTask], cells: Sequence[Cell]
) -> Results:
    """The results of every task that is complete; the others are named in the notes."""
    losses = [cell for cell in cells if cell.kind == "loss"]
    unfinished = [cell for cell in losses if not store.is_finished(cell.key)]
    incomplete = {cell.task for cell in unfinished}
    complete = [name for name in study.tasks if name not in incomplete]
    done = [cell for cell in losses if cell.task not in incomplete]
    arms, decided, undecided = _arms(store, cells, complete)
    own = {name: study.tasks[name] for name in complete}
    declared = store.read()["declared_statistics"]
    efforts = tuple(_effort(store, cell) for cell in done)

    def named(cells: Sequence[Cell], name: str) -> ScoreFrame:
        return _scores(store, cells, name).among("metric", study.statistics.metrics)

    return Results(
        name=study.name,
        tasks=tuple(complete),
        models=tuple(
            Model(loss.name, loss.label, loss.family, "" if loss.parameters else loss.loss)
            for loss in study.losses
        ),
        cases=Frame.of(
            CaseInfo,
            (
                CaseInfo(name, entry.id, entry.group, entry.fraction)
                for name in complete
                for entry in tasks[name].entries
            ),
        ),
        scores=named(done, "scores.csv"),
        scores_by_dice=named(done, "scores_by_validation_dice.csv"),
        plan=StatisticsPlan(**study.statistics.model_dump()),
        post_hoc=declared != statistics_digest(study),
        efforts=efforts,
        surrogates=_scores(store, done, "surrogates.csv"),
        arms=arms,
        arm_scores=named(decided, "scores.csv"),
        notes=(
            *(_note(name, unfinished) for name in study.tasks if name in incomplete),
            *(
                f"{name}: the study excludes {len(task.exclude)} "
                f"{'case' if len(task.exclude) == 1 else 'cases'}: {', '.join(task.exclude)}"
                for name, task in study.tasks.items()
                if task.exclude
            ),
            *(n for name in study.tasks for n in of_data(name, study.tasks[name], tasks[name])),
            *_unended(efforts),
            *(
                f"{name} is left out: not every fold and seed of it is finished"
                for name in undecided
            ),
        ),
        provenance=_provenance(study, tasks, cells, declared),
        stands_for={name: task.stands_for for name, task in own.items() if task.stands_for},
        factors={name: task.factors for name, task in own.items() if task.factors},
    )


def _arms(
    store: Store, cells: Sequence[Cell], complete: Sequence[str]
) -> tuple[tuple[Arm, ...], list[Cell], list[str]]:
    """The arms of complete tasks whose cells are all finished, these cells, and the other arms."""
    own: dict[Arm, list[Cell]] = {}
    for cell in cells:
        if cell.loss is not None and cell.decision is not None and cell.task in complete:
            label = cell.decision.build().name
            arm = Arm(cell.task, cell.loss.name, cell.decision.name, label)
            own.setdefault(arm, []).append(cell)
    done = {a: c for a, c in own.items() if all(store.is_finished(cell.key) for cell in c)}
    undecided = [f"{arm.name} on {arm.task}" for arm in own if arm not in done]
    return tuple(done), [cell for cells in done.values() for cell in cells], undecided


def _scores(store: Store, cells: Sequence[Cell], name: str) -> ScoreFrame:
    """The scores in the file `name` of cells that have one: those of old versions lack some."""
    found = [no_scores()]
    for cell in cells:
        path = store.finished(cell.key) / name
        if path.exists():
            # A cell's key says what was computed, not how this study names it.
            own = read_scores(path).replaced(task=cell.task, model=cell.model, fold=cell.fold)
            found.append(own)
    return Frame.joined(found)


def _effort(store: Store, cell: Cell) -> Effort:
    assert cell.loss is not None
    path = store.finished(cell.key) / "effort.json"
    effort = json.loads(path.read_text(encoding="utf-8"))
    return Effort(task=cell.task, model=cell.loss.name, fold=cell.fold, seed=cell.seed, **effort)


def _note(task: str, unfinished: Sequence[Cell]) -> str:
    count = sum(cell.task == task for cell in unfinished)
    return f"{task} is left out: {count} of its trainings are not finished"


def _unended(efforts: Sequence[Effort]) -> Iterator[str]:
    """Trainings that were cut off while they still became better."""
    for task in dict.fromkeys(effort.task for effort in efforts):
        own = [effort for effort in efforts if effort.task == task]
        if cut := sum(effort.best_step_by_loss == effort.steps for effort in own):
            yield (
                f"{task}: {cut} of {len(own)} trainings were best in their last epoch: more epochs "
                "(max_epochs) may change who wins"
            )


def of_data(name: str, given: Task, task: PreparedTask) -> Iterator[str]:
    """What is to be known of cases and labels before scores of them are believed."""
    if given.folder and all(entry.group == entry.id for entry in task.entries):
        yield (
            f"{name}: every case is a group of its own: if a patient has several, say which in "
            "index.csv (id, group), or folds share patients and tests find too much"
        )
    fractions = np.array([entry.fraction for entry in task.entries])
    if np.median(fractions) < 0.25 and (full := np.flatnonzero(fractions > 0.75)).size:
        ids = some(task.entries[index].id for index in full)
        yield f"{name}: {ids}: more than three quarters is foreground: is the mask inverted?"
    ignored = [entry.ignored for entry in task.entries if entry.ignored]
    if ignored:
        share = sum(ignored) / sum(prod(entry.shape) for entry in task.entries)
        yield (
            f"{name}: {len(ignored)} of {len(task.entries)} cases have voxels whose label is "
            f"ignored, {share:.1%} of all voxels: they count in no loss and in no score"
        )
    if task.soft:
        yield f"{name}: trained on the share of raters, scored against what most of them marked"


def _provenance(
    study: Study, tasks: dict[str, PreparedTask], cells: Sequence[Cell], declared: str
) -> dict[str, Any]:
    packages = ("torch", "monai", "lightning-fabric", "numpy", "scipy", "altair")
    return {
        "study": study.name,
        "segrisk": __version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "machine": platform.machine(),
        "system": platform.system(),
        "seeds": list(study.seeds),
        "fold_seed": study.fold_seed,
        "threads_per_cell": study.threads,
        "data": {name: task.key for name, task in tasks.items()},
        "folds": {
            name: digest([[cell.fold, cell.split.test] for cell in cells if cell.task == name])
            for name in tasks
        },
        "configuration": digest(
            # Where the data lay, what ran the cells and who watched changes no result.
            study.model_dump(
                mode="json",
                exclude={"tasks": {"__all__": {"folder"}}, "engine": True, "track": True},
            )
        ),
        "statistics": {"declared": declared, "used": statistics_digest(study)},
        "cells": len(cells),
    }
