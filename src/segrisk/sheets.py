"""CSV that a spreadsheet opens as data: no text in it can become a formula."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def neutralised(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe goes before = + - @ and tabs.

    One goes before apostrophes that stand there already, so that `restored` gives the text back.

    >>> neutralised("=SUM(A1)"), neutralised("case 1"), restored(neutralised("'-x"))
    ("'=SUM(A1)", 'case 1', "'-x")
    """
    return "'" + text if _FORMULA.match(text) else text


def restored(text: str) -> str:
    """The text that `neutralised` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV: text neutralised, numbers as `repr` gives them, None as an empty cell.

    >>> print(csv_text(["case", "value"], [("-a", -0.5), ("b,c", None)]), end="")
    case,value
    '-a,-0.5
    "b,c",
    """
    return "".join(csv_lines(columns, rows))


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of `csv_text`, one by one."""
    yield ",".join(map(_quoted, columns)) + "\n"
    for row in rows:
        yield ",".join(map(csv_cell, row)) + "\n"


def csv_cell(value: Any) -> str:
    """One cell of `csv_text`."""
    return _quoted(_text(value))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(float(value))  # NumPy's own repr names its type
    return str(value) if isinstance(value, int) else neutralised(str(value))


def _quoted(text: str) -> str:
    # The standard library's writer leaves a lone carriage return bare, which its reader refuses.
    if any(character in text for character in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text
