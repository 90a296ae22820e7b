"""Where a bound is sought: boxes of masses, of whole voxels or in the limit of many."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from segrisk.similarity import Confusion

TOLERANCE = 1e-9
"""How far apart the two bounds of a supremum may stay, relative to it where it exceeds 1."""
ROUNDING = 1e-14
"""The same where it is found exactly: what float64 may add."""
VANISHING = 1e-100
"""What stands for a foreground or background fraction of 0 in the limit: 0⁺."""


@dataclass(frozen=True)
class Region:
    """Boxes `low` ≤ (d, n, x, y) ≤ `high`, both (boxes, 4), with one d in each.

    Of whole voxels, a box has one n = |y| too, and x = fn, y = fp are counts. In the limit d is 1,
    n the foreground fraction p, x = fn / n and y = fp / (d − n): every real mass, and all limits
    as p tends to 0 or 1.
    """

    low: np.ndarray
    high: np.ndarray
    whole: bool
    tolerance: float

    def masses(self, coordinates: np.ndarray) -> Confusion:
        """The masses at coordinates (…, 4)."""
        d, n, x, y = np.moveaxis(coordinates, -1, 0)
        if self.whole:
            return Confusion(n - x, y, x, d - n - y)
        p, q = np.maximum(n, VANISHING), np.maximum(1 - n, VANISHING)
        return Confusion(p * (1 - x), q * y, p * x, q * (1 - y))


def whole_region(
    sizes: Iterable[tuple[int, int]], *, line: bool = False, tolerance: float = ROUNDING
) -> Region:
    """All predictions against references of n among d voxels, for the (n, d) of `sizes`.

    `line` says that only tp and fp + fn matter and that all sizes have one d and no gaps: then
    all errors against the largest n, and misses alone against the others, give every value.
    """
    n, d = np.array(sorted(set(sizes)), dtype=float).reshape(-1, 2).T
    false = d - n
    if line:
        false = np.where(n == n.max(), false, 0)
    # Against nothing, the empty prediction is perfect for every similarity: it has no error.
    first = np.where(n == 0, 1, 0)
    low = np.stack([d, n, np.zeros_like(n), first], axis=-1)
    high = np.stack([d, n, n, false], axis=-1)
    return Region(low, high, True, tolerance)


def limit_region(a: float, b: float, *, background: bool) -> Region:
    """Real masses with a foreground fraction in [a, b].

    Where neither similarity counts the `background`, true negatives are left out: then the
    fraction of what remains lies in [a, 1], whatever b.
    """
    low, high = ([1, a, 0, 0], [1, b, 1, 1]) if background else ([1, a, 0, 1], [1, 1, 1, 1])
    return Region(np.array([low], float), np.array([high], float), False, TOLERANCE)
