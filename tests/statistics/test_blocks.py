"""Nothing depends on how much is held at once, or on what shares a pass over the draws."""

import numpy as np
import pytest

from segrisk.statistics import (
    GroupTable,
    bootstrap_intervals,
    group_table,
    max_t,
    ranking,
    resampling,
    size,
    size_bins,
    slope,
    threads,
)
from segrisk.statistics.bootstrap import METHODS, Sample
from segrisk.statistics.groups import Adder
from segrisk.statistics.multiple import step_down
from segrisk.statistics.paired import flip_p_values, resampled_shares, shares
from segrisk.statistics.resampling import Draws
from segrisk.statistics.size import smooth_curves
from segrisk.statistics.slope import design, size_slope, size_slopes

GENERATOR = np.random.default_rng(3)
SUMS, COUNTS = GENERATOR.normal(size=(3, 200)), GENERATOR.integers(1, 5, 200)
TABLE = GroupTable(("x", "y", "z"), SUMS, COUNTS)


def everything():
    """Whatever resamples or flips, of one table."""
    names = np.repeat(np.arange(200), 2)
    values = {name: np.repeat(row / 2, 2) for name, row in zip("xyz", SUMS, strict=True)}
    intervals = bootstrap_intervals(values, names, resamples=203, seed=5)
    family = max_t(values, names, resamples=203, seed=5)
    return {
        "flips": flip_p_values(SUMS, resamples=203, seed=5).tolist(),
        "shares": [own.tolist() for own in resampled_shares(SUMS, resamples=203, seed=5)],
        "family": (dict(family.p), dict(family.p_adjusted)),
        "ranks": ranking(values, names, resamples=203, seed=5),
        "ends": [(one.low, one.high) for one in intervals.values()],
    }


@pytest.mark.parametrize("block,rows,largest", [(1, 4, 1), (1, 8, 2**21), (2**30, 16, 2**21)])
def test_the_size_of_a_block_changes_no_number(monkeypatch, block, rows, largest):
    whole = everything()
    for name, value in (("BLOCK", block), ("ROWS", rows), ("LARGEST", largest)):
        monkeypatch.setattr(resampling, name, value)
    parts = everything()
    np.testing.assert_allclose(parts.pop("ends"), whole.pop("ends"), rtol=1e-12)
    assert parts == whole


def test_a_block_of_many_groups_is_bounded():
    for groups in (10, 10**4, 10**5, 10**6, 10**7):
        rows = next(resampling._blocks(10**6, groups))
        assert rows % 4 == 0
        assert rows == 4 or rows * groups <= resampling.LARGEST


def test_what_shares_a_pass_is_what_it_is_alone():
    together = Draws(200, 203, 5)
    samples = {name: Sample(TABLE, together, method=name) for name in METHODS}
    promised = shares(SUMS, together)
    for name, sample in samples.items():
        alone = Sample(TABLE, Draws(200, 203, 5), method=name)
        for level in (0.9, 0.95):
            np.testing.assert_array_equal(sample.bounds(level), alone.bounds(level))
    np.testing.assert_array_equal(promised(), resampled_shares(SUMS, resamples=203, seed=5))


def test_one_pass_serves_all_that_was_asked_before(monkeypatch):
    passes = []
    draws = resampling.draws
    monkeypatch.setattr(resampling, "draws", lambda *a: passes.append(a) or draws(*a))
    together = Draws(200, 99, 0)
    first, second = together.times(SUMS.T), together.times(COUNTS)
    assert first().shape == (99, 3) and second().shape == (99,) and len(passes) == 1
    np.testing.assert_array_equal(together.times(SUMS.T)(), first())
    assert len(passes) == 2


def test_bins_are_those_of_a_loop():
    for _ in range(20):
        sizes = GENERATOR.integers(1, 9, GENERATOR.integers(10, 40))
        parts = np.array_split(np.sort(sizes), 7)
        weights = [[(p == s).sum() / (sizes == s).sum() for s in sizes] for p in parts]
        np.testing.assert_array_equal(size_bins(sizes, 7).weights, weights)


