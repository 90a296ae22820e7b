"""Tables in text files, as programs and people write them."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from segrisk.data.errors import DataError, unreadable
from segrisk.sheets import restored

Row = dict[str, str]


def header(path: Path) -> list[str]:
    """The first line of a CSV or TSV file, cell by cell; nothing of an empty one."""
    return next((cells for _, cells in _lines(path)), [])


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    """The columns of a CSV or TSV file, and each row with the number of its line.

    The separator is the commonest of tab, semicolon and comma in the first line; a column without
    a heading, as R and pandas write for the numbers of rows, is left out. What `sheets` neutralised
    is restored.
    """
    cells = list(_lines(path))
    if not cells:
        raise DataError([f"{path.name}: is empty: write a line of headings, and the rows below it"])
    columns = cells[0][1]
    faults = [
        f"{path.name}: has {count} columns {name}: give each a name of its own"
        for name, count in Counter(columns).items()
        if count > 1
    ]
    faults += [
        f"{path.name}: line {line}: has {len(row)} cells for {len(columns)} columns: correct it"
        for line, row in cells[1:]
        if len(row) != len(columns)
    ]
    if faults:
        raise DataError(faults)
    rows = [(line, dict(zip(columns, row, strict=True))) for line, row in cells[1:]]
    return [column for column in columns if column], rows


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each line that is not empty, with its number."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator = max(",;\t", key=file.readline().partition("\n")[0].count)
            file.seek(0)
            lines = csv.reader(file, delimiter=separator)
            for line in lines:
                if any(line):
                    yield lines.line_num, [restored(cell.strip()) for cell in line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, error, "save it as CSV in UTF-8") from error
