"""All files of a report."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from segrisk.files import UNFINISHED, write_json, write_text
from segrisk.parquet import write_frame
from segrisk.report.cases import gallery
from segrisk.report.efforts import effort_rows
from segrisk.report.exports import (
    NO_PARQUET,
    TESTS,
    across_rows,
    as_json,
    is_large,
    known_sizes,
    mean_rows,
    pair_rows,
    rank_rows,
    write_frame_as,
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
from segrisk.report.paper.judge import Claims, judge_claims
from segrisk.report.paper.show import COLUMNS as CLAIM_COLUMNS
from segrisk.report.paper.show import claim_rows, claims_markdown
from segrisk.report.results import Results
from segrisk.report.summary import Summary, summarise
from segrisk.report.tables import all_tables, latex, markdown, ranking_tables
from segrisk.report.viewer import MakeView
from segrisk.scores import ScoreFrame

PAGE = "report.html"
SIZES = "sizes"
BY_DICE, BY_DECISION, SURROGATES = "scores_by_validation_dice", "scores_by_decision", "surrogates"
OF_STUDIES = ("decisions", "claims", "efforts")

TABLES = (
    "scores", BY_DICE, BY_DECISION, SURROGATES, SIZES,
    "tests", "means", "ranking", "ranking_across", *OF_STUDIES,
)  # fmt: skip
OURS = frozenset(
    [PAGE, "report.json", "provenance.json", "table1.md", "table1.tex", "claims.md"]
    + [f"{table}.{kind}" for table in TABLES for kind in ("csv", "parquet")]
    + [
        f"{figure}.{kind}"
        for figure in ("figure1", "differences", "cases", "dice_jaccard")
        for kind in ("png", "svg")
    ]
)
"""Every file that a report may have: one that the newest lacks is an older report's, and goes."""


def write_report(results: Results, folder: str | Path, views: MakeView | None = None) -> Summary:
    """Write page, scores, tests, tables, figures and provenance of `results` into `folder`.

    `views` makes what there is to look at of (task, label, case); it is asked for the best, the
    worst and the most disputed cases alone. Files of an older report that this one lacks are
    removed; those of others are left alone.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarise(results)
    claims = judge_claims(summary)
    with TemporaryDirectory(dir=folder, prefix=UNFINISHED) as place:
        new = Path(place)
        has_parquet = _write_numbers(summary, claims, new)
        tables = all_tables(summary)
        texts = (*tables, *ranking_tables(summary))
        write_text(new / "table1.md", "\n".join(markdown(table) for table in texts))
        write_text(new / "table1.tex", "\n".join(latex(table) for table in texts))
        charts = dict(_charts(summary, new))
        written = {path.name for path in new.iterdir()}
        others = {path.name for path in folder.glob("[!.]*")} - OURS
        notes = [] if has_parquet else [NO_PARQUET]
        pictures = gallery(summary, views or None)
        text = page(summary, claims, tables, charts, pictures, [*sorted(written | others), *notes])
        write_text(new / PAGE, text)
        for path in new.iterdir():
            path.replace(folder / path.name)
        for name in OURS - written - {PAGE}:
            (folder / name).unlink(missing_ok=True)
    return summary


def _write_numbers(summary: Summary, claims: Claims | None, folder: Path) -> bool:
    """Write every table that computes on; whether Parquet could be written."""
    results = summary.results
    has_parquet = write_table(folder / "tests", pair_rows(summary), TESTS)
    write_table(folder / "means", mean_rows(summary))
    write_table(folder / "ranking", rank_rows(summary))
    if summary.across:
        write_table(folder / "ranking_across", across_rows(summary))
    for name, scores in _scores(results):
        write_frame_as(folder / name, scores.sorted())
    if has_parquet and not is_large(results.scores):
        write_frame(folder / "scores.parquet", results.scores.sorted())
    if summary.decisions is not None:
        write_table(folder / "decisions", [asdict(c) for c in summary.decisions.contrasts])
    if results.efforts:
        write_table(folder / "efforts", effort_rows(results))
    if sizes := known_sizes(summary):
        write_frame_as(folder / SIZES, sizes)
    if claims is not None:
        write_table(folder / "claims", claim_rows(claims), CLAIM_COLUMNS)
        write_text(folder / "claims.md", claims_markdown(summary, claims))
    write_text(folder / "report.json", as_json(summary, claims))
    if results.provenance is not None:
        write_json(folder / "provenance.json", results.provenance)
    return has_parquet


def _scores(results: Results) -> Iterator[tuple[str, ScoreFrame]]:
    """Every table of scores that there is, by the name of its file."""
    yield "scores", results.scores
    others = {
        BY_DICE: results.scores_by_dice,
        BY_DECISION: results.arm_scores,
        SURROGATES: results.surrogates,
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
