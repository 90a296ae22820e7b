"""The numbers of a report as tables and as JSON, for whoever computes on."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segrisk.files import write_lines, write_text
from segrisk.frames import Frame, Text
from segrisk.parquet import NEEDED, has_pyarrow, write_columns, write_frame
from segrisk.report.pairs import Pair
from segrisk.report.paper.judge import Claims
from segrisk.report.paper.show import claim_rows
from segrisk.report.summary import Block, Summary
from segrisk.report.tasks import TaskInfo
from segrisk.report.verdict import verdicts
from segrisk.scores import frame_lines
from segrisk.sheets import csv_text

Rows = list[dict[str, Any]]

TESTS = (
    "task", "label", "metric", "model_a", "model_b", "difference", "low", "high", "test", "method",
    "p", "p_adjusted", "n_cases", "n_groups",
)  # fmt: skip
"""The columns of tests.csv that others rely on; more follow them."""

CSV_ROWS = 1_000_000
"""More rows than this are written as Parquet alone."""


@dataclass(frozen=True)
class KnownSize:
    """How large the object of a reference is, as a share of its image."""

    task: str
    case: str
    label: str
    fraction: float


NO_PARQUET = f"Parquet files are left out: {NEEDED}"


def pair_rows(summary: Summary) -> Rows:
    """Every pair of models, on every task, label and metric."""
    tasks = {task.name: task for task in summary.tasks}
    return [
        _pair_row(summary, block, tasks[pair.task], pair)
        for block in (summary.by_loss, summary.by_dice)
        if block is not None
        for pair in block.pairs
    ]


def _pair_row(summary: Summary, block: Block, task: TaskInfo, pair: Pair) -> dict[str, Any]:
    plan, count = summary.results.plan, sum(p.metric == pair.metric for p in block.pairs)
    vectors = f"all {pair.test.resamples}" if pair.test.exact else f"{pair.test.resamples} random"
    narrow = pair.equivalence.interval if pair.equivalence else None
    return {
        "task": task.task,
        "label": task.label,
        "metric": pair.metric.name,
        "model_a": pair.a,
        "model_b": pair.b,
        "difference": pair.difference,
        "low": pair.low,
        "high": pair.high,
        "test": "sign_flip",
        "method": f"{pair.test.method}, {vectors} sign vectors",
        "p": pair.test.p,
        "p_adjusted": pair.p_adjusted,
        "n_cases": pair.test.n_cases,
        "n_groups": pair.test.n_groups,
        "adjustment": f"Holm over {count} comparisons of {pair.metric.name}",
        "primary": pair.metric.name == plan.primary,
        "post_hoc": summary.results.post_hoc,
        "selection": block.selection if summary.results.subject == "loss" else None,
        "better": pair.better or None,
        "interval": f"{pair.interval.method}, {1 - plan.alpha:g}" if pair.interval else None,
        "p_max_t": pair.p_max_t,
        "p_bootstrap": pair.p_bootstrap,
        "p_wilcoxon": pair.p_wilcoxon,
        "equivalent": pair.equivalent if narrow else None,
        "margin": pair.equivalence.margin if pair.equivalence else None,
        "equivalence_low": narrow.low if narrow else None,
        "equivalence_high": narrow.high if narrow else None,
        "effect_size": pair.effect.size,
        "wins": pair.effect.wins,
        "ties": pair.effect.ties,
        "losses": pair.effect.losses,
        "carriers": pair.effect.carriers,
        "detectable": pair.detectable,
        "convention": summary.results.convention,
        "mean_over": plan.unit,
    }


def mean_rows(summary: Summary) -> Rows:
    """Every mean of Table 1 with its interval."""
    rows = []
    for task in summary.tasks:
        for metric in summary.metrics:
            for model in summary.models:
                key = (task.name, metric.name, model.name)
                interval = summary.by_loss.intervals.get(key)
                rows.append(
                    {
                        "task": task.task,
                        "label": task.label,
                        "metric": metric.name,
                        "model": model.name,
                        "mean": summary.by_loss.mean(*key),
                        "low": interval.low if interval else None,
                        "high": interval.high if interval else None,
                        "unit": metric.unit,
                        "n_cases": task.n_cases,
                        "n_groups": task.n_groups,
                        "convention": summary.results.convention,
                        "mean_over": task.unit,
                    }
                )
    return rows


def rank_rows(summary: Summary) -> Rows:
    """Every place on every task and label."""
    return [
        {"task": task.task, "label": task.label, "metric": summary.primary.name}
        | asdict(place)
        | {"n_cases": task.n_cases, "n_groups": task.n_groups, "mean_over": task.unit}
        for task in summary.tasks
        for place in summary.ranks[task.name]
    ]


def across_rows(summary: Summary) -> Rows:
    """Every place across data sets; there `mean` is the mean rank."""
    return [
        {"tasks": "; ".join(across.tasks), "label": across.label, "metric": summary.primary.name}
        | asdict(place)
        | {"n_data_sets": len(across.tasks), "mean_over": summary.results.plan.unit}
        for across in summary.across
        for place in across.places
    ]


def as_json(summary: Summary, claims: Claims | None) -> str:
    """Everything that the page says, as valid JSON: what is not finite is null."""
    results = summary.results
    content = {
        "name": results.name,
        "subject": results.subject,
        "convention": results.convention,
        "plan": asdict(results.plan),
        "post_hoc": results.post_hoc,
        "models": [asdict(model) for model in results.models],
        "metrics": [asdict(metric) for metric in summary.metrics],
        "verdicts": [asdict(verdict) for verdict in verdicts(summary)],
        "means": mean_rows(summary),
        "tests": pair_rows(summary),
        "ranking": {
            task: [asdict(place) for place in places] for task, places in summary.ranks.items()
        },
        "ranking_across": [asdict(across) for across in summary.across],
        "size": [
            {"task": curve.task.name, "model_a": trend.a, "model_b": trend.b}
            | asdict(trend.slope)
            | {"p_adjusted": trend.p_adjusted}
            for curve in summary.curves
            for trend in curve.trends
        ],
        "claims_about_losses": [
            {"task": own.task, "model_a": own.a, "model_b": own.b}
            | asdict(own.claim)
            | {"p_adjusted": own.p_adjusted}
            for own in summary.seed_claims
        ],
        "claims_of_the_paper": claim_rows(claims) if claims else [],
        "sensitivity": [asdict(row) for row in summary.sensitivity],
        "notes": list(results.notes),
        "provenance": results.provenance,
    }
    return json.dumps(finite(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def finite(value: Any) -> Any:
    """A JSON-like value with None for every number that JSON cannot write.

    >>> finite({"a": [1.0, float("nan")], "b": float("inf")})
    {'a': [1.0, None], 'b': None}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value


