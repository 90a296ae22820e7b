"""How far a study is: cells done, running, failed and left, and the time that they will take."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean

from segrisk.study.cell import Cell
from segrisk.study.store import Store
from segrisk.training.progress import Progress, heard


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


def read_progress(store: Store, cell: Cell) -> Progress | None:
    """What the worker of a cell last said of it."""
    path = store.partial(cell.key) / "progress.json"
    try:
        return heard(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def seconds_left(store: Store, current: Status, workers: int) -> float | None:
    """An estimate from the mean duration of finished cells of the same kind; None before any."""
    durations: dict[str, list[float]] = defaultdict(list)
    for cell in current.done:
        if (seconds := _seconds(store.finished(cell.key))) is not None:
            durations[cell.kind].append(seconds)
    known = {kind: mean(values) for kind, values in durations.items()}
    if not known:
        return None
    # A decision trains nothing: until one has been timed it counts as nothing.
    known = {"decision": 0.0, "start": max(known.values()), "loss": max(known.values()), **known}
    ahead = sum(known[cell.kind] for cell in current.left)
    # A running cell is taken to be half done: when it will stop, its validation loss decides.
    ahead += sum(known[cell.kind] / 2 for cell, _ in current.running)
    return ahead / workers


@cache
def _seconds(finished: Path) -> float | None:
    """What a finished cell took, read once: a run asks after every cell."""
    path = finished / "effort.json"
    return json.loads(path.read_text(encoding="utf-8"))["seconds"] if path.exists() else None


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(42), duration(150), duration(7320)
    ('42 s', '2 min 30 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
