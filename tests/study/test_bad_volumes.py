"""What is wrong with a published set is one line of `segrisk study run`, before any training."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

import image_trees as trees
from segrisk.commands import app
from segrisk.files import file_digest
from tiny_study import ROOT

BRATS = "MICCAI_BraTS_2018_Data_Training"
CASE = "Brats18_TCIA03_113_1"
SPACE = trees.SPACE


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(sys, "path", list(sys.path))  # a run adds the study's folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a preset, made small, to where training would begin; the exit code and the lines."""
    monkeypatch.setenv("SEGRISK_DATA", str(tmp_path))
    monkeypatch.setattr("segrisk.study.engine.Engine.run", lambda self, cells: None)

    def run(preset: str, **task) -> tuple[int, list[str]]:
        content = {"include": str(ROOT / f"studies/paper/{preset}.yaml"), "folds": 2}
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump({**content, "tasks": {preset.upper(): task}}))
        result = CliRunner().invoke(app, ["study", "run", str(file), "--out", f"{tmp_path}/out"])
        return result.exit_code, [line for line in result.output.splitlines() if line.strip()]

    return run


@pytest.fixture
def tumours(run, tmp_path):
    """BraTS 2018 as it is unpacked, and the run of its preset."""
    for seed in range(6):
        folder = tmp_path / BRATS / ("HGG", "LGG")[seed % 2] / f"Brats18_TCIA0{seed}_11{seed}_1"
        trees.brats_case(folder, trees.BEFORE_2023, seed=seed)

    def of_tumours(**task):
        return run("br18", size=[8, 8, 8], network={"channels": [2, 4]}, **task)

    return of_tumours


def path_of(root: Path, kind: str) -> Path:
    return root / BRATS / "LGG" / CASE / f"{CASE}_{kind}.nii.gz"


def no_t2(root):
    path_of(root, "t2").unlink()


def cut_off(root):
    path = path_of(root, "t1")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def label_3(root):
    trees.nifti(path_of(root, "seg"), trees.labels(1, 2, 3))


def label_7(root):
    trees.nifti(path_of(root, "seg"), trees.labels(1, 7))


def time_points(root):
    trees.nifti(path_of(root, "flair"), np.zeros((*SPACE, 3), np.int16))


def other_shape(root):
    trees.nifti(path_of(root, "t1ce"), trees.intensities(1, (8, 7, 5)))


def other_spacing(root):
    trees.nifti(path_of(root, "t1ce"), trees.intensities(1), trees.LPS * [[2], [2], [2], [1]])


def flipped_mask(root):
    trees.nifti(path_of(root, "seg"), trees.labels(1, 2, 4), np.diag([1.0, 1, 1, 1]))


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (no_t2, f"{BRATS}: case {CASE} has no t2: copy it again, or put the case into `exclude`"),
        (cut_off, f"{CASE}_t1.nii.gz: cannot be read"),
        (label_3, f"{CASE}_seg.nii.gz: holds 3, where the labels are 1, 2, 4 (BraTS 2018 to"),
        (label_7, f"{CASE}_seg.nii.gz: holds 7, where the labels are 1, 2, 4"),
        (time_points, f"{CASE}_flair.nii.gz: has shape (8, 7, 6, 3), where 3 axes are"),
        (other_shape, f"{CASE}_t1ce.nii.gz: shape (8, 7, 5) differs from (8, 7, 6) of LGG"),
        (other_spacing, f"{CASE}_t1ce.nii.gz: spacing 2 × 2 × 2 mm differs from 1 × 1 × 1 mm"),
        (flipped_mask, f"{CASE}_seg.nii.gz: its affine places a corner 239.4 mm away"),
    ],
)
def test_a_fault_is_one_line_and_its_case_can_be_excluded(tumours, tmp_path, spoil, text):
    spoil(tmp_path)
    code, lines = tumours()
    assert code == 2 and len(lines) == 1 and text in lines[0]
    code, lines = tumours(exclude=[CASE])
    assert any(f"5 cases in 5 groups, 4 channels, at 8×8×8; excluded: {CASE}" in x for x in lines)


def test_a_case_cannot_be_in_two_folds(tumours, tmp_path):
    names = [f"Brats18_TCIA0{seed}_11{seed}_1" for seed in range(6)]
    rows = [f"{name},p{index // 2}" for index, name in enumerate(names)]
    (tmp_path / "groups.csv").write_text("\n".join(["id,group", *rows, f"{CASE},other"]) + "\n")
    code, lines = tumours(groups=str(tmp_path / "groups.csv"))
    assert code == 2 and len(lines) == 1
    assert f"groups.csv: has two groups for {CASE}: keep one row" in lines[0]
    again = tmp_path / BRATS / "HGG" / CASE
    (tmp_path / BRATS / "LGG" / CASE).rename(again)
    trees.brats_case(tmp_path / BRATS / "LGG" / CASE, trees.BEFORE_2023, seed=9)
    code, lines = tumours()
    assert code == 2 and len(lines) == 1
    assert f"{BRATS}: has the case {CASE} twice: remove one of the two folders" in lines[0]


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (None, "the SHA-256 begins with"),
        (("classifier.0.weight",), "has no 'features.0.weight': wanted is the state dict of tor"),
    ],
)
def test_wrong_weights_are_one_line(run, tmp_path, keys, text):
    file = tmp_path / "vgg16-397923af.pth"
    torch.save({key: torch.ones(1) for key in keys or ()}, file)
    if keys:
        file = file.rename(tmp_path / f"vgg16-{file_digest(file)[:8]}.pth")
    code, lines = run("po18", size=[8, 8], network={"weights": str(file)})
    assert code == 2 and len(lines) == 1
    assert str(file) in lines[0] and text in lines[0]
