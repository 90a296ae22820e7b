"""The group of each case, from a CSV file."""

import csv
from collections.abc import Sequence
from pathlib import Path

from segrisk.data.errors import DataError, unreadable

NAMES = ("id", "case", "case_id")
"""What the column of the cases may be called."""


def read_groups(path: Path, ids: Sequence[str]) -> list[str]:
    """The group of each id, from a CSV file with the columns id (or case, case_id) and group."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns, rows = table.fieldnames or [], list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, error, "save it as CSV in UTF-8") from error
    name = next((name for name in NAMES if name in columns), None)
    missing = [column for column in (name or "id", "group") if column not in columns]
    if missing:
        raise DataError([f"{path}: has no column {' and '.join(missing)}: add it"])
    group_of: dict[str, str] = {}
    for row in rows:
        id, group = ((row[column] or "").strip() for column in (name, "group"))
        if group_of.setdefault(id, group) != group:
            raise DataError([f"{path}: has two groups for {id}: keep one row"])
    absent = [id for id in ids if not group_of.get(id)]
    if absent:
        raise DataError([f"{path}: has no group for {', '.join(absent[:3])}: add a row for each"])
    return [group_of[id] for id in ids]
