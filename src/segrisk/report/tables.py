"""Tables: built once from the summary, then rendered as Markdown or LaTeX."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from segrisk.losses import PAPER
from segrisk.report import captions
from segrisk.report.marks import Marks
from segrisk.report.paper.table1 import IMAGES, TABLE1
from segrisk.report.ranks import Across
from segrisk.report.results import metric_named
from segrisk.report.summary import Block, Summary


@dataclass(frozen=True)
class Cell:
    """One number as it is printed; `interval`, in words, is shown where there is room."""

    text: str
    marks: Marks
    interval: str = ""


@dataclass(frozen=True)
class Row:
    """The numbers of one task under one metric."""

    section: str
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table of means in the layout of the paper's Table 1."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str


def all_tables(summary: Summary) -> tuple[Table, ...]:
    """Table 1 by raw p-values, the primary metric by Holm, Table 1 by validation Dice."""
    plan, by_loss = summary.results.plan, summary.by_loss
    count = sum(pair.metric.name == plan.primary for pair in by_loss.pairs)
    holm = f"Holm-adjusted (over {count} comparisons of {plan.primary})"
    tables = [
        _table(summary, by_loss, by_loss.raw, plan.metrics, "Table 1"),
        *_beside_paper(summary),
        *_decisions(summary),
        _table(
            summary,
            by_loss,
            by_loss.corrected,
            (plan.primary,),
            "Table 2: marks that survive correction",
            holm,
        ),
    ]
    if summary.by_dice is not None:
        title = "Table 3: Table 1 with epochs chosen by validation Dice"
        block = summary.by_dice
        tables.append(_table(summary, block, block.raw, plan.metrics, title))
    return tuple(tables)


def _table(
    summary: Summary,
    block: Block,
    marks: "dict[tuple[str, str, str], Marks]",
    metrics: Sequence[str],
    title: str,
    family: str = "raw",
) -> Table:
    rows = tuple(
        Row(
            metric_named(metric).title,
            f"{task.name} ({task.n_cases})",
            tuple(
                Cell(
                    _number(block.mean(task.name, metric, model.name), metric),
                    marks[task.name, metric, model.name],
                    _interval(block, (task.name, metric, model.name)),
                )
                for model in summary.models
            ),
        )
        for metric in metrics
        for task in summary.tasks
    )
    columns = tuple(model.label for model in summary.models)
    tested = captions.test_of_marks if family == "raw" else captions.test
    caption = captions.table(summary, block, family=family, tested=tested(summary, block))
    return Table(title, columns, rows, caption)


def _beside_paper(summary: Summary) -> list[Table]:
    """The paper's Table 1 beside ours, for tasks that say what they stand for; none without any.

    Ours has the marks of Table 1; the paper's own are not in its text.
    """
    models = [model for model in summary.models if model.loss in PAPER]
    stands_for = summary.results.stands_for
    tasks = [task for task in summary.tasks if task.task in stands_for]
    metrics = [metric for metric in summary.results.plan.metrics if metric in ("dice", "jaccard")]
    if not (models and tasks and metrics):
        return []
    rows = []
    for metric in metrics:
        for task in tasks:
            name = stands_for[task.task]
            printed = tuple(Cell(f"{TABLE1[metric, name][m.loss]:.3f}", Marks()) for m in models)
            ours = tuple(
                Cell(
                    _number(summary.by_loss.mean(task.name, metric, m.name), metric),
                    summary.by_loss.raw[task.name, metric, m.name],
                )
                for m in models
            )
            section = metric_named(metric).title
            rows += [
                Row(section, f"{name}, paper ({IMAGES[name]})", printed),
                Row(section, f"{task.name}, here ({task.n_cases})", ours),
            ]
    columns = tuple(model.label for model in models)
    title = "The paper's Table 1 beside ours"
    return [Table(title, columns, tuple(rows), captions.beside_paper(summary, tasks))]


def _decisions(summary: Summary) -> list[Table]:
    """Table 1's second block: a row for each rule, beside p > 1/2; none without arms."""
    decisions = summary.decisions
    if decisions is None:
        return []
    arms = {(arm.task, arm.label, arm.model): arm for arm in summary.results.arms}
    rules = list(dict.fromkeys(arm.label for arm in summary.results.arms))

    def cell(task: str, metric: str, rule: str, model: str) -> Cell:
        arm = arms.get((task, rule, model))
        if arm is None:
            return Cell("–", Marks())
        gain = decisions.gain(arm, metric)
        marks = Marks(bold=(gain.low or 0) > 0, italic=(gain.high or 0) < 0)
        return Cell(_number(decisions.means[task, metric, arm.name], metric), marks)

    def half(task: str, metric: str, model: str) -> Cell:
        return Cell(_number(decisions.means[task, metric, model], metric), Marks())

    models = [model.name for model in summary.models]
    rows = []
    for metric in summary.results.plan.metrics:
        section = metric_named(metric).title
        for task in summary.tasks:
            at_half = tuple(half(task.name, metric, model) for model in models)
            rows.append(Row(section, f"{task.name}, p > 1/2", at_half))
            rows += [
                Row(
                    section,
                    f"{task.name}, {rule}",
                    tuple(cell(task.name, metric, rule, model) for model in models),
                )
                for rule in rules
                if any((task.name, rule, model) in arms for model in models)
            ]
    columns = tuple(model.label for model in summary.models)
    title = "Table 1, second block: the same predictions, decided by a rule"
    return [Table(title, columns, tuple(rows), captions.decisions(summary))]


