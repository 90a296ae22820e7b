"""Closed forms: two Tversky indices, and Dice against the weighted Hamming similarity."""

import math

from segrisk.similarity import Confusion, Similarity
from segrisk.theory.search import Extreme, Supremum

NEAR = 1e-6
"""How near a limit the masses lie that are shown for it."""


def tversky_absolute(
    first: Similarity, second: Similarity, foreground: tuple[float, float]
) -> Supremum | None:
    """(√k − 1) / (√k + 1), Eq. 4, with k the largest ratio of two weights; None where not reached.

    Along one kind of error alone the indices are 1 / (1 + x) and 1 / (1 + kx), which differ most
    at x = 1 / √k. Misses of any number may occur, false positives only up to (1 − p) / p voxels
    for each of the reference.
    """
    k, weight, false = _steepest(first, second)
    # Errors for each hit, at the index with the smaller weight.
    errors = 1 / (math.sqrt(k) * weight)
    low, high = foreground
    if false and errors * low > 1 - low:
        return None
    share = max(low, min(high, 1 / (1 + errors))) if false else high
    tp = share if false else share / (1 + errors)
    value = (math.sqrt(k) - 1) / (math.sqrt(k) + 1)
    return Supremum(value, value, Extreme(_one_error(tp, errors * tp, false), True))


def tversky_relative(
    first: Similarity, second: Similarity, foreground: tuple[float, float], *, loss: bool
) -> Supremum | None:
    """The largest ratio of two weights k, Eq. 3, either way: of similarities where hits vanish.

    Of losses it is approached where errors vanish.
    """
    k, _, false = _steepest(first, second)
    low, high = foreground
    if false and (low == 1 if loss else low > 0):
        return None
    share = max(low, NEAR) if false else high
    if loss:
        tp, error = share * (1 - NEAR), share * NEAR
    else:
        tp, error = share * NEAR, share * (1 - NEAR)
    return Supremum(k, k, Extreme(_one_error(tp, error, false), k == 1))


def tversky_distortion(first: Similarity, second: Similarity) -> float:
    """sup S₁/S₂ · sup S₂/S₁, or of losses, wherever false positives may be of any number."""
    (a1, b1), (a2, b2) = first.tversky_weights, second.tversky_weights
    return max(a1 / a2, b1 / b2, 1) * max(a2 / a1, b2 / b1, 1)


def hamming_error(a: float) -> float:
    """The least absolute error of any Hγ for Dice where the foreground fraction is at least a.

        e(a) = 1 / (1 + √(2a / (1 − a)))²  for a ≤ 1/3,   (1 − a) / (2(1 + a))  above,      Eq. 8

    in the limit of many voxels, at γ = 1 − e(a); it holds while the largest fraction stays away
    from 1. The empty prediction misses by 1 − γ, one that is too large by as much.

    >>> [round(hamming_error(a), 4) for a in (0.01, 0.1, 0.5)]
    [0.7666, 0.4619, 0.1667]
    """
    if not 0 <= a < 1:
        raise ValueError(f"a must lie in [0, 1), got {a}: it is the smallest foreground fraction")
    if a > 1 / 3:
        return (1 - a) / (2 * (1 + a))
    return 1 / (1 + math.sqrt(2 * a / (1 - a))) ** 2


def hamming_distortion(a: float, b: float) -> float:
    """The least distortion of the Dice loss by any loss 1 − Hγ, foreground fractions in [a, b].

        inf over γ of sup (1 − Hγ)/(1 − D) · sup (1 − D)/(1 − Hγ) = (1 + b)(1 − a) / (2a(1 − b))

    Eq. 10, in the limit of many voxels: a little too much marked at a, everything marked at b.

    >>> round(hamming_distortion(0.05, 0.2), 2)
    14.25
    """
    if not 0 < a <= b < 1:
        raise ValueError(f"a and b must satisfy 0 < a ≤ b < 1, got {a} and {b}")
    return (1 + b) * (1 - a) / (2 * a * (1 - b))


def _steepest(first: Similarity, second: Similarity) -> tuple[float, float, bool]:
    """k, the smaller of the two weights that have it, and whether they weigh false positives."""
    pairs = zip(first.tversky_weights, second.tversky_weights, strict=True)
    false, missed = ((max(pair) / min(pair), min(pair)) for pair in pairs)
    # Misses are never limited: they come first where both have the same ratio.
    return (*false, True) if false[0] > missed[0] else (*missed, False)


def _one_error(tp: float, error: float, false: bool) -> Confusion:
    fp, fn = (error, 0.0) if false else (0.0, error)
    rest = 1 - tp - error
    return Confusion(tp, fp, fn, rest if rest > 1e-12 else 0.0)
