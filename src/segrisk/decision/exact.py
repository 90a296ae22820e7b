"""Expected scores of every cut-off, and the mask that scores best, for independent voxels.

Let voxels be foreground independently, with probabilities p. Tversky's index of a mask s of τ
voxels, A of them hits, B foreground voxels missed, is A / (ατ + (1 − α)A + βB). Because
1/c = ∫ e^(−ct) dt over t > 0, its expectation is one integral,

    E[S(s)] = ∫ Σ_{i∈s} g_i(t) · Π_{i∈s} u_i(t) · Π_{i∉s} v_i(t) dt,
    u = (1 − p)e^(−αt) + pe^(−t),   v = 1 − p + pe^(−βt),   g = pe^(−t) / u.

For each τ the best mask is that of the τ most probable voxels: swapping a voxel of s for a more
probable one outside moves weight from B to A. Along the sorted voxels sums and products are
cumulative, so one node t of a quadrature serves all cut-offs at once: O(d·Q).

In s = log t the trapezoid rule with step h is off by at most (4πe/h)·e^(−π²/h): the integrand is
entire in t, and |E[A t e^(−ct)]| integrates to at most 1/cos θ along arg t = θ.
"""

import importlib.util
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segrisk.decision.door import (
    LARGEST_HALF,
    above,
    as_kind_of,
    expect_similarity,
    probabilities,
)
from segrisk.similarity import Similarity

HAS_NUMBA = importlib.util.find_spec("numba") is not None


def tversky_weights(similarity: Similarity) -> tuple[float, float]:
    """The weights α of false positives and β of false negatives of a Tversky index.

    ValueError for any other similarity, since the integral above needs this form.

    >>> from segrisk.similarity import dice, jaccard
    >>> tversky_weights(dice), tversky_weights(jaccard)
    ((0.5, 0.5), (1.0, 1.0))
    """
    expect_similarity(similarity)
    if similarity.tversky_weights is None:
        raise ValueError(
            f"{similarity.name} has no exact expectation here: give a Tversky index, that is dice, "
            "jaccard, tversky(alpha, beta) or f_beta(beta)"
        )
    alpha, beta = similarity.tversky_weights
    return float(alpha), float(beta)


def expected_scores(p: Any, similarity: Similarity, *, tolerance: float = 1e-12) -> Any:
    """E[score] of the mask of the τ most probable of independent voxels, for τ = 0, …, d.

    p (d,) in [0, 1], an array or a tensor; the result (d + 1,), float64, is of the same kind. The
    empty mask scores P(no foreground), since two empty masks are alike. Absolute error at most
    `tolerance`, and what sums of d float64 round. `similarity` is Dice, Jaccard or another Tversky
    index. ValueError for other similarities, no voxels, values outside [0, 1], other shapes.
    Source: the module's integral; for Dice the scores are those of Dai and Li (JMLR 2023).

    >>> from segrisk.similarity import dice
    >>> expected_scores([0.5, 0.25], dice).round(4)
    array([0.375 , 0.4583, 0.4583])
    """
    weights = tversky_weights(similarity)
    flat = probabilities(p)
    if flat.ndim != 1:
        raise ValueError(f"p has shape {flat.shape}: give one row of voxels, p.reshape(-1)")
    ordered = np.sort(flat.astype(np.float64))[::-1]
    return as_kind_of(_scores(ordered, np.ones(flat.size, np.int64), weights, tolerance), p)


def optimal_mask(p: Any, similarity: Similarity, *, tolerance: float = 1e-10) -> Any:
    """The mask with the best expected score, if voxels are independent with probabilities p.

    p of any shape in [0, 1], an array or a tensor; the result is boolean, of the same shape and
    kind. Ties, within `tolerance`, go to the smaller mask. Voxels of one probability are taken or
    left together: splitting them never scores higher where α ≤ 1. (For Dice and Jaccard a sign
    argument proves it, see docs/decision.md; for other Tversky indices it is tested.) So the cost
    is that of the distinct probabilities, at most 15 361 in float16. ValueError as in
    `expected_scores`.

    >>> from segrisk.similarity import dice
    >>> optimal_mask([[0.45, 0.4], [0.05, 0.0]], dice)
    array([[ True,  True],
           [False, False]])
    """
    values = probabilities(p)
    return as_kind_of(best_cut(values, similarity, tolerance).mask(values), p)


@dataclass(frozen=True, eq=False)
class Cut:
    """A cut-off of one map, the best unless another is taken, and the scores of all others."""

    levels: np.ndarray
    """(G,) float64, the distinct probabilities above 0, falling."""
    counts: np.ndarray
    """(G,) their numbers of voxels."""
    scores: np.ndarray
    """(G + 1,) E[score] of taking the g most probable groups, g = 0, …, G."""
    taken: int
    """How many groups are taken."""

    @property
    def score(self) -> float:
        """The expected score of the mask."""
        return float(self.scores[self.taken])

    @property
    def size(self) -> int:
        """The number of voxels of the mask."""
        return int(self.counts[: self.taken].sum())

    @property
    def volume(self) -> float:
        """Σp."""
        return float(self.counts @ self.levels)

    @property
    def peak(self) -> float:
        """max p."""
        return float(self.levels.max(initial=0))

    @property
    def foreground(self) -> float:
        """P(any foreground), without cancellation where it is small."""
        with np.errstate(divide="ignore"):
            return float(-np.expm1((self.counts * np.log1p(-self.levels)).sum()))

    def take(self, groups: int) -> "Cut":
        """The same map cut after so many groups."""
        return replace(self, taken=groups)

    def at(self, threshold: float) -> "Cut":
        """The same map cut to p > threshold."""
        return self.take(int(np.count_nonzero(self.levels > threshold)))

    def of_size(self, voxels: int) -> "Cut":
        """The same map cut after so many voxels, as far as whole groups go."""
        return self.take(int(np.searchsorted(np.cumsum(self.counts), voxels, side="right")))

    def mask(self, values: np.ndarray) -> np.ndarray:
        """The mask on the map from which this was found."""
        if self.taken == len(self.levels):
            return above(values, 0.0)
        mask = above(values, float(self.levels[self.taken]))
        left = self.size - np.count_nonzero(mask)
        if left:  # probabilities that are split: whichever of their voxels, the score is the same
            mask.flat[np.flatnonzero(values == self.levels[self.taken])[:left]] = True
        return mask


