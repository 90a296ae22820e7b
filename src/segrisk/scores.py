"""The one tidy schema of scores: one row per score, for studies and for comparisons alike."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from segrisk.files import write_text


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


SURROGATES = ("cross_entropy", "soft_dice", "soft_jaccard", "lovasz_sigmoid")
"""Losses whose values on held-out cases a study records, beside the risks below."""

RISKS = {"dice": "1 - dice", "jaccard": "1 - jaccard"}
"""What the surrogates stand for, by metric."""

COLUMNS = tuple(field.name for field in fields(Score))


def write_scores(path: Path, scores: Iterable[Score]) -> None:
    """Write scores as CSV, sorted, so that equal scores give equal bytes.

    Values are written with `repr`, the shortest text that reads back as the same float64.
    """
    lines = [",".join(COLUMNS)]
    for score in sorted(scores):
        *keys, value = astuple(score)
        lines.append(",".join([*(_quoted(str(key)) for key in keys), repr(float(value))]))
    write_text(path, "\n".join(lines) + "\n")


def read_scores(path: Path) -> list[Score]:
    """Read what `write_scores` wrote; another header is refused by its name."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ValueError(
                f"{path}: the columns are {rows.fieldnames}; a score table has {list(COLUMNS)}"
            )
        return [
            Score(
                **{
                    **row,
                    "fold": int(row["fold"]),
                    "seed": int(row["seed"]),
                    "value": float(row["value"]),
                }
            )
            for row in rows
        ]


def _quoted(text: str) -> str:
    if any(character in text for character in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text
