"""Phantoms: deterministic, and of the law that each family declares."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from scipy.ndimage import label as components

from segrisk.data.phantoms import PHANTOMS, phantom_cases

every = pytest.mark.parametrize("name", PHANTOMS)


def cases(name, count, size=(32, 32), **changes):
    seed = changes.pop("seed", 0)
    return list(phantom_cases(replace(PHANTOMS[name], **changes), count, size, seed=seed))


def same(a, b):
    return np.array_equal(a.image, b.image) and np.array_equal(a.label, b.label)


def test_there_are_five_families_one_for_each_of_the_paper_s_tasks():
    mimicked = [phantom.mimics.split(":")[0] for phantom in PHANTOMS.values()]
    assert mimicked == ["BR18", "IS17", "IS18", "MO17", "PO18"]


@every
def test_a_case_depends_on_its_seed_and_index_alone(name):
    few, many = cases(name, 3), cases(name, 6)
    assert all(same(a, b) for a, b in zip(few, many, strict=False))
    assert not same(few[0], few[1])
    assert not same(few[0], cases(name, 1, seed=1)[0])


@every
@pytest.mark.parametrize("size", [(32, 48), (24, 16, 20)])
def test_2d_and_3d(name, size):
    case = cases(name, 1, size, empty=0.0)[0]
    assert case.image.shape == (1, *size) and case.image.dtype == np.float32
    assert case.label.shape == size and case.label.dtype == bool and case.label.any()
    assert case.spacing_mm == (1.0,) * len(size) and case.group == case.id


@every
def test_fractions_follow_the_declared_law(name):
    phantom = PHANTOMS[name]
    drawn = [case.fraction for case in cases(name, 400) if case.label.any()]
    logs = np.log(drawn)
    tolerance = 4 * max(phantom.spread, 0.02) / np.sqrt(len(drawn))
    assert np.median(logs) == pytest.approx(np.log(phantom.fraction), abs=1.3 * tolerance)
    # Clipping at 0.6 and at two voxels takes a little off the widest laws.
    assert np.std(logs) == pytest.approx(phantom.spread, rel=0.15)


def test_one_family_has_a_fifth_of_its_references_empty():
    empty = {name: np.mean([not c.label.any() for c in cases(name, 300)]) for name in PHANTOMS}
    assert {name for name, share in empty.items() if share} == {"stroke"}
    assert empty["stroke"] == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 300))


def test_sizes_are_uniform_in_one_family_and_variable_in_another():
    spread = {n: np.std(np.log([c.fraction for c in cases(n, 100)])) for n in ("molar", "polyp")}
    assert spread["molar"] < 0.12 < 0.7 < spread["polyp"]


def test_object_size_and_balance_are_set_apart():
    def look(**changes):
        smooth = {"irregularity": 0.0, "jitter": 0.0, "spread": 0.0}
        found = cases("polyp", 20, (64, 64), **smooth, **changes)
        pieces = np.mean([components(case.label)[1] for case in found])
        return np.mean([case.fraction for case in found]), pieces

    one, one_pieces = look(fraction=0.08, objects=1)
    six, six_pieces = look(fraction=0.08, objects=6)
    small, small_pieces = look(fraction=0.02, objects=1)
    assert one == pytest.approx(six, abs=0.001) and small == pytest.approx(one / 4, abs=0.001)
    assert one_pieces == small_pieces == 1 and six_pieces > 3


def test_label_noise_changes_the_label_and_not_the_image():
    clean, noisy = cases("glioma", 1, jitter=0.0)[0], cases("glioma", 1, jitter=0.05)[0]
    assert np.array_equal(clean.image, noisy.image)
    assert not np.array_equal(clean.label, noisy.label)
    assert clean.fraction == pytest.approx(noisy.fraction, abs=0.002)


@every
def test_objects_are_brighter_than_their_surroundings(name):
    differences = [
        case.image[0][case.label].mean() - case.image[0][~case.label].mean()
        for case in islice((c for c in cases(name, 40) if c.label.any()), 20)
    ]
    assert np.mean(differences) > 0.3 * PHANTOMS[name].contrast


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fraction": 0.7}, "fraction must lie between 0 and 0.6, got 0.7"),
        ({"empty": 1.0}, r"share of empty references must be in \[0, 1\), got 1.0"),
        ({"objects": 0}, "at least 1 object, got 0"),
    ],
)
def test_impossible_families_are_refused(changes, text):
    with pytest.raises(ValueError, match=text):
        replace(PHANTOMS["polyp"], **changes)


def test_impossible_tasks_are_refused():
    with pytest.raises(ValueError, match="at least 1 case, got 0"):
        next(phantom_cases(PHANTOMS["polyp"], 0, (32, 32)))
    with pytest.raises(ValueError, match=r"2 or 3 sides of at least 16 voxels, got \[8, 32\]"):
        next(phantom_cases(PHANTOMS["polyp"], 1, (8, 32)))
