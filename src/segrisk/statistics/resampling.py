"""Chance, drawn once and shared: signs of groups, and how often each group is drawn.

Procedures are matrix products of what is drawn here with the sums of groups, so that one draw
serves all models, metrics and pairs. Draws come in blocks: memory does not grow with their number.
"""

from collections.abc import Iterator

import numpy as np

EXACT_GROUPS = 16
"""Up to this many groups every vector of signs is tried: 2^16 = 65,536."""

BLOCK = 2**17
"""Random numbers that are held at once: 1 MB stays in a core's cache, and is twice as fast."""

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


def draw_means(sums: np.ndarray, counts: np.ndarray, *, resamples: int, seed: int) -> np.ndarray:
    """mean* = Σ S* / Σ n* (resamples, rows) of each row of sums (rows, groups), on shared draws."""
    return np.concatenate(
        [
            (drawn @ sums.T) / (drawn @ counts)[:, None]
            for drawn in draws(len(counts), resamples, seed)
        ]
    )


def _blocks(resamples: int, groups: int) -> Iterator[int]:
    """Numbers of rows that add up to `resamples`, each within the memory of one block."""
    # NumPy draws four signs from one number, and would drop the rest of it at the end of a block.
    rows = max(4, BLOCK // groups // 4 * 4)
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)
