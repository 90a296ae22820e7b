"""What a study's networks make of their held-out cases, as files for anybody."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from segrisk.data.images import is_volume
from segrisk.data.orientation import turned
from segrisk.data.prepare import Entry, PreparedTask
from segrisk.data.readers import mask_files
from segrisk.data.saving import nifti, png
from segrisk.files import write_bytes, write_text
from segrisk.sheets import csv_text
from segrisk.study.config import Study
from segrisk.study.plan import Cell, resolve_device
from segrisk.study.store import Store, StoreError
from segrisk.study.task import Task, task_folder
from segrisk.study.worker import At, Work, held_out

MANIFEST = "manifest.csv"
WHITE, ONE, IGNORED = 255, 1, 128
"""What masks hold: the foreground of pictures and of volumes, and what is ignored in references."""

KEYS = ("task", "case", "group", "fold", "seed", "reference")


def write_predictions(
    study: Study,
    store: Store,
    tasks: dict[str, PreparedTask],
    cells: Sequence[Cell],
    target: Path,
    at: At,
    console: Console,
) -> None:
    """Write what `at` makes of every held-out case and loss, the references, and a manifest.

    `target/TASK/LOSS/CASE.png` (or `.nii.gz`), `target/TASK/labels/CASE.png`, and
    `target/manifest.csv`. All lie on the grid of their case; NIfTI files keep the header of its
    label. Ignored voxels of references are 128. Probabilities become PNG of 16 bits. Several seeds
    have a folder each. StoreError names a loss that is not finished or has no weights.
    """
    losses = [cell for cell in cells if cell.kind == "loss"]
    if lacking := [cell.title for cell in losses if not store.has_weights(cell.key)]:
        raise StoreError(
            f"{store.place}: {len(lacking)} of {len(losses)} trainings have no weights here, first "
            f"{lacking[0]}: run the study in this folder"
        )
    if target.exists() and any(target.iterdir()):
        raise StoreError(f"{target}: is not empty: give --to a new or empty folder")
    sources = {name: _sources(task) for name, task in study.tasks.items()}
    for name, task in tasks.items():
        for index, entry in enumerate(task.entries):
            like = sources[name].get(entry.id)
            path = target / name / "labels" / _name(entry, like)
            _write(path, np.asarray(task.mask(index)), entry, like, task.known(index))
    for cell in track(losses, "predicting", console=console, transient=True):
        for index, values in held_out(_work(study, store, cell), at):
            entry = tasks[cell.task].entries[index]
            like = sources[cell.task].get(entry.id)
            path = target / cell.task / _model(study, cell) / _name(entry, like)
            _write(path, values, entry, like)
    write_text(target / MANIFEST, _manifest(study, tasks, losses, sources))


def _sources(task: Task) -> dict[str, Path]:
    """The label of each case whose header the masks keep; none of pictures and phantoms."""
    if task.folder is None:
        return {}
    return {id: path for id, path in mask_files(task_folder(task)).items() if is_volume(path)}


def _work(study: Study, store: Store, cell: Cell) -> Work:
    return Work(
        # The cell's own weights are what a cell after it would start from.
        cell=replace(cell, start=cell.key),
        task=study.tasks[cell.task],
        root=store.root,
        threads=torch.get_num_threads(),
        precision=study.precision,
        device=resolve_device(study.device),
    )


def _model(study: Study, cell: Cell) -> str:
    """The folder of a training's masks; in the manifest, seeds are rows, not models."""
    assert cell.loss is not None
    return cell.loss.name if len(study.seeds) == 1 else f"{cell.loss.name}/seed{cell.seed}"


def _name(entry: Entry, like: Path | None) -> str:
    is_picture = len(entry.shape) == 2 and like is None
    return entry.id + (".png" if is_picture else ".nii.gz")


def _write(
    path: Path,
    values: np.ndarray,
    entry: Entry,
    like: Path | None,
    known: np.ndarray | None = None,
) -> None:
    """Write values of a prepared case as its files hold them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_picture = values.ndim == 2 and like is None
    if values.dtype == np.bool_:
        values = values * np.uint8(WHITE if is_picture else ONE)
        if known is not None:
            values[~known] = IGNORED
    elif is_picture:
        values = np.rint(values * np.uint16(65535)).astype(np.uint16)
    origin = entry.origin
    if origin is not None and origin.axes is not None and origin.prepared is not None:
        values = turned(values, origin.prepared, origin.axes)
    write_bytes(path, png(values) if is_picture else nifti(values, like))


def _manifest(
    study: Study,
    tasks: dict[str, PreparedTask],
    losses: Iterable[Cell],
    sources: dict[str, dict[str, Path]],
) -> str:
    """A row for each case and seed: its group, its fold, and a file for each loss."""
    rows: dict[tuple[str, int, int], dict[str, str | int]] = {}
    for cell in losses:
        assert cell.loss is not None
        for index in cell.split.test:
            entry = tasks[cell.task].entries[index]
            name = _name(entry, sources[cell.task].get(entry.id))
            row = rows.setdefault(
                (cell.task, cell.seed, index),
                {
                    "task": cell.task,
                    "case": entry.id,
                    "group": entry.group,
                    "fold": cell.fold,
                    "seed": cell.seed,
                    "reference": f"{cell.task}/labels/{name}",
                },
            )
            row[cell.loss.name] = f"{cell.task}/{_model(study, cell)}/{name}"
    columns = (*KEYS, *(loss.name for loss in study.losses))
    return csv_text(columns, ([row[name] for name in columns] for _, row in sorted(rows.items())))
