"""Calibration and volume on populations whose answer is known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

import reference
import scenes
from segrisk.decision import (
    Temperature,
    ceiling,
    fit_temperature,
    optimal_mask,
    reliability,
    switching_probability,
    tally,
    volume_bias,
)
from segrisk.similarity import dice

maps = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@settings(deadline=None, max_examples=40)
@given(p=maps, seed=st.integers(0, 9), bins=st.sampled_from([1, 4, 16]))
def test_reliability_equals_loops_over_voxels(p, seed, bins):
    y = np.random.default_rng(seed).random(len(p)) < 0.5
    found = reliability([(p, y), (p[::-1], y)], bins)
    total, errors = [0.0] * bins, []
    for values in (p, p[::-1]):
        sums = [0.0] * bins
        for x, label in zip(values, y, strict=True):
            k = max(0, int(np.ceil(x * bins)) - 1)
            sums[k] += x - label
            total[k] += x - label
        errors.append(sum(map(abs, sums)) / len(p))
    assert found.case_errors == pytest.approx(errors)
    assert found.error == pytest.approx(sum(map(abs, total)) / (2 * len(p)))
    assert found.error <= found.case_errors.mean() + 1e-12
    assert found.voxels.sum() == 2 * len(p)


def test_calibrated_maps_are_reliable_and_others_are_not():
    good = list(scenes.independent(100, seed=0))
    assert reliability(good).error < 0.01
    bad = [(Temperature(0.3).apply(p), y) for p, y in good]
    found = reliability(bad)
    assert found.error > 0.03
    assert (found.observed[-2:] < found.stated[-2:]).all()


def test_bins_must_fit_the_levels():
    with pytest.raises(ValueError, match="must divide 1024, got 10"):
        reliability([([0.5], [True])], bins=10)


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_is_found(true):
    cases = [(expit(true * logit(p)), y) for p, y in scenes.independent(150, seed=1)]
    assert fit_temperature(cases).value == pytest.approx(true, rel=0.04)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_temperature_keeps_ends_order_and_type(dtype):
    p = np.array([0, 0.1, 0.5, 0.9, 1], dtype)
    for value in (0.2, 3.0):
        found = Temperature(value).apply(p)
        assert found.dtype == dtype and (np.diff(found) >= 0).all()
        assert found[[0, 2, 4]].tolist() == [0, 0.5, 1]
    assert isinstance(Temperature(2.0).apply(torch.from_numpy(p)), torch.Tensor)


@settings(deadline=None, max_examples=30)
@given(p=maps, value=st.floats(0.2, 5))
def test_a_tally_at_a_temperature_is_that_of_the_map(p, value):
    y = np.arange(len(p)) % 2 == 0
    moved = Temperature(value).tally(tally(p, y))
    expected = tally(Temperature(value).apply(p), y)
    assert moved.size == expected.size and moved.reference_volume == expected.reference_volume
    assert moved.volume == pytest.approx(expected.volume, rel=0.02, abs=0.02 * len(p))
    assert moved.peak == pytest.approx(expected.peak)


@pytest.mark.parametrize(
    ("p", "y", "text"),
    [
        ([0.2, 0.4], [False, False], "references of all 1 cases hold one class"),
        ([0.2, 0.4], [True, True], "hold one class"),
        ([0.0, 1.0], [False, True], "every probability is 0 or 1: these are masks"),
    ],
)
def test_no_temperature_without_information(p, y, text):
    with pytest.raises(ValueError, match=text):
        fit_temperature([(p, y)])


def test_temperatures_are_positive():
    with pytest.raises(ValueError, match="positive and finite, got 0"):
        Temperature(0)


def test_calibrated_maps_lie_on_their_ceiling_and_sharpened_ones_pass_it():
    cases = list(scenes.independent(400, seed=2))
    calibrated = ceiling(cases)
    assert calibrated.soft_dice == pytest.approx(calibrated.value, abs=0.005)
    sharp = ceiling([(Temperature(0.5).apply(p), y) for p, y in cases])
    assert sharp.soft_dice > calibrated.value + 0.01
    assert sharp.soft_dice < sharp.value - 0.05


def test_no_calibrated_coarsening_passes_the_ceiling():
    generator = np.random.default_rng(3)
    p = generator.beta(0.3, 1, 50_000)
    y = generator.random(50_000) < p
    top = ceiling([(p, y)])
    for cuts in ([0.5], [0.1, 0.3, 0.7], [0.9]):
        group = np.digitize(p, cuts)
        coarse = (np.bincount(group, p) / np.bincount(group))[group]
        assert ceiling([(coarse, y)]).soft_dice <= top.value + 0.01


def test_a_map_without_mass_has_no_ceiling():
    with pytest.raises(ValueError, match="every probability is 0: there is no soft Dice"):
        ceiling([([0.0], [True])])


# Volume

TABLE = {  # area of the uncertain region over the certain one: 1, 2, 4, 8, 16, ∞ parts
    1: (0.500, 0.458, 0.436, 0.425, 0.420, 0.414),
    4: (0.500, 0.410, 0.360, 0.334, 0.322, 0.309),
    0.25: (0.500, 0.487, 0.480, 0.476, 0.474, 0.472),
}


@pytest.mark.parametrize("ratio", TABLE)
def test_the_table_of_regions(ratio):
    parts = (1, 2, 4, 8, 16, float("inf"))
    found = [switching_probability(1, ratio, number) for number in parts]
    assert found == pytest.approx(TABLE[ratio], abs=1e-3)


def test_the_table_of_regions_without_a_certain_one():
    found = [switching_probability(0, 1, number) for number in (1, 2, 4, 8, 16, float("inf"))]
    assert found == pytest.approx([0.5, 0.349, 0.238, 0.159, 0.103, 0], abs=1e-3)
    assert switching_probability(0, 1, 10_000) < 0.01


@pytest.mark.parametrize("parts", [2, 4])
def test_regions_switch_where_the_exact_rule_does(parts):
    # As many certain parts as uncertain ones, each a voxel.
    limit = switching_probability(1, 1, parts)
    for p, size in ((limit - 1e-6, parts), (limit + 1e-6, 2 * parts)):
        assert optimal_mask([1.0] * parts + [p] * parts, dice).sum() == size
    scores = reference.expected_tversky([1.0] * parts + [limit] * parts, 0.5, 0.5)
    assert scores[parts] == pytest.approx(scores[2 * parts], abs=1e-9)


@pytest.mark.parametrize(
    ("areas", "text"),
    [
        ((1, 0, 2), "areas 1 .certain. and 0"),
        ((1, 1, 1.5), "in 1.5 parts"),
        ((-1, 1, 2), "areas -1"),
    ],
)
def test_areas_are_checked(areas, text):
    with pytest.raises(ValueError, match=text):
        switching_probability(*areas)


def test_sums_of_probabilities_are_unbiased_and_masks_are_not():
    cases = list(scenes.independent(120, seed=4))
    truth = [y.sum() for _, y in cases]
    expected = volume_bias([tally(p, y).volume for p, y in cases], truth)
    assert expected.low < 0 < expected.high
    half = volume_bias([(p > 0.5).sum() for p, _ in cases], truth)
    best = volume_bias([optimal_mask(p, dice).sum() for p, _ in cases], truth)
    assert half.high < 0 < best.low


def test_volumes_are_compared_over_groups():
    bias = volume_bias([1, 2, 3, 4], [1, 1, 1, 1], groups=["a", "a", "b", "b"])
    assert bias.n_groups == 2 and bias.estimate == 1.5
    with pytest.raises(ValueError, match=r"shape \(2,\) and reference volumes of \(1,\)"):
        volume_bias([1, 2], [1])