def write_table(stem: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> bool:
    """Write `stem`.csv and, where pyarrow is installed, `stem`.parquet; whether the latter was.

    `columns` head a table without rows.
    """
    columns = list(rows[0]) if rows else list(columns)
    write_text(stem.with_suffix(".csv"), csv_text(columns, (row.values() for row in rows)))
    return write_columns(stem.with_suffix(".parquet"), columns, (row.values() for row in rows))


def known_sizes(summary: Summary) -> Frame[KnownSize]:
    """The size of every reference that is known, as `segrisk compare` reads it again."""
    return Frame.joined([_known_sizes(task) for task in summary.tasks])


def _known_sizes(task: TaskInfo) -> Frame[KnownSize]:
    known = np.flatnonzero(np.isfinite(task.fractions))
    columns = {
        "task": Text((task.task,), np.zeros(len(known), dtype=int)),
        "case": Text(task.cases, known),
        "label": Text((task.label,), np.zeros(len(known), dtype=int)),
        "fraction": task.fractions[known],
    }
    return Frame(KnownSize, columns)


def is_large(frame: Frame[Any]) -> bool:
    """Whether it is written as Parquet alone: as text it would take minutes, and no sheet opens it.

    Without pyarrow it is text, however large.
    """
    return len(frame) > CSV_ROWS and has_pyarrow()


def write_frame_as(stem: Path, frame: Frame[Any]) -> None:
    """Write `stem`.csv, or `stem`.parquet where that would be too large."""
    if is_large(frame):
        write_frame(stem.with_suffix(".parquet"), frame)
    else:
        write_lines(stem.with_suffix(".csv"), frame_lines(frame))
