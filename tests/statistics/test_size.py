"""Scores against size: bins, the smooth curve, and the CR2 slope."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from segrisk.statistics import (
    bin_means,
    group_sums,
    group_t_interval,
    size_bins,
    size_curve,
    size_slope,
    smooth_curve,
)
from segrisk.statistics.slope import design, slopes


def made(count=53, seed=0):
    generator = np.random.default_rng(seed)
    return generator.lognormal(5, 1.5, count), generator.random(count)


# Bins


def test_bins_without_ties_are_those_of_array_split():
    sizes, scores = made()
    bins = size_bins(sizes)
    parts = np.array_split(np.argsort(sizes), 10)
    expected = np.zeros((10, 53))
    for row, part in zip(expected, parts, strict=True):
        row[part] = 1
    assert (bins.weights == expected).all()
    ends = [(sizes[p].max(), sizes[q].min()) for p, q in pairwise(parts)]
    assert bins.edges == pytest.approx([(left + right) / 2 for left, right in ends])
    assert bins.medians == pytest.approx([np.median(sizes[part]) for part in parts])
    for point, part in zip(bin_means(bins, scores), parts, strict=True):
        interval = group_t_interval(group_sums(scores[part], part))
        assert (point.mean, point.low, point.high) == pytest.approx(
            (interval.estimate, interval.low, interval.high)
        )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=12, max_size=40), st.integers(2, 10), st.randoms())
def test_ties_share_weight_and_no_order_matters(sizes, count, random):
    bins = size_bins(sizes, count)
    assert bins.weights.sum(axis=0) == pytest.approx(np.ones(len(sizes)))
    assert bins.weights.sum(axis=1) == pytest.approx(bins.n_cases)
    assert max(bins.n_cases) - min(bins.n_cases) <= 1
    for size in set(sizes):
        same = bins.weights[:, np.array(sizes) == size]
        assert (same == same[:, :1]).all()
    order = list(range(len(sizes)))
    random.shuffle(order)
    shuffled = size_bins([sizes[index] for index in order], count)
    assert shuffled.edges == bins.edges and (shuffled.weights == bins.weights[:, order]).all()


def test_bands_need_five_groups():
    sizes, scores = made(60)
    order = np.argsort(sizes)
    groups = np.empty(60, int)
    groups[order] = np.arange(60) // 2
    assert all(point.low is None for point in bin_means(size_bins(sizes), scores, groups))
    wide = bin_means(size_bins(sizes, 5), scores, groups)
    assert all(point.low < point.mean < point.high and point.n_groups == 6 for point in wide)


def test_empty_references_stand_apart():
    sizes, scores = made(60)
    sizes[:8], scores[:8] = 0, 1.0
    curve = size_curve(sizes, scores)
    assert curve.n_empty == 8 and curve.empty.mean == 1.0 and sum(curve.bins.n_cases) == 52
    alone = size_curve(sizes[8:], scores[8:])
    assert (
        alone.empty is None and alone.means == curve.means and alone.bins.edges == curve.bins.edges
    )


def test_bins_are_checked():
    with pytest.raises(ValueError, match="9 cases cannot fill 10 bins: ask for fewer"):
        size_bins(range(1, 10))
    with pytest.raises(ValueError, match="the sizes: 1 of 12 are not finite"):
        size_bins([*range(11), np.nan])
    bins = size_bins(range(20))
    with pytest.raises(ValueError, match="got 19 scores and groups of 19 cases for bins of 20"):
        bin_means(bins, np.zeros(19))
    for call in (size_curve, smooth_curve):
        with pytest.raises(ValueError, match="2 sizes are negative"):
            call([-1, -2, *range(18)], np.zeros(20))
        with pytest.raises(ValueError, match="got 20 sizes, 19 scores and groups of 19 cases"):
            call(range(20), np.zeros(19))


# The smooth curve


def smooth_by_loops(sizes, scores, at, span):
    """Weighted least squares of a line in log size around each point."""
    x, found = np.log(sizes), []
    for point in np.log(at):
        width = 1.001 * np.sort(abs(x - point))[int(np.ceil(span * len(x))) - 1]
        weights = np.clip(1 - (abs(x - point) / width) ** 3, 0, None) ** 3
        found.append(np.polyval(np.polyfit(x - point, scores, 1, w=np.sqrt(weights)), 0))
    return found


def test_the_curve_is_a_local_line():
    sizes, scores = made(80)
    curve = smooth_curve(sizes, scores, points=7, span=0.4)
    assert curve.means == pytest.approx(smooth_by_loops(sizes, scores, curve.sizes, 0.4))
    line = smooth_curve(sizes, 0.3 + 0.1 * np.log(sizes))
    assert line.means == pytest.approx(0.3 + 0.1 * np.log(line.sizes))
    assert line.high - line.low == pytest.approx(np.zeros(50), abs=1e-9)


def test_the_band_is_that_of_groups():
    sizes, scores = made(80)
    one = smooth_curve(sizes, scores, span=1.0)
    many = smooth_curve(
        np.repeat(sizes, 4), np.repeat(scores, 4), np.repeat(np.arange(80), 4), span=1.0
    )
    assert many.means == pytest.approx(one.means, abs=1e-3)
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.02)
    assert smooth_curve(sizes, scores, np.arange(80) % 4).low is None


def test_the_band_covers():
    generator = np.random.default_rng(0)
    sizes = np.sort(generator.lognormal(5, 1, 120))
    truth = 0.5 + 0.05 * np.log(sizes)
    inside = []
    for _ in range(200):
        groups = np.arange(120) // 2
        noise = generator.standard_normal(60)[groups] + generator.standard_normal(120)
        curve = smooth_curve(sizes, truth + 0.1 * noise, groups, points=9)
        true = 0.5 + 0.05 * np.log(curve.sizes)
        inside.append((curve.low[4] <= true[4]) & (true[4] <= curve.high[4]))
    assert np.mean(inside) >= 0.89


def test_curves_are_checked():
    with pytest.raises(ValueError, match=r"span must lie in \(0, 1\], got 50"):
        smooth_curve(range(1, 21), np.zeros(20), span=50)
    with pytest.raises(ValueError, match="all sizes are equal"):
        smooth_curve(np.ones(20), np.zeros(20))


# The slope


def cr2_by_matrices(x, y, groups):
    """Dense, as the papers write it: slope, error and Satterthwaite's degrees of freedom."""
    n = len(x)
    X = np.stack([np.ones(n), x], axis=1)
    M = np.linalg.inv(X.T @ X)
    rest = np.eye(n) - X @ M @ X.T
    e = rest @ y
    rows = []
    for group in np.unique(groups):
        inside = groups == group
        values, vectors = scipy.linalg.eigh(rest[np.ix_(inside, inside)])
        root = np.where(values > 1e-9, np.maximum(values, 1e-9) ** -0.5, 0)
        A = vectors @ np.diag(root) @ vectors.T
        row = np.zeros(n)
        row[inside] = A @ X[inside] @ M[:, 1]
        rows.append(row)
    P = np.array(rows)
    variance = ((P @ e) ** 2).sum()
    form = P @ rest @ P.T
    return (M @ X.T @ y)[1], variance**0.5, np.trace(form) ** 2 / (form**2).sum()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 12))
