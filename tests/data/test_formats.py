"""Masks of every format come out alike, by header, by value and block by block."""

import gzip
import pickle
import sys
import tracemalloc
import zipfile

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from mask_trees import AFFINE, ball, write
from segrisk.data import content
from segrisk.data.content import Content, mask_content, value_blocks
from segrisk.data.errors import DataError, UnreadableError
from segrisk.data.groups import read_groups
from segrisk.data.images import corner_distance_mm, orientation, read_header, read_mask

NAMES = ["m.nii.gz", "m.nii", "m.npy", "m.npz", "m.png", "m.tif"]
ITK_NAMES = ["m.nrrd", "m.seg.nrrd", "m.mha", "m.mhd"]
TURNED = np.array([[0, 2.0, 0, -90], [-1.5, 0, 0, -126], [0, 0.3, 3, -72], [0, 0, 0, 1]])


@pytest.mark.parametrize("name", NAMES)
def test_header_blocks_and_values_agree(tmp_path, name, monkeypatch):
    monkeypatch.setattr(content, "BLOCK", 7)
    path = write(tmp_path / name, ball((3, 1)))
    grid, header = read_mask(path), read_header(path)
    assert header.space == grid.space
    assert sorted(np.concatenate(list(value_blocks(path))).tolist()) == sorted(grid.values.flat)
    assert mask_content(path) == Content((1, 3), 0, None)


@pytest.mark.parametrize("name", ITK_NAMES)
@pytest.mark.parametrize("affine", [AFFINE, TURNED])
def test_nrrd_and_metaimage_lie_where_nifti_lies(tmp_path, name, affine):
    pytest.importorskip("SimpleITK")
    affine = np.array(affine)
    affine[:3, :3] = np.linalg.qr(affine[:3, :3])[0] * [2.0, 1.5, 3.0]  # axes at right angles
    values = ball((3, 1))
    path = write(tmp_path / name, values, affine)
    grid, header = read_mask(path), read_header(path)
    np.testing.assert_array_equal(grid.values[0], values)
    assert header.space == grid.space == values.shape
    np.testing.assert_allclose(grid.affine, affine, atol=1e-9)
    np.testing.assert_allclose(header.affine, affine, atol=1e-9)
    np.testing.assert_allclose(header.spacing_mm, (2, 1.5, 3))
    assert mask_content(path) == Content((1, 3), 0, None)


def test_layers_of_a_slicer_segmentation_are_refused(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(np.zeros((4, 5, 6, 2), np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "s.seg.nrrd"))
    with pytest.raises(DataError, match=r"s.seg.nrrd: has shape \(6, 5, 4\) of 2 layers, where"):
        read_mask(tmp_path / "s.seg.nrrd")


def test_what_to_install_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(ImportError, match=r"reading a.nrrd needs SimpleITK: pip install SimpleITK"):
        read_mask(tmp_path / "a.nrrd")


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64, bool]),
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=5),
        elements=st.integers(0, 1),
    ),
    st.lists(st.integers(-3, 70000), max_size=4),
)
@settings(deadline=None, max_examples=40)
def test_labels_are_the_values_besides_0(tmp_path_factory, mask, extra):
    values = mask.copy().reshape(-1)
    if mask.dtype in (np.int32, np.float64):
        values[: len(extra)] = extra[: values.size]
    path = tmp_path_factory.mktemp("x") / "a.npy"
    np.save(path, values.reshape(mask.shape))
    expected = sorted({int(value) for value in values.tolist()} - {0})
    assert mask_content(path) == Content(tuple(expected), 0, None)


def test_scaled_labels_and_fractions(tmp_path):
    image = nib.Nifti1Image(ball((2, 4)).astype(np.int16), AFFINE)
    image.header.set_slope_inter(0.5, 0)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(image.to_bytes()))
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[112:116] = np.float32(0.5).tobytes()  # scl_slope, which nibabel leaves out
    path.write_bytes(gzip.compress(bytes(data)))
    assert mask_content(path) == Content((1, 2), 0, None)
    assert set(np.unique(read_mask(path).values)) == {0, 1, 2}
    data[112:116] = np.float32(0.3).tobytes()
    path.write_bytes(gzip.compress(bytes(data)))
    assert mask_content(path).fraction == pytest.approx(0.6)


