"""A study of volumes that keep their own grids: cropped, trained in patches, predicted whole."""

import json
import subprocess

import nibabel
import numpy as np
import pytest
import yaml

from segrisk.data.prepare import load_prepared
from segrisk.scores import read_scores
from segrisk.study.config import Study
from segrisk.study.plan import plan
from segrisk.study.task import Task
from tiny_study import TINY, command, environment, kill_when

SHAPES = [(13, 9, 10), (20, 8, 7), (9, 14, 12)] * 4


@pytest.fixture(scope="module")
def patched(tmp_path_factory, segrisk):
    """The study, run once, and its data: two channels, borders of zeros, no two shapes alike."""
    folder = tmp_path_factory.mktemp("patched")
    generator = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / "data" / name).mkdir(parents=True)
    affine = np.diag([1, 1, 2, 1])
    for index, shape in enumerate(SHAPES):
        label = np.zeros(shape, np.uint8)
        label[2 : 5 + index % 3, 3:6, 2:5] = 1
        pad = (index % 3, 1)
        label = np.pad(label, [pad] * 3)
        for channel in range(2):
            image = generator.uniform(0.5, 1.5, shape).astype(np.float32)
            image = np.pad(image, [pad] * 3) + label
            path = folder / "data" / "images" / f"c{index:02d}_000{channel}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(image, affine), path)
        path = folder / "data" / "labels" / f"c{index:02d}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(label, affine), path)
    task = {
        "folder": "data",
        "patch": {"size": [8, 8, 8], "per_case": 2},
        "preprocessing": {"crop": "nonzero"},
    }
    study = {
        **TINY,
        "tasks": {"organ": task},
        "decisions": [{"name": "tuned", "losses": ["cross_entropy"]}],
        "schedule": {
            "batch_size": 8,
            "cross_entropy": {"learning_rate": 0.01, "max_epochs": 2},
            "loss": {"learning_rate": 0.01, "max_epochs": 2},
        },
        "preprocessing": {"spacing_mm": [1, 1, 1.5], "normalise": "nonzero"},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    result = segrisk("study", "run", folder / "study.yaml", "--out", folder / "out")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, result.stdout


def test_every_case_is_scored_on_its_own_grid(patched):
    folder, output = patched
    assert "2 channels, at 20×8×9 to 9×14×16, in patches of 8×8×8" in " ".join(output.split())
    scores = read_scores(folder / "out" / "report" / "scores.csv")
    assert len({score.case for score in scores}) == 12
    assert {score.model for score in scores} == {"cross_entropy", "soft_dice"}
    assert len(list((folder / "out" / "cells").glob("*/rule.json"))) == 2
    assert all(0 <= score.value <= 1 for score in scores)


def test_masks_are_written_on_the_grid_of_the_files(patched, segrisk, tmp_path):
    folder, _ = patched
    result = segrisk("study", "predict", "--out", folder / "out", "--to", tmp_path / "masks")
    assert result.returncode == 0, result.stderr
    scores = read_scores(folder / "out" / "report" / "scores.csv")
    for index in range(12):
        label = nibabel.load(folder / "data" / "labels" / f"c{index:02d}.nii.gz")
        path = tmp_path / "masks" / "organ" / "soft_dice" / f"c{index:02d}.nii.gz"
        mask = nibabel.load(path)
        assert mask.shape == label.shape and np.array_equal(mask.affine, label.affine)
        y, marked = (np.asarray(file.dataobj) > 0 for file in (label, mask))
        image = nibabel.load(folder / "data" / "images" / f"c{index:02d}_0000.nii.gz")
        assert not marked[np.asarray(image.dataobj) == 0].all()
        dice = 2 * (y & marked).sum() / (y.sum() + marked.sum())
        own = (s.value for s in scores if (s.case, s.model) == (f"c{index:02d}", "soft_dice"))
        assert dice == pytest.approx(next(own))


def test_killed_while_it_trains_on_patches_it_ends_with_the_same_bytes(patched, tmp_path):
    folder, _ = patched
    out = tmp_path / "out"
    arguments = command("study", "run", folder / "study.yaml", "--out", out, "--workers", "1")
    process = subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert kill_when(process, lambda: list(out.glob("cells/*.partial/checkpoint.pt")))
    last = subprocess.run(arguments, env=environment(), capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    for name in ("scores.csv", "scores_by_validation_dice.csv", "tests.csv"):
        expected = (folder / "out" / "report" / name).read_bytes()
        assert (out / "report" / name).read_bytes() == expected


def test_a_pipeline_of_the_study_is_overridden_key_by_key(patched):
    record = json.loads((patched[0] / "out" / "study.json").read_text())["study"]
    expected = {"crop": "nonzero", "spacing_mm": [1, 1, 1.5], "normalise": "nonzero"}
    assert record["tasks"]["organ"]["preprocessing"] == expected
    again = Study.model_validate(record)
    assert again.tasks["organ"].preprocessing.crop == "nonzero"


def test_what_is_not_declared_is_not_recorded():
    task = Task(folder="x", size=(16, 16)).model_dump(mode="json")
    assert not {"patch", "preprocessing"} & task.keys()
    study = Study.model_validate({"name": "x", "tasks": {"a": {"folder": "x", "size": [16, 16]}}})
    assert "preprocessing" not in study.model_dump(mode="json")


def test_the_patch_determines_the_cells(patched):

    study = Study.model_validate(yaml.safe_load((patched[0] / "study.yaml").read_text()))
    prepared = load_prepared(next((patched[0] / "out" / "data").glob("*/task.json")).parent)
    keys = set()
    for change in ({}, {"overlap": 0.25}, {"foreground_share": 1.0}, {"size": (8, 8, 4)}):
        task = study.tasks["organ"]
        task = task.model_copy(update={"patch": task.patch.model_copy(update=change)})
        one = study.model_copy(update={"tasks": {"organ": task}})
        keys |= {cell.key for cell in plan(one, {"organ": prepared})}
    assert len(keys) == 4 * (2 * 3 + 2)
