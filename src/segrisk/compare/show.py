"""What `segrisk doctor` prints."""

from rich.console import Console

from segrisk.compare.doctor import Diagnosis


def show(diagnosis: Diagnosis, console: Console) -> None:
    """Print the faults, the notes, and one line that says whether a comparison can start."""

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for finding in diagnosis.faults:
        line(f"fault: {finding.text}")
    for finding in diagnosis.notes:
        line(f"note: {finding.text}")
    count = len(diagnosis.faults)
    found = f"{diagnosis.n_cases} cases, models: {', '.join(diagnosis.models) or 'none'}"
    line(f"{count} fault{'s' * (count != 1)} to mend; {found}" if count else f"sound; {found}")
