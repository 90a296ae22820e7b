"""Studies as the command line runs them: read, prepare, plan, run, report."""

import errno
import sys
from collections.abc import Sequence
from math import prod
from pathlib import Path

from rich.console import Console

from segrisk.configuration import ConfigurationError, validate
from segrisk.data.prepare import PreparedTask, load_prepared
from segrisk.report.tables import console_tables
from segrisk.report.write import PAGE, write_report
from segrisk.statistics import no_group_means
from segrisk.study.collect import collect
from segrisk.study.config import Study
from segrisk.study.engine import Engine, default_workers, unwritable
from segrisk.study.looking import views_of
from segrisk.study.plan import Cell, plan, prepare_tasks, restore
from segrisk.study.predictions import write_predictions
from segrisk.study.reading import load_study
from segrisk.study.status import seconds_left, status
from segrisk.study.store import Store, adopt, export, opened
from segrisk.study.task import Task
from segrisk.study.view import LiveView, duration
from segrisk.training.predict import mask_at, probabilities_at


def run_study(
    file: Path,
    out: Path,
    *,
    console: Console,
    workers: int | None = None,
    reuse: Path | None = None,
) -> bool:
    """Run what is missing of the study in `file`, and report; False when a training failed."""
    # A study may name a loss in a module beside it, or in the folder that it is run from.
    sys.path[:0] = [str(file.resolve().parent), str(Path.cwd())]
    study = load_study(file)
    try:
        with opened(out, study.name) as store:
            tasks, cells = _prepare(study, store, console)
            if reuse is not None:
                console.print(f"taken over from {reuse}: {adopt(store, reuse, study.name)} cells")
            store.declare(study, cells)
            _train(study, store, cells, workers or default_workers(study), console)
            _report(study, store, tasks, cells, console)
            return not any(store.failure(cell.key) for cell in cells)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM}:
            raise unwritable(Store(out), error) from error
        raise


def _prepare(
    study: Study, store: Store, console: Console
) -> tuple[dict[str, PreparedTask], list[Cell]]:
    with console.status("reading and checking the data"):
        tasks = prepare_tasks(study, store.data)
        _check_unit(study, tasks)
        cells = plan(study, tasks)
    for name, task in tasks.items():
        groups = len({entry.group for entry in task.entries})
        channels = "1 channel" if task.channels == 1 else f"{task.channels} channels"
        console.print(
            f"{name}: {len(task.entries)} cases in {groups} groups, {channels}, "
            f"{_grids(study.tasks[name], task)}{_excluded(study.tasks[name])}",
            highlight=False,
        )
    return tasks, cells


def _grids(task: Task, prepared: PreparedTask) -> str:
    """At what size a network sees the cases."""
    extremes = (min(prepared.shapes, key=prod), max(prepared.shapes, key=prod))
    own = "at " + " to ".join(dict.fromkeys("×".join(map(str, shape)) for shape in extremes))
    return own + (f", in patches of {'×'.join(map(str, task.patch.size))}" if task.patch else "")


def _check_unit(study: Study, tasks: dict[str, PreparedTask]) -> None:
    """ConfigurationError where means of groups have no groups to be over."""
    groups = [(name, entry.group) for name, task in tasks.items() for entry in task.entries]
    if reason := no_group_means(study.statistics.unit, groups):
        raise ConfigurationError(
            f"'statistics.unit': {reason}: give a task's index.csv the column group, or leave out "
            "the unit"
        )


def _excluded(task: Task) -> str:
    return f"; excluded: {', '.join(task.exclude)}" if task.exclude else ""


def _train(
    study: Study, store: Store, cells: Sequence[Cell], workers: int, console: Console
) -> None:
    store.forget_failures()
    for title in store.discard_damaged(cells):
        console.print(f"damaged, run again: {title}", highlight=False)
    for cell in store.discard_stale(cells):
        console.print(f"run again: {cell.title}, which began from other weights", highlight=False)
    todo = store.missing(cells)
    console.print(
        f"{len(cells) - len(todo)} of {len(cells)} cells need no training, {len(todo)} do; "
        f"{workers} at a time",
        highlight=False,
    )
    if todo:
        with LiveView(console, store, cells, workers) as view:
            Engine(study, store, workers, view).run(cells)


def _report(
    study: Study,
    store: Store,
    tasks: dict[str, PreparedTask],
    cells: Sequence[Cell],
    console: Console,
    predictions: Path | None = None,
) -> None:
    results = collect(study, store, tasks, cells)
    for note in results.notes:
        console.print(f"note: {note}", highlight=False)
    if not results.tasks:
        console.print("no task is complete: there is nothing to report yet")
        return
    views = views_of(study, tasks, results, predictions) if predictions else None
    with console.status("testing and drawing"):
        summary = write_report(results, store.report, views)
    for table in console_tables(summary):
        console.print(table)
    console.print(f"report: {store.report / PAGE}", highlight=False, markup=False, soft_wrap=True)


def _recorded(out: Path) -> tuple[Study, Store, dict[str, PreparedTask], list[Cell]]:
    """A study as its store recorded it: for whoever only looks."""
    store = Store(out)
    record = store.read()
    study = validate(Study, record["study"], str(out / "study.json"))
    cells = restore(record, store.data)
    tasks = {cell.task: load_prepared(cell.data) for cell in cells}
    return study, store, tasks, cells


def report_study(out: Path, console: Console, predictions: Path | None = None) -> None:
    """Write the report of the study in `out` again, and print its tables.

    `predictions`, the folder that `predict_study` wrote, gives its page cases to look at.
    """
    _report(*_recorded(out), console, predictions)


def print_status(out: Path, console: Console) -> None:
    """Print which cells of the study in `out` are done, running, failed and left."""
    study, store, _, cells = _recorded(out)
    current = status(store, cells)
    begun = "running" if store.is_busy() or not current.running else "interrupted"
    console.print(
        f"[bold]{study.name}[/bold]: {len(current.done)} of {current.total} cells done, "
        f"{len(current.running)} {begun}, {len(current.failed)} failed, "
        f"{len(current.left)} left",
        highlight=False,
    )
    for cell, progress in current.running:
        console.print(
            f"  {begun}  {cell.title}: epoch {progress.epoch} of at most {progress.epochs}, "
            f"step {progress.step} of {progress.steps}",
            highlight=False,
        )
    for cell, failure in current.failed:
        console.print(f"  failed   {cell.title}: {failure}", highlight=False, markup=False)
    left = seconds_left(store, current, default_workers(study))
    if left:
        console.print(f"  about {duration(left)} of training left", highlight=False)


def predict_study(out: Path, target: Path, probabilities: bool, console: Console) -> None:
    """Write the held-out masks of the study in `out`, or its probabilities, to `target`."""
    at = probabilities_at if probabilities else mask_at
    write_predictions(*_recorded(out), target, at, console)
    what = "probabilities" if probabilities else "masks"
    console.print(f"{what}, references and manifest: {target}", highlight=False, soft_wrap=True)


def export_study(out: Path, target: Path, console: Console) -> None:
    """Copy the finished cells of `out` to `target`, without weights and data."""
    count = export(Store(out), target)
    console.print(f"{count} finished cells are in {target}", highlight=False)
