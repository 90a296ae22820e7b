"""Studies as the command line runs them: read, prepare, plan, run, report."""

import errno
import sys
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from pathlib import Path

from rich.console import Console

from segrisk.configuration import ConfigurationError, validate
from segrisk.data.prepare import PreparedTask, load_prepared
from segrisk.report.terminal import show_summary
from segrisk.report.write import PAGE, write_report
from segrisk.statistics import no_group_means
from segrisk.study.collect import collect, of_data
from segrisk.study.config import Study
from segrisk.study.engine import Engine, Pool, View, unwritable
from segrisk.study.local import check_device, local_pool
from segrisk.study.looking import views_of
from segrisk.study.mirror import looked_at, opened_at
from segrisk.study.plan import Cell, plan, prepare_tasks, restore
from segrisk.study.predictions import write_predictions
from segrisk.study.reading import load_study
from segrisk.study.resources import Ray, chosen
from segrisk.study.stopping import stoppable
from segrisk.study.store import Store, adopt, export
from segrisk.study.task import Task
from segrisk.study.trackers import tracker
from segrisk.study.tracking import tracked
from segrisk.study.view import LiveView, Views
from segrisk.training.predict import mask_at, probabilities_at

UNWRITABLE = {
    errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.ENOTDIR,
}  # fmt: skip


def run_study(
    file: Path,
    out: Path | str,
    *,
    console: Console,
    engine: str | None = None,
    workers: int | None = None,
    reuse: Path | None = None,
    check: bool = False,
) -> bool:
    """Run what is missing of the study in `file`, and report; False when a training failed.

    `out` is a folder, or a URL of object storage. To `check` is to stop before the first training.
    """
    # A study may name a loss in a module beside it, or in the folder that it is run from.
    sys.path[:0] = [str(file.resolve().parent), str(Path.cwd())]
    study = load_study(file)
    if chosen(study.engine, engine).name == "local":
        check_device(study)
    try:
        with opened_at(out, study.name, partial(console.print, highlight=False)) as store:
            tasks, cells = _prepare(study, store, console)
            if reuse is not None:
                console.print(f"taken over from {reuse}: {adopt(store, reuse, study.name)} cells")
            for name in _of_other_data(store, cells):
                text = "its cases are not those of the last run here, whose report is replaced"
                console.print(f"note: {name}: {text}", highlight=False)
            if check:
                left = len(store.missing(cells))
                console.print(f"sound: {left} of {len(cells)} cells are to run", highlight=False)
                return True
            store.send()
            store.declare(study, cells)
            _train(study, store, cells, console, partial(_pool, study, engine, workers))
            _report(study, store, tasks, cells, console)
            return not any(store.failure(cell.key) for cell in cells)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise unwritable(out, error) from error
        raise


def _of_other_data(store: Store, cells: Sequence[Cell]) -> list[str]:
    """The tasks whose cases are not those that were recorded here last."""
    if not (store.root / "study.json").exists():
        return []
    before = {cell["task"]: cell["data"] for cell in store.read()["cells"]}
    now = {cell.task: cell.data.name for cell in cells}
    return [task for task, data in now.items() if before.get(task, data) != data]


def _pool(study: Study, engine: str | None, workers: int | None) -> Pool:
    """Where the cells run: as the command line says, or else the study."""
    by = chosen(study.engine, engine)
    workers = workers or by.workers
    if isinstance(by, Ray):
        try:
            from segrisk.study.cluster import ray_pool
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"the engine ray needs '{error.name}', which is not installed: "
                "pip install 'segrisk[ray]', or use --engine local"
            ) from error
        return ray_pool(by, study, workers)
    return local_pool(study, workers)


