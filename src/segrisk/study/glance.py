"""A look at a study from any terminal: quick, since nothing that trains is imported for it."""

from pathlib import Path

from rich.console import Console

from segrisk.study.cell import listed
from segrisk.study.mirror import looked_at
from segrisk.study.status import Status, duration, seconds_left, status


def print_status(out: Path | str, console: Console) -> None:
    """Print which cells of the study in `out` are done, running, failed and left."""
    store = looked_at(out)
    record = store.read()
    current = status(store, listed(record))
    begun = "running" if store.is_busy() or not current.running else "interrupted"
    console.print(
        f"[bold]{record['name']}[/bold]: {len(current.done)} of {current.total} cells done, "
        f"{len(current.running)} {begun}, {len(current.failed)} failed, "
        f"{len(current.left)} left",
        highlight=False,
    )
    _print_cells(current, begun, console)
    at_once = max(1, len(current.running))
    if left := seconds_left(store, current, at_once):
        text = f"  about {duration(left)} of training left, {at_once} at a time"
        console.print(text, highlight=False)


def _print_cells(current: Status, begun: str, console: Console) -> None:
    for cell, progress in current.running:
        console.print(
            f"  {begun}  {cell.title}: epoch {progress.epoch} of at most {progress.epochs}, "
            f"step {progress.step} of {progress.steps}",
            highlight=False,
        )
    for cell, failure in current.failed:
        console.print(f"  failed   {cell.title}: {failure}", highlight=False, markup=False)
