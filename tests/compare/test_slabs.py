"""Files of every kind give the same counts as the arrays in them."""

import gzip
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mask_files import big_endian, save, scaled, scene
from segrisk.compare import slabs
from segrisk.compare.slabs import count_pairs, read_labels
from segrisk.data.errors import DataError
from segrisk.data.streams import opened
from segrisk.metrics import joint_counts

Y, P = scene(1), scene(2)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
KINDS = ("a.nii", "a.nii.gz", "a.npy", "a.npz")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(slabs, "BLOCK", 50)  # many blocks, the last one shorter


@pytest.mark.parametrize("kinds", [*itertools.product(KINDS, KINDS)], ids="-".join)
def test_formats_can_be_mixed(tmp_path, kinds):
    y, p = save(tmp_path / "y" / kinds[0], Y), save(tmp_path / "p" / kinds[1], P)
    grid, (counts,) = count_pairs(y, [p])
    assert counts == joint_counts(Y, P)
    assert grid.space == Y.shape
    np.testing.assert_array_equal(read_labels(p), P)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("ending", ["nii.gz", "npy"])
def test_types(tmp_path, dtype, ending):
    y, p = save(tmp_path / f"y.{ending}", Y.astype(dtype)), save(tmp_path / f"p.{ending}", P)
    assert count_pairs(y, [p])[1] == [joint_counts(Y, P)]
    np.testing.assert_array_equal(read_labels(y), Y)


def test_arrays_of_fortran_order(tmp_path):
    y, p = save(tmp_path / "y.npy", np.asfortranarray(Y)), save(tmp_path / "p.npy", P)
    assert count_pairs(y, [p, y])[1] == [joint_counts(Y, P), joint_counts(Y, Y)]


def test_pictures(tmp_path):
    pytest.importorskip("PIL")
    from PIL import Image

    for name, mask in (("y.png", Y[..., 0]), ("p.png", P[..., 0])):
        Image.fromarray(mask).save(tmp_path / name)
    grid, (counts,) = count_pairs(tmp_path / "y.png", [tmp_path / "p.png"])
    assert counts == joint_counts(Y[..., 0], P[..., 0]) and grid.spacing_mm == (1.0, 1.0)


def test_the_scaling_of_a_header_is_applied(tmp_path):
    stored = (Y.astype("i2") - 10) * 2
    y = scaled(tmp_path / "y.nii", stored, 0.5, 10.0)
    assert count_pairs(y, [save(tmp_path / "p.nii", P)])[1] == [joint_counts(Y, P)]
    np.testing.assert_array_equal(read_labels(y), Y)


def test_a_scaling_that_fits_in_a_byte_is_applied_too(tmp_path):
    y = scaled(tmp_path / "y.nii", Y * 2, 0.5, 0.0)
    assert count_pairs(y, [y])[1] == [joint_counts(Y, Y)]
    np.testing.assert_array_equal(read_labels(y), Y)


def test_the_other_order_of_bytes(tmp_path):
    y, p = big_endian(tmp_path / "y.nii.gz", Y), big_endian(tmp_path / "p.nii", P)
    assert count_pairs(y, [p])[1] == [joint_counts(Y, P)]


def test_an_empty_prediction_and_several_at_once(tmp_path):
    y, p = save(tmp_path / "y.nii.gz", Y), save(tmp_path / "p.nii.gz", P)
    _, counts = count_pairs(y, [p, None, y])
    assert counts == [joint_counts(Y, P), joint_counts(Y, P * 0), joint_counts(Y, Y)]


def test_spacing_comes_from_the_affine_and_axes_of_one_are_dropped(tmp_path):
    with opened(save(tmp_path / "y.nii", Y[..., None], (0.5, 2.0, 3.0))) as mask:
        assert mask.spacing_mm == (0.5, 2.0, 3.0) and mask.space == Y.shape