def ranking_tables(summary: Summary) -> tuple[Table, ...]:
    """For each label, the ranking across data sets; none where there is one data set."""
    return tuple(_ranking(summary, across) for across in summary.across)


def _ranking(summary: Summary, across: Across) -> Table:
    places = {place.model: place for place in across.places}
    own = [places[model.name] for model in summary.models]
    rows = {
        "mean rank": [f"{place.mean:.2f}" for place in own],
        "rank": [f"{place.rank:g}" for place in own],
        f"{100 * (1 - summary.results.plan.alpha):g} % interval": [
            f"{place.low:g} to {place.high:g}" for place in own
        ],
        "P(best)": [f"{place.p_best:.2f}" for place in own],
    }
    title = f"Ranking across data sets by {summary.primary.label}"
    return Table(
        f"{title}, {across.label}" if across.label else title,
        tuple(model.label for model in summary.models),
        tuple(
            Row("", name, tuple(Cell(text, Marks()) for text in texts))
            for name, texts in rows.items()
        ),
        captions.across(summary, across),
    )


def _number(value: float, metric: str) -> str:
    return f"{value:.{metric_named(metric).digits}f}"


def _interval(block: Block, key: tuple[str, str, str]) -> str:
    found = block.intervals.get(key)
    if found is None:
        return ""
    return f"{_number(found.low, key[1])} to {_number(found.high, key[1])}"


def marked(cell: Cell) -> str:
    """A cell with its marks as Markdown writes them; underlining, which it lacks, as HTML."""
    text = f"<u>{cell.text}</u>" if cell.marks.underline else cell.text
    text = f"*{text}*" if cell.marks.italic else text
    return f"**{text}**" if cell.marks.bold else text


def markdown(table: Table) -> str:
    """A table for Markdown."""

    def row(*texts: str) -> str:
        return "| " + " | ".join(texts) + " |"

    lines = [f"**{table.title}**", "", row("", "dataset", *map(_plain, table.columns))]
    lines.append("|---|---|" + "---:|" * len(table.columns))
    section = ""
    for entry in table.rows:
        shown = entry.section if entry.section != section else ""
        section = entry.section
        lines.append(row(_plain(shown), _plain(entry.label), *map(marked, entry.cells)))
    return "\n".join([*lines, "", _plain(table.caption), ""])


def _plain(text: str) -> str:
    """Text that Markdown shows as it stands.

    >>> print(_plain("soft_dice <b> p < 0.05"))
    soft\\_dice \\<b> p < 0.05
    """
    return re.sub(r"[\\`*_\[\]|]|<(?=\S)", r"\\\g<0>", text)


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"$<$",
        ">": r"$>$",
        "≥": r"$\geq$",
        "±": r"$\pm$",
    }
)


def latex(table: Table) -> str:
    """A table for LaTeX with the package booktabs."""

    def cell(cell: Cell) -> str:
        text = rf"\underline{{{cell.text}}}" if cell.marks.underline else cell.text
        text = rf"\textit{{{text}}}" if cell.marks.italic else text
        return rf"\textbf{{{text}}}" if cell.marks.bold else text

    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{table.title.translate(_LATEX)}. {table.caption.translate(_LATEX)}}}",
        rf"\begin{{tabular}}{{ll{'c' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(["", "Dataset", *(name.translate(_LATEX) for name in table.columns)]) + r" \\",
    ]
    section = ""
    for row in table.rows:
        if row.section != section:
            lines.append(r"\midrule")
        shown = row.section.translate(_LATEX) if row.section != section else ""
        section = row.section
        cells = [shown, row.label.translate(_LATEX), *map(cell, row.cells)]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])
