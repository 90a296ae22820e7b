"""The group of each case, from a CSV file."""

import csv
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from segrisk.data.errors import DataError, unreadable
from segrisk.names import some

NAMES = ("id", "case", "case_id")
"""What the column of the cases may be called."""


def read_groups(path: Path, ids: Sequence[str], known: Collection[str] | None = None) -> list[str]:
    """The group of each id, from a CSV file with the columns id (or case, case_id) and group.

    Rows of other ids are left out, unless `known` says which there may be. DataError has all that
    is wrong with the file.
    """
    pairs = _pairs(path)
    group_of = dict(pairs)
    rows = Counter(id for id, _ in set(pairs))
    strangers = group_of.keys() - set(known) if known is not None else ()
    wanted = set(ids) if known is None else group_of.keys()
    faulty = {
        "has no row for {}: add the group of each case": [i for i in ids if i not in group_of],
        "has {}, of which there is no file: remove the row, or add image and mask": strangers,
        "has two groups for {}: keep one row": [id for id, count in rows.items() if count > 1],
        "has no group for {}: give its patient, or its own id": {
            id for id, group in pairs if id in wanted and not group
        },
    }
    faults = [
        f"{path}: {text.format(some(sorted(set(who))))}" for text, who in faulty.items() if who
    ]
    if faults:
        raise DataError(faults)
    return [group_of[id] for id in ids]


def _pairs(path: Path) -> list[tuple[str, str]]:
    """Id and group of each row, empty where a cell is."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns, rows = table.fieldnames or [], list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, error, "save it as CSV in UTF-8") from error
    name = next((name for name in NAMES if name in columns), NAMES[0])
    if missing := [column for column in (name, "group") if column not in columns]:
        found = ", ".join(map(str, columns)) or "none"
        text = f"{path}: has no column {' and '.join(missing)} (columns: {found}): add it, or leave"
        raise DataError([f"{text} the file out if every case is a group of its own"])
    return [((row[name] or "").strip(), (row["group"] or "").strip()) for row in rows]
