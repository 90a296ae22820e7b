"""How far a study is: cells done, running, failed and left, and the time that they will take."""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from segrisk.study.plan import Cell
from segrisk.study.store import Store
from segrisk.training.fit import Epoch, Progress


@dataclass(frozen=True)
class Status:
    """The cells of a study by what has become of them."""

    done: tuple[Cell, ...]
    running: tuple[tuple[Cell, Progress], ...]
    failed: tuple[tuple[Cell, str], ...]
    left: tuple[Cell, ...]

    @property
    def total(self) -> int:
        return len(self.done) + len(self.running) + len(self.failed) + len(self.left)


def status(store: Store, cells: Sequence[Cell]) -> Status:
    """The status of `cells`, read from the store alone: a second terminal may ask."""
    done, running, failed, left = [], [], [], []
    missing = {cell.key for cell in store.missing(cells)}
    for cell in cells:
        if cell.key not in missing:
            done.append(cell)
        elif (failure := store.failure(cell.key)) is not None:
            failed.append((cell, failure))
        elif (progress := read_progress(store, cell)) is not None:
            running.append((cell, progress))
        else:
            left.append(cell)
    return Status(tuple(done), tuple(running), tuple(failed), tuple(left))


def told(progress: Progress) -> dict[str, Any]:
    """A progress as JSON, which has no NaN: epoch 0 trained nothing, so its training loss is None.

    >>> told(Progress(1, 9, 2, 4))
    {'epoch': 1, 'epochs': 9, 'step': 2, 'steps': 4, 'curve': []}
    """
    curve = [
        {name: value if math.isfinite(value) else None for name, value in vars(epoch).items()}
        for epoch in progress.curve
    ]
    return {**vars(progress), "curve": curve}


def read_progress(store: Store, cell: Cell) -> Progress | None:
    """What the worker of a cell last said of it."""
    path = store.partial(cell.key) / "progress.json"
    try:
        return _heard(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _heard(curve: Sequence[dict[str, Any]] = (), **rest: int) -> Progress:
    epochs = (
        Epoch(**{name: math.nan if value is None else value for name, value in epoch.items()})
        for epoch in curve
    )
    return Progress(**rest, curve=tuple(epochs))


def seconds_left(store: Store, current: Status, workers: int) -> float | None:
    """An estimate from the mean duration of finished cells of the same kind; None before any."""
    durations: dict[str, list[float]] = defaultdict(list)
    for cell in current.done:
        path = store.finished(cell.key) / "effort.json"
        if path.exists():
            effort = json.loads(path.read_text(encoding="utf-8"))
            durations[cell.kind].append(effort["seconds"])
    known = {kind: mean(values) for kind, values in durations.items()}
    if not known:
        return None
    # A decision trains nothing: until one has been timed it counts as nothing.
    known = {"decision": 0.0, "start": max(known.values()), "loss": max(known.values()), **known}
    ahead = sum(known[cell.kind] for cell in current.left)
    # A running cell is taken to be half done: when it will stop, its validation loss decides.
    ahead += sum(known[cell.kind] / 2 for cell, _ in current.running)
    return ahead / workers