def test_nan_and_infinite_values_are_counted(tmp_path):
    values = ball().astype(np.float32)
    values[0, 0, :3] = np.nan, np.inf, -np.inf
    for name in ("a.nii.gz", "a.npy", "a.tif"):
        flat = values if name != "a.tif" else values[0]
        assert mask_content(write(tmp_path / name, flat)).wrong == 3


@pytest.mark.parametrize("name", ["m.nii.gz", "m.nii", "m.npy", "m.npz", "m.png"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7])
def test_a_file_that_is_cut_off_is_unreadable(tmp_path, name, keep):
    values = np.random.default_rng(0).integers(0, 3, (20, 20, 20), dtype=np.uint8)
    path = write(tmp_path / name, values)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    for read in (mask_content, read_mask):
        with pytest.raises(UnreadableError, match=f"{name}: (cannot be read|ends)"):
            read(path)


def test_a_wrong_byte_in_a_packed_file_is_found(tmp_path):
    values = np.random.default_rng(0).integers(0, 3, (30, 30, 30), dtype=np.uint8)
    path = write(tmp_path / "m.nii.gz", values)
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # of the checksum
    path.write_bytes(bytes(data))
    with pytest.raises(UnreadableError, match=r"cannot be read .*CRC"):
        mask_content(path)


def test_nothing_is_unpickled(tmp_path):
    array = np.empty(1, object)
    array[0] = "x"
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    np.savez(tmp_path / "a.npz", m=array)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("m.npy", pickle.dumps(ball()))
    for name, said in (("a.npy", "object values"), ("a.npz", "object values"), ("b.npz", "cannot")):
        with pytest.raises(DataError, match=said):
            read_mask(tmp_path / name)


def test_arrays_keep_their_order(tmp_path):
    values = np.arange(24).reshape(2, 3, 4)
    np.save(tmp_path / "f.npy", np.asfortranarray(values))
    np.testing.assert_array_equal(read_mask(tmp_path / "f.npy").values[0], values)


def test_large_masks_are_read_in_little_memory(tmp_path):
    path = tmp_path / "large.nii.gz"
    header = nib.Nifti1Image(np.zeros((1, 1, 1), np.uint8), AFFINE).header
    header.set_data_shape((256, 256, 256))
    header["vox_offset"] = 352
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.binaryblock + bytes(4))
        for _ in range(256):
            file.write(bytes(255) + b"\x01" + bytes(256 * 256 - 256))
    tracemalloc.start()
    found = mask_content(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.labels == (1,) and peak < 6e6  # the mask has 17 MB


def test_corners_and_orientation():
    moved = AFFINE.copy()
    moved[:3, 3] += (3, 4, 0)
    assert corner_distance_mm(AFFINE, moved, (6, 5, 4)) == pytest.approx(5)
    half = np.diag([0.5, 0.5, 0.5, 1.0])
    assert corner_distance_mm(half, np.eye(4), (11, 1, 1)) == pytest.approx(5)
    assert orientation(AFFINE) == "RAS"
    for axes in ("LPS", "RAI", "SAR"):
        codes = nib.orientations.axcodes2ornt(tuple(axes))
        affine = np.linalg.inv(nib.orientations.inv_ornt_aff(codes, (2, 3, 4)))
        expected = "".join(nib.aff2axcodes(affine))
        assert orientation(affine) == expected


def test_groups_by_id_or_case(tmp_path):
    path = tmp_path / "g.csv"
    for name in ("id", "case", "case_id"):
        path.write_text(f"{name},group\nb,p2\na,p1\na,p1\n")
        assert read_groups(path, ["a", "b"]) == ["p1", "p2"]
    path.write_text("case,group\na,p1\na,p2\n")
    with pytest.raises(DataError, match=r"g.csv: has two groups for a: keep one row"):
        read_groups(path, ["a"])


def test_a_picture_says_its_size_without_being_read(tmp_path):
    Image.fromarray(np.zeros((3, 8), np.uint8)).save(tmp_path / "a.png")
    header = read_header(tmp_path / "a.png")
    assert (header.space, header.spacing_mm, header.affine) == ((3, 8), None, None)
