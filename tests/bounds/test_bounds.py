"""`segrisk bounds`: masks in, guarantees out, and what is said of masks that cannot be used."""

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from segrisk.bounds.guarantees import find, verdict
from segrisk.bounds.masks import MaskSize, read_sizes
from segrisk.bounds.run import bound_masks
from segrisk.data.errors import DataError
from segrisk.data.readers import Folder
from segrisk.similarity import dice, jaccard, weighted_hamming
from segrisk.theory import approximation_on, hamming_error

nibabel = pytest.importorskip("nibabel")
Image = pytest.importorskip("PIL.Image")


def block(n, shape=(10, 10), value=1):
    mask = np.zeros(shape, np.uint8)
    mask.reshape(-1)[:n] = value
    return mask


def write(folder, masks):
    for name, values in masks.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".npy"):
            np.save(path, values)
        elif name.endswith(".npz"):
            np.savez(path, **values) if isinstance(values, dict) else np.savez(path, values)
        elif name.endswith((".nii", ".nii.gz")):
            nibabel.save(nibabel.Nifti1Image(values[..., None], np.eye(4)), path)
        else:
            Image.fromarray(values).save(path)
    return folder


def sizes(folder, workers=1, **options):
    quiet = Console(file=io.StringIO())
    return read_sizes(Folder(folder, **options), workers=workers, console=quiet)


def printed(folder, **options):
    file = io.StringIO()
    bound_masks(folder, Console(file=file, width=110), **options)
    return file.getvalue()


def test_every_format_gives_the_counts(tmp_path):
    masks = {
        "a.npy": block(7) > 0,
        "b.npz": block(8).astype(float),
        "c.png": block(9, value=255),
        "d.tif": block(10, value=1),
        "e.nii.gz": block(11),
        ".hidden.npy": block(1),
        "notes.txt.npy": block(12).astype(np.int16),
    }
    (tmp_path / "one").mkdir()
    found = sizes(write(tmp_path / "one", {k: v for k, v in masks.items() if k != "c.png"}))
    assert [(s.name, s.positives, s.total) for s in found] == [
        ("a.npy", 7, 100),
        ("b.npz", 8, 100),
        ("d.tif", 10, 100),
        ("e.nii.gz", 11, 100),
        ("notes.txt.npy", 12, 100),
    ]
    (picture,) = sizes(write(tmp_path / "two", {"labels/c.png": masks["c.png"]}))
    assert (picture.positives, picture.fraction) == (9, 0.09)


def test_labels_are_merged_or_thresholded(tmp_path):
    mask = block(6)
    mask[5], mask[7, :2] = 2, 4
    write(tmp_path, {"a.npy": mask, "b.npy": block(3)})
    assert [s.positives for s in sizes(tmp_path, foreground=(1, 4))] == [8, 3]
    assert [s.positives for s in sizes(tmp_path, threshold=1.5)] == [12, 0]


def test_processes_give_the_same_in_order(tmp_path):
    write(tmp_path, {f"{k:03d}.npy": block(k + 1) for k in range(40)})
    assert sizes(tmp_path, workers=2) == sizes(tmp_path)


