"""What the page draws by itself: differences as a forest, significance as a map, ranks as lines."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from segrisk.report.pairs import Pair
from segrisk.report.ranks import Across
from segrisk.report.summary import Summary
from segrisk.report.verdict import number, p_text
from segrisk.statistics import Rank

CIRCLE, DIAMOND = "M4.5 0A4.5 4.5 0 1 1-4.5 0A4.5 4.5 0 1 1 4.5 0z", "M0-5.5L5.5 0L0 5.5L-5.5 0z"


@dataclass(frozen=True)
class Line:
    """One pair; places are in percent of the plot's width."""

    title: str
    at: float
    low: float | None
    high: float | None
    symbol: str
    is_real: bool
    difference: str
    interval: str
    p: str
    words: str


@dataclass(frozen=True)
class Forest:
    """Every pair of one task."""

    task: str
    lines: tuple[Line, ...]
    zero: float
    zone: tuple[float, float]
    """Where differences are within the margin."""
    ticks: tuple[tuple[float, str], ...]


def forest(summary: Summary, task: str) -> Forest:
    """The pairs of a task in the primary metric, on one scale."""
    plan, metric = summary.results.plan, replace(summary.primary, unit="")
    pairs = summary.by_loss.of(task, metric.name)
    ends = [
        end for pair in pairs for end in (pair.low, pair.high, pair.difference) if end is not None
    ]
    low, high = min([0.0, -plan.margin, *ends]), max([0.0, plan.margin, *ends])

    def place(value: float) -> float:
        return 3 + 94 * (value - low) / (high - low)

    def line(pair: Pair) -> Line:
        ends = [end for end in (pair.low, pair.high) if end is not None]
        return Line(
            f"{summary.labels[pair.a]} − {summary.labels[pair.b]}",
            place(pair.difference),
            place(ends[0]) if ends else None,
            place(ends[1]) if ends else None,
            DIAMOND if pair.equivalent else CIRCLE,
            pair.real(plan.alpha),
            number(pair.difference, metric, signed=True),
            " to ".join(number(end, metric, signed=True) for end in ends) or "–",
            p_text(pair.p_adjusted).removeprefix("p = ").removeprefix("p "),
            _words(summary, pair),
        )

    zone = place(-plan.margin), place(plan.margin)
    return Forest(task, tuple(map(line, pairs)), place(0), zone, _ticks(low, high, place))


def _words(summary: Summary, pair: Pair) -> str:
    plan = summary.results.plan
    if pair.real(plan.alpha):
        text = f"{summary.labels[pair.better]} better"
        return f"{text}, within ±{plan.margin:g}" if pair.equivalent else text
    return f"same within ±{plan.margin:g}" if pair.equivalent else "open"


def _ticks(
    low: float, high: float, place: Callable[[float], float]
) -> tuple[tuple[float, str], ...]:
    """About five round values of the scale."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    values = [step * index for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return tuple(
        (place(value), f"{value:+.3g}".replace("-", "−") if value else "0") for value in values
    )


@dataclass(frozen=True)
class Field:
    """One field of the map: how the model of the row does against that of the column."""

    glyph: str
    words: str
    tone: str


@dataclass(frozen=True)
class Map:
    """Every model against every other on one task, the best first; None on the diagonal."""

    task: str
    labels: tuple[str, ...]
    rows: tuple[tuple[Field | None, ...], ...]


def significance_map(summary: Summary, task: str) -> Map:
    """Who is better than whom after correction, who is the same, and what is open."""
    models = summary.ranked[task]
    pairs = summary.by_loss.of(task, summary.primary.name)

    def field(row: str, column: str) -> Field | None:
        if row == column:
            return None
        pair = next(pair for pair in pairs if pair.of(row, column))
        same = " and the same within the margin" if pair.equivalent else ""
        if pair.real(summary.results.plan.alpha):
            glyph, word = ("▲", "better") if pair.better == row else ("▼", "worse")
            return Field(glyph + ("≈" if same else ""), f"{word}{same}", word)
        if same:
            return Field("≈", "the same within the margin", "mute")
        return Field("·", "open", "mute")

    rows = tuple(tuple(field(a.name, b.name) for b in models) for a in models)
    return Map(task, tuple(model.label for model in models), rows)


@dataclass(frozen=True)
class Place:
    """One model's rank; `low` and `high` bound it over resampled patients."""

    rank: str
    label: str
    mean: str
    p_best: float
    at: float
    low: float
    high: float
    interval: str
    """Of the rank, in words."""


def places(summary: Summary, task: str) -> tuple[Place, ...]:
    """The ranking of one task; places in percent, from the first rank to the last."""
    metric = summary.primary

    def mean(one: Rank) -> str:
        return number(summary.by_loss.mean(task, metric.name, str(one.model)), metric)

    return _places(summary, summary.ranks[task], mean)


def places_across(summary: Summary, across: Across) -> tuple[Place, ...]:
    """The ranking across data sets, by mean rank."""
    return _places(summary, across.places, lambda one: f"{one.mean:.2f}")


def _places(
    summary: Summary, own: Sequence[Rank], mean: Callable[[Rank], str]
) -> tuple[Place, ...]:
    def place(rank: float) -> float:
        return 100 * (rank - 1) / max(1, len(own) - 1)

    return tuple(
        Place(
            f"{one.rank:g}",
            summary.labels[str(one.model)],
            mean(one),
            one.p_best,
            *map(place, (one.rank, one.low, one.high)),
            f"{one.low:g} to {one.high:g}",
        )
        for one in own
    )
