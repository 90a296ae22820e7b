"""Does the difference of two models change with the size of the object?"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t

from segrisk.statistics.door import case_differences, per_case
from segrisk.statistics.groups import Adder, case_groups, group_ranks
from segrisk.statistics.intervals import check_groups, check_level
from segrisk.statistics.size import with_size
from segrisk.statistics.threads import two_at_once

DEGREES_TO_TRUST = 4
"""Below, a few groups of unusual size decide, and the t law is no guide."""


@dataclass(frozen=True)
class SizeSlope:
    """The slope of the paired difference a − b on the natural logarithm of size."""

    slope: float
    """What the difference gains where size is multiplied by e; by 2, 0.693 of it."""
    low: float
    high: float
    p: float
    level: float
    degrees: float
    n_cases: int
    n_groups: int
    n_empty: int
    """Cases of size 0, left out."""

    @property
    def words(self) -> str:
        """What it says, or that it says little."""
        text = (
            f"{self.slope:+.4g} [{self.low:+.4g}, {self.high:+.4g}] by a factor e in size, "
            f"p = {self.p:.3g}"
        )
        if self.degrees < DEGREES_TO_TRUST:
            text += f"; {self.degrees:.1f} degrees of freedom are too few to trust it"
        return text


@dataclass(frozen=True)
class Design:
    """What the sizes and groups alone determine of a slope and its error."""

    basis: np.ndarray
    """(cases, 2), orthonormal: a constant and log size."""
    slope: np.ndarray
    """(cases,), whose product with the differences is the slope."""
    adjusted: np.ndarray
    """(cases,), whose products with the residuals, added up by group and squared, are its CR2
    variance."""
    add: Adder
    """Sums by group."""
    degrees: float
    """Satterthwaite's; 0 where nothing is left to tell an error from."""


def size_slope(
    a: Any,
    b: Any,
    sizes: Any,
    groups: Iterable[Hashable] | None = None,
    *,
    level: float = 0.95,
) -> SizeSlope:
    """Least squares of a − b on log size, with errors that hold for groups: CR2.

    The residuals e_g of a group are adjusted by A_g = (I − H_gg)^(−1/2), H the projection on the
    design X: Var = Σ_g (c_gᵀ A_g e_g)², c the row of (XᵀX)⁻¹Xᵀ that gives the slope, is unbiased if
    cases are independent and equally variable, and consistent if groups are independent. The t law
    has Satterthwaite's degrees of freedom, (Σ λ)²/Σ λ² of the matrix of Var. Sizes are never
    permuted: they are fixed, and spread unequally. (Bell and McCaffrey 2002; Pustejovsky and Tipton
    2018.)

    a, b: scores (cases,) or (cases, seeds); sizes (cases,) in any unit, 0 where the reference is
    empty: such cases are left out and counted.

    Raises ValueError for scores that do not pair up or are not finite, for negative sizes, for
    sizes all equal, and for fewer groups than tell an error.

    >>> sizes = np.arange(1.0, 31.0)
    >>> noise = np.tile([0.01, -0.01, 0.0], 10)
    >>> found = size_slope(0.5 + 0.1 * np.log(sizes) + noise, np.full(30, 0.5), sizes)
    >>> print(found.words)
    +0.09931 [+0.09442, +0.1042] by a factor e in size, p = 1.27e-09
    """
    return size_slopes([case_differences(a, b)], sizes, groups, level=level)[0]


def size_slopes(
    differences: Sequence[np.ndarray],
    sizes: Any,
    groups: Iterable[Hashable] | None = None,
    *,
    level: float = 0.95,
) -> list[SizeSlope]:
    """`size_slope` of several differences (cases,) of the same cases, which share one design."""
    check_level(level)
    if not differences:
        return []
    extents = per_case(sizes, "the sizes")
    names = case_groups(groups, len(differences[0]))
    filled = with_size(extents, differences[0], names)
    x, group_of = np.log(extents[filled]), group_ranks(group_ranks(names)[filled])
    if (x == x[:1]).all():
        raise ValueError("all sizes are equal: no slope can be told from them")
    check_groups(int(group_of.max()) + 1)
    plan = design(x, group_of)
    if not plan.degrees:
        raise ValueError(
            f"{len(x)} cases of such sizes in {group_of.max() + 1} groups leave nothing to tell "
            "the error of a slope from: score more patients"
        )
    n_empty = int((~filled).sum())
    return two_at_once(
        lambda values: _slope(plan, values[filled], level, n_empty),
        differences,
        len(differences) * len(x),
    )


def _slope(plan: Design, differences: np.ndarray, level: float, n_empty: int) -> SizeSlope:
    slope, error = slopes(plan, differences)
    half = float(error * t.ppf((1 + level) / 2, plan.degrees))
    ratio = abs(slope) / error if error > 0 else (np.inf if slope else 0.0)
    return SizeSlope(
        slope=float(slope),
        low=float(slope) - half,
        high=float(slope) + half,
        p=float(2 * t.sf(ratio, plan.degrees)),
        level=level,
        degrees=plan.degrees,
        n_cases=len(differences),
        n_groups=len(plan.add.counts),
        n_empty=n_empty,
    )


def design(x: np.ndarray, group_of: np.ndarray) -> Design:
    """The CR2 slope on x (cases,) with groups (cases,) numbered from 0."""
    centred = x - x.mean()
    length = np.sqrt((centred**2).sum())
    basis = np.stack([np.full(len(x), len(x) ** -0.5), centred / length], axis=1)
    slope = centred / length**2
    adjusted = np.empty_like(x)
    add = Adder(group_of)
    for inside in (add.order[places] for places in add.alike):
        # H_gg = U Uᵀ with two columns: A_g changes nothing but what lies in their span.
        vectors, values, _ = np.linalg.svd(basis[inside], full_matrices=False)
        left = 1 - values**2
        factor = np.where(left > 1e-9, np.maximum(left, 1e-9) ** -0.5, 0.0)
        spanned = factor[..., None] * (vectors.swapaxes(1, 2) @ slope[inside][..., None])
        adjusted[inside] = (vectors @ spanned)[..., 0]
    # Var is a quadratic form in independent errors with the matrix diag(w) − U Uᵀ over groups.
    w = np.bincount(group_of, adjusted**2)
    u = np.stack([np.bincount(group_of, adjusted * column) for column in basis.T], axis=1)
    own = (u**2).sum(axis=1)
    square = (w**2 - 2 * w * own).sum() + ((u.T @ u) ** 2).sum()
    trace = (w - own).sum()
    degrees = trace**2 / square if trace > 1e-9 * (slope**2).sum() else 0.0
    return Design(basis, slope, adjusted, add, float(degrees))


def slopes(plan: Design, differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The slope and its error of each row of differences (…, cases)."""
    residuals = differences - (differences @ plan.basis) @ plan.basis.T
    pulls = plan.add(residuals * plan.adjusted)
    return differences @ plan.slope, np.sqrt((pulls**2).sum(axis=-1))
