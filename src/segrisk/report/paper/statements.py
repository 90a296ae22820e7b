"""The claims of the paper's Sections 4 and 5, as data: who is compared, and what is claimed."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from segrisk.losses import PAPER
from segrisk.report.paper.rule import Expected, Over

CROSS_ENTROPY, WEIGHTED, *_SENSITIVE = PAPER
SENSITIVE = tuple(_SENSITIVE)

Asked = Literal["means", "order", "bins", "larger half", "tasks"]
"""What is looked at: the means of pairs; their order in Dice and in Jaccard; the ten bins of size;
the half of the cases with the larger objects; the same difference on two tasks."""

Where = Literal["everywhere", "balanced", "unbalanced", "uniform"]

WHERE: Mapping[Where, str] = {
    "everywhere": "",
    "balanced": "a foreground of 25 to 75 % on average, or a task that stands for MO17",
    "unbalanced": "a task that is neither balanced nor stands for MO17, where equality is claimed",
    "uniform": "objects of one size: a standard deviation of log size of at most 0.25",
}


@dataclass(frozen=True)
class Statement:
    """One claim. `pairs` are (a, b) by registered name, and `expected` is said of a − b."""

    name: str
    sentence: str
    place: str
    pairs: tuple[tuple[str, str], ...]
    expected: Expected
    asked: Asked = "means"
    over: Over = "all"
    """Of how many of its parts it is claimed."""
    where: Where = "everywhere"

    @property
    def losses(self) -> frozenset[str]:
        """What must have been trained."""
        return frozenset(name for pair in self.pairs for name in pair)


def _each(others: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, others) for name in SENSITIVE)


_PERFORMANCE = "Sect. 4, Performance of the surrogates"
_WEIGHTING = "Sect. 4, Weighting of cross-entropy"
_SCALE = "Sect. 4, Scale-specific study, Fig. 1"

STATEMENTS = (
    Statement(
        "sensitive-above-ce",
        "Each metric-sensitive loss scores above cross-entropy",
        _PERFORMANCE, _each(CROSS_ENTROPY), "above", where="unbalanced",
    ),
    Statement(
        "sensitive-above-wce",
        "Each metric-sensitive loss scores above weighted cross-entropy",
        _PERFORMANCE, _each(WEIGHTED), "above",
    ),
    Statement(
        "sensitive-equal",
        "The metric-sensitive losses do not differ among themselves",
        _PERFORMANCE, tuple(combinations(SENSITIVE, 2)), "equal",
    ),
    Statement(
        "same-order",
        "Dice and Jaccard rank the losses alike: no pair is ordered oppositely",
        "Sect. 4, Equivalence of J and D", tuple(combinations(PAPER, 2)), "different",
        asked="order", over="unopposed",
    ),
    Statement(
        "ce-equal-where-balanced",
        "Cross-entropy equals the metric-sensitive losses where foreground and background are "
        "balanced",
        _PERFORMANCE, _each(CROSS_ENTROPY), "equal", where="balanced",
    ),
    Statement(
        "ce-equal-where-uniform",
        "Cross-entropy equals the metric-sensitive losses where all objects are of one size",
        "the rival explanation of MO17; not claimed by the paper",
        _each(CROSS_ENTROPY), "equal", where="uniform",
    ),
    Statement(
        "wce-below-ce",
        "Weighted cross-entropy performs poorly compared to cross-entropy",
        _WEIGHTING, ((CROSS_ENTROPY, WEIGHTED),), "above",
    ),
    Statement(
        "wce-depends-on-task",
        "What weighting does to cross-entropy depends on the task",
        _WEIGHTING, ((WEIGHTED, CROSS_ENTROPY),), "different", asked="tasks", over="some",
    ),
    Statement(
        "ce-dominated",
        "Cross-entropy is dominated at most sizes",
        _SCALE, _each(CROSS_ENTROPY), "above", asked="bins", over="most",
    ),
    Statement(
        "gain-beyond-small",
        "The gain of the metric-sensitive losses is not limited to small objects",
        _SCALE, _each(CROSS_ENTROPY), "above", asked="larger half",
    ),
    Statement(
        "wce-better-in-ranges",
        "Weighted cross-entropy is better than cross-entropy in some ranges of size",
        f"{_WEIGHTING}; {_SCALE}",
        ((WEIGHTED, CROSS_ENTROPY),), "above", asked="bins", over="some",
    ),
)  # fmt: skip
"""Every claim that is judged, in the order of the report."""
