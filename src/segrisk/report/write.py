"""All files of a report."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple
from pathlib import Path

from segrisk.files import write_json, write_text
from segrisk.report.cases import gallery
from segrisk.report.exports import (
    NO_PARQUET,
    TESTS,
    across_rows,
    as_json,
    mean_rows,
    pair_rows,
    rank_rows,
    size_rows,
    write_parquet,
    write_table,
)
from segrisk.report.figures import (
    Chart,
    figure1,
    figure_cases,
    figure_dice_jaccard,
    figure_differences,
    save,
)
from segrisk.report.page import page
from segrisk.report.paper.judge import judge_claims
from segrisk.report.paper.show import COLUMNS as CLAIM_COLUMNS
from segrisk.report.paper.show import claim_rows, claims_markdown
from segrisk.report.results import Results
from segrisk.report.summary import Summary, summarise
from segrisk.report.tables import all_tables, latex, markdown
from segrisk.report.viewer import MakeView
from segrisk.scores import COLUMNS, Score, write_scores
from segrisk.sheets import csv_text

PAGE = "report.html"
SIZES = "sizes.csv"


def write_report(results: Results, folder: str | Path, views: MakeView | None = None) -> Summary:
    """Write page, scores, tests, tables, figures and provenance of `results` into `folder`.

    `views` makes what there is to look at of (task, label, case); it is asked for the best, the
    worst and the most disputed cases alone.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarise(results)
    has_parquet = write_table(folder / "tests", pair_rows(summary), TESTS)
    write_table(folder / "means", mean_rows(summary))
    write_table(folder / "ranking", rank_rows(summary))
    if summary.across:
        write_table(folder / "ranking_across", across_rows(summary))
    write_parquet(folder / "scores.parquet", COLUMNS, map(astuple, sorted(results.scores)))
    for name, scores in _scores(results):
        write_scores(folder / f"{name}.csv", scores)
    if summary.decisions is not None:
        write_table(folder / "decisions", [asdict(c) for c in summary.decisions.contrasts])
    if sizes := size_rows(summary):
        write_text(folder / SIZES, csv_text(list(sizes[0]), (row.values() for row in sizes)))
    claims = judge_claims(summary)
    if claims is not None:
        write_table(folder / "claims", claim_rows(claims), CLAIM_COLUMNS)
        write_text(folder / "claims.md", claims_markdown(summary, claims))
    write_text(folder / "report.json", as_json(summary, claims))
    if results.provenance is not None:
        write_json(folder / "provenance.json", results.provenance)
    tables = all_tables(summary)
    write_text(folder / "table1.md", "\n".join(markdown(table) for table in tables))
    write_text(folder / "table1.tex", "\n".join(latex(table) for table in tables))
    charts = dict(_charts(summary, folder))
    written = sorted(path.name for path in folder.iterdir() if path.name != PAGE)
    notes = [] if has_parquet else [NO_PARQUET]
    pictures = gallery(summary, views or None)
    text = page(summary, claims, tables, charts, pictures, [*written, *notes])
    write_text(folder / PAGE, text)
    return summary


def _scores(results: Results) -> Iterator[tuple[str, Iterable[Score]]]:
    """Every table of scores that there is, by the name of its file."""
    yield "scores", results.scores
    others = {
        "scores_by_validation_dice": results.scores_by_dice,
        "scores_by_decision": results.arm_scores,
        "surrogates": results.surrogates,
    }
    yield from ((name, scores) for name, scores in others.items() if scores)


def _charts(summary: Summary, folder: Path) -> Iterator[tuple[str, Chart]]:
    """Every figure that these results allow, written as PNG and SVG."""
    makers = {}
    if summary.curves:
        makers["figure1"] = figure1
    if summary.by_loss.pairs:
        makers |= {"differences": figure_differences, "cases": figure_cases}
    if {"dice", "jaccard"} <= set(summary.results.plan.metrics):
        makers["dice_jaccard"] = figure_dice_jaccard
    for name, make in makers.items():
        yield name, save(make(summary), folder / name)
