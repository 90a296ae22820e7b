"""The one tidy schema of scores: one row per score, for studies and for comparisons alike."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from segrisk.files import write_lines
from segrisk.frames import CHUNK, Frame, Text, column
from segrisk.parquet import is_parquet, read_frame, write_frame
from segrisk.sheets import csv_cell, csv_lines, restored


@dataclass(frozen=True, slots=True, order=True)
class Score:
    """One metric of one label of one case, as one trained model predicted it.

    `model` names what is compared (in a study, the loss); `group` is the unit that is never split
    and always resampled together (the patient). `fold` and `seed` are 0 where there are none.
    """

    task: str
    model: str
    case: str
    group: str
    label: str
    fold: int
    seed: int
    metric: str
    value: float


ScoreFrame = Frame[Score]
"""Scores as columns: what ten million of them are held as."""

SURROGATES = ("cross_entropy", "soft_dice", "soft_jaccard", "lovasz_sigmoid")
"""Losses whose values on held-out cases a study records, beside the risks below."""

RISKS = {"dice": "1 - dice", "jaccard": "1 - jaccard"}
"""What the surrogates stand for, by metric."""

TYPES = {field.name: field.type for field in fields(Score)}
COLUMNS = tuple(TYPES)


def as_scores(scores: Iterable[Score]) -> ScoreFrame:
    """Scores as columns; what is so already stays."""
    return Frame.of(Score, scores)


def no_scores() -> ScoreFrame:
    """None at all."""
    return as_scores(())


def references(scores: ScoreFrame) -> np.ndarray:
    """Where each (task, case, label) is first scored, in that order."""
    return np.sort(np.unique(scores.keys("task", "case", "label"), return_index=True)[1])


def write_scores(path: Path, scores: Iterable[Score]) -> None:
    """Write scores as CSV, sorted, so that equal scores give equal bytes.

    Values are written with `repr`, the shortest text that reads back as the same float64; text that
    a spreadsheet would take for a formula is neutralised, and `read_scores` gives it back.
    """
    write_lines(path, frame_lines(as_scores(scores).sorted()))


def frame_lines(frame: Frame[Any]) -> Iterator[str]:
    """The lines of `csv_text` of a frame, many at once: each name is neutralised once."""
    yield from csv_lines(list(frame.columns), ())
    cells = {
        name: [csv_cell(text) for text in own.names]
        for name, own in frame.columns.items()
        if isinstance(own, Text)
    }
    for part in frame.chunks():
        columns = (
            map(cells[name].__getitem__, own.codes.tolist())
            if isinstance(own, Text)
            else map(repr, own.tolist())
            for name, own in part.columns.items()
        )
        yield "".join(f"{','.join(row)}\n" for row in zip(*columns, strict=True))


def write_scores_parquet(path: Path, scores: Iterable[Score]) -> bool:
    """Write scores as Parquet, sorted, text as it is; False without pyarrow."""
    return write_frame(path, as_scores(scores).sorted())


def read_scores(path: Path) -> ScoreFrame:
    """Read what `write_scores` or `write_scores_parquet` wrote, by the name of the file.

    Raises ValueError for other columns, and for what is no number where one is expected.
    """
    path = Path(path)
    if is_parquet(path):
        return read_frame(path, Score)
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        header = next(lines, [])
        if tuple(header) != COLUMNS:
            raise ValueError(f"{path}: the columns are {header}; a score table has {list(COLUMNS)}")
        rows, parts = _rows(lines), []
        while chunk := list(islice(rows, CHUNK)):
            parts.append(_part(chunk))
    return Frame.joined(parts or [no_scores()])


def _rows(lines: Any) -> Iterator[list[str]]:
    """The lines of a reader that are not empty; ValueError for one of another length."""
    for line in lines:
        if len(line) == len(COLUMNS):
            yield line
        elif line:
            text = f"line {lines.line_num} has {len(line)} cells for {len(COLUMNS)} columns"
            raise ValueError(text)


def _part(lines: list[list[str]]) -> ScoreFrame:
    made = {}
    for (name, kind), cells in zip(TYPES.items(), zip(*lines, strict=True), strict=True):
        made[name] = column(kind, map(restored, cells) if kind is str else map(kind, cells))
    return Frame(Score, made)