FAULTS = {
    "no folder": ({}, {}, "gone: there is no such folder"),
    "no masks": ({"notes.json.txt.png/x.npy": block(3)}, {}, None),
    "empty": ({"a.npy": block(0), "b.npy": block(0)}, {}, "all 2 masks are empty, so there is"),
    "full": ({"a.png": block(100, value=255)}, {}, "all 1 masks are full, without background"),
    "nan": ({"a.npy": np.array([0, np.nan])}, {}, "a.npy: 1 of 2 mask values are NaN"),
    "values": ({"a.npy": block(4), "b.npy": block(4, value=3)}, {}, r"1 \(a.npy\), 3 \(b.npy\)"),
    "absent": ({"a.npy": block(4)}, {"foreground": "7"}, "no mask has the value 7; found .*: 1"),
    "share": ({"a.npy": block(4) * 0.3}, {}, "a.npy: holds 0.3, which is no label number"),
    "many": ({"a.npz": {"x": block(4), "y": block(3)}}, {}, "a.npz: holds 2 arrays"),
    "text": ({"a.npy": np.array(["x"])}, {}, "a.npy: holds <U1 values"),
    "nothing": ({"a.npy": np.zeros((0, 3))}, {}, r"a.npy: has shape \(0, 3\), no voxels"),
    "jpeg": ({"a.jpg": block(4, value=255)}, {}, "a.jpg: JPEG changes label values"),
    "list": ({"a.npy": block(4)}, {"foreground": "1;2"}, "--foreground '1;2' is not a list"),
    "both": ({"a.npy": block(4)}, {"foreground": "1", "threshold": 0.5}, "exclude each other"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_used_is_said(name, tmp_path):
    masks, options, message = FAULTS[name]
    folder = tmp_path / "gone" if name == "no folder" else write(tmp_path, masks)
    message = message or "has no masks, here or in labels/: expected files .nii.gz"
    with pytest.raises(DataError, match=message) as error:
        bound_masks(folder, Console(file=io.StringIO()), **options)
    assert len(error.value.faults) == 1


def test_every_broken_file_is_named(tmp_path):
    write(tmp_path, {"a.npy": block(3)})
    for name in ("b.npy", "c.npz", "d.nii.gz", "e.png"):
        (tmp_path / name).write_bytes(b"not a mask")
    with pytest.raises(DataError) as error:
        sizes(tmp_path)
    assert len(error.value.faults) == 4
    for name, fault in zip("bcde", error.value.faults, strict=True):
        assert f"/{name}." in fault and "cannot be read" in fault


def test_guarantees_are_those_of_the_masks():
    masks = [MaskSize("small", 20, 1000), MaskSize("large", 300, 1000), MaskSize("none", 0, 500)]
    findings = find(masks)
    assert (findings.empty, findings.prior) == (1, 320 / 2500)
    present = [(20, 1000), (300, 1000)]
    for g in findings.guarantees:
        if (g.first, g.second) == ("best Hγ", "dice"):
            expected = approximation_on(dice, weighted_hamming, present)
            assert (g.absolute, g.gamma) == (expected.absolute, expected.gamma)
            assert g.absolute == pytest.approx(hamming_error(0.02), abs=1e-3)
            assert g.worst.startswith("small: ")
    hamming = next(g for g in findings.guarantees if (g.first, g.second) == ("hamming", "dice"))
    assert hamming.absolute == pytest.approx(0.98)
    assert hamming.worst == "small: empty prediction"
    balanced = findings.weights[1]
    assert balanced.threshold == pytest.approx(findings.prior)
    text = " ".join(verdict(findings))
    assert "No fixed weighting" in text and "1 of 3 masks are empty" in text


def test_many_masks_are_bounded_by_the_smallest_fraction():
    present = [(k, 400) for k in range(4, 200, 7)]
    for of in ("similarity", "loss"):
        bound = approximation_on(jaccard, dice, present, of=of)
        each = [approximation_on(jaccard, dice, [size], of=of) for size in present]
        low, high = bound.bounds.absolute
        assert low <= max(one.absolute for one in each) + 2e-6 and high >= low
        assert high == pytest.approx(max(one.absolute for one in each), abs=1e-5)
        assert bound.relative >= max(one.relative for one in each) - 1e-9


def test_large_objects_let_a_fixed_weight_do():
    text = " ".join(verdict(find([MaskSize("a", 50, 100), MaskSize("b", 55, 100)])))
    assert "one fixed weighting of voxels" in text and "no object is small" in text


def test_the_command_prints_and_writes(tmp_path):
    pytest.importorskip("altair")
    masks = {f"{k}.npy": block(k + 1, (20, 20)) for k in range(12)}
    out = tmp_path / "out"
    text = printed(write(tmp_path / "masks", masks), out=out)
    for words in ("12 masks, 0 empty", "best Hγ, γ =", "0.npy: ", "decides at p >", "Dice and Jac"):
        assert words in text
    assert (out / "bounds.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((out / "masks.csv").read_text().splitlines()))
    assert len(rows) == 12 and float(rows[0]["fraction"]) == 1 / 400
    assert len((out / "guarantees.csv").read_text().splitlines()) == 8


def test_the_entry_point_shows_one_line_for_a_fault(tmp_path):
    from typer.testing import CliRunner

    from segrisk.commands import app

    write(tmp_path, {"a.npy": block(0)})
    result = CliRunner().invoke(app, ["bounds", str(tmp_path)])
    assert result.exit_code == 2
    assert "all 1 masks are empty" in result.output
    help_text = CliRunner().invoke(app, ["bounds", "--help"], env={"COLUMNS": "200"}).output
    assert "MASKS_FOLDER" in help_text and "--threshold" in help_text
