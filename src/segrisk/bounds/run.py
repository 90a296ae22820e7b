"""The body of `segrisk bounds`."""

from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from segrisk.bounds.guarantees import find
from segrisk.bounds.masks import read_sizes
from segrisk.bounds.show import print_findings, write_findings
from segrisk.data.errors import DataError
from segrisk.data.readers import Folder


def bound_masks(
    path: Path,
    console: Console,
    *,
    foreground: str | None = None,
    threshold: float | None = None,
    workers: int | None = None,
    out: Path | None = None,
) -> None:
    """Read the masks of a folder, print what similarities guarantee on them, write it to `out`."""
    try:
        folder = Folder(path, _labels(foreground), threshold)
    except ValueError as error:
        raise DataError([str(error)]) from error
    sizes = read_sizes(folder, workers=workers, console=console)
    with console.status("bounding…") if console.is_terminal else nullcontext():
        findings = find(sizes)
    print_findings(findings, console)
    if out is not None:
        files = write_findings(findings, out)
        console.print(f"\nwritten: {', '.join(map(str, files))}", highlight=False, soft_wrap=True)


def _labels(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise DataError(
            [f"--foreground {text!r} is not a list of labels: write it as in --foreground 1,2,4"]
        ) from None
