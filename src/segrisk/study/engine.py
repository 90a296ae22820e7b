"""What all engines share: which cell runs next, and what becomes of one that ended or was lost."""

import errno
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

from segrisk.processes import Killed
from segrisk.study.config import Study
from segrisk.study.plan import Cell, resolve_device
from segrisk.study.store import Store, StoreError
from segrisk.study.worker import Work
from segrisk.training.fit import Interrupted

ATTEMPTS = {"worker": 3, "node": 10}
"""How often a cell is tried whose worker dies, killed by hand or for want of memory, or whose whole
machine goes, for which the cell is rarely to blame."""

HELP = {
    "worker": "killed or out of memory: try fewer workers (--workers 1) or a smaller batch_size",
    "node": "with its whole machine: look there for want of memory, or use machines that stay",
}


class Lost(Exception):
    """In place of a result: what ran the cell is gone, a worker alone or its whole machine."""

    def __init__(self, what: Literal["worker", "node"]) -> None:
        super().__init__(what)
        self.what = what


class Pool(Protocol):
    """Where cells are run: it decides where each one is, and nothing else."""

    @property
    def capacity(self) -> int:
        """How many cells it takes at once, now."""
        ...

    def submit(self, work: Work) -> None:
        """Begin a cell."""
        ...

    def ended(self) -> list[tuple[str, BaseException | None]]:
        """The keys of cells that ended since, each with what it raised; waits a moment for one."""
        ...

    def close(self) -> None:
        """End whatever runs, at once."""
        ...


class View(Protocol):
    """Where a run is watched."""

    def update(self, running: Sequence[Cell]) -> None: ...
    def ended(self, cell: Cell, failure: str | None) -> None: ...
    def discarded(self, cells: Sequence[Cell], why: str) -> None: ...


@dataclass
class Engine:
    """Runs cells in a pool. A cell starts when the one it begins from is finished."""

    study: Study
    store: Store
    pool: Pool
    view: View
    is_to_stop: Callable[[], bool] = lambda: False
    cells: Sequence[Cell] = ()
    waiting: list[Cell] = field(default_factory=list)
    running: dict[str, Cell] = field(default_factory=dict)
    losses: Counter[tuple[str, str]] = field(default_factory=Counter)

    def run(self, cells: Sequence[Cell]) -> None:
        """Run what is missing of `cells`; failures are left in the store, the others go on."""
        self.cells, self.waiting = cells, self.store.missing(cells)
        try:
            while self._submit():
                for key, error in self.pool.ended():
                    self._end(self.running.pop(key), error)
                self.store.attend(list(self.running))
                self.view.update(list(self.running.values()))
        finally:
            # What the workers had begun continues from its checkpoint.
            self.pool.close()

    def _submit(self) -> bool:
        """Give the pool what it takes; False when nothing runs and nothing can be started."""
        if self.is_to_stop():
            self.store.ask_to_stop()
            self.waiting.clear()
        free = max(0, self.pool.capacity - len(self.running))
        ready = (cell for cell in self.waiting if self._is_ready(cell))
        for cell in list(islice(ready, free)):
            self.waiting.remove(cell)
            self.running[cell.key] = cell
            self.pool.submit(self._work(cell))
        return bool(self.running)

    def _is_ready(self, cell: Cell) -> bool:
        return cell.start is None or self.store.has_weights(cell.start)

    def _work(self, cell: Cell) -> Work:
        return Work(
            cell=cell,
            task=self.study.tasks[cell.task],
            root=self.store.root,
            threads=self.study.threads,
            precision=self.study.precision,
            device=resolve_device(self.study.device),
            devices=self.study.devices,
            compile=self.study.compile,
            remote=self.store.url,
        )

    def _end(self, cell: Cell, error: BaseException | None) -> None:
        if isinstance(error, Interrupted):  # it goes on in the next run
            return
        if isinstance(error, Killed):  # one of its processes
            error = Lost("worker")
        if isinstance(error, Lost):
            self._lose(cell, error)
        elif error is not None:
            if isinstance(error, OSError) and error.errno in FULL:
                raise unwritable(self.store.root, error) from error
            self._fail(cell, f"{type(error).__name__}: {error}")
        elif not self.store.fetch(cell.key):
            # Its upload was damaged on the way: as if its worker had died before the end.
            self._lose(cell, Lost("worker"))
        else:
            self.view.ended(cell, None)
            begun = [other for other in self.cells if other.start == cell.key]
            if stale := self.store.discard_stale(begun):
                self.waiting += [other for other in stale if other not in self.waiting]
                self.view.discarded(stale, "its start came out otherwise here")

    def _lose(self, cell: Cell, lost: Lost) -> None:
        """Put a cell back whose worker is gone; one that loses too many of them has failed."""
        self.losses[cell.key, lost.what] += 1
        if self.losses[cell.key, lost.what] < ATTEMPTS[lost.what]:
            self.waiting.insert(0, cell)
        else:
            self._fail(cell, f"its worker died {ATTEMPTS[lost.what]} times, {HELP[lost.what]}")

    def _fail(self, cell: Cell, text: str) -> None:
        self.store.fail(cell.key, text)
        self.view.ended(cell, text)


FULL = {errno.ENOSPC, errno.EROFS, errno.EDQUOT}
"""What a file system says that takes no more."""


def unwritable(out: Path | str, error: OSError) -> StoreError:
    """What to tell when the results folder takes no more."""
    reason = (error.strerror or str(error)).lower()
    return StoreError(
        f"{out}: cannot be written ({reason}); free space or give --out another folder, "
        "then run the same command: finished cells are kept"
    )
