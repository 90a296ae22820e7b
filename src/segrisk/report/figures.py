"""Figures: each one chart definition, from which PNG, SVG and the interactive chart are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from segrisk.files import write_bytes, write_text
from segrisk.report.risks import dice_and_jaccard
from segrisk.report.shown import is_sampled, shown_cases
from segrisk.report.sizes import Curve
from segrisk.report.styles import INK, LINE, PAPER, SOFT, styles
from segrisk.report.summary import Summary
from segrisk.statistics import SmoothCurve

POINTS = 2000
"""Points in the scatter plot; more make the file larger and the picture no clearer."""

FOCUS = "focus === '' || datum.model === focus"
"""Whether a mark belongs to the model that the reader looks at; the page sets the signal."""


def figure1(summary: Summary) -> alt.VConcatChart:
    """The score against the foreground fraction, one panel for each task with a curve."""
    width = 380 if len(summary.curves) > 1 else 620
    panels = [_panel(summary, curve).properties(width=width) for curve in summary.curves]
    rows = [alt.hconcat(*panels[start : start + 2]) for start in range(0, len(panels), 2)]
    return styled(_focusable(alt.vconcat(*rows)))


def _panel(summary: Summary, curve: Curve) -> alt.LayerChart:
    smooth, points = _smooth_rows(summary, curve), _bin_rows(summary, curve)
    x = alt.X(
        "fraction:Q",
        title="foreground fraction",
        scale=alt.Scale(type="log", nice=False, padding=8),
        axis=alt.Axis(format="~p", labelOverlap=True),
    )
    scale = alt.Scale(domain=_heights(summary, smooth + points), zero=False)
    y = alt.Y("mean:Q", title=summary.primary.title, scale=scale)
    base = alt.Chart(alt.InlineData(values=smooth)).encode(x=x, color=_colour(summary))
    band = (
        base.transform_filter("isValid(datum.low)")
        .mark_area(clip=True)
        .encode(
            y=alt.Y("low:Q"),
            y2="high:Q",
            opacity=alt.condition("focus === datum.model", alt.value(0.22), alt.value(0.06)),
        )
    )
    line = base.mark_line(strokeWidth=1.8, clip=True).encode(
        y=y, strokeDash=_dash(summary), opacity=_focus()
    )
    numbers = (alt.Tooltip(f"{name}:Q", format=".3f") for name in ("mean", "low", "high"))
    dots = (
        alt.Chart(alt.InlineData(values=points))
        .mark_point(filled=True, size=46)
        .encode(
            x=x,
            y=y,
            color=_colour(summary),
            shape=_shape(summary),
            opacity=_focus(),
            tooltip=["model:N", *numbers, alt.Tooltip("fraction:Q", format=".2~%"), "cases:Q"],
        )
    )
    borders = next(iter(curve.binned.values())).bins.edges
    edges = alt.InlineData(values=[{"edge": edge} for edge in borders])
    rules = alt.Chart(edges).mark_rule(strokeDash=[2, 3], color=LINE).encode(x="edge:Q")
    panel = alt.layer(rules, band, line, dots).properties(
        title=f"{curve.task.name} ({curve.task.n_cases})", height=280
    )
    # Else the dashes' missing legend would take that of the models along.
    return panel.resolve_legend(strokeDash="independent")


def _smooth_rows(summary: Summary, curve: Curve) -> list[dict[str, Any]]:
    return [
        {
            "model": summary.labels[name],
            "line": summary.labels[name],
            "fraction": size,
            "mean": mean,
            "low": low,
            "high": high,
        }
        for name, own in curve.smooth.items()
        for size, mean, low, high in zip(
            own.sizes.tolist(), own.means.tolist(), *_band(own), strict=True
        )
    ]


def _bin_rows(summary: Summary, curve: Curve) -> list[dict[str, Any]]:
    return [
        {
            "model": summary.labels[name],
            "fraction": fraction,
            "cases": cases,
            "mean": point.mean,
            "low": point.low,
            "high": point.high,
        }
        for name, own in curve.binned.items()
        for fraction, cases, point in zip(
            own.bins.medians, own.bins.n_cases, own.means, strict=True
        )
    ]


def _heights(summary: Summary, rows: list[dict[str, Any]]) -> list[float]:
    """What the axis spans: bands may leave the range of the metric, the axis need not."""
    low = min(row["mean"] if row["low"] is None else row["low"] for row in rows)
    high = max(row["mean"] if row["high"] is None else row["high"] for row in rows)
    if summary.primary.better == "zero":
        return [low, high]
    return [max(0.0, low), min(1.0, high) if summary.primary.better == "higher" else high]


def _band(curve: SmoothCurve) -> tuple[list[float | None], list[float | None]]:
    if curve.low is None or curve.high is None:
        nothing: list[float | None] = [None] * len(curve.sizes)
        return nothing, nothing
    return curve.low.tolist(), curve.high.tolist()


def figure_differences(summary: Summary) -> alt.VConcatChart:
    """Every pair's mean difference with its interval, and the margin of equivalence."""
    plan = summary.results.plan
    panels = []
    for task in summary.tasks:
        rows = [
            {
                "pair": f"{summary.labels[pair.a]} − {summary.labels[pair.b]}",
                "difference": pair.difference,
                "low": pair.low,
                "high": pair.high,
                "after correction": "differ" if pair.real(plan.alpha) else "not shown to differ",
            }
            for pair in summary.by_loss.of(task.name, plan.primary)
        ]
        base = alt.Chart(alt.InlineData(values=rows)).encode(
            y=alt.Y("pair:N", sort=None, title=None)
        )
        margin = alt.Chart(alt.InlineData(values=[{"from": -plan.margin, "to": plan.margin}]))
        zone = margin.mark_rect(color=LINE, opacity=0.5).encode(x="from:Q", x2="to:Q")
        zero = alt.Chart(alt.InlineData(values=[{"at": 0}])).mark_rule(color=SOFT).encode(x="at:Q")
        bars = base.mark_rule(color=INK, strokeWidth=1.5).encode(x="low:Q", x2="high:Q")
        dots = base.mark_point(size=55, opacity=1, color=INK).encode(
            x=alt.X("difference:Q", title=f"difference in {summary.primary.title}"),
            fill=alt.Fill(
                "after correction:N",
                scale=alt.Scale(domain=["differ", "not shown to differ"], range=[INK, PAPER]),
            ),
        )
        panels.append(
            alt.layer(zone, zero, bars, dots).properties(
                title=f"{task.name} ({task.n_cases})", width=420, height=alt.Step(20)
            )
        )
    return styled(alt.vconcat(*panels))


