"""What `segrisk doctor` prints."""

from rich.console import Console
from rich.progress import Progress

from segrisk.compare.doctor import Diagnosis, doctor
from segrisk.compare.request import Request
from segrisk.names import printable


def diagnose(request: Request, console: Console) -> bool:
    """Examine a request and print what was found; whether a comparison can start."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("reading masks", total=None)
        diagnosis = doctor(request, lambda done, of: bars.update(bar, completed=done, total=of))
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
