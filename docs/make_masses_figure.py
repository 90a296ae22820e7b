"""Draw docs/figures/masses.png: two masks make four masses, and the masses make every score."""

from pathlib import Path

import altair as alt
import numpy as np
from PIL import Image

from segrisk.similarity import Confusion, confusion, dice, jaccard

SIDE = 24
COLOURS = {"tp": "#009e73", "fp": "#e69f00", "fn": "#0072b2", "tn": "#eeeeee"}
NAMES = {
    "tp": "tp: hits",
    "fp": "fp: false alarms",
    "fn": "fn: misses",
    "tn": "tn: background",
}


def masks() -> tuple[np.ndarray, np.ndarray]:
    """A predicted and a true disc that overlap."""
    row, column = np.mgrid[:SIDE, :SIDE]

    def disc(r: float, c: float, radius: float) -> np.ndarray:
        return (row - r) ** 2 + (column - c) ** 2 < radius**2

    return disc(11, 9, 6.6), disc(13, 14, 6.6)


def kinds(mask: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Which of the four each voxel is."""
    return np.where(mask, np.where(truth, "tp", "fp"), np.where(truth, "fn", "tn"))


def colour() -> alt.Color:
    """One colour for each of the four."""
    scale = alt.Scale(domain=[NAMES[kind] for kind in COLOURS], range=list(COLOURS.values()))
    return alt.Color("kind:N", title=None, scale=scale, legend=alt.Legend(orient="bottom"))


def picture(mask: np.ndarray, truth: np.ndarray) -> alt.Chart:
    """The voxels, each in the colour of what it is."""
    of = kinds(mask, truth)
    rows = [
        {"row": int(r), "column": int(c), "kind": NAMES[str(kind)]}
        for (r, c), kind in np.ndenumerate(of)
    ]
    return (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("column:O", axis=None),
            y=alt.Y("row:O", axis=None),
            color=colour(),
        )
        .properties(title="A prediction (left disc) and a reference", width=300, height=300)
    )


def ratios(masses: Confusion) -> alt.Chart:
    """What stands above and below the line of Dice and Jaccard, as bars of masses."""
    parts = {
        f"Dice = {dice(masses):.2f}": (
            [("tp", 2 * masses.tp)],
            [("tp", 2 * masses.tp), ("fp", masses.fp), ("fn", masses.fn)],
        ),
        f"Jaccard = {jaccard(masses):.2f}": (
            [("tp", masses.tp)],
            [("tp", masses.tp), ("fp", masses.fp), ("fn", masses.fn)],
        ),
    }
    rows = [
        {"score": score, "part": part, "kind": NAMES[kind], "order": place, "voxels": int(size)}
        for score, both in parts.items()
        for part, pieces in zip(("numerator", "denominator"), both, strict=True)
        for place, (kind, size) in enumerate(pieces)
    ]
    return (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(stroke="white")
        .encode(
            x=alt.X("voxels:Q", title="voxels"),
            y=alt.Y("part:N", title=None, sort=["numerator", "denominator"]),
            color=colour(),
            order="order:O",
            row=alt.Row(
                "score:N",
                title=None,
                header=alt.Header(labelOrient="top", labelAnchor="start", labelFontWeight="bold"),
            ),
        )
        .properties(width=330, height=70)
    )


def main() -> None:
    both = masks()
    chart = alt.hconcat(picture(*both), ratios(confusion(*both)), spacing=50)
    target = Path(__file__).parent / "figures" / "masses.png"
    chart.configure_view(stroke=None).configure_axis(gridOpacity=0.4).save(target, ppi=130)
    with Image.open(target) as drawn:
        small = drawn.convert("RGB").quantize(64)
    small.save(target, optimize=True)


if __name__ == "__main__":
    main()
