"""The table of scores that `segrisk decide` writes."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from segrisk.files import write_text


@dataclass(frozen=True)
class ScoredMask:
    """One label of one case."""

    case: str
    label: int
    voxels: int
    """Of the mask that is written."""
    volume: float
    """Σp, in voxels."""
    peak: float
    """max p."""
    expected: float
    """The score that the mask of this label alone is expected to have, for independent voxels."""
    score: float | None
    """The score against the reference; None without one."""
    score_at_half: float | None
    """The same of the mask p > 0.5."""


def write_table(path: Path, rows: Iterable[ScoredMask], metric: str) -> None:
    """Write one line for each label of each case, in the order of the maps."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    columns = ["case", "label", "voxels", "sum_p", "max_p", f"expected_{metric}"]
    table.writerow([*columns, metric, f"{metric}_at_half"])
    for row in rows:
        table.writerow(
            [
                row.case,
                row.label,
                row.voxels,
                f"{row.volume:.6g}",
                f"{row.peak:.6g}",
                f"{row.expected:.6f}",
                *("" if v is None else f"{v:.6f}" for v in (row.score, row.score_at_half)),
            ]
        )
    write_text(path, buffer.getvalue())
