"""Which similarities have a convex Lovász surrogate: those whose loss is submodular."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from segrisk.similarity import Confusion, Similarity, clipped_hamming, hamming

Kind = Literal["foreground", "background"]
DEFECT = 1e-12
"""A violation smaller than this may be rounding of float weights."""


@dataclass(frozen=True)
class CounterExample:
    """A reference, a set M of wrong voxels and two more whose joint cost exceeds the parts'."""

    positives: int
    negatives: int
    missed: int
    """Foreground voxels in M, fn."""
    invented: int
    """Background voxels in M, fp."""
    added: tuple[Kind, Kind]
    defect: float
    """Δ(M + a + b) + Δ(M) − Δ(M + a) − Δ(M + b) > 0."""

    def __str__(self) -> str:
        d = self.positives + self.negatives
        first, second = self.added
        more = f"two {first} voxels" if first == second else f"a {first} and a {second} voxel"
        return (
            f"reference of {self.positives} among {d} voxels, {self.missed} missed and "
            f"{self.invented} falsely marked: getting {more} wrong as well costs "
            f"{self.defect:.4g} more together than apart"
        )


@dataclass(frozen=True)
class Submodularity:
    """Whether the loss of `similarity` is submodular, how that is known, and where it fails."""

    similarity: str
    holds: bool
    method: Literal["closed form", "enumeration"]
    counter_example: CounterExample | None

    def __str__(self) -> str:
        if self.holds:
            return f"{self.similarity}: submodular ({self.method}): its Lovász loss is convex"
        return f"{self.similarity}: not submodular: {self.counter_example}"


def submodularity(similarity: Similarity, *, size: int = 4) -> Submodularity:
    """Whether Δ(M), the loss with exactly the voxels of M wrong, is submodular for all references.

        Δ(M + a) + Δ(M + b) ≥ Δ(M + a + b) + Δ(M)   for all M and a, b not in M,      Eq. 11

    which is when its Lovász extension is convex in the errors (Lovász 1983). Known: Hamming and
    the clipped Hamming loss (a concave function of the number of errors) are; Tversky's index is
    exactly where misses weigh β ≥ 1 (Eq. 12), so Jaccard is and Dice is not. Others are
    enumerated, exactly, with up to `size` voxels of foreground and of background: there `holds`
    says that no counter-example is that small. Raises ValueError for size < 2.

    >>> from segrisk.similarity import dice, jaccard
    >>> print(submodularity(jaccard))
    jaccard: submodular (closed form): its Lovász loss is convex
    >>> submodularity(dice).counter_example.added
    ('foreground', 'foreground')
    """
    if size < 2:
        raise ValueError(f"size must be at least 2, got {size}: one voxel has no pair")
    known = _known(similarity)
    if known:
        return Submodularity(similarity.name, True, "closed form", None)
    found = max(_violations(similarity, size), key=lambda each: each.defect, default=None)
    method = "enumeration" if known is None else "closed form"
    return Submodularity(similarity.name, known is None and found is None, method, found)


def _known(similarity: Similarity) -> bool | None:
    if similarity in (hamming, clipped_hamming):
        return True
    weights = similarity.tversky_weights
    return None if weights is None else bool(weights[1] >= 1)


def _violations(similarity: Similarity, size: int) -> Iterator[CounterExample]:
    """Δ depends on M by its numbers of foreground and background voxels only."""
    kinds: dict[Kind, tuple[int, int]] = {"foreground": (1, 0), "background": (0, 1)}
    pairs = (
        ("foreground", "foreground"),
        ("foreground", "background"),
        ("background", "background"),
    )
    for n in range(1, size + 1):
        for negatives in range(size + 1):

            def cost(fn: int, fp: int, n: int = n, negatives: int = negatives) -> Fraction | float:
                return similarity.loss(Confusion(*map(Fraction, (n - fn, fp, fn, negatives - fp))))

            for first, second in pairs:
                (a1, a0), (b1, b0) = kinds[first], kinds[second]
                for fn in range(n - a1 - b1 + 1):
                    for fp in range(negatives - a0 - b0 + 1):
                        together = cost(fn + a1 + b1, fp + a0 + b0) + cost(fn, fp)
                        apart = cost(fn + a1, fp + a0) + cost(fn + b1, fp + b0)
                        if together - apart > DEFECT:
                            defect = float(together - apart)
                            yield CounterExample(n, negatives, fn, fp, (first, second), defect)