def test_every_prediction_has_its_own_fault(tmp_path):
    y, good = save(tmp_path / "y.nii.gz", Y), save(tmp_path / "good.nii.gz", P)
    half = save(tmp_path / "half.nii.gz", P.astype(float) / 2)
    thin = save(tmp_path / "thin.nii.gz", P[:1])
    short = tmp_path / "short.nii"
    short.write_bytes(save(tmp_path / "p.nii", P).read_bytes()[:-100])
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(gzip.compress(b"no NIfTI"))
    absent = tmp_path / "absent.nii"
    _, counts = count_pairs(y, [half, good, thin, short, broken, absent])
    assert counts.pop(1) == joint_counts(Y, P)
    texts = [str(fault) for fault in counts]
    assert all(isinstance(fault, DataError) for fault in counts)
    for text, expected in zip(
        texts,
        [
            "half.nii.gz: holds 0.5, which is no label number",
            r"thin.nii.gz: shape (1, 8, 7) differs from (9, 8, 7) of",
            "short.nii: cannot be read (EOFError: it ends before its last voxel)",
            "broken.nii.gz: cannot be read",
            "absent.nii: cannot be read (FileNotFoundError",
        ],
        strict=True,
    ):
        assert expected in text


@pytest.mark.parametrize("without_isal", [False, True])
def test_what_a_compressed_file_lost_is_found(tmp_path, monkeypatch, without_isal):
    if without_isal:
        monkeypatch.setitem(sys.modules, "isal", None)
    noise = np.random.default_rng(0).integers(0, 4, (20, 20, 20)).astype(np.uint8)
    y = save(tmp_path / "y.nii.gz", noise)
    content = y.read_bytes()
    cut, rotten = tmp_path / "cut.nii.gz", tmp_path / "rotten.nii.gz"
    cut.write_bytes(content[:-100])
    rotten.write_bytes(content[:-8] + b"????" + content[-4:])  # the checksum
    _, faults = count_pairs(y, [cut, rotten])
    assert "cut.nii.gz: cannot be read (EOFError" in str(faults[0])
    assert "rotten.nii.gz: cannot be read (BadGzipFile" in str(faults[1])


def test_faults_of_the_reference_are_its_own(tmp_path):
    p = save(tmp_path / "p.nii", P)
    nan = np.where(Y == 1, np.nan, Y)
    _, (fault,) = count_pairs(save(tmp_path / "y.nii", nan), [p])
    assert "y.nii: holds nan, which is no label number" in str(fault)
    with pytest.raises(
        DataError, match=r"z.nii: has shape \(9, 8, 7, 2\), where 3 axes are expected"
    ):
        count_pairs(save(tmp_path / "z.nii", np.stack([Y, P], -1)), [p])
    with pytest.raises(DataError, match=r"c\.npy: holds complex128 values: save numbers"):
        count_pairs(save(tmp_path / "c.npy", Y.astype(complex)), [p])


PEAK = """
import re, sys
from pathlib import Path
from segrisk.compare.slabs import count_pairs
_, (counts,) = count_pairs(Path(sys.argv[1]), [Path(sys.argv[2])])
assert counts.pairs == {(0, 0): 1024**3}
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("ending", ["npy", "nii"])
def test_a_pair_of_files_larger_than_the_memory_allowed(tmp_path, ending):
    for name in ("y", "p"):
        small = save(tmp_path / f"{name}.{ending}", np.zeros((1, 1, 1), np.uint8))
        content = small.read_bytes()[:-1]
        if ending == "npy":
            with small.open("wb") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": (1024,) * 3}
                np.lib.format.write_array_header_1_0(file, header)
        else:
            small.write_bytes(content[:42] + np.array([1024] * 3, "<i2").tobytes() + content[48:])
        with small.open("ab") as file:  # zeros that take no room on the disk
            file.truncate(file.tell() + 1024**3)
    command = [sys.executable, "-c", PEAK, *(str(tmp_path / f"{n}.{ending}") for n in "yp")]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert int(result.stdout) / 1024 < 300
