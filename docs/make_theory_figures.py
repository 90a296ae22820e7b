"""Draw docs/figures/proposition1.png, proposition2.png and corollary1.png from the theory."""

import io
from pathlib import Path

import altair as alt
import numpy as np
import vl_convert
from PIL import Image

from segrisk.report.styles import COLOURS
from segrisk.similarity import Confusion, dice, hamming, jaccard, weighted_hamming
from segrisk.theory import approximation, hamming_error

FIGURES = Path(__file__).parent / "figures"
SIDE = 24
GREY = "#8a8a8a"


def masses(d: int, *, first: int = 1) -> Confusion:
    """Every confusion of d voxels, the reference not empty, as four arrays."""
    n, fn, fp = np.meshgrid(*[np.arange(d + 1)] * 3, indexing="ij")
    kept = (n >= first) & (fn <= n) & (fp <= d - n)
    n, fn, fp = (part[kept].astype(float) for part in (n, fn, fp))
    return Confusion(n - fn, fp, fn, d - n - fp)


def lines(rows: list[dict], x: str, y: str, *, domain: list | None = None) -> alt.Chart:
    """Lines of several names; x and y are titles with the field's name before a colon."""
    (x_field, x_title), (y_field, y_title) = (text.split(": ") for text in (x, y))
    names = list(dict.fromkeys(row["name"] for row in rows))
    scale = alt.Scale(domain=names, range=[COLOURS[k] for k in (2, 1, 3, 4)[: len(names)]])
    return (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X(f"{x_field}:Q", title=x_title, scale=alt.Scale(domain=domain or [0, 1])),
            y=alt.Y(f"{y_field}:Q", title=y_title),
            color=alt.Color("name:N", title=None, scale=scale, legend=alt.Legend(orient="bottom")),
        )
        .properties(width=330, height=300)
    )


def cloud(similarity, c: Confusion, title: str) -> alt.LayerChart:
    """Dice against another similarity for all masses, the diagonal, and the worst case."""
    other, ours = np.broadcast_to(similarity(c), c.tp.shape), dice(c)
    worst = int(np.abs(other - ours).argmax())
    pairs = sorted({(round(a, 3), round(b, 3)) for a, b in zip(other, ours, strict=True)})
    points = [{"x": a, "y": b} for a, b in pairs]
    x = alt.X("x:Q", title=title, scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("y:Q", title="Dice score D", scale=alt.Scale(domain=[0, 1]))
    data = alt.Chart(alt.InlineData(values=points))
    dots = data.mark_point(filled=True, size=9, opacity=0.5, color=COLOURS[2]).encode(x=x, y=y)
    ends = alt.Chart(alt.InlineData(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
    diagonal = ends.mark_line(color=GREY, strokeDash=[4, 3]).encode(x=x, y=y)
    mark = alt.Chart(alt.InlineData(values=[{"x": float(other[worst]), "y": float(ours[worst])}]))
    star = mark.mark_point(size=160, strokeWidth=2.5, color=COLOURS[5]).encode(x=x, y=y)
    return alt.layer(diagonal, dots, star).properties(width=330, height=300)


def proposition1() -> alt.HConcatChart:
    d = np.linspace(0, 1, 201)
    j = d / (2 - d)
    rows = [{"name": "D − J", "d": a, "y": a - b} for a, b in zip(d, j, strict=True)]
    left = lines(rows, "d: Dice score D", "y: absolute error D − J").encode(
        color=alt.value(COLOURS[2])
    )
    bound = approximation(jaccard, dice)
    at = float(dice(bound.worst.absolute[0].masses))
    rule = alt.Chart(alt.InlineData(values=[{"d": at, "y": bound.absolute}]))
    mark = rule.mark_point(size=160, strokeWidth=2.5, color=COLOURS[5]).encode(x="d:Q", y="y:Q")
    ratios = [{"name": "similarities: D / J", "d": a, "y": 2 - a} for a in d]
    ratios += [{"name": "losses: (1 − J) / (1 − D)", "d": a, "y": 2 / (2 - a)} for a in d]
    right = lines(ratios, "d: Dice score D", "y: ratio").encode(
        y=alt.Y("y:Q", title="ratio", scale=alt.Scale(domain=[1, 2]))
    )
    return alt.hconcat(
        alt.layer(left, mark).properties(title="At most 3 − 2√2 apart"),
        right.properties(title="Within a factor 2, not attained"),
    )


def proposition2() -> alt.HConcatChart:
    best = approximation(dice, weighted_hamming, d=SIDE, empty=False)
    left = cloud(
        weighted_hamming(best.gamma),
        masses(SIDE),
        f"Hγ at its best γ = {best.gamma:.3f}, d = {SIDE}",
    )
    fractions = np.geomspace(1e-4, 0.5, 80)
    rows = [{"name": "best Hγ", "a": a, "y": hamming_error(a)} for a in fractions]
    rows += [{"name": "H", "a": a, "y": 1 - a} for a in fractions]
    rows += [
        {"name": "Jaccard", "a": a, "y": approximation(jaccard, dice).absolute} for a in fractions
    ]
    right = lines(rows, "a: smallest foreground fraction a", "y: absolute error for Dice")
    right = right.encode(
        x=alt.X(
            "a:Q",
            title="smallest foreground fraction a",
            scale=alt.Scale(type="log", domain=[1e-4, 0.5]),
            axis=alt.Axis(values=[1e-4, 1e-3, 1e-2, 0.1, 0.5], format="~g"),
        ),
        y=alt.Y("y:Q", title="absolute error for Dice", scale=alt.Scale(domain=[0, 1])),
    )
    whole = [
        {"name": "best Hγ", "a": 1 / d, "y": bound.absolute}
        for d in (10, 100, 1000)
        for bound in [approximation(dice, weighted_hamming, d=d, empty=False)]
    ]
    dots = alt.Chart(alt.InlineData(values=whole)).mark_point(
        filled=True, size=70, opacity=1, color=COLOURS[2]
    )
    return alt.hconcat(
        left.properties(title="No γ brings Hγ near D"),
        alt.layer(right, dots.encode(x="a:Q", y="y:Q")).properties(
            title="Small objects are what separates them"
        ),
    )


def corollary1() -> alt.HConcatChart:
    everything, large = masses(SIDE), masses(SIDE, first=SIDE // 2)
    return alt.hconcat(
        cloud(hamming, everything, f"Hamming similarity H, d = {SIDE}").properties(
            title="All non-empty references"
        ),
        cloud(hamming, large, f"Hamming similarity H, d = {SIDE}").properties(
            title="References of half the image or more"
        ),
    )


def main() -> None:
    FIGURES.mkdir(exist_ok=True)
    for draw in (proposition1, proposition2, corollary1):
        chart = (
            draw()
            .resolve_scale(color="independent")
            .configure(font="Helvetica, Arial, sans-serif", background="white")
            .configure_view(stroke=None)
            .configure_axis(
                grid=False, labelFontSize=12, titleFontSize=13, titleFontWeight="normal"
            )
            .configure_legend(labelFontSize=13, labelLimit=300)
            .configure_title(fontSize=15, anchor="start", fontWeight="bold")
        )
        png = vl_convert.vegalite_to_png(chart.to_dict(), scale=1.5)
        picture = Image.open(io.BytesIO(png)).convert("RGB")
        picture.quantize(64).save(FIGURES / f"{draw.__name__}.png", optimize=True)


if __name__ == "__main__":
    main()