def test_the_slope_equals_the_dense_matrices(seed, groups):
    generator = np.random.default_rng(seed)
    names = np.concatenate([np.arange(groups), generator.integers(0, groups, 20)])
    sizes, scores = made(len(names), seed)
    found = size_slope(scores, np.zeros(len(names)), sizes, names)
    slope, error, degrees = cr2_by_matrices(np.log(sizes), scores, names)
    half = scipy.stats.t.ppf(0.975, degrees) * error
    assert (found.slope, found.degrees) == pytest.approx((slope, degrees))
    assert (found.low, found.high) == pytest.approx((slope - half, slope + half))
    assert found.p == pytest.approx(2 * scipy.stats.t.sf(abs(slope) / error, degrees))


def test_two_sizes_of_single_cases_are_welch_s_test():
    # CR2 is then s₁²/n₁ + s₂²/n₂, with degrees of freedom for equal variances.
    generator = np.random.default_rng(0)
    first, second = generator.random(6), generator.random(15)
    sizes = np.repeat([1.0, np.e], [6, 15])
    found = size_slope(np.concatenate([first, second]), np.zeros(21), sizes)
    variance = first.var(ddof=1) / 6 + second.var(ddof=1) / 15
    degrees = (1 / 6 + 1 / 15) ** 2 / (1 / (6**2 * 5) + 1 / (15**2 * 14))
    assert found.slope == pytest.approx(second.mean() - first.mean())
    assert found.degrees == pytest.approx(degrees)
    half = scipy.stats.t.ppf(0.975, degrees) * variance**0.5
    assert found.high - found.slope == pytest.approx(half)


