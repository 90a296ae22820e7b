"""panoptica's TSV: a row for each subject, a column for each group of labels and metric."""

import math
from dataclasses import dataclass
from pathlib import Path

from segrisk.compare.request import some
from segrisk.compare.rows import Row, read_rows
from segrisk.compare.sizes import Size
from segrisk.compare.table import METRICS, Table

SUBJECT = "subject_name"
VOXELS = "global_bin_volume_{}"
INSTANCES = ("n_{}_instances", "num_{}_instances")
"""What is counted in a reference (ref) and in a prediction (pred); version 1 has the last alone."""
MASKS = ("ref", "pred")


def read_panoptica(table: Table, model: str, path: Path) -> None:
    """Read scores and what is said of references; cells of two empty masks are blank there.

    It counts the voxels of a mask, but not those of its image.
    """
    columns, rows = read_rows(path)
    if SUBJECT not in columns:
        table.fault(path, f"has no column {SUBJECT} (columns: {some(columns)}): is it panoptica's?")
        return
    parts = {column: column.rpartition("-")[::2] for column in columns}
    taken = {c: (group, METRICS[name]) for c, (group, name) in parts.items() if name in METRICS}
    if not taken:
        table.fault(path, "has no metric that is known, such as global_bin_dsc: compute one")
    counts = {name for mask in MASKS for name in _counts(mask)}
    unknown = (c for c, (_, name) in parts.items() if c not in taken and name not in counts)
    table.left_out(model, path, [c for c in unknown if c != SUBJECT])
    groups = dict.fromkeys(group for group, _ in parts.values())
    empty = 0
    for line, row in rows:
        subject = _Subject(table, model, path, line, row)
        bare = {group for group in groups if subject.has_two_empty(group)}
        for column, (group, metric) in taken.items():
            value = table.number(path, line, row[column])
            if group in bare and math.isnan(value):
                empty += metric == "dice"
                value = table.of_two_empty(metric)
            label = _label(group)
            table.add(metric=metric, value=value, model=model, case=row[SUBJECT], label=label)
    table.say_empty(model, path, empty)


def _label(group: str) -> str:
    return "1" if group == "ungrouped" else group


def _counts(mask: str) -> list[str]:
    return [name.format(mask) for name in (VOXELS, *INSTANCES)]


@dataclass(frozen=True)
class _Subject:
    """One row of one model's table."""

    table: Table
    model: str
    path: Path
    line: int
    row: Row

    def has_two_empty(self, group: str) -> bool:
        """Whether both masks of a group are empty; what is said of the reference is kept."""
        sizes = [self.size(group, mask) for mask in MASKS]
        self.table.sizes += [size for size in sizes[:1] if size]
        return all(size and size.is_empty for size in sizes)

    def size(self, group: str, mask: str) -> Size | None:
        """What the first count that is given says of a mask; instances only whether it is empty."""
        key = self.table.task, self.row[SUBJECT], _label(group)
        for name in _counts(mask):
            count = self.count(f"{group}-{name}")
            if count is not None:
                known = not count or name == VOXELS.format(mask)
                counted = Size.counted(self.model, key, count)
                return counted if known else Size(self.model, key, occupied=True)
        return None

    def count(self, column: str) -> int | None:
        text = self.row.get(column, "")
        count = self.table.number(self.path, self.line, text)
        if math.isnan(count):
            return None
        if count < 0 or count != int(count):
            text = f"line {self.line}: {text} can be no number of voxels: correct it"
            self.table.fault(self.path, text)
            return None
        return int(count)
