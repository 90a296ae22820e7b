"""Where masks lie: what counts as elsewhere, and how one is moved to its reference's grid."""

from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mask_trees import AFFINE, SPACE, ball, flat, write
from segrisk.compare.doctor import doctor, gather
from segrisk.compare.geometry import disagreement, resample
from segrisk.compare.request import Request
from segrisk.data.images import Header, read_mask

PLACE = Path("model/fold/a.nii.gz")


def header(affine=AFFINE, space=SPACE):
    spacing = tuple(np.linalg.norm(affine[:3, :3], axis=0))
    return Header(PLACE, space, spacing, affine, np.dtype(np.uint8))


def nearest_by_loops(values, affine, other, space):
    """Each voxel of the other grid asks where it lies, and takes what is nearest."""
    out = np.zeros(space, values.dtype)
    back = np.linalg.inv(affine)
    for index in product(*map(range, space)):
        place = back @ other @ [*index, 1]
        nearest = [int(np.floor(x + 0.5)) for x in place[:3]]
        if all(0 <= n < size for n, size in zip(nearest, values.shape, strict=True)):
            out[index] = values[tuple(nearest)]
    return out


@given(
    st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    st.lists(st.sampled_from([-1.7, -1.0, 0.6, 1.0, 2.3]), min_size=3, max_size=3),
    st.permutations([0, 1, 2]),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=30)
def test_resampling_takes_the_nearest_voxel(tmp_path_factory, shift, scale, order, seed):
    values = np.random.default_rng(seed).integers(0, 3, SPACE, dtype=np.uint8)
    other = AFFINE.copy()
    other[:3, :3] = (AFFINE[:3, :3] * scale)[:, order]
    other[:3, 3] += np.array(shift) + 0.0137  # no voxel lies midway between two
    path = write(tmp_path_factory.mktemp("x") / "a.nii", values)
    reference = header(other, (5, 6, 4))
    moved = resample(path, reference)
    expected = nearest_by_loops(values, read_mask(path).affine, other, (5, 6, 4))
    np.testing.assert_array_equal(moved.values, expected)


def test_turned_storage_of_the_same_place_is_undone(tmp_path):
    values = ball((1, 2))
    turned, affine = values[::-1, :, ::-1], AFFINE @ np.diag([-1.0, 1, -1, 1])
    affine[:3, 3] = (AFFINE @ [SPACE[0] - 1, 0, SPACE[2] - 1, 1])[:3]
    path = write(tmp_path / "a.nii.gz", np.ascontiguousarray(turned), affine)
    moved = resample(path, header())
    np.testing.assert_array_equal(moved.values, values)
    assert moved.lost == 0


def test_what_finds_no_place_is_counted(tmp_path):
    values = np.zeros(SPACE, np.uint8)
    values[0, 0, 0] = values[5, 4, 3] = 1
    far = AFFINE.copy()
    far[0, 3] -= 4  # two voxels: the first lies outside
    moved = resample(write(tmp_path / "a.nii", values, far), header())
    assert moved.lost == 1 and moved.values.sum() == 1 and moved.values[3, 4, 3] == 1


def test_a_tolerance_in_mm_can_be_declared():
    moved = AFFINE.copy()
    moved[0, 3] += 0.3
    assert "a corner 0.3 mm away" in disagreement(header(moved), header())
    assert disagreement(header(moved), header(), 0.29) is not None
    assert disagreement(header(moved), header(), 0.31) is None


def test_rounding_in_a_header_is_no_disagreement():
    rounded = AFFINE.astype(np.float32).astype(float)
    rounded[0, 3] += 1e-5
    assert disagreement(header(rounded), header()) is None


def test_nan_in_an_affine_is_a_disagreement():
    broken = AFFINE.copy()
    broken[0, 3] = np.nan
    own = Header(header().path, SPACE, (2.0, 2.0, 3.0), broken, np.dtype(np.uint8))
    assert "a corner nan mm away" in disagreement(own, header())


@pytest.fixture
def elsewhere(tmp_path):
    """A model whose second prediction is on a finer grid of the same place."""
    names = ["a", "b"]
    flat(tmp_path / "labels_x", names)
    flat(tmp_path / "A", names)
    fine = ball(shift=1).repeat(2, 0).repeat(2, 1).repeat(2, 2).astype(np.float64)
    affine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] = (AFFINE @ [-0.25, -0.25, -0.25, 1])[:3]
    write(tmp_path / "A" / "b.nii.gz", fine, affine)
    return {"reference": tmp_path / "labels_x", "models": (("A", tmp_path / "A"),)}


def test_another_grid_is_refused_or_resampled_and_recorded(elsewhere, tmp_path):
    (fault,) = doctor(Request(**elsewhere)).faults
    assert fault.kind == "geometry" and "A/b.nii.gz: shape (12, 10, 14) differs from" in fault.text
    request = Request(**elsewhere, resample_to=tmp_path / "out" / "resampled")
    assert not doctor(request).faults
    assert not (tmp_path / "out").exists()  # to examine writes nothing
    found = gather(request)
    text = "A: case b: was resampled (nearest voxel) to its reference's grid"
    assert text in found.notes
    first, second = found.cases
    assert first.predictions["A"] == tmp_path / "A" / "a.nii.gz"
    path = second.predictions["A"]
    assert path == tmp_path / "out" / "resampled" / "A" / "labels_x" / "b.nii.gz"
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), ball(shift=1))
    np.testing.assert_allclose(nib.load(path).affine, AFFINE)


def test_what_does_not_know_its_place_cannot_be_resampled(elsewhere, tmp_path):
    (tmp_path / "A" / "b.nii.gz").unlink()
    np.save(tmp_path / "A" / "b.npy", ball(space=(3, 3, 3)))
    (fault,) = doctor(Request(**elsewhere, resample_to=tmp_path / "out")).faults
    assert "A/b.npy: shape (3, 3, 3) differs from (6, 5, 7)" in fault.text
