"""Draw docs/figures/decision.png: what each threshold scores under two kinds of uncertainty."""

from pathlib import Path

import altair as alt
import numpy as np
from PIL import Image
from scipy.stats import norm

from segrisk.decision import optimal_mask
from segrisk.similarity import dice

COLOURS = {"0.5": "#3a3a3a", "half of D*": "#e69f00", "exact for independent voxels": "#0072b2"}


def independent() -> tuple[np.ndarray, np.ndarray]:
    """p and the expected Dice of each cut-off, where voxels err on their own: Beta(0.1, 1)."""
    p = (1 - (np.arange(20_000) + 0.5) / 20_000) ** 10
    size = np.arange(1, len(p) + 1)
    return p, 2 * np.cumsum(p) / (size + p.sum())  # many voxels: the number of hits is its mean


def nested(sigma: float = 0.8, median: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """The same where one border moves: masks are {1, …, size} with log-normal sizes."""
    sizes = median * np.exp(sigma * norm.ppf((np.arange(1000) + 0.5) / 1000))
    voxels = np.arange(1, 30_001)
    p = norm.sf(np.log(voxels / median) / sigma)
    scores = [np.mean(2 * np.minimum(k, sizes) / (k + sizes)) for k in voxels[::20]]
    return p, np.interp(voxels, voxels[::20], scores)


def panel(title: str, p: np.ndarray, scores: np.ndarray) -> alt.LayerChart:
    """Expected Dice against the threshold, and where the rules stand."""
    thresholds = np.linspace(0.02, 0.98, 193)
    taken = np.maximum(np.searchsorted(-p, -thresholds), 1) - 1
    curve = [{"threshold": t, "dice": scores[k]} for t, k in zip(thresholds, taken, strict=True)]
    size = int(optimal_mask(p, dice).sum())
    at = {
        "0.5": 0.5,
        "half of D*": scores.max() / 2,
        "exact for independent voxels": float(p[size - 1] + p[size]) / 2,
    }
    marks = [
        {"rule": rule, "threshold": t, "dice": scores[np.count_nonzero(p > t) - 1]}
        for rule, t in at.items()
    ]
    x = alt.X("threshold:Q", title="threshold", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("dice:Q", title="expected Dice", scale=alt.Scale(zero=False))
    line = alt.Chart(alt.InlineData(values=curve)).mark_line(color="#888888").encode(x=x, y=y)
    colour = alt.Color(
        "rule:N",
        title=None,
        scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
        legend=alt.Legend(orient="bottom", labelLimit=260),
    )
    shape = alt.Shape(
        "rule:N",
        title=None,
        scale=alt.Scale(domain=list(COLOURS), range=["circle", "square", "cross"]),
    )
    points = (
        alt.Chart(alt.InlineData(values=marks))
        .mark_point(filled=True, size=130, opacity=1)
        .encode(x=x, y=y, color=colour, shape=shape)
    )
    return alt.layer(line, points).properties(title=title, width=330, height=240)


def main() -> None:
    left = panel("Voxels err on their own", *independent())
    right = panel("One border moves as a whole", *nested())
    target = Path(__file__).parent / "figures" / "decision.png"
    target.parent.mkdir(exist_ok=True)
    chart = alt.hconcat(left, right).configure_view(stroke=None)
    chart.configure_axis(gridOpacity=0.4).save(target, ppi=130)
    with Image.open(target) as picture:
        small = picture.convert("RGB").quantize(64)
    small.save(target, optimize=True)


if __name__ == "__main__":
    main()
