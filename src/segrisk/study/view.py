"""What a person sees while a study runs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from segrisk.study.engine import View
from segrisk.study.plan import Cell
from segrisk.study.status import duration, read_progress, seconds_left, status
from segrisk.study.store import Store

REFRESH = 2.0
"""Seconds between two looks at the whole store."""


class LiveView:
    """A bar for the study and one for each running cell; plain lines where there is no terminal."""

    def __init__(self, console: Console, store: Store, cells: Sequence[Cell], workers: int) -> None:
        self._console, self._store, self._cells, self._workers = console, store, cells, workers
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._whole = self._bars.add_task("[bold]study", total=len(cells), state="")
        self._own: dict[str, TaskID] = {}
        self._looked = 0.0

    def __enter__(self) -> "LiveView":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def update(self, running: Sequence[Cell]) -> None:
        """Show how far the study and its running cells are."""
        if time.monotonic() - self._looked < REFRESH:
            return
        self._looked = time.monotonic()
        state = self._state()
        self._bars.update(self._whole, completed=state.done, state=state.text)
        keys = {cell.key for cell in running}
        for key in [key for key in self._own if key not in keys]:
            self._bars.remove_task(self._own.pop(key))
        for cell in running:
            self._show(cell)

    def _show(self, cell: Cell) -> None:
        if cell.key not in self._own:
            self._own[cell.key] = self._bars.add_task(cell.title, total=None, state="begins")
        progress = read_progress(self._store, cell)
        if progress is not None:
            self._bars.update(
                self._own[cell.key],
                total=progress.epochs * progress.steps,
                completed=(progress.epoch - 1) * progress.steps + progress.step,
                state=f"epoch {progress.epoch} of at most {progress.epochs}",
            )

    def ended(self, cell: Cell, failure: str | None) -> None:
        """Leave a line for each cell that ended."""
        state = self._state()
        if failure is not None:
            self._console.print(f"[red]failed[/red]  {cell.title}: {failure}", highlight=False)
        elif not self._console.is_terminal:
            self._console.print(f"done  {cell.title}  ({state.text})", highlight=False)

    def discarded(self, cells: Sequence[Cell], why: str) -> None:
        """Leave a line for each finished cell that must be run again."""
        for cell in cells:
            self._console.print(f"run again  {cell.title}: {why}", highlight=False)

    def _state(self) -> "_State":
        current = status(self._store, self._cells)
        left = seconds_left(self._store, current, self._workers)
        text = f"{len(current.done)} of {current.total} cells"
        if current.failed:
            text += f", {len(current.failed)} failed"
        if left is not None and len(current.done) < current.total:
            text += f", about {duration(left)} left"
        return _State(len(current.done), text)


class Views:
    """Several views as one."""

    def __init__(self, *views: View) -> None:
        self._views = views

    def update(self, running: Sequence[Cell]) -> None:
        """Tell all of them what runs."""
        for view in self._views:
            view.update(running)

    def ended(self, cell: Cell, failure: str | None) -> None:
        """Tell all of them of a cell that ended."""
        for view in self._views:
            view.ended(cell, failure)

    def discarded(self, cells: Sequence[Cell], why: str) -> None:
        """Tell all of them of cells that are run again."""
        for view in self._views:
            view.discarded(cells, why)


@dataclass(frozen=True)
class _State:
    done: int
    text: str
