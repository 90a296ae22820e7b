"""A run as its tracker sees it: each cell's curve as it is trained, and its scores at its end."""

import csv
import math
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean

from segrisk.scores import read_scores
from segrisk.study.plan import Cell
from segrisk.study.status import read_progress
from segrisk.study.store import CURVE, SCORES, Store
from segrisk.study.trackers import Log, Tracker

REFRESH = 5.0
"""Seconds between two looks at the cells that are running."""


class Tracking:
    """A view that hands on to a tracker what the store says of cells; each finished cell once.

    A tracker that fails is left alone for the rest of the run, with a warning: results never
    depend on it, and the next run hands on what is missing.
    """

    def __init__(self, tracker: Tracker | None, store: Store) -> None:
        self._tracker, self._store = tracker, store
        self._marks = store.root / "tracked" / (tracker.name if tracker else "none")
        self._logs: dict[str, tuple[Log, int]] = {}
        self._looked = -math.inf

    def catch_up(self, cells: Sequence[Cell]) -> None:
        """Hand on what is finished and was not: tracked by another name before, or by none."""
        if self._tracker is None:
            return
        marked = {path.name for path in self._marks.glob("*")}
        for cell in cells:
            if cell.key not in marked and self._store.is_finished(cell.key):
                self.ended(cell, None)

    def update(self, running: Sequence[Cell]) -> None:
        """Hand on the new epochs of running cells."""
        if time.monotonic() - self._looked < REFRESH:
            return
        self._looked = time.monotonic()
        for cell in running:
            progress = read_progress(self._store, cell)
            if progress is not None and progress.curve:
                curve = [vars(epoch) for epoch in progress.curve]
                self._safely(lambda cell=cell, curve=curve: self._follow(cell, curve))

    def ended(self, cell: Cell, failure: str | None) -> None:
        """Hand on the rest of a cell, and what it came to."""
        self._safely(lambda: self._end(cell, failure))

    def discarded(self, cells: Sequence[Cell], why: str) -> None:
        """Cells that are run again are handed on again."""
        for cell in cells:
            (self._marks / cell.key).unlink(missing_ok=True)

    def close(self) -> None:
        """Leave what is still running to the next run, which begins its logs anew."""
        for log, _ in self._logs.values():
            self._safely(lambda log=log: log.end(None))
        self._logs.clear()

    def _follow(self, cell: Cell, curve: Sequence[Mapping[str, float]]) -> None:
        assert self._tracker is not None
        if cell.key not in self._logs:
            self._logs[cell.key] = (self._tracker.begin(cell), 0)
        log, known = self._logs[cell.key]
        for epoch in curve[known:]:
            values = {name: value for name, value in epoch.items() if name != "epoch"}
            finite = {name: value for name, value in values.items() if math.isfinite(value)}
            log.metrics(finite, int(epoch["epoch"]))
        self._logs[cell.key] = (log, max(known, len(curve)))

    def _end(self, cell: Cell, failure: str | None) -> None:
        if failure is not None:
            if cell.key in self._logs:
                self._logs.pop(cell.key)[0].end(None)
            return
        self._follow(cell, self._curve(cell))
        self._logs.pop(cell.key)[0].end(self._summary(cell))
        self._marks.mkdir(parents=True, exist_ok=True)
        (self._marks / cell.key).touch()

    def _curve(self, cell: Cell) -> list[dict[str, float]]:
        """The curve of a finished cell; a decision has none."""
        path = self._store.finished(cell.key) / CURVE
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return [{name: float(x) for name, x in row.items()} for row in csv.DictReader(file)]

    def _summary(self, cell: Cell) -> dict[str, float]:
        """The means over the held-out cases; a start has none."""
        values, path = defaultdict(list), self._store.finished(cell.key) / SCORES
        for score in read_scores(path) if path.exists() else ():
            values[f"held_out_{score.metric}"].append(score.value)
        return {name: fmean(own) for name, own in values.items()}

    def _safely(self, hand_on: Callable[[], None]) -> None:
        if self._tracker is None:
            return
        try:
            hand_on()
        except Exception as error:  # whatever a tracker's own client may raise
            self._tracker = None
            text = f"tracking ends ({type(error).__name__}: {error}); the study goes on"
            warnings.warn(f"{text}, and the next run hands on what is missing", stacklevel=2)


@contextmanager
def tracked(tracker: Tracker | None, store: Store, cells: Sequence[Cell]) -> Iterator[Tracking]:
    """A run's tracking; what is finished already is handed on first."""
    tracking = Tracking(tracker, store)
    try:
        tracking.catch_up(cells)
        yield tracking
    finally:
        tracking.close()
