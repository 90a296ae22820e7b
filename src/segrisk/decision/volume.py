"""What decisions do to volumes."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from segrisk.similarity import Confusion, Similarity, dice
from segrisk.statistics import Interval, group_sums, group_t_interval


def volume_bias(
    predicted: Any,
    reference: Any,
    groups: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
) -> Interval:
    """The mean of predicted − reference volume over cases, with its interval over groups.

    Both (cases,), in one unit. Σp of calibrated maps (`Tally.volume`) is unbiased. A mask at 0.5 is
    too small where much is uncertain and faint; the mask that is best for Dice too large where
    uncertain regions are several. ValueError for fewer than 2 groups and lengths that differ.

    >>> bias = volume_bias([10, 12, 9], [11, 11, 11])
    >>> print(f"{bias.estimate:.2f} [{bias.low:.2f}, {bias.high:.2f}]")
    -0.67 [-4.46, 3.13]
    """
    predicted, reference = (np.asarray(v, dtype=np.float64) for v in (predicted, reference))
    if predicted.shape != reference.shape:
        raise ValueError(
            f"got predicted volumes of shape {predicted.shape} and reference volumes of "
            f"{reference.shape}: give one of each for every case"
        )
    names = range(len(predicted)) if groups is None else groups
    return group_t_interval(group_sums(predicted - reference, names), level=level)


def switching_probability(
    certain: float, uncertain: float, parts: float, similarity: Similarity = dice
) -> float:
    """The probability above which uncertain regions belong to the best mask.

    A region of area `certain` is foreground; one of area `uncertain` falls into `parts` equal
    ones, each foreground with probability p on its own. At the returned p taking all of them
    scores as much as taking none; some of them is never better, as they are equally probable. One
    part gives 1/2, more give less: masks that are best for Dice are then too large on average
    (Bertels et al. 2021). `parts` may be infinite. ValueError for areas and parts out of range.

    >>> [round(switching_probability(1, 1, parts), 3) for parts in (1, 2, float("inf"))]
    [0.5, 0.457, 0.414]
    """
    whole = parts == float("inf") or (parts >= 1 and parts == int(parts))
    if not (0 <= certain < float("inf") and 0 < uncertain < float("inf") and whole):
        raise ValueError(
            f"got areas {certain} (certain) and {uncertain} (uncertain) in {parts} parts: areas "
            "must be finite, the uncertain one positive, and the parts a number from 1 or infinity"
        )

    def gain(p: float) -> float:
        if parts == float("inf"):
            chances, present = np.ones(1), np.array([p * uncertain])
        else:
            number = np.arange(int(parts) + 1)
            chances, present = binom.pmf(number, int(parts), p), number / parts * uncertain
        nothing = 0 * present
        taken = Confusion(certain + present, uncertain - present, nothing, nothing)
        left = Confusion(certain + nothing, nothing, present, uncertain - present)
        return float(chances @ (similarity(taken) - similarity(left)))

    if certain == 0 and parts == float("inf"):
        return 0.0  # the empty mask scores nothing as soon as p > 0
    return float(brentq(gain, 0.0, 1.0, xtol=1e-12))
