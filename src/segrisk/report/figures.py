"""Figures: each one chart definition, from which PNG, SVG and HTML are drawn."""

from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from segrisk.files import write_bytes, write_text
from segrisk.report.summary import Curve, Summary

COLOURS = ("#3a3a3a", "#e69f00", "#0072b2", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6d31")
"""Okabe and Ito's palette, which readers with any colour vision can tell apart."""

POINTS = 2000
"""Points in the scatter plot; more make the file larger and the picture no clearer."""


def figure1(summary: Summary) -> alt.VConcatChart:
    """Dice against the foreground fraction, one panel for each task with a curve."""
    panels = [_panel(summary, curve) for curve in summary.curves]
    rows = [alt.hconcat(*panels[start : start + 2]) for start in range(0, len(panels), 2)]
    return styled(alt.vconcat(*rows))


def _panel(summary: Summary, curve: Curve) -> alt.LayerChart:
    labels = {model.name: model.label for model in summary.models}
    families = {model.name: model.family for model in summary.models}
    points = [
        {
            "loss": labels[point.model],
            "family": families[point.model],
            "bin": point.bin,
            "fraction": point.fraction,
            "mean": point.mean,
            "low": point.low,
            "high": point.high,
        }
        for point in curve.points
    ]
    # A square root spreads the small objects, where most bins lie, and can show an empty one.
    fractions = [point.fraction for point in curve.points]
    scale = alt.Scale(
        type="sqrt", zero=False, nice=False, domain=[min(fractions), max(fractions)], padding=8
    )
    x = alt.X("fraction:Q", title="foreground fraction", scale=scale)
    # Bands may leave [0, 1]; the axis does not.
    low = min(point.mean if point.low is None else point.low for point in curve.points)
    high = max(point.mean if point.high is None else point.high for point in curve.points)
    y_scale = alt.Scale(domain=[max(0.0, low), min(1.0, high)], zero=False)
    y_title = f"{summary.results.plan.primary.capitalize()} score"
    base = alt.Chart(alt.InlineData(values=points)).encode(x=x, color=_colour(summary))
    band = (
        base.transform_filter("isValid(datum.low)")
        .mark_area(opacity=0.08, clip=True)
        .encode(y=alt.Y("low:Q", scale=y_scale), y2="high:Q")
    )
    dash = alt.StrokeDash(
        "family:N",
        legend=None,
        scale=alt.Scale(domain=["pixel", "metric", "other"], range=[[6, 3], [1, 0], [2, 2]]),
    )
    line = base.mark_line(strokeWidth=2).encode(
        y=alt.Y("mean:Q", title=y_title), strokeDash=dash, order="bin:Q"
    )
    dots = base.mark_point(filled=True, size=28, opacity=1).encode(y=alt.Y("mean:Q"))
    edges = alt.InlineData(values=[{"edge": edge} for edge in curve.edges])
    borders = alt.Chart(edges).mark_rule(strokeDash=[3, 3], opacity=0.35).encode(x="edge:Q")
    return alt.layer(borders, band, line, dots).properties(
        title=f"{curve.task.name} ({curve.task.n_cases})", width=380, height=280
    )


def figure_dice_jaccard(summary: Summary) -> alt.LayerChart:
    """Every mask's Dice against its Jaccard, on the curve J = D / (2 − D) of Eq. 4.

    One point for each seed: means over seeds do not lie on the curve.
    """
    labels = {model.name: model.label for model in summary.models}
    scores = {(s.metric, s.model, s.task, s.case, s.seed): s.value for s in summary.results.scores}
    rows = [
        {"loss": labels[model], "dice": value, "jaccard": scores["jaccard", model, *mask]}
        for (metric, model, *mask), value in scores.items()
        if metric == "dice"
    ]
    if len(rows) > POINTS:
        chosen = np.random.default_rng(0).choice(len(rows), POINTS, replace=False)
        rows = [rows[index] for index in sorted(chosen)]
    grid = [{"dice": d, "jaccard": d / (2 - d)} for d in np.linspace(0, 1, 101).tolist()]
    x = alt.X("dice:Q", title="Dice score D", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("jaccard:Q", title="Jaccard index J", scale=alt.Scale(domain=[0, 1]))
    dots = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_point(filled=True, size=22, opacity=0.55)
        .encode(x=x, y=y, color=_colour(summary))
    )
    curve = (
        alt.Chart(alt.InlineData(values=grid))
        .mark_line(color="#888888", strokeWidth=1.2)
        .encode(x=x, y=y)
    )
    title = alt.Title("Dice and Jaccard of every mask", subtitle="line: J = D / (2 − D)")
    return styled(alt.layer(curve, dots).properties(title=title, width=380, height=380))


def save(chart: Any, stem: Path) -> str:
    """Write `stem`.png and `stem`.svg from one definition; return the SVG's text."""
    import vl_convert

    specification = chart.to_dict()
    svg = vl_convert.vegalite_to_svg(specification)
    write_text(stem.with_suffix(".svg"), svg)
    write_bytes(stem.with_suffix(".png"), vl_convert.vegalite_to_png(specification, scale=2))
    return svg


def _colour(summary: Summary) -> alt.Color:
    labels = [model.label for model in summary.models]
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(labels))]
    legend = alt.Legend(symbolOpacity=1, symbolType="circle")
    scale = alt.Scale(domain=labels, range=colours)
    return alt.Color("loss:N", title=None, scale=scale, legend=legend)


def styled(chart: Any) -> Any:
    """The look that all figures share."""
    return (
        chart.configure(font="Helvetica, Arial, sans-serif", background="white")
        .configure_view(stroke=None)
        .configure_axis(
            grid=False, labelFontSize=12, titleFontSize=13, titleFontWeight="normal", tickCount=6
        )
        .configure_legend(labelFontSize=13, symbolSize=120, orient="right")
        .configure_title(fontSize=15, anchor="start", fontWeight="bold")
    )