def _prepare(
    study: Study, store: Store, console: Console
) -> tuple[dict[str, PreparedTask], list[Cell]]:
    with console.status("reading and checking the data"):
        tasks = prepare_tasks(study, store.data)
        _check_unit(study, tasks)
        for task in tasks.values():
            store.publish(f"data/{task.folder.name}")
        cells = plan(study, tasks)
    for name, task in tasks.items():
        groups = len({entry.group for entry in task.entries})
        channels = "1 channel" if task.channels == 1 else f"{task.channels} channels"
        console.print(
            f"{name}: {len(task.entries)} cases in {groups} groups, {channels}, "
            f"{_grids(study.tasks[name], task)}{_excluded(study.tasks[name])}",
            highlight=False,
        )
        for note in of_data(name, study.tasks[name], task):
            console.print(f"note: {note}", highlight=False, soft_wrap=True)
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
    study: Study, store: Store, cells: Sequence[Cell], console: Console, started: Callable[[], Pool]
) -> None:
    store.forget_failures()
    for title in store.discard_damaged(cells):
        console.print(f"damaged, run again: {title}", highlight=False)
    for cell in store.discard_stale(cells):
        console.print(f"run again: {cell.title}, which began from other weights", highlight=False)
    todo = store.missing(cells)
    found = f"{len(cells) - len(todo)} of {len(cells)} cells need no training, {len(todo)} do"
    watched = tracker(study.track, study.name, store.root)
    with tracked(watched, store, cells) as tracking:
        if not todo:
            console.print(found, highlight=False)
            return
        pool = started()
        console.print(f"{found}; {pool.capacity} at a time", highlight=False)
        if watched is not None:
            console.print(f"to watch: {watched.where}", highlight=False, soft_wrap=True)
        _run(study, store, cells, pool, tracking, console)


def _run(
    study: Study,
    store: Store,
    cells: Sequence[Cell],
    pool: Pool,
    tracking: View,
    console: Console,
) -> None:
    """Run what is missing; KeyboardInterrupt, once all is saved, where somebody stopped it."""

    def say() -> None:
        console.print("stopping: every training ends its step and saves; Ctrl-C again to stop now")

    with stoppable(say) as stop, LiveView(console, store, cells, pool.capacity) as view:
        Engine(study, store, pool, Views(view, tracking), stop.is_due).run(cells)
    if stop.asked and (left := store.missing(cells)):
        raise KeyboardInterrupt(
            f"stopped: {len(cells) - len(left)} of {len(cells)} cells are done and what was begun "
            "is saved; the same command continues"
        )


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
        store.publish(store.report.name)
    show_summary(summary, console)
    also = f", and in {store.url}/{store.report.name}" if store.url else ""
    where = f"report: {store.report / PAGE}{also}"
    console.print(where, highlight=False, markup=False, soft_wrap=True)


def _recorded(
    out: Path | str, whole: bool = False
) -> tuple[Study, Store, dict[str, PreparedTask], list[Cell]]:
    """A study as its store recorded it: for whoever only looks; `whole`, with weights and data."""
    store = looked_at(out, whole)
    record = store.read()
    study = validate(Study, record["study"], f"{store.place}/study.json")
    cells = restore(record, store.data)
    tasks = {cell.task: load_prepared(cell.data) for cell in cells}
    return study, store, tasks, cells


def report_study(out: Path | str, console: Console, predictions: Path | None = None) -> None:
    """Write the report of the study in `out` again, and print its tables.

    `predictions`, the folder that `predict_study` wrote, gives its page cases to look at.
    """
    _report(*_recorded(out, whole=predictions is not None), console, predictions)


def predict_study(out: Path | str, target: Path, probabilities: bool, console: Console) -> None:
    """Write the held-out masks of the study in `out`, or its probabilities, to `target`."""
    at = probabilities_at if probabilities else mask_at
    write_predictions(*_recorded(out, whole=True), target, at, console)
    what = "probabilities" if probabilities else "masks"
    console.print(f"{what}, references and manifest: {target}", highlight=False, soft_wrap=True)


def export_study(out: Path | str, target: Path, console: Console) -> None:
    """Copy the finished cells of `out` to `target`, without weights and data."""
    count = export(looked_at(out), target)
    console.print(f"{count} finished cells are in {target}", highlight=False)