def figure_cases(summary: Summary) -> alt.LayerChart:
    """Each case's difference between the two best models against its size, on the first task.

    Where sizes are not known, against the mean of the two scores.

    The page lets the reader choose task and pair: it puts other rows into the data "cases".
    """
    task, names = summary.tasks[0], [model.name for model in summary.ranked[summary.tasks[0].name]]
    a, b = (summary.by_loss.scores[task.name, summary.primary.name, name] for name in names[:2])
    shown, exact = shown_cases(summary, task), task.mean(a - b)
    own = (task.fractions if task.has_sizes else (a + b) / 2, a - b, a, b, task.weights)
    columns = ("size", "difference", "a", "b", "weight")
    rows = [
        {"case": task.cases[place], **dict(zip(columns, numbers, strict=True))}
        for place, *numbers in zip(
            shown.tolist(), *(values[shown].tolist() for values in own), strict=True
        )
    ]
    sampled = any(map(is_sampled, summary.tasks))
    if sampled:
        rows = [{**row, "mean": exact} for row in rows]
    base = alt.Chart(alt.NamedData("cases"))
    title, scale, form = (
        ("foreground fraction", "sqrt", ".3%")
        if task.has_sizes
        else (f"mean of both in {summary.primary.title}", "linear", ".3")
    )
    numbers = f".{summary.primary.digits}f"
    dots = base.mark_point(size=30, color=INK, opacity=0.5, strokeWidth=1).encode(
        x=alt.X("size:Q", title=title, scale=alt.Scale(type=scale, zero=False)),
        y=alt.Y("difference:Q", title=f"difference in {summary.primary.title}"),
        tooltip=[
            alt.Tooltip("case:N"),
            *(alt.Tooltip(f"{name}:Q", format=numbers) for name in ("difference", "a", "b")),
            alt.Tooltip("size:Q", format=form, title=title),
        ],
    )
    zero = alt.Chart(alt.InlineData(values=[{"at": 0}])).mark_rule(color=SOFT).encode(y="at:Q")
    # The mean of all cases, which those of a sample carry with them.
    average = (
        base.transform_aggregate(mean="max(mean)")
        if sampled
        else base.transform_calculate(part="datum.weight * datum.difference")
        .transform_aggregate(total="sum(part)", weights="sum(weight)")
        .transform_calculate(mean="datum.total / datum.weights")
    )
    mean = average.mark_rule(color=INK, strokeWidth=2, strokeDash=[6, 3]).encode(y="mean:Q")
    chart = styled(alt.layer(zero, dots, mean).properties(width=680, height=260))
    chart.datasets = {"cases": rows}
    return chart


