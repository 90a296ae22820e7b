"""Certified suprema over masses: branch and bound on Bernstein coefficients.

With n and d given, every similarity here is a ratio of two affine functions of fn and fp (or the
larger of two such ratios), and of degree at most 2 in the foreground fraction. So the difference
or the ratio of two similarities on a box is a ratio A / B of polynomials. In Bernstein's basis,
whose functions are positive, A / B is a weighted mean of the ratios of the coefficients wherever
those of B are positive: the largest of them bounds it from above, and the error of the bound
falls with the square of the box's side. Values at corners bound it from below.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from segrisk.similarity import Confusion, Similarity, clipped_hamming
from segrisk.theory.regions import Region

ENDLESS = 1e12
"""A ratio beyond this is reported as infinite."""
NOTHING = 1e-90
"""A coefficient below this is 0, or a product with `VANISHING`."""
INSIDE = 1e-9
"""How far into a box, as a share of its half side, the masses lie that show the way to a limit."""
BOXES = 4_000_000
"""Boxes after which the search gives up."""
CHUNK = 20_000
MEANS = 40
"""Steps of the search for the best mean of two functions, each leaving 2/3 of the range."""

Parts = Callable[..., tuple]


def _scale(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    n = tp + fn
    return 2 * n + (n == 0) * fp  # against an empty reference any scale gives 0


PIECES: dict[str, tuple[Parts, ...]] = {
    clipped_hamming.name: (
        lambda tp, fp, fn, tn: (2 * tp + fn - fp, _scale(tp, fp, fn)),
        lambda tp, fp, fn, tn: (0 * tp, _scale(tp, fp, fn)),
    )
}
"""Similarities that are the larger of two ratios of affine functions, with one denominator."""


@dataclass(frozen=True)
class Extreme:
    """Masses at which a supremum is attained, or towards which it is approached.

    In the limit they are shares of the image. Masses of `VANISHING` stand for what tends to 0.
    """

    masses: Confusion
    attained: bool


@dataclass(frozen=True)
class Supremum:
    """`low` ≤ supremum ≤ `high`, and where it is."""

    low: float
    high: float
    worst: Extreme | None


def largest_difference(first: Similarity, second: Similarity, region: Region) -> Supremum:
    """sup S₁ − S₂ over the region."""

    def fraction(one: tuple, other: tuple) -> tuple:
        (l1, m1), (l2, m2) = one, other
        return _product(l1, m2) - _product(l2, m1), _product(m1, m2)

    return _search(first, second, region, fraction, outer_first=True)


def largest_ratio(first: Similarity, second: Similarity, region: Region, *, loss: bool) -> Supremum:
    """sup S₁ / S₂, or of the losses sup (1 − S₁) / (1 − S₂); 0/0 is left out, x/0 is infinite."""

    def fraction(one: tuple, other: tuple) -> tuple:
        (l1, m1), (l2, m2) = one, other
        if loss:
            l1, l2 = m1 - l1, m2 - l2
        return _product(l1, m2), _product(l2, m1)

    # Of several pieces a similarity is the largest, so its loss is the least.
    return _search(first, second, region, fraction, outer_first=not loss)


def _search(
    first: Similarity, second: Similarity, region: Region, fraction: Callable, *, outer_first: bool
) -> Supremum:
    low, high = region.low, region.high
    best, worst, seen, left_high = -np.inf, None, 0, -np.inf
    while len(low):
        seen += len(low)
        uppers = []
        for start in range(0, len(low), CHUNK):
            part = slice(start, start + CHUNK)
            grid = _Corners(region, low[part], high[part])
            upper, values, directions = grid.bounds(first, second, fraction, outer_first)
            uppers.append(upper)
            if values.max() > best:
                best = float(values.max())
                worst = grid.extreme(int(values.argmax()), directions)
        if best > ENDLESS:
            return Supremum(np.inf, np.inf, worst)
        upper = np.concatenate(uppers)
        enough = best + region.tolerance * max(1.0, abs(best)) if best > -np.inf else best
        pending = upper > enough
        if region.whole:
            pending &= (low < high).any(axis=-1)
        closed = upper[~pending]
        left_high = max(left_high, closed.max(initial=-np.inf))
        if seen > BOXES:
            raise ArithmeticError(
                f"the bounds of {first.name} and {second.name} did not meet within {BOXES} boxes: "
                f"the supremum lies between {best:.6g} and {upper.max():.6g}: "
                + (
                    "leave out d, whose bound holds for every d"
                    if region.whole
                    else "keep the foreground away from 0 and 1, as in foreground=(0.01, 0.9)"
                )
            )
        low, high = _halves(low[pending], high[pending], region.whole)
    return Supremum(best, float(max(best, left_high)), worst)


def _halves(low: np.ndarray, high: np.ndarray, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """Each box divided across its longest side."""
    rows, axis = np.arange(len(low)), (high - low).argmax(axis=-1)
    middle = (low[rows, axis] + high[rows, axis]) / 2
    below, above = high.copy(), low.copy()
    below[rows, axis] = np.floor(middle) if whole else middle
    above[rows, axis] = np.floor(middle) + 1 if whole else middle
    return np.concatenate([low, above]), np.concatenate([below, high])


class _Corners:
    """The Bernstein coefficients of two similarities on a stack of boxes."""

    def __init__(self, region: Region, low: np.ndarray, high: np.ndarray) -> None:
        self.region = region
        steps = [np.array([0.0]) if region.whole else np.array([0, 0.5, 1])]
        steps += [np.array([0.0, 1.0])] * 2
        at = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1)
        at = np.concatenate([np.zeros((*at.shape[:-1], 1)), at], axis=-1)
        # low + (high − low) would round the far end; a mean of both ends is exact there.
        ends = low[:, None, None, None], high[:, None, None, None]
        self.points = (1 - at) * ends[0] + at * ends[1]
        self.low, self.high = low, high
        self.masses = region.masses(self.points)
        # Without true negatives y is 1 throughout, see `limit_region`.
        self.counted = bool((region.low[:, 3] < region.high[:, 3]).any())

    def coefficients(self, similarity: Similarity) -> list[tuple[np.ndarray, np.ndarray]]:
        """Numerator and denominator of each piece, (boxes, 1 or 3, 2, 2)."""
        pieces = PIECES.get(similarity.name, (similarity.parts,))
        found = []
        for parts in pieces:
            sides = (np.broadcast_to(side, self.masses.tp.shape) for side in parts(*self.masses))
            found.append(tuple(_in_bernstein(np.asarray(side, float)) for side in sides))
        return found

    def bounds(
        self, first: Similarity, second: Similarity, fraction: Callable, outer_first: bool
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """The upper bound of each box, and candidates of the lower (boxes, 8 corners · axes)."""
        rows = [
            [_ratios(*fraction(one, other)) for other in self.coefficients(second)]
            for one in self.coefficients(first)
        ]
        if not outer_first:
            rows = [list(column) for column in zip(*rows, strict=True)]
        upper = np.max([_least_bound(row) for row in rows], axis=0)
        values = np.max([np.min([corners for _, corners in row], axis=0) for row in rows], axis=0)
        if self.region.whole:
            values = values[..., :1]  # a limit at a corner is not a value at whole voxels
        return upper, values.reshape(len(upper), -1), values.shape[-1]

    def extreme(self, index: int, directions: int) -> Extreme:
        """The masses of the candidate at a flat index of `values`."""
        grid = self.points[:, [0, -1]]
        index, direction = divmod(index, directions)
        box, corner = divmod(index, grid[0, ..., 0].size)
        point = grid[box].reshape(-1, 4)[corner].copy()
        if self.region.whole:
            return Extreme(Confusion(*(int(mass) for mass in self.region.masses(point))), True)
        if direction:
            inner = (self.low[box] + self.high[box])[direction] / 2
            point[direction] += INSIDE * (inner - point[direction])
        # At a fraction of 1 there is no background, and a share of it that is wrong is a limit.
        reached = 0 < point[1] < 1 or (point[1] == 1 and (point[3] == 0 or not self.counted))
        attained = direction == 0 and bool(reached)
        return Extreme(Confusion(*(float(mass) for mass in self.region.masses(point))), attained)


def _in_bernstein(values: np.ndarray) -> np.ndarray:
    """Coefficients from values: affine along two axes, of degree 0 or 2 along the first."""
    if values.shape[1] == 1:
        return values
    middle = 2 * values[:, 1] - (values[:, 0] + values[:, 2]) / 2
    return np.stack([values[:, 0], middle, values[:, 2]], axis=1)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The coefficients of a product of two polynomials on each box."""
    m = a.shape[1] - 1
    binomial = np.array([comb(m, i) for i in range(m + 1)], float)[:, None, None]
    total = np.array([comb(2 * m, i) for i in range(2 * m + 1)], float)[:, None, None]
    inner = np.array([1.0, 2.0, 1.0])
    result = np.zeros((len(a), 2 * m + 1, 3, 3))
    a, b = a * binomial, b * binomial
    for i, j, k in np.ndindex(m + 1, 2, 2):
        result[:, i : i + m + 1, j : j + 2, k : k + 2] += a[:, i : i + 1, j : j + 1, k : k + 1] * b
    return result / (total * inner[:, None] * inner)


