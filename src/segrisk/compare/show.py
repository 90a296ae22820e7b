"""What is shown on the console: progress, and what `segrisk doctor` found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console
from rich.progress import Progress

from segrisk.compare.asked import Comparison, examine
from segrisk.compare.doctor import Diagnosis, doctor
from segrisk.compare.inspection import Report
from segrisk.compare.request import together
from segrisk.names import printable


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str], Report]]:
    """Bars on a terminal, nothing elsewhere; each follows what it is called."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:

        def follow(what: str) -> Report:
            bar = bars.add_task(what, total=None)
            return lambda done, total: bars.update(bar, completed=done, total=total)

        yield follow


def diagnose(comparison: Comparison, console: Console, each: bool = False) -> bool:
    """Examine what is given and asked, and print what was found; whether it can be compared.

    Faults that are alike are one line, unless `each` is wanted.
    """
    with progress(console) as follow:
        diagnosis = doctor(comparison.request, follow("reading masks"))
    if diagnosis.n_cases:
        asked = examine(comparison, diagnosis.gathered)
        diagnosis = replace(diagnosis, findings=(*diagnosis.findings, *asked))
    show(diagnosis, console, each)
    return not diagnosis.faults


def show(diagnosis: Diagnosis, console: Console, each: bool = False) -> None:
    """Print the faults, the notes, and one line that says whether a comparison can start."""

    def line(text: str) -> None:
        console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    faults, notes = (
        tuple(own) if each else tuple(together(own)) for own in (diagnosis.faults, diagnosis.notes)
    )
    for finding in faults:
        line(f"fault: {finding.text}")
    for finding in notes:
        line(f"note: {finding.text}")
    count = len(diagnosis.faults)
    found = f"{diagnosis.n_cases} cases, models: {', '.join(diagnosis.models) or 'none'}"
    worst = (
        f"{n} of {model} count as the worst" for (_, model), n in diagnosis.gathered.worst.items()
    )
    sound = ", but ".join(["sound", *worst])
    line(f"{count} fault{'s' * (count != 1)} to mend; {found}" if count else f"{sound}; {found}")
    if len(faults) + len(notes) < len(diagnosis.findings):
        line("give --all to see each of those that are alike")
