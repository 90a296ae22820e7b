"""What is shown on the console: progress, and what `segrisk doctor` found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

from segrisk.compare.doctor import Diagnosis, doctor
from segrisk.compare.inspection import Report
from segrisk.compare.request import Request
from segrisk.names import printable


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str], Report]]:
    """Bars on a terminal, nothing elsewhere; each follows what it is called."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:

        def follow(what: str) -> Report:
            bar = bars.add_task(what, total=None)
            return lambda done, total: bars.update(bar, completed=done, total=total)

        yield follow


def diagnose(request: Request, console: Console) -> bool:
    """Examine a request and print what was found; whether a comparison can start."""
    with progress(console) as follow:
        diagnosis = doctor(request, follow("reading masks"))
    show(diagnosis, console)
    return not diagnosis.faults


def show(diagnosis: Diagnosis, console: Console) -> None:
    """Print the faults, the notes, and one line that says whether a comparison can start."""

    def line(text: str) -> None:
        console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    for finding in diagnosis.faults:
        line(f"fault: {finding.text}")
    for finding in diagnosis.notes:
        line(f"note: {finding.text}")
    count = len(diagnosis.faults)
    found = f"{diagnosis.n_cases} cases, models: {', '.join(diagnosis.models) or 'none'}"
    line(f"{count} fault{'s' * (count != 1)} to mend; {found}" if count else f"sound; {found}")
