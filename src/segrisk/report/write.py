"""All files of a report."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from segrisk.files import write_json, write_text
from segrisk.report.decisions import Contrast
from segrisk.report.figures import figure1, figure_dice_jaccard, save
from segrisk.report.page import page
from segrisk.report.results import Results
from segrisk.report.summary import Block, Pair, Summary, summarise
from segrisk.report.tables import all_tables, latex, markdown
from segrisk.scores import write_scores


def write_report(results: Results, folder: Path) -> Summary:
    """Write scores, tests, tables, figures, page and provenance of `results` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarise(results)
    write_scores(folder / "scores.csv", results.scores)
    if results.scores_by_dice:
        write_scores(folder / "scores_by_validation_dice.csv", results.scores_by_dice)
    blocks = [block for block in (summary.by_loss, summary.by_dice) if block is not None]
    write_text(folder / "tests.csv", _tests(blocks))
    if summary.decisions is not None:
        write_text(folder / "decisions.csv", _contrasts(summary.decisions.contrasts))
        write_scores(folder / "scores_by_decision.csv", results.arm_scores)
    if results.surrogates:
        write_scores(folder / "surrogates.csv", results.surrogates)
    tables = all_tables(summary)
    write_text(folder / "table1.md", "\n".join(markdown(table) for table in tables))
    write_text(folder / "table1.tex", "\n".join(latex(table) for table in tables))
    pictures = {}
    if summary.curves:
        pictures["figure1"] = save(figure1(summary), folder / "figure1")
    if {"dice", "jaccard"} <= set(results.plan.metrics):
        pictures["dice_jaccard"] = save(figure_dice_jaccard(summary), folder / "dice_jaccard")
    write_text(folder / "index.html", page(summary, tables, pictures))
    if results.provenance is not None:
        write_json(folder / "provenance.json", results.provenance)
    return summary


def _tests(blocks: Iterable[Block]) -> str:
    rows = [
        {"selection": block.selection, **asdict(pair)} for block in blocks for pair in block.pairs
    ]
    return _csv(["selection", *(field.name for field in fields(Pair))], rows)


def _contrasts(contrasts: Iterable[Contrast]) -> str:
    return _csv([field.name for field in fields(Contrast)], map(asdict, contrasts))


def _csv(columns: list[str], rows: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
