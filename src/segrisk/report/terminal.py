"""What a terminal shows of a summary: the tables, then the answer."""

import rich.box
import rich.table
from rich.console import Console
from rich.text import Text

from segrisk.report.marks import Marks
from segrisk.report.summary import Summary
from segrisk.report.tables import Cell, Table, all_tables, marked, ranking_tables
from segrisk.report.verdict import verdicts


def show_summary(summary: Summary, console: Console) -> None:
    """Print every table, and the verdict on every task."""
    for table in (*all_tables(summary), *ranking_tables(summary)):
        console.print(_drawn(table, styled=console.is_terminal))
    for verdict in verdicts(summary):
        text = f"{verdict.finding} {verdict.limits}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _drawn(table: Table, styled: bool) -> rich.table.Table:
    """A table with its marks as the terminal's own, or, where there is none, as Markdown's."""
    shown = rich.table.Table(
        title=Text(table.title),
        caption=Text(table.caption),
        box=rich.box.SIMPLE_HEAD,
        caption_justify="left",
    )
    shown.add_column("")
    shown.add_column("dataset")
    for name in table.columns:
        shown.add_column(Text(name), justify="right")
    section = ""
    for row in table.rows:
        first = row.section if row.section != section else ""
        section = row.section
        cells = [_cell(cell) if styled else Text(marked(cell)) for cell in row.cells]
        shown.add_row(Text(first), Text(row.label), *cells)
    return shown


def _cell(cell: Cell) -> Text:
    return Text(cell.text, _style(cell.marks))


def _style(marks: Marks) -> str:
    names = {"italic": marks.italic, "underline": marks.underline, "bold": marks.bold}
    return " ".join(name for name, given in names.items() if given)
