"""The paper's Table 1 as it was printed, and what stands out in it.

The text of the paper that can be read by a program has lost italics, underlines and bold, so only
the numbers are here; what the paper says of its marks stands in `SAID_OF_MARKS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations, product
from typing import Literal

from segrisk.losses import LOSSES, PAPER

PaperTask = Literal["BR18", "IS17", "IS18", "MO17", "PO18"]
"""The paper's data sets; the first three are 3D."""

SAID_OF_MARKS = (
    "The paper says: CE and wCE are lower than each metric-sensitive loss, but for CE on MO17; wCE "
    "is generally lower than CE; among the metric-sensitive losses there is in general no "
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

_LABELS = {name: LOSSES[name].label for name in PAPER}


@dataclass(frozen=True)
class PaperException:
    """An order in Table 1 that its text does not say: `orders` are (metric, higher, lower)."""

    task: PaperTask
    words: str
    orders: tuple[tuple[str, str, str], ...]

    @property
    def losses(self) -> frozenset[str]:
        """Which must have been trained to look for it."""
        return frozenset(name for _, *two in self.orders for name in two)

    @property
    def metrics(self) -> frozenset[str]:
        """Which must have been measured."""
        return frozenset(metric for metric, *_ in self.orders)


_CE, _WCE, *_SENSITIVE = PAPER


def exceptions(task: PaperTask) -> tuple[PaperException, ...]:
    """Where Table 1 contradicts what is said of it, read off its numbers; ties order nothing.

    Two losses that Dice and Jaccard rank oppositely, and a pixel-wise loss above a metric-sensitive
    one in every metric.

    >>> [own.words for own in exceptions("IS18")]
    ['the paper prints wCE above CE in Dice and below it in Jaccard']
    >>> [own.words for own in exceptions("IS17")]
    ['the paper prints wCE above Lovász in Dice and in Jaccard']
    """
    dice, jaccard = TABLE1["dice", task], TABLE1["jaccard", task]
    found = []
    for a, b in permutations(PAPER, 2):
        if dice[a] > dice[b] and jaccard[a] < jaccard[b]:
            above = f"{_LABELS[a]} above {_LABELS[b]} in Dice"
            words = f"the paper prints {above} and below it in Jaccard"
            orders = (("dice", a, b), ("jaccard", b, a))
            found.append(PaperException(task, words, orders))
    for a, b in product((_CE, _WCE), _SENSITIVE):
        if dice[a] > dice[b] and jaccard[a] > jaccard[b]:
            words = f"the paper prints {_LABELS[a]} above {_LABELS[b]} in Dice and in Jaccard"
            orders = (("dice", a, b), ("jaccard", a, b))
            found.append(PaperException(task, words, orders))
    return tuple(found)
