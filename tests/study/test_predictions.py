"""The held-out masks of a study as files: on their own grid, with a manifest that finds them."""

import csv
import shutil

import nibabel
import numpy as np
import pytest
import yaml
from PIL import Image

import image_trees
from segrisk.scores import read_scores
from segrisk.similarity import confusion, dice
from tiny_study import TINY

GRID = (
    "dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c",
    "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip
"""What a NIfTI header says of the grid."""


def scored(folder):
    """The Dice score of each (model, case) from the files that the manifest names."""
    with (folder / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))

    def read(name):
        path = folder / name
        if path.suffix == ".png":
            return np.asarray(Image.open(path)) > 0
        return np.asarray(nibabel.load(path).dataobj) > 0

    models = [name for name in rows[0] if name in TINY["losses"]]
    return {
        (model, row["case"], int(row["seed"])): float(
            dice(confusion(read(row[model]), read(row["reference"])))
        )
        for row in rows
        for model in models
    }


def test_the_masks_score_what_the_study_says(finished, segrisk, tmp_path):
    out = finished[0] / "out"
    result = segrisk("study", "predict", "--out", out, "--to", tmp_path / "masks")
    assert result.returncode == 0, result.stderr
    expected = {
        (s.model, s.case, s.seed): s.value
        for s in read_scores(out / "report" / "scores.csv")
        if s.metric == "dice"
    }
    assert scored(tmp_path / "masks") == pytest.approx(expected, abs=1e-12)
    shutil.copytree(out, tmp_path / "out")  # `finished` is for all
    page = tmp_path / "out/report/report.html"
    assert 'class="view"' not in page.read_text()
    result = segrisk(
        "study", "report", "--out", tmp_path / "out", "--predictions", tmp_path / "masks"
    )
    assert result.returncode == 0, result.stderr
    assert 'class="view"' in page.read_text()


def test_volumes_keep_the_header_of_their_label(segrisk, tmp_path):
    data = tmp_path / "data"
    generator = np.random.default_rng(0)
    axial = np.diag([-0.5, 1.5, 3.0, 1.0])
    axial[:3, 3] = (7.25, -20.0, 3.5)
    for name in ("images", "labels"):
        (data / name).mkdir(parents=True)
    sagittal = np.array([[0, 0, 3.0, 5], [1.5, 0, 0, 0], [0, -0.5, 0, 7], [0, 0, 0, 1]])
    for index in range(6):
        label = np.zeros((10, 12, 8), np.int16)
        label[2 : 5 + index % 3, 3:8, 2:6] = 4
        image = label + generator.normal(size=label.shape)
        affine = sagittal if index in (1, 4) else axial  # others are turned to these
        saved = nibabel.Nifti1Image(label, affine)
        saved.set_sform(affine, code=1)
        saved.header.set_xyzt_units("mm", "sec")
        nibabel.save(saved, data / "labels" / f"c{index}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(image, affine), data / "images" / f"c{index}_0000.nii.gz")
        if index == 5:
            (data / "images" / "broken_0000.nii.gz").write_bytes(b"")
            (data / "labels" / "broken.nii.gz").write_bytes(b"")
    file = tmp_path / "study.yaml"
    task = {"folder": str(data), "size": [8, 8, 8], "exclude": ["broken"]}
    study = {**TINY, "tasks": {"box": task}, "seeds": [0, 1]}
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    assert segrisk("study", "run", file, "--out", tmp_path / "out").returncode == 0
    result = segrisk("study", "predict", "--out", tmp_path / "out", "--to", tmp_path / "masks")
    assert result.returncode == 0, result.stderr
    masks = sorted((tmp_path / "masks/box/soft_dice/seed1").iterdir())
    assert [path.name for path in masks] == [f"c{index}.nii.gz" for index in range(6)]
    for path in masks:
        found = nibabel.load(path)
        source = nibabel.load(data / "labels" / path.name)
        assert found.shape == source.shape and found.get_data_dtype() == np.uint8
        for field in GRID:
            assert found.header[field].tobytes() == source.header[field].tobytes(), field
    for path in (tmp_path / "masks/box/labels").iterdir():
        label = np.asarray(nibabel.load(data / "labels" / path.name).dataobj)
        assert (np.asarray(nibabel.load(path).dataobj) == (label > 0)).all()
    report = (tmp_path / "out/report/report.html").read_text()
    assert "box: the study excludes 1 case: broken" in report
    expected = {
        (s.model, s.case, s.seed): s.value
        for s in read_scores(tmp_path / "out/report/scores.csv")
        if s.metric == "dice"
    }
    assert len(expected) == 2 * 6 * 2
    assert scored(tmp_path / "masks") == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
def test_slices_in_nifti_stay_what_they_are(segrisk, tmp_path):
    root = tmp_path / "brain-growth"
    for part in ("a", "b", "c"):
        image_trees.qubiq(tmp_path / part, part="Training")
        for case in (tmp_path / part / "Training").iterdir():
            image = case / "image.nii.gz"
            values = np.asarray(nibabel.load(image).dataobj) + ord(part)
            image_trees.nifti(image, values, np.eye(4))
            shutil.move(case, root / f"{part}{case.name}")
    file = tmp_path / "study.yaml"
    tasks = {"growth": {"folder": str(root), "size": [8, 8]}}
    file.write_text(yaml.safe_dump({**TINY, "tasks": tasks}, sort_keys=False))
    result = segrisk("study", "run", file, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    result = segrisk("study", "predict", "--out", tmp_path / "out", "--to", tmp_path / "masks")
    assert result.returncode == 0, result.stderr
    mask = nibabel.load(tmp_path / "masks/growth/soft_dice/acase01.nii.gz")
    assert mask.shape == (9, 8, 1)  # as the masks of the raters
    label = np.asarray(nibabel.load(tmp_path / "masks/growth/labels/acase01.nii.gz").dataobj)
    assert label[:, 2, 0].tolist() == [0, 1, 1, 1, 0, 0, 0, 0, 0]


def test_probabilities_above_one_half_are_the_masks(finished, segrisk, tmp_path):
    out = finished[0] / "out"
    segrisk("study", "predict", "--out", out, "--to", tmp_path / "masks")
    result = segrisk("study", "predict", "--out", out, "--to", tmp_path / "p", "--probabilities")
    assert result.returncode == 0, result.stderr
    for path in (tmp_path / "masks/molar/soft_dice").iterdir():
        p = np.asarray(Image.open(tmp_path / "p/molar/soft_dice" / path.name))
        assert p.dtype == np.uint16 and p.max() > 40000
        assert ((p > 32768) == (np.asarray(Image.open(path)) > 0)).all()
    result = segrisk(
        "decide", tmp_path / "p/molar/soft_dice", "--out", tmp_path / "decided",
        "--reference", tmp_path / "p/molar/labels", "--folds", 2,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_a_study_without_weights_says_so(finished, segrisk, tmp_path):
    kept = tmp_path / "kept"
    segrisk("study", "export", "--out", finished[0] / "out", "--to", kept)
    result = segrisk("study", "predict", "--out", kept, "--to", tmp_path / "masks")
    assert result.returncode == 2
    assert "4 of 4 trainings have no weights here, first molar fold 0 seed 0" in result.stderr


def test_other_files_are_not_written_over(finished, segrisk, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    result = segrisk("study", "predict", "--out", finished[0] / "out", "--to", tmp_path)
    assert (
        result.returncode == 2 and "is not empty: give --to a new or empty folder" in result.stderr
    )
