"""From a store to the results that a report shows."""

import json
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from segrisk import __version__
from segrisk.data.prepare import PreparedTask
from segrisk.files import digest
from segrisk.report.results import CaseInfo, Effort, Model, Results, StatisticsPlan
from segrisk.scores import Score, read_scores
from segrisk.study.config import Study, statistics_digest
from segrisk.study.plan import Cell
from segrisk.study.store import Store


def collect(
    study: Study, store: Store, tasks: dict[str, PreparedTask], cells: Sequence[Cell]
) -> Results:
    """The results of every task that is complete; the others are named in the notes."""
    arms = [cell for cell in cells if cell.loss is not None]
    unfinished = [cell for cell in arms if not store.is_done(cell)]
    incomplete = {cell.task for cell in unfinished}
    complete = [name for name in study.tasks if name not in incomplete]
    done = [cell for cell in arms if cell.task not in incomplete]
    declared = store.read()["declared_statistics"]
    return Results(
        name=study.name,
        tasks=tuple(complete),
        models=tuple(Model(loss.name, loss.label, loss.family) for loss in study.losses),
        cases=tuple(
            CaseInfo(name, entry.id, entry.group, entry.fraction)
            for name in complete
            for entry in tasks[name].entries
        ),
        scores=_scores(study, store, done, "scores.csv"),
        scores_by_dice=_scores(study, store, done, "scores_by_validation_dice.csv"),
        plan=StatisticsPlan(**study.statistics.model_dump()),
        post_hoc=declared != statistics_digest(study),
        efforts=tuple(_effort(store, cell) for cell in done),
        notes=tuple(_note(name, unfinished) for name in study.tasks if name in incomplete),
        provenance=_provenance(study, tasks, cells, declared),
    )


def _scores(study: Study, store: Store, cells: Sequence[Cell], name: str) -> tuple[Score, ...]:
    # A cell's key says what was computed, not how this study names it: the names are set here.
    return tuple(
        replace(score, task=cell.task, model=cell.loss.name, fold=cell.fold)
        for cell in cells
        if cell.loss is not None
        for score in read_scores(store.finished(cell.key) / name)
        if score.metric in study.statistics.metrics
    )


def _effort(store: Store, cell: Cell) -> Effort:
    assert cell.loss is not None
    path = store.finished(cell.key) / "effort.json"
    effort = json.loads(path.read_text(encoding="utf-8"))
    return Effort(task=cell.task, model=cell.loss.name, fold=cell.fold, seed=cell.seed, **effort)


def _note(task: str, unfinished: Sequence[Cell]) -> str:
    count = sum(cell.task == task for cell in unfinished)
    return f"{task} is left out: {count} of its trainings are not finished"


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
            study.model_dump(mode="json", exclude={"tasks": {"__all__": {"folder"}}})
        ),
        "statistics": {"declared": declared, "used": statistics_digest(study)},
        "cells": len(cells),
    }
