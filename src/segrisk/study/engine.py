"""The local engine: persistent worker processes that run whatever cells are missing."""

import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Protocol

from segrisk.processes import end, started
from segrisk.study.config import Study
from segrisk.study.plan import Cell, resolve_device
from segrisk.study.store import Store, StoreError
from segrisk.study.worker import Work, enter, run_cell
from segrisk.training.fit import Interrupted

ATTEMPTS = 3
"""How often a cell is tried whose worker dies: killed by hand, or for want of memory."""


class View(Protocol):
    """Where a run is watched."""

    def update(self, running: Sequence[Cell]) -> None: ...
    def ended(self, cell: Cell, failure: str | None) -> None: ...
    def discarded(self, cells: Sequence[Cell], why: str) -> None: ...


@dataclass
class Engine:
    """Runs cells in `workers` processes. A cell starts when the one it begins from is finished."""

    study: Study
    store: Store
    workers: int
    view: View
    is_to_stop: Callable[[], bool] = lambda: False
    cells: Sequence[Cell] = ()
    waiting: list[Cell] = field(default_factory=list)
    running: dict[Future[None], Cell] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)

    def run(self, cells: Sequence[Cell]) -> None:
        """Run what is missing of `cells`; failures are left in the store, the others go on."""
        self.cells, self.waiting = cells, self.store.missing(cells)
        pool = started(self.workers, enter)
        try:
            while self.waiting or self.running:
                if self.is_to_stop():
                    self.store.ask_to_stop()
                    self.waiting.clear()
                if not self._submit(pool):
                    break
                done, _ = wait(self.running, timeout=0.25, return_when=FIRST_COMPLETED)
                if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                    self._recover()
                    pool.shutdown(wait=False, cancel_futures=True)
                    pool = started(self.workers, enter)
                    continue
                for future in done:
                    self._end(self.running.pop(future), future.exception())
                self.view.update(list(self.running.values()))
        finally:
            # What the workers had begun continues from its checkpoint.
            end(pool)

    def _submit(self, pool: ProcessPoolExecutor) -> bool:
        """Give work to idle workers; False when nothing runs and nothing can be started."""
        for cell in [cell for cell in self.waiting if self._is_ready(cell)]:
            if len(self.running) >= self.workers:
                break
            self.waiting.remove(cell)
            self.running[pool.submit(run_cell, self._work(cell))] = cell
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
            compile=self.study.compile,
        )

    def _end(self, cell: Cell, error: BaseException | None) -> None:
        if error is None:
            self.view.ended(cell, None)
            begun = [other for other in self.cells if other.start == cell.key]
            if stale := self.store.discard_stale(begun):
                self.waiting += [other for other in stale if other not in self.waiting]
                self.view.discarded(stale, "its start came out otherwise here")
            return
        if isinstance(error, Interrupted):  # it goes on in the next run
            return
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EROFS, errno.EDQUOT}:
            raise unwritable(self.store, error) from error
        text = f"{type(error).__name__}: {error}"
        self.store.fail(cell.key, text)
        self.view.ended(cell, text)

    def _recover(self) -> None:
        """After a worker died, put its cells back; one that kills its workers has failed."""
        for cell in self.running.values():
            self.attempts[cell.key] = self.attempts.get(cell.key, 0) + 1
            if self.attempts[cell.key] < ATTEMPTS:
                self.waiting.insert(0, cell)
            else:
                text = (
                    f"its worker died {ATTEMPTS} times, killed or out of memory: "
                    "try fewer workers (--workers 1) or a smaller batch_size"
                )
                self.store.fail(cell.key, text)
                self.view.ended(cell, text)
        self.running.clear()


def unwritable(store: Store, error: OSError) -> StoreError:
    """What to tell when the results folder takes no more."""
    reason = (error.strerror or str(error)).lower()
    return StoreError(
        f"{store.root}: cannot be written ({reason}); free space or give --out another folder, "
        "then run the same command: finished cells are kept"
    )


def default_workers(study: Study) -> int:
    """One worker for a GPU, else as many as the processors carry with the study's threads each."""
    if resolve_device(study.device) != "cpu":
        return 1
    return max(1, len(os.sched_getaffinity(0)) // study.threads)
