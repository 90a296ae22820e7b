"""The best mask for any joint law of the voxels, given by samples of it or by several raters."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from segrisk.decision.door import as_array, as_kind_of
from segrisk.decision.exact import tversky_weights
from segrisk.similarity import Similarity

CELLS = 1 << 22  # of a table that is held at once


@dataclass(frozen=True)
class JointSamples:
    """The mask with the best mean score over samples of the whole mask, or over raters.

    Assumes nothing but that the M samples yᵐ stand for what may be true: dependence of any kind is
    in them, such as borders that move as one. Exact for Dice: a mask of k voxels scores
    Σ_{i∈s} (2/M) Σ_m yᵢᵐ/(k + |yᵐ|), so for each k the k voxels with the largest sums are best
    (Dembczyński et al. 2011). `decide` takes boolean samples (M, *space) in place of p, and there
    is nothing to fit. ValueError for similarities whose denominator depends on the overlap, such
    as Jaccard.

    >>> from segrisk.similarity import dice
    >>> raters = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]], dtype=bool)
    >>> JointSamples(dice).decide(raters)
    array([ True,  True, False, False])
    """

    similarity: Similarity

    def __post_init__(self) -> None:
        alpha, beta = tversky_weights(self.similarity)
        if abs(alpha + beta - 1) > 1e-12:
            raise ValueError(
                f"{self.similarity.name} cannot be decided exactly from samples: its denominator "
                "depends on the overlap of mask and sample, so voxels do not add up and finding "
                "the best mask is a hard combinatorial problem; use dice or f_beta(beta), whose "
                "best mask is the natural stand-in"
            )

    @property
    def name(self) -> str:
        return f"joint {self.similarity.name}"

    def fit(self, cases: object = ()) -> "JointSamples":
        """The rule as it is; cases are not looked at."""
        return self

    def decide(self, samples: Any) -> Any:
        """The boolean mask (*space) for samples (M, *space), an array or a tensor as they are."""
        y = _checked(samples)
        rows = y.reshape(len(y), -1)
        support = np.flatnonzero(rows.any(0))
        mask = np.zeros(rows.shape[1], np.bool_)
        if support.size:
            chosen = _best(rows[:, support], tversky_weights(self.similarity))
            mask[support[chosen]] = True
        return as_kind_of(mask.reshape(y.shape[1:]), samples)


def _checked(samples: Any) -> np.ndarray:
    y = as_array(samples)
    if y.ndim < 2 or not y.size:
        raise ValueError(f"samples have shape {y.shape}: give at least one mask, (M, *space)")
    if y.dtype != np.bool_:
        if y.dtype.kind not in "iuf" or not np.isin(y, (0, 1)).all():
            raise ValueError(f"samples must be boolean or 0 and 1, got {y.dtype}: give masks")
        y = y.astype(np.bool_)
    return y


def _best(rows: np.ndarray, weights: tuple[float, float]) -> np.ndarray:
    """The indices of the voxels to take, of the voxels (M, U) that any sample holds."""
    # Voxels that the same samples hold tie: the work is that of the distinct patterns.
    bits = np.ascontiguousarray(np.packbits(rows, axis=0).T)
    keys = bits.view(np.dtype((np.void, bits.shape[1])))[:, 0]
    _, first, member, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    patterns, sizes = rows[:, first].astype(np.float64).T, rows.sum(1)
    sums = _Sums(patterns, counts, sizes, weights)
    wanted = np.arange(1, rows.shape[1] + 1)
    best_k, best = 0, float((sizes == 0).mean())
    # A mask of k voxels cannot beat a bound; trying the samples' sizes first makes it sharp.
    start = np.unique(sizes[sizes > 0])
    for ks in (start, wanted):
        ks = ks[sums.bound(ks) > best]
        step = max(1, CELLS // len(counts))
        for part in (ks[at : at + step] for at in range(0, len(ks), step)):
            values = sums.values(part)
            if values.max() > best + 1e-12:
                best_k, best = int(part[values.argmax()]), float(values.max())
    order, fill = sums.filling(np.array([best_k]))
    taken = np.empty(len(counts), np.int64)
    taken[order[0]] = fill[0]
    by_pattern = np.argsort(member, kind="stable")
    rank = np.empty(len(member), np.int64)
    rank[by_pattern] = np.arange(len(member)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.flatnonzero(rank < taken[member])


@dataclass(frozen=True, eq=False)
class _Sums:
    """The sums of each pattern of voxels, for masks of k voxels."""

    patterns: np.ndarray
    """(P, M), which samples hold the voxels of a pattern."""
    counts: np.ndarray
    """(P,) voxels of each pattern."""
    sizes: np.ndarray
    """(M,) voxels of each sample."""
    weights: tuple[float, float]

    def _denominators(self, ks: np.ndarray) -> np.ndarray:
        alpha, beta = self.weights
        return np.maximum(alpha * ks[:, None] + beta * self.sizes, 1e-300)

    def bound(self, ks: np.ndarray) -> np.ndarray:
        """What no mask of k voxels exceeds: the mean over samples of the best for each alone."""
        return (np.minimum(ks[:, None], self.sizes) / self._denominators(ks)).mean(1)

    def filling(self, ks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Patterns from best to worst (K, P), and how many voxels of each are taken."""
        sums = (1 / self._denominators(ks)) @ self.patterns.T
        order = np.argsort(-sums, axis=1, kind="stable")
        counts = self.counts[order]
        before = np.cumsum(counts, axis=1) - counts
        return order, np.clip(ks[:, None] - before, 0, counts)

    def values(self, ks: np.ndarray) -> np.ndarray:
        """The mean score (K,) of the best mask of each size."""
        order, fill = self.filling(ks)
        sums = (1 / self._denominators(ks)) @ self.patterns.T
        return (np.take_along_axis(sums, order, axis=1) * fill).sum(1) / len(self.sizes)
