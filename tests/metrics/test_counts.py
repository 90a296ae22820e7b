"""The joint count: equal to loops, whatever the type, the blocks and the order of the voxels."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import reference
from segrisk.metrics import JointCounts, Region, Tally, counts, joint_counts
from segrisk.similarity import SIMILARITIES, Confusion, confusion

TYPES = ("bool", "u1", "i1", "u2", ">i2", "i4", ">u4", "i8", "f4", ">f8")
few = settings(deadline=None, max_examples=60)


@pytest.fixture(params=[True, False], ids=["numba", "numpy"])
def path(request, monkeypatch):
    if request.param and not importlib.util.find_spec("numba"):
        pytest.skip("Numba is not installed")
    monkeypatch.setattr(counts, "HAS_NUMBA", request.param)


def by_loop(y, p):
    """The pairs, voxel by voxel."""
    pairs = {}
    for pair in zip(y.reshape(-1).tolist(), p.reshape(-1).tolist(), strict=True):
        pair = tuple(int(label) for label in pair)
        pairs[pair] = pairs.get(pair, 0) + 1
    return pairs


@st.composite
def pairs_of_masks(draw, most=3):
    shape = draw(npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=9))
    masks = []
    for _ in range(2):
        dtype = np.dtype(draw(st.sampled_from(TYPES)))
        labels = st.integers(0, 1 if dtype.kind == "b" else most)
        values = draw(npst.arrays(np.int64, shape, elements=labels))
        masks.append(np.asarray(values.astype(dtype), order=draw(st.sampled_from("CF"))))
    return masks


@few
@given(pairs_of_masks())
def test_counts_equal_a_loop(masks):
    for numba in {importlib.util.find_spec("numba") is not None, False}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(counts, "HAS_NUMBA", numba)
            assert joint_counts(*masks).pairs == by_loop(*masks)


@few
@given(pairs_of_masks(), st.data())
def test_blocks_add_up_to_the_whole(masks, data):
    y, p = (mask.reshape(-1) for mask in masks)
    cut = data.draw(st.integers(0, y.size))
    tally = Tally()
    for part in (slice(cut), slice(cut, None)):
        tally.add(y[part], p[part])
    whole = joint_counts(y, p)
    assert tally.result() == whole
    assert joint_counts(y[:cut], p[:cut]) + joint_counts(y[cut:], p[cut:]) == whole


@few
@given(pairs_of_masks(), st.randoms(use_true_random=False))
def test_the_order_of_voxels_changes_nothing(masks, random):
    y, p = (mask.reshape(-1) for mask in masks)
    order = list(range(y.size))
    random.shuffle(order)
    assert joint_counts(y[order], p[order]) == joint_counts(y, p)


@few
@given(pairs_of_masks(), st.sets(st.integers(1, 3), min_size=1))
def test_a_region_equals_the_relabelled_masks(masks, labels):
    y, p = (np.isin(mask, list(labels)) for mask in masks)
    region = Region("r", tuple(labels))
    assert joint_counts(*masks).confusion(region) == confusion(p, y)


@few
@given(pairs_of_masks(), st.integers(0, 3))
def test_ignoring_a_label_equals_cutting_it_out(masks, ignore):
    y, p = (mask.reshape(-1) for mask in masks)
    p = np.where(p == ignore, 0, p)  # what is not known is not predicted either
    region = Region("r", tuple({1, 2, 3} - {ignore}))
    kept = y != ignore
    cut = joint_counts(y[kept], p[kept]).confusion(region)
    assert joint_counts(y, p).confusion(region, ignore) == cut


def test_a_prediction_of_the_ignored_label_is_none_of_the_foreground():
    whole = joint_counts(np.array([1, 0, 9, 9]), np.array([9, 9, 9, 1]))
    assert whole.confusion(Region("foreground"), ignore=9) == Confusion(0, 0, 1, 1)


@few
@given(pairs_of_masks(most=1))
def test_similarities_of_counts_equal_the_reference(masks):
    y, p = (mask.reshape(-1).astype(int).tolist() for mask in masks)
    if not y:
        return
    masses = joint_counts(*masks).confusion(Region("1", (1,)))
    for name, similarity in SIMILARITIES.items():
        assert similarity(masses) == pytest.approx(getattr(reference, name)(p, y), abs=1e-12)


def test_an_empty_prediction_takes_the_place_of_any_other():
    y, p = np.array([0, 1, 2, 2]), np.array([1, 1, 0, 2])
    assert joint_counts(y, p).without_prediction() == joint_counts(y, np.zeros_like(y))
    assert joint_counts(y, p).labels == (1, 2) and joint_counts(y, p).total == 4


@pytest.mark.usefixtures("path")
def test_long_runs_and_words_that_change():
    generator = np.random.default_rng(0)
    runs = np.repeat(generator.integers(0, 256, 500), generator.integers(1, 90, 500))
    y, p = (np.roll(runs, shift).astype(np.uint8) for shift in (0, 5))
    assert joint_counts(y, p).pairs == by_loop(y, p)
    assert joint_counts(y[3:], p[3:]).pairs == by_loop(y[3:], p[3:])  # off the words' borders


def test_labels_beyond_a_byte_and_below_zero():
    y, p = np.array([-5, 70000, 70000, 3]), np.array([1e6, 70000, -5, 3])
    assert joint_counts(y, p).pairs == by_loop(y, p)


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"shape \(10, 8, 8\) .* \(1, 8, 8\).*nothing is broadc"):
        joint_counts(np.ones((1, 8, 8), bool), np.ones((10, 8, 8), bool))
    with pytest.raises(ValueError, match="blocks of 8 and 1 voxels"):
        Tally().add(np.ones(8, bool), np.ones(1, bool))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5, -1.4])
def test_what_is_no_label_is_refused(value):
    with pytest.raises(ValueError, match="which is no label number: save whole numbers"):
        joint_counts(np.array([0.0, value]), np.array([0, 1]))


def test_a_region_of_the_background_or_of_nothing_is_refused():
    for labels in ((), (0, 1)):
        with pytest.raises(ValueError, match=r"region 'x' .* none of them 0"):
            Region("x", labels)


def test_counts_of_nothing_are_no_counts():
    assert JointCounts({}).confusion(Region("1", (1,))) == Confusion(0, 0, 0, 0)