def cases(count=300):
    sizes = np.exp(GENERATOR.normal(size=count)) * (GENERATOR.random(count) > 0.05)
    groups = GENERATOR.integers(0, count // 3, count)
    return sizes, groups, GENERATOR.normal(size=(2, count))


def test_curves_are_the_same_in_parts_and_together(monkeypatch):
    sizes, groups, (a, b) = cases()
    whole = smooth_curves(sizes, {"a": a, "b": b}, groups)
    alone = size.smooth_curve(sizes, a, groups)
    monkeypatch.setattr(size, "NUMBERS", 1000)
    parts = smooth_curves(sizes, {"a": a, "b": b}, groups)
    for name in ("means", "low", "high"):
        np.testing.assert_array_equal(getattr(whole["a"], name), getattr(alone, name))
        for model in "ab":
            own = getattr(whole[model], name)
            np.testing.assert_allclose(getattr(parts[model], name), own, rtol=1e-12, atol=1e-14)


def test_the_design_of_groups_of_one_size_is_that_of_each_group():
    sizes, groups, (a, b) = cases()
    held = sizes > 0
    x, group_of = np.log(sizes[held]), np.unique(groups[held], return_inverse=True)[1]
    plan = design(x, group_of)
    for group in range(group_of.max() + 1):
        own = group_of == group
        hat = plan.basis[own] @ plan.basis[own].T
        values, vectors = np.linalg.eigh(np.eye(own.sum()) - hat)
        root = vectors @ np.diag(np.where(values > 1e-9, np.maximum(values, 1e-9) ** -0.5, 0))
        np.testing.assert_allclose(
            plan.adjusted[own], root @ vectors.T @ plan.slope[own], rtol=1e-9, atol=1e-15
        )
    assert size_slopes([a - b, b - a], sizes, groups)[0] == size_slope(a, b, sizes, groups)
    assert slope.size_slopes([], sizes, groups) == []


def test_groups_may_be_numbers_and_are_ordered_as_their_names():
    names = [f"p{number:03}" for number in GENERATOR.integers(0, 40, 90)]
    numbers = np.array([int(name[1:]) for name in names])
    values = {"x": GENERATOR.normal(size=90)}
    assert max_t(values, names) == max_t(values, numbers) == max_t(values, numbers.astype(np.uint8))
    assert bootstrap_intervals(values, names) == bootstrap_intervals(values, numbers)


@pytest.mark.parametrize("groups", [1, 7, 400])
def test_sums_by_group_are_those_of_sorted_values_bit_by_bit(groups):
    generator = np.random.default_rng(groups)
    group_of = np.concatenate([np.arange(groups), generator.integers(0, groups, 1200)])
    values = generator.normal(size=len(group_of)).round(2) * 10.0 ** generator.integers(-9, 9)
    order = np.lexsort([values, group_of])
    first = np.searchsorted(group_of[order], np.arange(groups))
    found = Adder(group_of).sorted(values)
    np.testing.assert_array_equal(found, np.add.reduceat(values[order], first))
    moved = generator.permutation(len(values))
    np.testing.assert_array_equal(Adder(group_of[moved]).sorted(values[moved]), found)


def test_two_at_once_and_ahead_change_nothing(monkeypatch):
    generator = np.random.default_rng(0)
    sums, groups = generator.normal(size=(6, 40)), generator.integers(0, 40, 900)
    values = {name: generator.normal(size=900) for name in "abc"}
    sizes = np.exp(generator.uniform(-5, 0, 900))

    def found():
        curves = smooth_curves(sizes, values, groups, points=5)
        tables = [*step_down(sums, resamples=99, seed=0), group_table(values, groups).sums]
        drawn = resampling.Draws(40, 99, 0).times(sums.T)()
        return [*tables, drawn, *(own for c in curves.values() for own in (c.means, c.low))]

    alone = found()
    monkeypatch.setattr(threads, "MUCH", 0)
    for one, other in zip(alone, found(), strict=True):
        np.testing.assert_array_equal(one, other)