def test_the_slope_does_not_see_the_unit_of_size_nor_the_order():
    sizes, scores = made(40)
    names = np.arange(40) // 3
    found = size_slope(scores, np.zeros(40), sizes, names)
    order = np.random.default_rng(1).permutation(40)
    other = size_slope(scores[order] + 5, np.full(40, 5.0), 1000 * sizes[order], names[order])
    assert (other.slope, other.p) == pytest.approx((found.slope, found.p))


def test_empty_references_have_no_slope():
    sizes, scores = made(40)
    sizes[:5] = 0
    found = size_slope(scores, np.zeros(40), sizes)
    assert (found.n_empty, found.n_cases, found.n_groups) == (5, 35, 35)
    alone = size_slope(scores[5:], np.zeros(35), sizes[5:])
    assert (alone.p, alone.slope) == pytest.approx((found.p, found.slope))


def test_one_group_of_unusual_size_is_not_trusted():
    sizes = np.array([1.0] * 20 + [500.0] * 2)
    found = size_slope(
        np.random.default_rng(0).random(22), np.zeros(22), sizes, [*range(20), 20, 21]
    )
    assert found.degrees < 4 and "degrees of freedom are too few to trust it" in found.words


def test_slopes_are_checked():
    sizes, scores = made(20)
    zeros = np.zeros(20)
    with pytest.raises(ValueError, match="all sizes are equal: no slope can be told"):
        size_slope(scores, zeros, np.ones(20))
    with pytest.raises(ValueError, match="1 sizes are negative"):
        size_slope(scores, zeros, [-1, *sizes[1:]])
    with pytest.raises(ValueError, match="needs at least 2 groups, got 1"):
        size_slope(scores, zeros, sizes, ["p"] * 20)
    for groups in (None, [0, 1, 1]):
        sizes_of = [1, 2] if groups is None else [1, 2, 2]
        with pytest.raises(ValueError, match="2 groups leave nothing to tell the error of a slope"):
            size_slope(scores[: len(sizes_of)], zeros[: len(sizes_of)], sizes_of, groups)
    with pytest.raises(ValueError, match="got 19 sizes, 20 scores"):
        size_slope(scores, zeros, sizes[1:])


def slope_marks(patients, scans, repetitions, grouped=True):
    """How often a slope of 0 is marked; sizes are a patient's, differences correlated within it."""
    generator = np.random.default_rng(3)
    group_of = np.repeat(np.arange(patients), scans)
    x = generator.lognormal(0, 1, patients)[group_of] + 0.3 * generator.standard_normal(
        len(group_of)
    )
    plan = design(x, group_of if grouped else np.arange(len(x)))
    noise = generator.standard_normal((repetitions, patients))[:, group_of]
    noise = noise + generator.standard_normal((repetitions, len(x)))
    found, errors = slopes(plan, noise)
    return (2 * scipy.stats.t.sf(abs(found) / errors, plan.degrees) < 0.05).mean()


@pytest.mark.parametrize(("patients", "scans"), [(12, 4), (20, 10), (50, 1)])
def test_the_slope_keeps_its_level_with_groups(patients, scans):
    assert slope_marks(patients, scans, 4000) <= 0.06


def test_the_slope_of_cases_taken_as_independent_does_not():
    assert slope_marks(20, 10, 2000, grouped=False) > 0.25
