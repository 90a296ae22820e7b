"""How models look, everywhere alike: colour, shape and dash, so that black and white suffices."""

from collections.abc import Sequence
from dataclasses import dataclass

from segrisk.report.results import Model

COLOURS = ("#3a3a3a", "#e69f00", "#0072b2", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6d31")
"""Okabe and Ito's palette, which readers with any colour vision can tell apart."""

SHAPES = {
    "circle": "M4 0A4 4 0 1 1-4 0A4 4 0 1 1 4 0z",
    "square": "M-3.6-3.6h7.2v7.2h-7.2z",
    "triangle-up": "M0-4.6L4.4 3.4H-4.4z",
    "diamond": "M0-5L5 0L0 5L-5 0z",
    "cross": "M-1.6-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
    "triangle-down": "M0 4.6L4.4-3.4H-4.4z",
    "triangle-right": "M4.6 0L-3.4 4.4V-4.4z",
    "triangle-left": "M-4.6 0L3.4 4.4V-4.4z",
}
"""Vega's names of symbols, and the same as SVG paths around 0."""

DASHES = {
    "metric": ((1, 0),),
    "pixel": ((6, 3), (6, 2, 1.5, 2)),
    "other": ((1, 0), (6, 3), (1.5, 2), (6, 2, 1.5, 2), (10, 3), (3, 3)),
}
"""Dashes by family, in turn: pixel-wise losses are dashed, metric-sensitive ones are not."""

INK, SOFT, LINE, PAPER = "#1d1f22", "#646a73", "#dcd9d2", "#fffffe"
"""The colours of charts. On the page they follow the reader's light or dark scheme."""


@dataclass(frozen=True)
class Style:
    """The look of one model. `variable` is its colour on the page, by the reader's scheme."""

    colour: str
    variable: str
    shape: str
    dash: tuple[float, ...]

    @property
    def path(self) -> str:
        """The shape as an SVG path around 0."""
        return SHAPES[self.shape]

    @property
    def dashes(self) -> str:
        """The dash as SVG writes it."""
        return "none" if self.dash == (1, 0) else " ".join(f"{length:g}" for length in self.dash)


def styles(models: Sequence[Model]) -> dict[str, Style]:
    """The look of each model by its name; the ninth begins again."""
    seen = {family: 0 for family in DASHES}
    found, shapes = {}, tuple(SHAPES)
    for index, model in enumerate(models):
        dashes = DASHES[model.family]
        colour = index % len(COLOURS)
        found[model.name] = Style(
            COLOURS[colour],
            f"var(--m{colour + 1})",
            shapes[index % len(shapes)],
            dashes[seen[model.family] % len(dashes)],
        )
        seen[model.family] += 1
    return found


def themed(text: str) -> str:
    """A chart's SVG or specification with the page's variables for its colours."""
    names = {colour: f"var(--m{index + 1})" for index, colour in enumerate(COLOURS)}
    names |= {INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--line)", PAPER: "var(--paper)"}
    for colour, variable in names.items():
        text = text.replace(colour, variable)
    return text
