"""A table of scores while it is read: what it holds, and what is to be said of it."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from segrisk.compare.request import Finding, Request, note, some
from segrisk.compare.sizes import Size
from segrisk.metrics import MEASURES
from segrisk.scores import Score, ScoreFrame, no_scores

METRICS = {
    "dice": "dice", "dsc": "dice", "global_bin_dsc": "dice",
    "jaccard": "jaccard", "iou": "jaccard", "global_bin_iou": "jaccard",
    "nsd": "nsd", "global_bin_nsd": "nsd",
    "hd95": "hd95_mm", "global_bin_hd95": "hd95_mm",
    "assd": "assd_mm", "global_bin_assd": "assd_mm",
}  # fmt: skip
"""What other programs call the metrics, in small letters, and what they are called here."""
ABSENT = ("", "na", "nan", "null", "none")


@dataclass
class Table:
    """Scores as they are read, NaN where a value is missing, and what is to be said of them."""

    request: Request
    task: str
    scores: list[Score] = field(default_factory=list)
    whole: ScoreFrame = field(default_factory=no_scores)
    """What is read as columns."""
    findings: list[Finding] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    size_files: list[Path] = field(default_factory=list)

    def add(self, *, metric: str, value: float, model: str, case: str, **keys: object) -> None:
        """Keep one score, its case a group of its own."""
        defaults = {"task": self.task, "group": case, "label": "1", "fold": 0, "seed": 0}
        row = {**defaults, **keys, "model": model, "case": case}
        self.scores.append(Score(metric=metric, value=value, **row))  # type: ignore[arg-type]

    def of_two_empty(self, metric: str) -> float:
        """What two empty masks have, where a table leaves it open."""
        return 0.0 if MEASURES[metric].better == "lower" else self.request.empty

    def say_empty(self, model: str, path: Path, count: int) -> None:
        if count:
            text = f"{model}: {path.name}: {count} Dice of two empty masks are NaN there"
            self.findings.append(note("nan", f"{text}, taken as {self.request.empty:g}"))

    def fault(self, path: Path, text: str) -> None:
        self.findings.append(Finding("table", f"{path.name}: {text}"))

    def left_out(self, model: str, path: Path, names: list[str]) -> None:
        if names:
            text = f"{model}: {path.name}: leaves out {some(names)}, whose worst value is not known"
            self.findings.append(note("table", text))

    def number(self, path: Path, line: int, text: str) -> float:
        """A value, NaN where the cell says that there is none; a decimal comma is a point."""
        if text.lower() in ABSENT:
            return math.nan
        try:
            return float(text.replace(",", "."))
        except ValueError:
            self.fault(path, f"line {line}: {text!r} is no number: correct it")
            return math.nan
