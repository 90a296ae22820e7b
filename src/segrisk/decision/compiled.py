"""The integral of every cut-off through Numba: one pass over the groups for each node."""

import math

from numba import njit

BLOCK = 16  # factors to a logarithm: each is at least e^(−45), so their product is no underflow


# Products in any order let LLVM use vectors; NaN and infinity keep their meaning.
@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _product(p, start, stop, w):
    product = 1.0
    for i in range(start, stop):
        product *= 1 - p[i] + p[i] * w
    return product


@njit(cache=True, error_model="numpy")
def _log_factor(p, exponent):
    """log(1 − p + p·e^(−exponent)), without cancellation at either end."""
    shift = 0.0
    if exponent < 0:  # the mirror image, which cannot overflow
        shift, p, exponent = -exponent, 1 - p, -exponent
    change = p * math.expm1(-exponent)
    if change < -0.5:
        return shift + math.log(1 - p + p * math.exp(-exponent))
    return shift + math.log1p(change)


@njit(cache=True, error_model="numpy")
def _log_rest(p, counts, singles, exponent):
    """Σ counts · log(1 − p + p·e^(−exponent)) over all groups."""
    total = 0.0
    if singles:
        w = math.exp(-exponent)
        for start in range(0, p.size, BLOCK):
            total += math.log(_product(p, start, min(start + BLOCK, p.size), w))
        return total
    for i in range(p.size):
        total += counts[i] * _log_factor(p[i], exponent)
    return total


@njit(cache=True, error_model="numpy")
def _add_falling(p, step, t, alpha, beta, rest, negligible, scores):
    """One node where every group is a voxel and α, β ≤ 1: a running product that only falls."""
    left, taken, out = math.exp(-beta * t), math.exp(-t), math.exp(-alpha * t)
    product, hits = step * math.exp(rest), 0.0
    negligible *= step
    for i in range(p.size):
        q = 1 - p[i]
        u = q * out + p[i] * taken
        # One division for two ratios: it is the slowest thing in this loop.
        v = q + p[i] * left
        inverse = 1 / (u * v)
        product *= u * u * inverse
        hits += p[i] * taken * v * inverse
        scores[i] += product * hits
        if product < negligible:
            return


@njit(cache=True, error_model="numpy")
def _add_logarithms(p, counts, step, t, alpha, beta, rest, scores):
    """One node in general, with a running sum of logarithms."""
    hits = 0.0
    for i in range(p.size):
        taken = _log_factor(p[i], (1 - alpha) * t) - alpha * t
        rest += counts[i] * (taken - _log_factor(p[i], beta * t))
        hits += counts[i] * p[i] / (p[i] + (1 - p[i]) * math.exp((1 - alpha) * t))
        scores[i] += step * hits * math.exp(rest)


@njit(cache=True, error_model="numpy")
def add_scores(p, counts, nodes, steps, alpha, beta, negligible, scores):
    """Add the integral of every cut-off to `scores` (G,), as `exact.add_scores` does."""
    falls = alpha <= 1 and beta <= 1
    singles = falls and counts.max() == 1
    for k in range(nodes.size):
        rest = _log_rest(p, counts, singles, beta * nodes[k])
        if falls and rest < math.log(negligible):
            return
        if singles:
            _add_falling(p, steps[k], nodes[k], alpha, beta, rest, negligible, scores)
        else:
            _add_logarithms(p, counts, steps[k], nodes[k], alpha, beta, rest, scores)
