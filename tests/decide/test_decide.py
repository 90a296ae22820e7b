"""`segrisk decide` on every kind of file, and what it says of files that cannot be used."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import scenes
from segrisk.commands import app
from segrisk.decision import decide_exclusive, expected_scores, from_json, optimal_mask
from segrisk.decision.rules import Exact, Threshold
from segrisk.similarity import dice, jaccard

SOURCE = Path(__file__).resolve().parents[2] / "src"
AFFINE = np.array([[-0.7, 0.1, 0, 12.5], [0.1, 0.8, 0, -3], [0, 0, 2.5, 7], [0, 0, 0, 1.0]])


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "p").mkdir()
    return tmp_path / "p"


@pytest.fixture
def decide(folder, tmp_path):
    """Run the command; the exit code and what was printed."""

    def decide(*options):
        arguments = ["decide", str(folder), "--out", str(tmp_path / "out"), *map(str, options)]
        result = CliRunner().invoke(app, arguments)
        return result.exit_code, " ".join(result.output.split())

    return decide


def ok(answer):
    assert answer[0] == 0, answer[1]
    return answer[1]


def refused(answer, out):
    """What was printed of a run that must have written nothing."""
    assert answer[0] == 2, answer[1]
    assert not out.exists() or not any(out.iterdir())
    return answer[1]


def table(tmp_path):
    return list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text().splitlines()))


def volume(seed=0, shape=(5, 6, 7)):
    return np.random.default_rng(seed).beta(0.3, 1, shape)


def save_nifti(path, values, affine=AFFINE):
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
@pytest.mark.parametrize("metric", [dice, jaccard], ids=lambda s: s.name)
def test_nifti_keeps_its_geometry(folder, tmp_path, decide, ending, metric):
    p = volume().astype(np.float32)
    save_nifti(folder / f"a{ending}", p)
    ok(decide("--metric", metric.name))
    mask = nibabel.load(tmp_path / "out" / "a.nii.gz")
    source = nibabel.load(folder / f"a{ending}")
    assert (mask.affine == source.affine).all() and mask.get_data_dtype() == np.uint8
    for field in ("pixdim", "qform_code", "sform_code", "xyzt_units"):
        assert (mask.header[field] == source.header[field]).all()
    assert (np.asarray(mask.dataobj) == optimal_mask(p, metric)).all()


def test_a_scaled_nifti_gives_an_unscaled_mask(folder, tmp_path, decide):
    image = nibabel.Nifti1Image(np.rint(volume() * 200).astype(np.uint8), AFFINE)
    image.header.set_slope_inter(1 / 200, 0)
    nibabel.save(image, folder / "a.nii.gz")
    ok(decide())
    assert set(np.unique(nibabel.load(tmp_path / "out" / "a.nii.gz").dataobj)) == {0, 1}


@pytest.mark.parametrize("key", ["probabilities", "softmax"])
def test_exclusive_classes_of_nnunet_with_the_grid_beside_them(folder, tmp_path, decide, key):
    p = np.random.default_rng(1).dirichlet([1, 0.4, 0.4], (4, 5, 6))
    p = np.moveaxis(p, -1, 0).astype(np.float16)  # (C, z, y, x)
    np.savez(folder / "a.npz", **{key: p})
    save_nifti(folder / "a.nii.gz", np.zeros((6, 5, 4), np.uint8))
    (folder / "a.pkl").write_bytes(b"ignored")
    ok(decide())
    mask = nibabel.load(tmp_path / "out" / "a.nii.gz")
    assert (mask.affine == nibabel.load(folder / "a.nii.gz").affine).all()
    expected = decide_exclusive(p, Exact(dice))
    assert (np.asarray(mask.dataobj).T == expected).all() and set(np.unique(expected)) == {0, 1, 2}


def test_regions_of_nnunet_are_decided_apart(folder, tmp_path, decide):
    p = np.stack([volume(1), volume(2)]).astype(np.float16)
    np.savez(folder / "a.npz", probabilities=p)
    ok(decide())
    for label in (1, 2):
        mask = np.load(tmp_path / "out" / f"a_{label}.npy")
        assert (mask == optimal_mask(p[label - 1], dice)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_of_8_and_16_bits(folder, tmp_path, decide, dtype):
    full = np.iinfo(dtype).max
    p = np.rint(volume(0, (8, 9)) * full).astype(dtype)
    Image.fromarray(p).save(folder / "a.png")
    ok(decide())
    mask = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    assert set(np.unique(mask)) == {0, 255}
    assert ((mask == 255) == optimal_mask(p / np.float32(full), dice)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numpy(folder, tmp_path, decide, dtype):
    p = volume().astype(dtype)
    np.save(folder / "a.npy", p)
    np.savez(folder / "b.npz", anything=p)
    ok(decide())
    for id in "ab":
        assert (np.load(tmp_path / "out" / f"{id}.npy") == optimal_mask(p, dice)).all()


def test_the_table_gives_expected_scores(folder, tmp_path, decide):
    maps = {"b": volume(1), "a": volume(2), "empty": np.zeros((2, 2))}
    for id, p in maps.items():
        np.save(folder / f"{id}.npy", p)
    for rule, size_of in (("exact", optimal_mask), ("half", lambda p, _: p > 0.5)):
        text = ok(decide("--rule", rule, "--overwrite"))
        rows = table(tmp_path)
        assert [row["case"] for row in rows] == ["a", "b", "empty"]
        for row in rows:
            p = maps[row["case"]]
            size = size_of(p, dice).sum()
            expected = expected_scores(p.ravel(), dice)[size]
            assert int(row["voxels"]) == size
            assert float(row["expected_dice"]) == pytest.approx(expected, abs=1e-6)
            assert float(row["sum_p"]) == pytest.approx(p.sum(), rel=1e-5) and row["dice"] == ""
        assert "expected dice:" in text


# With references


def labelled(folder, tmp_path, make, count=20):
    """Maps and references of a known scene."""
    (tmp_path / "y").mkdir(exist_ok=True)
    truth = {}
    for index, (p, y) in enumerate(make(count, 0)):
        np.save(folder / f"c{index:02d}.npy", p.reshape(20, -1))
        np.save(tmp_path / "y" / f"c{index:02d}.npy", y.reshape(20, -1).astype(np.uint8))
        truth[f"c{index:02d}"] = y.reshape(20, -1)
    return tmp_path / "y", truth


def test_a_rule_is_chosen_and_reported_on_cases_it_has_not_seen(folder, tmp_path, decide):
    reference, truth = labelled(folder, tmp_path, scenes.independent)
    groups = tmp_path / "groups.csv"
    groups.write_text("id,group\n" + "".join(f"{id},g{id[1:]}\n" for id in truth))
    text = ok(decide("--reference", reference, "--folds", 4, "--groups", groups))
    assert "20 cases in 20 groups, cross-fitted" in text and "(used)" in text
    assert "0.5 (used)" not in text and "empty-aware dice was not tried" in text
    rows = table(tmp_path)
    gains = []
    for row in rows:
        mask, y = np.load(tmp_path / "out" / f"{row['case']}.npy") == 1, truth[row["case"]]
        score = 2 * (mask & y).sum() / (mask.sum() + y.sum())
        assert float(row["dice"]) == pytest.approx(score, abs=1e-6)
        gains.append(score - float(row["dice_at_half"]))
    assert np.mean(gains) > 0.02
    stored = json.loads((tmp_path / "out" / "rule.json").read_text())
    assert stored["metric"] == "dice" and from_json(stored["rules"]["1"])


def test_one_half_stays_where_borders_move_as_one(folder, tmp_path, decide):
    reference, _ = labelled(folder, tmp_path, scenes.nested)
    text = ok(decide("--reference", reference))
    assert "0.5 (used)" in text and "0.5 stays: no interval of a gain lies above 0" in text
    stored = json.loads((tmp_path / "out" / "rule.json").read_text())
    assert from_json(stored["rules"]["1"]) == Threshold(0.5)


def test_a_stored_rule_is_replayed(folder, tmp_path, decide):
    reference, _ = labelled(folder, tmp_path, scenes.independent)
    text = ok(decide("--reference", reference, "--rule", "tuned"))
    assert "tuned for dice (used)" in text
    kept = tmp_path / "rule.json"
    kept.write_text((tmp_path / "out" / "rule.json").read_text())
    ok(decide("--rule", kept, "--overwrite"))
    value = json.loads(kept.read_text())["rules"]["1"]["value"]
    p = np.load(folder / "c03.npy")
    assert (np.load(tmp_path / "out" / "c03.npy") == (p > value)).all()


def test_references_of_nnunet_lie_on_the_grid_beside(folder, tmp_path, decide):
    (tmp_path / "y").mkdir()
    generator = np.random.default_rng(0)
    for index in range(6):
        y = np.repeat(generator.integers(0, 2, (4, 5, 1)), 6, axis=2)  # (z, y, x)
        p = np.stack([0.9 - 0.8 * y, 0.1 + 0.8 * y]).astype(np.float16)
        np.savez(folder / f"c{index}.npz", probabilities=p)
        for place in (folder, tmp_path / "y"):
            save_nifti(place / f"c{index}.nii.gz", y.T.astype(np.uint8))
    ok(decide("--reference", tmp_path / "y", "--folds", 2))
    rows = table(tmp_path)
    assert [float(row["dice"]) for row in rows] == [1.0] * 6


# What is refused, in one line that names the file, before anything is written


def corrupt(path):
    path.write_bytes(b"nothing that can be read")


BAD = {
    "logits": (
        lambda f: np.save(f / "a.npy", np.full((2, 2), -3.0)),
        r"p/a.npy: the map reaches from -3 to -3, outside",
    ),
    "NaN": (
        lambda f: np.save(f / "a.npy", np.full((2, 2), np.nan)),
        "p/a.npy: 4 of 4 values of the map are NaN",
    ),
    "no voxels": (
        lambda f: np.save(f / "a.npy", np.zeros((0, 3))),
        "p/a.npy: the map has shape .* and so no voxels",
    ),
    "axes": (
        lambda f: np.save(f / "a.npy", np.zeros(3)),
        r"p/a.npy: has shape \(3,\): give \(y, x\)",
    ),
    "broken npz": (lambda f: corrupt(f / "a.npz"), "p/a.npz: cannot be read"),
    "broken png": (lambda f: corrupt(f / "a.png"), "p/a.png: cannot be read"),
    "broken nifti": (lambda f: corrupt(f / "a.nii.gz"), "p/a.nii.gz: cannot be read"),
    "pickle": (lambda f: np.save(f / "a.npy", np.array([{}], object)), "p/a.npy: cannot be read"),
    "keys": (
        lambda f: np.savez(f / "a.npz", x=np.zeros(2), y=np.zeros(2)),
        "p/a.npz: holds the arrays x, y: name the one",
    ),
    "channels": (
        lambda f: np.savez(f / "a.npz", softmax=np.zeros((2, 2))),
        r"'softmax' has shape \(2, 2\), not",
    ),
    "colour": (
        lambda f: Image.fromarray(np.eye(3, dtype=np.uint8)[..., None] * np.uint8([1, 2, 3])).save(
            f / "a.png"
        ),
        "p/a.png: is coloured",
    ),
    "nothing": (
        lambda f: (f / "notes.txt").write_text(""),
        "holds no probability maps: put files there",
    ),
    "4D": (
        lambda f: save_nifti(f / "a.nii.gz", np.zeros((2, 2, 2, 3), np.float32)),
        "p/a.nii.gz: has shape",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_map_is_named_before_anything_is_written(name, folder, tmp_path, decide):
    make, text = BAD[name]
    if name != "nothing":
        np.save(folder / "good.npy", volume(0, (4, 4)))
    make(folder)
    printed = refused(decide(), tmp_path / "out")
    assert printed.count("error:") == 1
    assert re.search(text, printed), printed


def one_map(folder):
    np.save(folder / "a.npy", volume(0, (4, 4)))


def test_folders_that_are_not_there(folder, tmp_path, decide):
    result = CliRunner().invoke(app, ["decide", str(tmp_path / "no"), "--out", str(tmp_path / "o")])
    assert result.exit_code == 2 and "there is no such folder" in result.output
    one_map(folder)
    text = refused(decide("--reference", tmp_path / "no"), tmp_path / "out")
    assert "there is no such folder: give the one with the references" in text


def test_nothing_is_overwritten_unasked(folder, tmp_path, decide):
    one_map(folder)
    ok(decide())
    before = (tmp_path / "out" / "a.npy").read_bytes()
    code, text = decide("--rule", "half")
    assert code == 2 and "holds 3 of the files to be written, such as a.npy: give --over" in text
    assert (tmp_path / "out" / "a.npy").read_bytes() == before
    assert "replacing 3 files" in ok(decide("--rule", "half", "--overwrite"))
    result = CliRunner().invoke(app, ["decide", str(folder), "--out", str(folder), "--overwrite"])
    assert result.exit_code == 2 and "holds what is read" in " ".join(result.output.split())


def test_maps_of_two_kinds_or_one_name(folder, tmp_path, decide):
    one_map(folder)
    np.savez(folder / "b.npz", softmax=np.full((3, 2, 2, 2), 1 / 3, np.float16))
    text = refused(decide(), tmp_path / "out")
    assert "b.npz: has 3 channels summing to 1, where a.npy has 1 channel" in text
    save_nifti(folder / "a.nii.gz", volume().astype(np.float32))
    assert "have the same id: remove or rename one" in refused(decide(), tmp_path / "out")


def test_a_grid_beside_that_does_not_fit(folder, tmp_path, decide):
    np.savez(folder / "a.npz", probabilities=np.full((2, 4, 5, 6), 0.5, np.float16))
    save_nifti(folder / "a.nii.gz", np.zeros((4, 5, 6), np.uint8))
    text = refused(decide(), tmp_path / "out")
    assert "has the axes (4, 5, 6), which reversed are not the (4, 5, 6) of a.nii.gz" in text


def test_rules_that_are_not_there(folder, tmp_path, decide):
    one_map(folder)
    out = tmp_path / "out"
    assert "unknown rule 'magic': give half, exact" in refused(decide("--rule", "magic"), out)
    text = refused(decide("--rule", "tuned"), out)
    assert "rule 'tuned' is fitted on references: give --reference" in text
    file = tmp_path / "r.json"
    assert "r.json: cannot be read" in refused(decide("--rule", file), out)
    file.write_text('{"rules": {"1": {"rule": "magic"}}}')
    assert "is no stored rule (unknown rule 'magic'" in refused(decide("--rule", file), out)
    file.write_text('{"rules": {"2": {"rule": "threshold", "value": 0.2}}}')
    text = refused(decide("--rule", file), out)
    assert "has rules for the labels [2], where the maps have [1]" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((20, 20), np.uint8), "no reference has the label 1"),
        (np.ones((20, 20), np.uint8), "the references are foreground everywhere"),
        (np.eye(20, dtype=np.uint8) * np.arange(20, dtype=np.uint8), "where the map knows one"),
        (np.zeros((3, 3), np.uint8), "shape (3, 3) differs from (20, 20)"),
    ],
)
def test_bad_references(folder, tmp_path, decide, value, text):
    reference, truth = labelled(folder, tmp_path, scenes.independent, 4)
    for id in truth:
        np.save(reference / f"{id}.npy", value)
    assert text in refused(decide("--reference", reference), tmp_path / "out")


def test_references_and_groups_that_are_missing(folder, tmp_path, decide):
    reference, _ = labelled(folder, tmp_path, scenes.independent, 4)
    out = tmp_path / "out"
    text = refused(decide("--reference", reference, "--folds", 5), out)
    assert "4 groups cannot fill 5 folds" in text
    groups = tmp_path / "g.csv"
    options = ("--reference", reference, "--groups", groups)
    assert "g.csv: does not exist: correct the path" in refused(decide(*options), out)
    groups.write_text("id,patient\nc00,a\n")
    assert "g.csv: has no column group" in refused(decide(*options), out)
    groups.write_text("id,group\nc00,a\n")
    assert "g.csv: has no row for c01, c02, c03" in refused(decide(*options), out)
    (reference / "c02.npy").unlink()
    assert "p/c02.npy: has no reference in y/" in refused(decide("--reference", reference), out)


def test_help_shows_an_example():
    result = CliRunner().invoke(app, ["decide", "--help"])
    assert "Example: segrisk decide" in " ".join(result.output.replace("│", " ").split())


def test_the_packages_of_studies_are_not_needed(folder, tmp_path):
    one_map(folder)
    blocked = ["monai", "lightning_fabric", "filelock", "numba"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked})); "
        "from segrisk.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "decide", str(folder), "--out"]
    environment = {"PYTHONPATH": str(SOURCE)}
    for out, expected in ((tmp_path / "out", 0), (folder, 2)):
        done = subprocess.run([*command, str(out)], capture_output=True, text=True, env=environment)
        assert done.returncode == expected, done.stderr
    assert "holds what is read" in " ".join(done.stderr.split())
