"""The paper's Table 1 as it was printed, and what stands out in it.

The text of the paper that can be read by a program has lost italics, underlines and bold, so only
the numbers are here; what the paper says of its marks stands in `SAID_OF_MARKS`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from segrisk.losses import PAPER

PaperTask = Literal["BR18", "IS17", "IS18", "MO17", "PO18"]
"""The paper's data sets; the first three are 3D."""

SAID_OF_MARKS = (
    "The paper says: every CE and wCE is lower than each metric-sensitive loss, but for CE on MO17; "
    "wCE is generally lower than CE; among the metric-sensitive losses there is in general no "
    "difference. Each by a bootstrap of single pairs at p < 0.05, without correction."
)

IMAGES: Mapping[PaperTask, int] = {"BR18": 285, "IS17": 43, "IS18": 94, "MO17": 400, "PO18": 1166}

_PRINTED: Mapping[tuple[str, PaperTask], tuple[float, ...]] = {
    ("dice", "BR18"): (0.768, 0.735, 0.823, 0.823, 0.827),
    ("dice", "IS17"): (0.260, 0.311, 0.331, 0.321, 0.305),
    ("dice", "IS18"): (0.463, 0.474, 0.538, 0.528, 0.508),
    ("dice", "MO17"): (0.930, 0.860, 0.932, 0.931, 0.932),
    ("dice", "PO18"): (0.635, 0.602, 0.656, 0.651, 0.649),
    ("jaccard", "BR18"): (0.654, 0.602, 0.717, 0.720, 0.722),
    ("jaccard", "IS17"): (0.177, 0.212, 0.227, 0.217, 0.204),
    ("jaccard", "IS18"): (0.345, 0.344, 0.407, 0.399, 0.382),
    ("jaccard", "MO17"): (0.873, 0.769, 0.877, 0.875, 0.877),
    ("jaccard", "PO18"): (0.541, 0.488, 0.559, 0.554, 0.553),
}

TABLE1: Mapping[tuple[str, PaperTask], Mapping[str, float]] = {
    key: dict(zip(PAPER, row, strict=True)) for key, row in _PRINTED.items()
}
"""(metric, data set) to the mean of each loss, by its registered name."""


@dataclass(frozen=True)
class Swap:
    """Two losses that the paper prints in one order by Dice and in the other by Jaccard."""

    task: PaperTask
    higher_by_dice: str
    higher_by_jaccard: str


def swaps() -> Iterator[Swap]:
    """Where Table 1 ranks two losses differently in Dice and Jaccard; ties rank neither.

    >>> list(swaps())
    [Swap(task='IS18', higher_by_dice='weighted_cross_entropy', higher_by_jaccard='cross_entropy')]
    """
    for task in IMAGES:
        dice, jaccard = TABLE1["dice", task], TABLE1["jaccard", task]
        for a, b in combinations(PAPER, 2):
            if (dice[a] - dice[b]) * (jaccard[a] - jaccard[b]) < 0:
                first, second = (a, b) if dice[a] > dice[b] else (b, a)
                yield Swap(task, first, second)


def pixel_above_metric(metric: str) -> Iterator[tuple[PaperTask, str, str]]:
    """Where a pixel-wise loss is printed above a metric-sensitive one: (task, pixel, metric).

    >>> list(pixel_above_metric("dice"))
    [('IS17', 'weighted_cross_entropy', 'lovasz_sigmoid')]
    """
    for task in IMAGES:
        row = TABLE1[metric, task]
        for pixel in PAPER[:2]:
            for sensitive in PAPER[2:]:
                if row[pixel] > row[sensitive]:
                    yield task, pixel, sensitive
