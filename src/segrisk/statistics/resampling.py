"""Chance, drawn once and shared: signs of groups, and how often each group is drawn.

Procedures are matrix products of what is drawn here with the sums of groups, so that one draw
serves all models, metrics and pairs. Draws come in blocks: memory does not grow with their number.
"""

from collections.abc import Callable, Iterator

import numpy as np

from segrisk.statistics.groups import GroupTable
from segrisk.statistics.threads import ahead

EXACT_GROUPS = 16
"""Up to this many groups every vector of signs is tried: 2^16 = 65,536."""

BLOCK = 2**17
"""Random numbers that are held at once: 1 MB stays in a core's cache, and is twice as fast."""

ROWS, LARGEST = 64, 2**22
"""Of many groups more rows are held, up to 32 MB: a matrix is read once for all rows of a block."""

TIE = 1e-12
"""Share of Σ|d| within which two sums are one: another order of summation may round a tie."""


def check_resamples(resamples: int) -> None:
    """ValueError for fewer than one."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}: 9999 is usual")


def all_signs(groups: int) -> np.ndarray:
    """Half of all vectors of signs (2^(groups − 1), groups); the others are their negatives.

    >>> all_signs(2)
    array([[ 1,  1],
           [-1,  1]])
    """
    return 1 - 2 * ((np.arange(2 ** (groups - 1))[:, None] >> np.arange(groups)) & 1)


def random_signs(groups: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks (rows, groups) of independent signs, `resamples` rows in all."""
    generator = np.random.default_rng(seed)
    for rows in _blocks(resamples, groups):
        yield 2.0 * generator.integers(0, 2, (rows, groups), dtype=np.int8) - 1.0


def draws(groups: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks (rows, groups) that count how often each group is drawn, with replacement.

    >>> next(draws(4, 2, seed=0)).sum(axis=1)
    array([4., 4.])
    """
    generator = np.random.default_rng(seed)
    for rows in _blocks(resamples, groups):
        drawn = generator.integers(0, groups, (rows, groups))
        drawn += groups * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * groups)
        yield counts.reshape(rows, groups).astype(np.float64)


class Draws:
    """Products of matrices with the same draws: all that was asked for is made in one pass.

    To draw costs more than to multiply, so ask for everything before the first is used.

    >>> drawn = Draws(groups=4, resamples=2, seed=0)
    >>> each, all_of_them = drawn.times(np.eye(4)), drawn.times(np.ones(4))
    >>> each().sum(axis=1), all_of_them()
    (array([4., 4.]), array([4., 4.]))
    """

    def __init__(self, groups: int, resamples: int, seed: int):
        check_resamples(resamples)
        self.groups, self.resamples, self.seed = groups, resamples, seed
        self._asked: list[np.ndarray] = []
        self._made: list[np.ndarray] = []

    def times(self, matrix: np.ndarray) -> Callable[[], np.ndarray]:
        """A promise of draws @ matrix (resamples, …), for a matrix (groups, …)."""
        place = len(self._made) + len(self._asked)
        self._asked.append(matrix)
        return lambda: self._get(place)

    def _get(self, place: int) -> np.ndarray:
        if place >= len(self._made):
            blocks = [
                [drawn @ matrix for matrix in self._asked]
                for drawn in ahead(
                    draws(self.groups, self.resamples, self.seed), self.groups * self.resamples
                )
            ]
            self._made += [np.concatenate(own) for own in zip(*blocks, strict=True)]
            self._asked = []
        return self._made[place]


def mean_of(table: GroupTable, drawn: Draws) -> Callable[[], np.ndarray]:
    """A promise of mean* = Σ S* / Σ n* (resamples, rows) of each row of the table."""
    totals, cases = drawn.times(table.sums.T), drawn.times(table.counts)
    return lambda: totals() / cases()[:, None]


def _blocks(resamples: int, groups: int) -> Iterator[int]:
    """Numbers of rows that add up to `resamples`, each within the memory of one block."""
    # NumPy draws four signs from one number, and would drop the rest of it at the end of a block.
    rows = max(4, BLOCK // groups // 4 * 4, min(ROWS, LARGEST // groups // 4 * 4))
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)
