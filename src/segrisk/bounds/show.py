"""Findings as tables on the terminal, as a figure and as CSV."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from segrisk.bounds.guarantees import QUANTILES, Findings, verdict
from segrisk.files import write_text
from segrisk.similarity import dice, jaccard
from segrisk.theory import approximation, hamming_error

if TYPE_CHECKING:
    import altair as alt

BINS = 40


def print_findings(findings: Findings, console: Console) -> None:
    """Distribution, guarantees, weights and verdict."""
    fractions = findings.fractions
    table = Table(title="Foreground fractions", title_justify="left")
    names = [*QUANTILES, "largest"]
    for name in names:
        table.add_column(name, justify="right")
    shares = [*QUANTILES.values(), 1.0]
    table.add_row(*(f"{value:.3g}" for value in np.quantile(fractions, shares)))
    console.print(table)
    console.print(
        f"{len(findings.sizes)} masks, {findings.empty} empty; "
        f"foreground in all voxels: {findings.prior:.3g}\n",
        highlight=False,
    )
    table = Table(title="What one similarity guarantees of another here", title_justify="left")
    for name in ("train for", "scored by", "scores apart", "losses", "rescaled"):
        table.add_column(name, justify="left" if name == "train for" else "right")
    for g in findings.guarantees:
        first = g.first if g.gamma is None else f"best Hγ, γ = {g.gamma:.3g}"
        numbers = (f"{g.absolute:.4f}", _factor(g.relative + 1), _factor(g.loss_factor))
        table.add_row(first, g.second, *numbers)
    console.print(table)
    console.print(
        "scores apart: at most. losses: the factor between 1 − S of the two. rescaled: the largest "
        "ratio of the losses by the smallest, each at its best γ.\n",
        highlight=False,
    )
    console.print("[italic]Worst cases of the scores[/italic]")
    for g in findings.guarantees:
        console.print(f"  {g.first} for {g.second}: {escape(g.worst)}", highlight=False)
    console.print()
    table = Table(title="Cross-entropy: which weight means which threshold", title_justify="left")
    table.add_column("foreground weight", justify="right")
    table.add_column("decides at p >", justify="right")
    table.add_column("")
    for weight in findings.weights:
        table.add_row(f"{weight.weight:.3g}", f"{weight.threshold:.3g}", weight.meaning)
    console.print(table)
    for line in verdict(findings):
        console.print(f"• {line}", highlight=False)


def write_findings(findings: Findings, out: Path) -> list[Path]:
    """Write masks.csv, guarantees.csv, weights.csv and the figure into the folder."""
    from segrisk.report.figures import save

    out.mkdir(parents=True, exist_ok=True)
    tables = {
        "masks": (
            ("name", "positives", "voxels", "fraction"),
            ((s.name, s.positives, s.total, s.fraction) for s in findings.sizes),
        ),
        "guarantees": (
            ("first", "second", "gamma", "absolute", "loss_factor", "loss_distortion", "worst"),
            (
                (g.first, g.second, g.gamma, g.absolute, g.relative + 1, g.loss_factor, g.worst)
                for g in findings.guarantees
            ),
        ),
        "weights": (
            ("weight", "threshold", "meaning"),
            ((w.weight, w.threshold, w.meaning) for w in findings.weights),
        ),
    }
    for name, (header, rows) in tables.items():
        write_text(out / f"{name}.csv", _csv(header, rows))
    save(figure(findings), out / "bounds")
    return [out / name for name in ("bounds.png", *(f"{name}.csv" for name in tables))]


def figure(findings: Findings) -> "alt.VConcatChart":
    """The fractions, and below them how far the best Hγ can be from Dice where none is smaller."""
    import altair as alt

    from segrisk.report.figures import styled
    from segrisk.report.styles import COLOURS

    fractions = findings.fractions
    low, high = float(fractions.min()) / 1.3, min(1.0, 1.3 * float(fractions.max()))
    edges = np.geomspace(low, high, BINS + 1)
    counts, _ = np.histogram(fractions, edges)
    bars = [
        {"from": a, "to": b, "masks": int(c)}
        for a, b, c in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    axis = alt.Axis(format="~g", tickCount=6, labelOverlap=True)
    top = (
        alt.Chart(alt.InlineData(values=bars))
        .mark_rect(color=COLOURS[6])
        .encode(
            x=alt.X("from:Q", scale=scale, axis=axis, title=None),
            x2="to:Q",
            y=alt.Y("masks:Q", title="masks"),
            y2=alt.datum(0),
        )
        .properties(width=460, height=150, title=f"{len(fractions)} masks by foreground fraction")
    )
    grid = np.geomspace(low, min(high, 0.95), 120)
    bound = approximation(jaccard, dice).absolute
    curves = [{"name": "best Hγ (weighted CE)", "a": a, "y": hamming_error(a)} for a in grid]
    curves += [{"name": "Jaccard", "a": a, "y": bound} for a in grid]
    colour = alt.Scale(domain=["best Hγ (weighted CE)", "Jaccard"], range=[COLOURS[1], COLOURS[2]])
    title = "can be this far from Dice"
    lines = (
        alt.Chart(alt.InlineData(values=curves))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("a:Q", scale=scale, axis=axis, title="smallest foreground fraction"),
            y=alt.Y("y:Q", title=title, scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("name:N", title=None, scale=colour, legend=alt.Legend(orient="bottom")),
        )
    )
    marks = [
        {"a": float(np.quantile(fractions, share)), "what": name}
        for name, share in (("least", 0.0), ("5 %", 0.05), ("median", 0.5))
    ]
    data = alt.Chart(alt.InlineData(values=marks))
    rules = data.mark_rule(strokeDash=[3, 3], opacity=0.6).encode(x=alt.X("a:Q", scale=scale))
    names = data.mark_text(align="left", dx=4, dy=-4, fontSize=12).encode(
        x=alt.X("a:Q", scale=scale), y=alt.datum(0.02), text="what:N"
    )
    bottom = alt.layer(rules, lines, names).properties(width=460, height=230)
    return styled(alt.vconcat(top, bottom))


def _factor(value: float) -> str:
    return "∞" if value == float("inf") else f"{value:.4g}"


def _csv(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
