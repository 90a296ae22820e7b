"""What a network sees of a case, and that what it says of it goes back to the case's own grid."""

import hashlib
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import Resize
from scipy import ndimage

from segrisk.data.case import Case
from segrisk.data.errors import DataError
from segrisk.data.prepare import load_prepared, prepare
from segrisk.data.preprocessing import Preprocessing, preprocess
from segrisk.files import digest
from segrisk.training.predict import mask_at, probabilities_at

NOTHING = Preprocessing(normalise="none")


def case(shape, *, channels=1, spacing_mm=None, id="a", seed=0, pad=0):
    """Noise with an object of value above 2 in it, and a border of `pad` zeros around all."""
    generator = np.random.default_rng(seed)
    image = generator.uniform(0.5, 1.5, (channels, *shape)).astype(np.float32)
    label = np.zeros(shape, bool)
    label[tuple(slice(side // 4, side // 4 + max(1, side // 2)) for side in shape)] = True
    image += 2 * label
    border = [(pad, pad)] * len(shape)
    image, label = np.pad(image, [(0, 0), *border]), np.pad(label, border)
    return Case(id, id, image, label, spacing_mm or (1.0,) * len(shape))


shapes = st.lists(st.integers(3, 21), min_size=2, max_size=3).map(tuple)


# The default


@pytest.mark.parametrize(("shape", "size"), [((30, 41), (16, 16)), ((9, 12, 7), (16, 8, 8))])
def test_without_a_pipeline_the_bits_and_the_key_are_those_of_before(tmp_path, shape, size):
    cases = [case(shape, channels=2, id=name, seed=i) for i, name in enumerate("ab")]
    task = prepare(cases, size, tmp_path)
    content, images, targets = hashlib.sha256(), b"", b""
    for one in cases:
        content.update(repr((one.id, one.group, one.image.shape, shape, one.spacing_mm)).encode())
        content.update(one.image.tobytes() + one.label.tobytes())
        mode = "bilinear" if len(size) == 2 else "trilinear"
        shrinks = any(new < old for new, old in zip(size, shape, strict=True))
        resize = Resize(size, mode=mode, anti_aliasing=shrinks)
        image = np.asarray(resize(torch.from_numpy(one.image)))
        axes = tuple(range(1, image.ndim))
        mean = image.mean(axes, keepdims=True, dtype=np.float64)
        image = (image - mean) / image.std(axes, keepdims=True, dtype=np.float64)
        images += image.astype(np.float32).tobytes()
        target = np.asarray(resize(torch.from_numpy(one.label[None].astype(np.float32)))) >= 0.5
        targets += target.astype(np.uint8).tobytes()
    assert (task.folder / "images.bin").read_bytes() == images
    assert (task.folder / "targets.bin").read_bytes() == targets
    assert task.key == digest({"content": content.hexdigest(), "size": size})
    assert "placed" not in (task.folder / "task.json").read_text()
    assert Preprocessing().model_dump(mode="json") == {}


def test_each_part_of_a_pipeline_is_part_of_the_key(tmp_path):
    pipelines = [
        {},
        {"crop": "nonzero"},
        *({"normalise": name} for name in ("nonzero", "percentile", "none")),
        {"crop": "nonzero", "normalise": "none"},
    ]
    cases = [case((12, 12), pad=2)]
    keys = [prepare(cases, (8, 8), tmp_path, Preprocessing(**one)).key for one in pipelines]
    keys += [prepare(cases, None, tmp_path, Preprocessing(**one)).key for one in pipelines]
    spaced = Preprocessing(spacing_mm=(1, 1))
    keys.append(prepare(cases, None, tmp_path, spaced).key)
    assert len(set(keys)) == len(keys)
    assert len(list(tmp_path.iterdir())) == len(keys)


# Own grids


def test_cases_of_any_shape_lie_in_one_file_and_are_read_one_at_a_time(tmp_path):
    cases = [case(shape, channels=2, id=str(shape)) for shape in [(9, 5), (4, 11), (7, 7)]]
    by = Preprocessing(crop="nonzero", normalise="none")
    task = load_prepared(prepare(cases, None, tmp_path, by).folder)
    assert task.size is None and len(task.images) == 3
    assert task.shapes == ((9, 5), (4, 11), (7, 7))
    for index in (2, 0, 1, -1):
        assert isinstance(task.images[index], np.memmap)
        assert np.array_equal(task.images[index], cases[index].image)
        assert np.array_equal(task.targets[index][0], cases[index].label)
    with pytest.raises(IndexError, match="case 3 of 3"):
        task.images[3]
    entry = task.entries[1]
    assert entry.box == ((0, 4), (0, 11)) and entry.placed.shape == (4, 11)


@settings(deadline=None, max_examples=40)
@given(shape=shapes, wanted=st.floats(0.4, 3), own=st.floats(0.4, 3))
def test_a_spacing_gives_the_nearest_grid_over_the_same_extent(shape, wanted, own):
    sides = len(shape)
    one = case(shape, spacing_mm=(own,) * sides)
    by = Preprocessing(spacing_mm=(wanted,) * sides, normalise="none")
    seen = preprocess(one, None, by)
    for side, old in zip(seen.image.shape[1:], shape, strict=True):
        assert abs(side - old * own / wanted) <= 0.5 or side == 1
    assert seen.target.shape == (1, *seen.image.shape[1:])
    assert seen.image.min() >= 0.49 and seen.image.max() <= 3.51  # no values from outside


@settings(deadline=None, max_examples=40)
@given(shape=shapes, pad=st.integers(0, 5), channels=st.integers(1, 3))
def test_a_crop_is_the_smallest_box_with_everything_that_is_not_zero(shape, pad, channels):
    one = case(shape, pad=pad, channels=channels)
    seen = preprocess(one, None, Preprocessing(crop="nonzero", normalise="none"))
    found = np.nonzero(one.image.any(axis=0))
    box = tuple((int(axis.min()), int(axis.max()) + 1) for axis in found)
    assert seen.placed.box == box
    assert np.array_equal(seen.image, one.image[:, *(slice(*sides) for sides in box)])


def test_negative_values_are_kept_by_a_crop_and_an_image_of_zeros_is_kept_whole():
    image = np.zeros((1, 6, 6), np.float32)
    image[0, 2, 3] = -5
    by = Preprocessing(crop="nonzero")
    one = Case("a", "a", image, np.zeros((6, 6), bool), (1.0, 1.0))
    assert preprocess(one, None, by).placed.box == ((2, 3), (3, 4))
    empty = Case("a", "a", 0 * image, np.zeros((6, 6), bool), (1.0, 1.0))
    assert preprocess(empty, None, by).placed.box == ((0, 6), (0, 6))


def test_a_crop_that_takes_foreground_names_each_case_and_leaves_nothing_behind(tmp_path):
    cases = [case((8, 8), pad=2, id=name) for name in "abc"]
    cases[0].label[0, :3] = True
    cases[2].label[-1, -1] = True
    with pytest.raises(DataError) as caught:
        prepare(cases, (8, 8), tmp_path, Preprocessing(crop="nonzero"))
    first, second = caught.value.faults
    assert first.startswith("case a: 3 of its 19 foreground voxels lie outside of the box of nonz")
    assert second.startswith("case c: 1 of its 17") and "leave out `crop: nonzero`" in second
    assert not list(tmp_path.iterdir())


# Normalisation


def test_nonzero_normalises_the_tissue_and_leaves_the_air_at_zero():
    one = case((10, 12), pad=3, channels=2)
    before = one.image.copy()
    seen = preprocess(one, None, Preprocessing(normalise="nonzero")).image
    assert np.array_equal(one.image, before)
    for own, channel in zip(before, seen, strict=True):
        tissue = own[own != 0].astype(np.float64)
        expected = np.where(own != 0, (own - tissue.mean()) / tissue.std(), 0)
        assert channel == pytest.approx(expected, abs=1e-5)


def test_percentile_tames_a_single_bright_voxel():
    one = case((30, 30), channels=2)
    one.image[:, 0, 0] = 1e6
    seen = preprocess(one, None, Preprocessing(normalise="percentile")).image
    for own, channel in zip(one.image.astype(np.float64), seen, strict=True):
        clipped = np.clip(own, *np.percentile(own, [0.5, 99.5]))
        assert channel == pytest.approx((clipped - clipped.mean()) / clipped.std(), abs=1e-4)
    assert preprocess(one, None, Preprocessing()).image.max() > 20 > 5 > seen.max()


def test_none_keeps_the_values_that_were_read():
    one = case((10, 12))
    assert np.array_equal(preprocess(one, None, NOTHING).image, one.image)


# There and back: a network that marks what exceeds 2


@settings(deadline=None, max_examples=40)
@given(shape=shapes, pad=st.integers(0, 4), crop=st.sampled_from(["none", "nonzero"]))
def test_without_resampling_the_mask_comes_back_to_the_voxel(shape, pad, crop):
    one = case(shape, pad=pad)
    seen = preprocess(one, None, Preprocessing(crop=crop, normalise="none"))
    logits = torch.from_numpy(seen.image - 2)
    mask = mask_at(logits, one.label.shape, seen.placed.box)
    assert np.array_equal(mask, one.image[0] > 2) and np.array_equal(mask, one.label)
    p = probabilities_at(logits, one.label.shape, seen.placed.box)
    outside = np.ones(one.label.shape, bool)
    outside[tuple(slice(*sides) for sides in seen.placed.box)] = False
    assert np.array_equal(p == 0, outside)


@settings(deadline=None, max_examples=30)
@given(shape=shapes, pad=st.integers(0, 4), factor=st.floats(0.4, 2.5))
def test_with_resampling_logits_lie_where_the_extent_of_the_voxels_says(shape, pad, factor):
    one = case(shape, pad=pad)
    spacing = (factor,) * len(shape)
    by = Preprocessing(crop="nonzero", spacing_mm=spacing, normalise="none")
    seen = preprocess(one, None, by)
    box = tuple(slice(*sides) for sides in seen.placed.box)
    # SciPy's zoom over the same extent, `grid_mode`, is written by other hands.
    inside = one.image[0][box]
    zoom = [side / new for side, new in zip(inside.shape, seen.image.shape[1:], strict=True)]
    expected = np.zeros(one.label.shape)
    expected[box] = ndimage.zoom(
        seen.image[0].astype(np.float64), zoom, order=1, mode="nearest", grid_mode=True
    )
    mask = mask_at(torch.from_numpy(seen.image - 2), one.label.shape, seen.placed.box)
    certain = np.abs(expected - 2) > 1e-3
    assert np.array_equal(mask[certain], (expected > 2)[certain])


def test_what_was_done_to_a_case_is_recorded(tmp_path):
    by = Preprocessing(crop="nonzero", spacing_mm=(2, 0.5))
    task = prepare([case((10, 8), pad=3)], None, tmp_path, by)
    entry = json.loads((task.folder / "task.json").read_text())["entries"][0]
    assert entry["placed"] == {"box": [[3, 13], [3, 11]], "shape": [5, 16]}
    assert load_prepared(task.folder).entries == task.entries
