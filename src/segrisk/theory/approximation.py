"""How well one similarity stands for another: Definitions 1 and 2 of the paper, certified."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from segrisk.similarity import Confusion, Similarity, weighted_hamming
from segrisk.theory import closed
from segrisk.theory.family import best_absolute, best_distortion, best_relative
from segrisk.theory.regions import VANISHING, Region, limit_region, whole_region
from segrisk.theory.search import (
    PIECES,
    Extreme,
    Supremum,
    largest_difference,
    largest_ratio,
)

FEW = 8
"""So many references are searched one by one, even where fractions alone would do."""

Of = Literal["similarity", "loss"]
Family = Callable[[float], Similarity]


class Case(NamedTuple):
    """Masses of a worst case: counts of voxels, or shares of the image in the limit.

    `attained` is false where they only show the way: the value is approached as a mass that is
    tiny here tends to 0.
    """

    masses: Confusion
    attained: bool


class Measures(NamedTuple):
    """One thing for each of the three measures."""

    absolute: object
    relative: object
    distortion: object


@dataclass(frozen=True)
class Approximation:
    """What `approximation` finds: three measures, each an upper bound that is met.

    `bounds` are the certified lower and upper bounds of each, `worst` the masses of its worst
    cases, `method` how it was found, `gamma` the γ of least absolute error and `gammas` that of
    least each, where the best member of the weighted Hamming family was asked for.
    """

    first: str
    second: str
    of: Of
    bounds: Measures
    worst: Measures
    gammas: Measures
    method: str

    @property
    def absolute(self) -> float:
        """The least ε with |S₁ − S₂| ≤ ε, Definition 1."""
        return self.bounds.absolute[1]

    @property
    def relative(self) -> float:
        """The least ε with S₂ / (1 + ε) ≤ S₁ ≤ (1 + ε)·S₂, Definition 2."""
        return self.bounds.relative[1]

    @property
    def distortion(self) -> float:
        """sup S₁/S₂ · sup S₂/S₁: what remains of the relative error after the best rescaling."""
        return self.bounds.distortion[1]

    @property
    def gamma(self) -> float | None:
        """The γ of least absolute error."""
        return self.gammas.absolute


def approximation(
    first: Similarity | Family,
    second: Similarity | Family,
    *,
    d: int | None = None,
    foreground: tuple[float, float] = (0.0, 1.0),
    empty: bool = True,
    of: Of = "similarity",
) -> Approximation:
    """The errors with which two similarities, or their losses 1 − S, approximate each other.

        absolute   sup |S₁ − S₂|                          Definition 1, Eq. 1 of docs/theory.md
        relative   sup max(S₁/S₂, S₂/S₁) − 1              Definition 2, Eq. 2

    over all predictions, of d voxels exactly, or with d=None the limit d → ∞, which bounds every
    d. The reference's foreground is a share in [a, b] = `foreground` of the image, 0 only if
    `empty` allows empty references; predictions may always be empty. Where both are empty both
    similarities are 1. 0/0 is no error in a ratio, x/0 an infinite one. `weighted_hamming` itself,
    not called, stands for its best member for each measure.

    Two Tversky indices have closed forms in the limit (Eq. 3 and 4), other pairs a lower and an
    upper bound within 1e-9; for a given d the values are exact. Raises ValueError for arguments
    out of range, ArithmeticError where d is too large or bounds do not meet. Bertels et al. 2019:

    Proposition 1: J and D approximate each other with relative error 1, absolute 3 − 2√2.

    >>> from segrisk.similarity import dice, hamming, jaccard
    >>> bound = approximation(jaccard, dice)
    >>> print(f"{bound.absolute:.7f} {bound.relative:.0f} {bound.method}")
    0.1715729 1 closed form

    Proposition 2: no Hγ approximates D relatively, and absolutely none does better than 1.

    >>> bound = approximation(dice, weighted_hamming)
    >>> print(f"{bound.absolute:.4f} {bound.relative}")
    1.0000 inf

    Corollary 1: nor does H.

    >>> print(approximation(dice, hamming, d=100).absolute, approximation(dice, hamming).absolute)
    0.99 1.0
    """
    _check(first, second, of)
    _check_region(d, foreground)
    low, high = foreground
    background = any(is_family(one) or one.counts_background for one in (first, second))
    if d is None:
        region = limit_region(low, high, background=background)
    else:
        sizes = [n for n in _counts(d, low, high) if n or empty]
        if not sizes:
            raise ValueError(
                f"no reference of d = {d} voxels has a foreground fraction in {list(foreground)}: "
                "widen it, or take more voxels"
            )
        symmetric = not background and first.is_symmetric and second.is_symmetric
        region = whole_region([(n, d) for n in sizes], line=symmetric)
    if d is None and not background and first.tversky_weights and second.tversky_weights:
        return _closed(first, second, region, foreground, of)
    return _searched(first, second, region, of)


def approximation_on(
    first: Similarity | Family,
    second: Similarity | Family,
    sizes: Iterable[tuple[int, int]],
    *,
    of: Of = "similarity",
) -> Approximation:
    """`approximation` over all predictions for these references alone: pairs (|y|, d) of counts.

    Values are within 1e-6 of an attained one. Where true negatives do not count, the upper bound
    is over all real masses with the least of the given fractions: only it limits them. Raises
    ValueError unless 0 ≤ |y| ≤ d.

    >>> from segrisk.similarity import dice
    >>> print(f"{approximation_on(dice, weighted_hamming, [(10, 100), (300, 1000)]).absolute:.3f}")
    0.462
    """
    sizes = sorted({(int(n), int(d)) for n, d in sizes})
    _check(first, second, of)
    faulty = [(n, d) for n, d in sizes if not (0 <= n <= d and d >= 1)]
    if faulty or not sizes:
        raise ValueError(
            f"sizes must be pairs (|y|, d) of counts with |y| ≤ d, got {faulty[:3] or 'none'}"
        )
    if len(sizes) <= FEW or any(is_family(one) or one.counts_background for one in (first, second)):
        return _searched(first, second, whole_region(sizes, tolerance=1e-6), of)
    smallest = min(sizes, key=lambda size: size[0] / size[1])
    some = {smallest, max(sizes), *[size for size in sizes if size[0]][:1]}
    inner = _searched(first, second, whole_region(some, tolerance=1e-6), of)
    outer = approximation(first, second, foreground=(smallest[0] / smallest[1], 1.0), of=of)
    pairs = zip(inner.bounds, outer.bounds, strict=True)
    bounds = Measures(*((low, max(low, high)) for (low, _), (_, high) in pairs))
    return replace(inner, bounds=bounds)


def is_family(similarity: Similarity | Family) -> bool:
    """Whether this is the family of weighted Hamming similarities, not a member."""
    return similarity is weighted_hamming


def _counts(d: int, low: float, high: float) -> range:
    # A fraction like 0.3 of 10 voxels is 3 of them, whatever rounding makes of 0.3.
    return range(int(np.ceil(low * d - 1e-9)), int(np.floor(high * d + 1e-9)) + 1)


def _closed(
    first: Similarity, second: Similarity, region: Region, foreground: tuple, of: Of
) -> Approximation:
    loss = of == "loss"
    absolute = closed.tversky_absolute(first, second, foreground)
    relative = closed.tversky_relative(first, second, foreground, loss=loss)
    if absolute is None or relative is None:
        return _searched(first, second, region, of)
    distortion = closed.tversky_distortion(first, second)
    if not (foreground[0] == 0 or (loss and foreground[0] < 1)):
        distortion = _sides(first, second, region, loss)[2].high
    suprema = (absolute, relative, Supremum(distortion, distortion, relative.worst))
    found = [(one.low, one.high, (one.worst,), None) for one in suprema]
    return _result(first, second, of, found, "closed form")


def _searched(
    first: Similarity | Family, second: Similarity | Family, region: Region, of: Of
) -> Approximation:
    loss, method = of == "loss", "enumeration" if region.whole else "branch and bound"
    if not (is_family(first) or is_family(second)):
        sides = _sides(first, second, region, loss)
        found = [(one.low, one.high, (one.worst,) if one.worst else (), None) for one in sides]
        return _result(first, second, of, found, method)
    fixed = second if is_family(first) else first
    best = (
        best_absolute(fixed, region),
        best_relative(fixed, region, loss=loss),
        best_distortion(fixed, region, loss=loss),
    )
    found = [(one.low, one.high, one.worst, one.gamma) for one in best]
    return _result(first, second, of, found, method)


def _sides(
    first: Similarity, second: Similarity, region: Region, loss: bool
) -> tuple[Supremum, Supremum, Supremum]:
    """Absolute error, largest ratio and distortion of two given similarities."""
    over = largest_difference(first, second, region)
    under = largest_difference(second, first, region)
    up = largest_ratio(first, second, region, loss=loss)
    down = largest_ratio(second, first, region, loss=loss)
    # Where errors, or hits, never occur there is no ratio; equal things have the ratio 1.
    ups, downs = (Supremum(max(x.low, 1), max(x.high, 1), x.worst) for x in (up, down))
    product = Supremum(ups.low * downs.low, ups.high * downs.high, max(ups, downs, key=_high).worst)
    absolute = Supremum(max(over.low, under.low, 0), max(over.high, under.high, 0), None)
    where = max(over, under, key=_high).worst
    return (
        Supremum(absolute.low, absolute.high, where),
        max(ups, downs, key=_high),
        product,
    )


def _high(supremum: Supremum) -> float:
    return supremum.high


def _result(
    first: Similarity | Family,
    second: Similarity | Family,
    of: Of,
    found: list[tuple[float, float, tuple[Extreme, ...], float | None]],
    method: str,
) -> Approximation:
    (a_low, a_high, *_), (r_low, r_high, *_), (p_low, p_high, *_) = found
    bounds = Measures(
        (float(a_low), float(a_high)),
        (float(r_low) - 1, float(r_high) - 1),
        (float(p_low), float(p_high)),
    )
    worst = Measures(*(tuple(_shown(extreme) for extreme in part[2]) for part in found))
    gammas = Measures(*(part[3] for part in found))
    names = (one.__name__ if is_family(one) else one.name for one in (first, second))
    return Approximation(*names, of, bounds, worst, gammas, method)


def _shown(extreme: Extreme) -> Case:
    """Masses that stand for 0⁺ as 0 where that is reached, else as something that can be seen."""
    if all(isinstance(mass, int) for mass in extreme.masses):
        return Case(extreme.masses, extreme.attained)
    least = 0.0 if extreme.attained else closed.NEAR
    masses = (least if 0 < mass <= 1e3 * VANISHING else float(mass) for mass in extreme.masses)
    return Case(Confusion(*masses), extreme.attained)


def _check(first: Similarity | Family, second: Similarity | Family, of: Of) -> None:
    if of not in {"similarity", "loss"}:
        raise ValueError(f"of must be 'similarity' or 'loss', got {of!r}")
    if is_family(first) and is_family(second):
        raise ValueError(
            "both sides are the family weighted_hamming: call one with its gamma, "
            "as in weighted_hamming(0.5)"
        )
    for one in (first, second):
        if is_family(one):
            continue
        if not isinstance(one, Similarity):
            name = getattr(one, "__name__", type(one).__name__)
            raise ValueError(
                f"{name} is no similarity: give dice, jaccard, … or call it with its weights, "
                "as in tversky(0.3, 0.7); only weighted_hamming may stand for its family"
            )
        _check_form(one)


def _check_form(similarity: Similarity) -> None:
    """Bounds are certain only for parts that are affine in fp and fn at a given reference."""
    if similarity.name in PIECES:
        return
    n, d, x, y = 7.0, 19.0, np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5, 3.5])

    def bends(x: np.ndarray | float, y: np.ndarray | float) -> bool:
        masses = Confusion(n - x, y + 0 * x, x + 0 * y, d - n - y + 0 * x)
        parts = (
            np.broadcast_to(np.asarray(part, float), (3,)) for part in similarity.parts(*masses)
        )
        return any(abs(np.diff(part, 2)[0]) > 1e-9 * np.abs(part).max() for part in parts)

    if bends(x, 2.0) or bends(2.0, y):
        raise ValueError(
            f"{similarity.name} cannot be bounded: its numerator and denominator must be affine in "
            "fp and fn where |y| and d are given"
        )


def _check_region(d: int | None, foreground: tuple[float, float]) -> None:
    if d is not None and not (isinstance(d, int | np.integer) and d >= 1):
        raise ValueError(f"d must be a number of voxels, at least 1, or None, got {d!r}")
    low, high = foreground
    if not (0 <= low <= high <= 1 and high > 0):
        raise ValueError(
            f"foreground must be a range of fractions 0 ≤ a ≤ b ≤ 1 with b > 0, got "
            f"{list(foreground)}"
        )