def figure_dice_jaccard(summary: Summary) -> alt.LayerChart:
    """Every mask's Dice against its Jaccard, on the curve J = D / (2 − D) of Eq. 4.

    One point for each seed: means over seeds do not lie on the curve.
    """
    masks, jaccard = dice_and_jaccard(summary.results.scores)
    if len(masks) > POINTS:
        chosen = np.sort(np.random.default_rng(0).choice(len(masks), POINTS, replace=False))
        masks, jaccard = masks.take(chosen), jaccard[chosen]
    rows = [
        {"model": summary.labels[model], "dice": d, "jaccard": j}
        for model, d, j in zip(
            masks.text("model").values(),
            masks.numbers("value").tolist(),
            jaccard.tolist(),
            strict=True,
        )
    ]
    grid = [{"dice": d, "jaccard": d / (2 - d)} for d in np.linspace(0, 1, 101).tolist()]
    x = alt.X("dice:Q", title="Dice score D", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("jaccard:Q", title="Jaccard index J", scale=alt.Scale(domain=[0, 1]))
    dots = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_point(filled=True, size=26)
        .encode(x=x, y=y, color=_colour(summary), shape=_shape(summary), opacity=_focus(0.55))
    )
    curve = (
        alt.Chart(alt.InlineData(values=grid))
        .mark_line(color=SOFT, strokeWidth=1.2)
        .encode(x=x, y=y)
    )
    title = alt.Title("Dice and Jaccard of every mask", subtitle="line: J = D / (2 − D)")
    return styled(_focusable(alt.layer(curve, dots)).properties(title=title, width=380, height=380))


@dataclass(frozen=True)
class Chart:
    """A chart's definition, and the picture that stands in for it without a script."""

    specification: Mapping[str, Any]
    svg: str


def save(chart: Any, stem: Path) -> Chart:
    """Write `stem`.png and `stem`.svg from one definition."""
    import vl_convert

    specification = chart.to_dict()
    svg = vl_convert.vegalite_to_svg(specification)
    write_text(stem.with_suffix(".svg"), svg)
    write_bytes(stem.with_suffix(".png"), vl_convert.vegalite_to_png(specification, scale=2))
    return Chart(specification, svg)


def _domain(summary: Summary) -> list[str]:
    return [model.label for model in summary.models]


def _colour(summary: Summary) -> alt.Color:
    colours = [style.colour for style in styles(summary.models).values()]
    return alt.Color("model:N", title=None, scale=_scale(summary, colours))


def _shape(summary: Summary) -> alt.Shape:
    shapes = [style.shape for style in styles(summary.models).values()]
    return alt.Shape("model:N", title=None, scale=_scale(summary, shapes))


def _dash(summary: Summary) -> alt.StrokeDash:
    dashes = [list(style.dash) for style in styles(summary.models).values()]
    # Under a name of its own: merged into the legend, dashes would cut its symbols.
    return alt.StrokeDash("line:N", legend=None, scale=_scale(summary, dashes))


def _scale(summary: Summary, looks: list[Any]) -> alt.Scale:
    return alt.Scale(domain=_domain(summary), range=looks)


def _focusable(chart: Any) -> Any:
    return chart.add_params(alt.param(name="focus", value=""))


def _focus(opacity: float = 1.0) -> Any:
    return alt.condition(FOCUS, alt.value(opacity), alt.value(0.12))


def styled(chart: Any) -> Any:
    """The look that all figures share."""
    return (
        chart.configure(font="Inter, Helvetica, Arial, sans-serif", background=PAPER)
        .configure_view(stroke=None)
        .configure_axis(
            grid=False,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            tickCount=6,
            labelColor=SOFT,
            titleColor=SOFT,
            domainColor=SOFT,
            tickColor=SOFT,
            labelLimit=260,
        )
        .configure_legend(
            labelFontSize=13, symbolSize=90, orient="right", labelColor=INK, titleColor=INK,
            symbolOpacity=1, labelLimit=260,
        )
        .configure_title(
            fontSize=14, anchor="start", fontWeight="bold", color=INK, subtitleColor=SOFT
        )
    )  # fmt: skip