def best_cut(p: np.ndarray, similarity: Similarity, tolerance: float = 1e-10) -> Cut:
    """The best cut-off of a checked map, with the scores of all that can be best."""
    alpha, beta = tversky_weights(similarity)
    levels, counts = grouped(p)
    if alpha > 1:  # here splitting a group can pay
        levels = np.repeat(levels, counts)
        counts = np.ones(levels.size, np.int64)
    scores = _scores(levels, counts, (alpha, beta), tolerance)
    return Cut(levels, counts, scores, int(np.argmax(scores >= scores.max() - tolerance)))


def grouped(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct probabilities above 0, falling, float64, and how many voxels have each."""
    if p.dtype == np.float16:
        counts = np.bincount(p.view(np.uint16).reshape(-1), minlength=LARGEST_HALF + 1)
        bits = np.flatnonzero(counts[1 : LARGEST_HALF + 1])[::-1] + 1
        return bits.astype(np.uint16).view(np.float16).astype(np.float64), counts[bits]
    ordered = np.sort(p, axis=None)[::-1]
    ordered = ordered[: ordered.size - np.count_nonzero(ordered == 0)].astype(np.float64)
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: ordered.size])
    return ordered[starts], np.diff(np.r_[starts, ordered.size])


def _scores(
    p: np.ndarray, counts: np.ndarray, weights: tuple[float, float], tolerance: float
) -> np.ndarray:
    """E[score] of taking the first g groups, g = 0, …, G; p falls."""
    scores = np.zeros(p.size + 1)
    with np.errstate(divide="ignore"):
        scores[0] = np.exp((counts * np.log1p(-p)).sum())
    mean = float((counts * p).sum())
    if mean == 0:
        return scores
    nodes, steps = _quadrature(mean, int(counts.sum()), max(1.0, *weights), tolerance)
    negligible = tolerance / (1e3 * max(1.0, mean) * max(1.0, nodes[-1]))
    if HAS_NUMBA:
        from segrisk.decision import compiled

        compiled.add_scores(p, counts, nodes, steps, *weights, negligible, scores[1:])
    else:
        add_scores(p, counts, nodes, steps, *weights, negligible, scores[1:])
    return np.clip(scores, 0, 1, out=scores)


def _quadrature(
    mean: float, voxels: int, largest: float, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes t, rising, and their weights, for an error of at most `tolerance`."""
    h = 0.3
    for _ in range(4):  # the fixed point of the bound in the module's docstring
        h = np.pi**2 / np.log(8 * np.pi * np.e / (h * tolerance))
    stop = np.log(np.log(8 * (1 + mean) / tolerance))  # the integrand is at most E[A] e^(−t)
    # Below the first node the integrand is constant to first order: its share goes to that node.
    start = np.log(tolerance / (8 * max(1.0, mean) * voxels * largest)) / 2
    nodes = np.exp(start + h * np.arange(int(np.ceil((stop - start) / h)) + 1))
    steps = h * nodes
    steps[0] /= -np.expm1(-h)
    return nodes, steps


def add_scores(
    p: np.ndarray,
    counts: np.ndarray,
    nodes: np.ndarray,
    steps: np.ndarray,
    alpha: float,
    beta: float,
    negligible: float,
    scores: np.ndarray,
) -> None:
    """Add the integral of every cut-off to `scores` (G,): what `compiled.add_scores` does."""
    for t, step in zip(nodes, steps, strict=True):
        left = counts * _log_factor(p, beta * t)
        rest = left.sum()
        if rest < np.log(negligible) and alpha <= 1 and beta <= 1:
            return  # the products fall with t and with every voxel taken
        taken = counts * (_log_factor(p, (1 - alpha) * t) - alpha * t)
        gain = p / (p + (1 - p) * np.exp((1 - alpha) * t))
        logarithm = rest + np.cumsum(taken - left)
        scores += step * np.cumsum(counts * gain) * np.exp(logarithm)


def _log_factor(p: np.ndarray, exponent: float) -> np.ndarray:
    """log(1 − p + p·e^(−exponent)), without cancellation at either end."""
    if exponent < 0:  # the mirror image, which cannot overflow
        return -exponent + _log_factor(1 - p, -exponent)
    change = p * np.expm1(-exponent)
    near_1 = change < -0.5
    direct = np.log(np.where(near_1, 1 - p + p * np.exp(-exponent), 1))
    return np.where(near_1, direct, np.log1p(np.where(near_1, 0, change)))