def _ratios(above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest ratio of coefficients on each box, and the ratios at corners.

    Coefficients 0/0 have no weight and are left out. At a corner 0/0 the ratio of the next
    coefficients along an axis is the limit along that edge: (boxes, 2, 2, 2, 1 + 3 axes).
    """
    nothing = np.maximum(abs(above), abs(below)) < NOTHING
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(below > 0, above / below, np.inf)
    ratio[(below == 0) & (above < 0)] = -np.inf
    ratio[nothing] = -np.inf
    ends = np.array([0, -1])
    corners = ratio[np.ix_(range(len(ratio)), ends, ends, ends)]
    candidates = [corners]
    for axis in (1, 2, 3):
        if ratio.shape[axis] == 1:
            continue
        steps = [ends, ends, ends]
        steps[axis - 1] = np.array([1, -2])
        near = ratio[np.ix_(range(len(ratio)), *steps)]
        candidates.append(np.where(corners == -np.inf, near, corners))
    return ratio, np.stack(candidates, axis=-1)


def _least_bound(row: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The bound of the least of one or two functions on each box.

    The least of two is below each mean λ·f + (1 − λ)·g. Both have one denominator here, so the
    coefficients of the mean are the means of the coefficients, and its bound is convex in λ.
    """
    ratios = [ratio.reshape(len(ratio), -1) for ratio, _ in row]
    best = np.min([ratio.max(axis=-1) for ratio in ratios], axis=0)
    if len(ratios) == 1:
        return best
    f, g = ratios
    mixed = np.isfinite(f) & np.isfinite(g)
    usable = (mixed | ((f == -np.inf) & (g == -np.inf))).all(axis=-1) & mixed.any(axis=-1)
    f, g = (np.where(mixed, part, -np.inf)[usable] for part in (f, g))

    def bound(share: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # 0 · −∞ where a coefficient has no weight
            mean = share[:, None] * f + (1 - share[:, None]) * g
        return np.where(f == -np.inf, -np.inf, mean).max(axis=-1)

    low, high = np.zeros(len(f)), np.ones(len(f))
    for _ in range(MEANS):
        left, right = (2 * low + high) / 3, (low + 2 * high) / 3
        falls = bound(left) > bound(right)
        low, high = np.where(falls, left, low), np.where(falls, high, right)
    best[usable] = np.minimum(best[usable], bound((low + high) / 2))
    return best
