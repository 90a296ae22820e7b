"""What a person gets who gives something wrong: one line, before any training, nothing lost."""

import errno
import json
import os
import sys
from concurrent.futures import Future

import numpy as np
import pytest
import torch
import yaml
from filelock import FileLock
from PIL import Image
from typer.testing import CliRunner

from segrisk.commands import app
from segrisk.study.engine import Engine
from segrisk.study.plan import phantom_task
from segrisk.study.store import Store, StoreError
from segrisk.study.task import LATER, Task
from tiny_study import TINY

FOLDERS = {"tasks": {"mine": {"folder": "data", "size": [16, 16]}}}


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "path", list(sys.path))  # a run adds the study's folder


@pytest.fixture
def run(tmp_path):
    """Run a study of `content`; the exit code and what was printed."""

    def run(content, out="out"):
        file = tmp_path / "study.yaml"
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        result = CliRunner().invoke(app, ["study", "run", str(file), "--out", str(tmp_path / out)])
        return result.exit_code, " ".join(result.output.split())

    return run


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a training was started")

    monkeypatch.setattr("segrisk.study.engine.Engine.run", refuse)


@pytest.fixture
def folder(tmp_path):
    """A folder of 12 good cases."""
    generator = np.random.default_rng(0)
    for name in ("images", "labels"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for index in range(12):
        image = generator.integers(0, 255, (16, 16), dtype=np.uint8)
        mask = np.zeros((16, 16), np.uint8)
        mask[4:8, 4 : 6 + index % 5] = 255
        Image.fromarray(image).save(tmp_path / "data" / "images" / f"c{index:02d}.png")
        Image.fromarray(mask).save(tmp_path / "data" / "labels" / f"c{index:02d}.png")
    return tmp_path / "data"


def changed(**changes):
    return {**TINY, **changes}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("name: [", "study.yaml: is not valid YAML at line"),
        ("just text", "study.yaml: must hold a mapping"),
        ({"tasks": TINY["tasks"]}, "study.yaml: 'name' is missing"),
        (changed(lossess=["soft_dice"]), "unknown key 'lossess'; did you mean 'losses'?"),
        (changed(losses=["soft_dise"]), "unknown loss 'soft_dise'; did you mean 'soft_dice'?"),
        (changed(losses=["DiceLoss"]), "unknown loss 'DiceLoss'; did you mean 'soft_dice'?"),
        (changed(losses="soft_dice"), "'losses': a list is expected: write [soft_dice]"),
        (
            changed(tasks={"a": {"phantom": "molar", "size": 16}}),
            "'tasks.a.size': a list is expected: write [16, 16]",
        ),
        (changed(losses=[{"name": "x", "loss": "no_such:Loss"}]), "'no_such:Loss' cannot be impo"),
        (
            changed(losses=[{"name": "soft_dice", "parameters": {"smooth": 1}}]),
            "loss 'soft_dice' cannot be built: Soft.__init__() got an unexpected keyword",
        ),
        (changed(losses=["soft_dice", "soft_dice"]), "'soft_dice' stands twice"),
        (
            changed(tasks={"a": {"phantom": "molarr", "size": [16, 16]}}),
            "unknown phantom 'molarr'; did you mean 'molar'?",
        ),
        (
            changed(tasks={"a": {"phantom": "molar", "folder": "x", "size": [16, 16]}}),
            "'tasks.a': name either a folder or a phantom",
        ),
        (
            changed(tasks={"a": {"foldr": "x", "size": [16, 16]}}),
            "unknown key 'tasks.a.foldr'; did you mean 'folder'?",
        ),
        (
            changed(tasks={"a": {"phantom": "molar", "size": [17, 16]}}),
            "size [17, 16]: a network of 2 levels needs sides that are multiples of 2",
        ),
        (
            changed(tasks={"a": {"phantom": "molar", "size": [8, 16]}}),
            "size [8, 16]: a phantom needs sides of 16 or more",
        ),
        (
            changed(tasks={"a": {"folder": "x", "layout": "brats18", "size": [16, 16]}}),
            "unknown layout 'brats18'; did you mean 'brats'?",
        ),
        (
            changed(tasks={"a": {"phantom": "molar", "colour": "grey", "size": [16, 16]}}),
            "'tasks.a': a phantom has no colour: remove it",
        ),
        (
            changed(tasks={"a": {"folder": "x", "colour": "gray", "size": [16, 16]}}),
            "'tasks.a.colour': Input should be 'grey' or 'rgb', got 'gray'",
        ),
        (
            changed(tasks={"a": {"folder": "x", "groups": "$NO_SUCH/g", "size": [16, 16]}}),
            "'tasks.a.groups' names $NO_SUCH, which is not set",
        ),
        (
            changed(tasks={"a": {"folder": "x"}}),
            "'tasks.a': give a `size`, to which every case is resized, or a `patch`, where every",
        ),
        (
            changed(tasks={"a": {"folder": "x", "patch": [16, 17]}}),
            "patch [16, 17]: a network of 2 levels needs sides that are multiples of 2",
        ),
        (
            changed(tasks={"a": {"folder": "x", "patch": {"size": [16, 16], "overlp": 0.5}}}),
            "unknown key 'tasks.a.patch.overlp'; did you mean 'overlap'?",
        ),
        (
            changed(tasks={"a": {"folder": "x", "patch": {"size": [16, 16], "overlap": 1}}}),
            "'tasks.a.patch.overlap': Input should be less than 1, got 1",
        ),
        (
            changed(tasks={"a": {"phantom": "molar", "size": [32, 32], "patch": [16, 16, 16]}}),
            "size [32, 32] has 2 dimensions, and patch [16, 16, 16] has 3: give both as many",
        ),
        (
            changed(tasks={"a": {"phantom": "molar", "patch": [16, 16]}}),
            "'tasks.a': a phantom is drawn at a `size`: give it one",
        ),
        (
            changed(preprocessing={"crop": "foreground"}),
            "'tasks.molar.preprocessing.crop': Input should be 'none' or 'nonzero', got 'foregrou",
        ),
        (
            changed(preprocessing={"normalize": "zscore"}),
            "unknown key 'preprocessing.normalize'; did you mean 'normalise'?",
        ),
        (
            changed(preprocessing={"spacing_mm": [1, 1]}),
            "`size` and `preprocessing.spacing_mm` both say what grid a case gets: remove one",
        ),
        (
            changed(
                tasks={"a": {"folder": "x", "patch": [16, 16]}},
                preprocessing={"spacing_mm": [1, 1, 0]},
            ),
            "'tasks.a.preprocessing.spacing_mm.2': Input should be greater than 0, got 0",
        ),
        (
            changed(
                tasks={"a": {"folder": "x", "patch": [16, 16]}},
                preprocessing={"spacing_mm": [1, 1, 1]},
            ),
            "preprocessing.spacing_mm [1.0, 1.0, 1.0] has 3 dimensions, and patch [16, 16] has 2",
        ),
        (changed(folds="many"), "'folds': Input should be a valid integer"),
        (changed(folds=1), "'folds': Input should be greater than or equal to 2, got 1"),
        (changed(statistics={"primary": "dise"}), "metric 'dise' must be one of the metrics"),
        (changed(statistics={"metrics": ["dice", "hd95"]}), "unknown metric 'hd95'"),
        (
            changed(statistics={"unit": "patient"}),
            "'statistics.unit': Input should be 'case' or 'group_mean', got 'patient'",
        ),
        (
            changed(statistics={"unit": "group_mean"}),
            "every case is a group of its own: give a task's index.csv the column group",
        ),
        (changed(schedule={"loss": {"lr": 0.1}}), "unknown key"),
        (changed(folds=13), "12 groups cannot fill 13 folds: lower `folds` to 12 or less"),
        (
            changed(tasks={"a": {"folder": "$NO_SUCH_PLACE/x", "size": [16, 16]}}),
            "names $NO_SUCH_PLACE, which is not set: export NO_SUCH_PLACE=FOLDER",
        ),
        (
            changed(tasks={"a": {"folder": "nowhere", "size": [16, 16]}}),
            "nowhere: there is no such folder",
        ),
    ],
)
def test_a_wrong_study_file_says_what_and_where(run, no_training, content, text):
    code, output = run(content)
    assert code == 2 and text in output, output
    assert "Traceback" not in output


def test_a_missing_study_file_is_named(no_training, tmp_path):
    arguments = ["study", "run", str(tmp_path / "no.yaml"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and "no.yaml: cannot be read (No such file" in result.output


def test_a_patch_of_more_dimensions_than_the_images_is_refused(run, no_training, folder):
    network = {"name": "unet", "channels": [4, 8]}
    task = {"folder": "data", "patch": [16, 16, 16], "network": network}
    code, output = run(changed(tasks={"mine": task}))
    assert code == 2, output
    assert "has shape (16, 16), and the `size` or `patch` of its task has 3 sides: give i" in output


def test_a_crop_that_takes_foreground_is_refused(run, no_training, folder):
    image = np.zeros((16, 16), np.uint8)
    image[6:, 6:] = 9
    Image.fromarray(image).save(folder / "images" / "c03.png")
    task = {"folder": "data", "patch": [16, 16], "preprocessing": {"crop": "nonzero"}}
    code, output = run(changed(tasks={"mine": task}))
    assert code == 2 and "case c03: " in output, output
    assert "foreground voxels lie outside of the box of nonzero voxels: leave out `crop" in output


def spoil_shape(folder):
    Image.new("L", (8, 16)).save(folder / "labels" / "c03.png")


def spoil_value(folder):
    mask = np.zeros((16, 16), np.uint8)
    mask[3, 3], mask[5, 5] = 1, 255
    Image.fromarray(mask).save(folder / "labels" / "c03.png")


def spoil_file(folder):
    path = folder / "images" / "c03.png"
    path.write_bytes(path.read_bytes()[:60])


def spoil_index(folder):
    rows = "\n".join(f"c{index:02d},p{index // 2}" for index in range(11))
    (folder / "index.csv").write_text(f"id,group\n{rows}\n")


def strange_names(folder):
    (folder / "images").rename(folder / "Bilder")
    (folder / "labels").rename(folder / "Masken")


def swapped(folder):
    for path in [*(folder / "images").iterdir()]:
        Image.open(path).save(folder / "labels" / f"{path.stem}.jpg")
        (folder / "labels" / path.name).rename(path)


def empty_masks(folder):
    for path in (folder / "labels").iterdir():
        Image.new("L", (16, 16)).save(path)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda f: (f / "labels" / "c03.png").unlink(), "data/images/c03.png: has no mask"),
        (lambda f: (f / "images" / "c03.png").unlink(), "data/labels/c03.png: has no image"),
        (
            lambda f: Image.new("L", (16, 16)).save(f / "images" / "c03.jpg"),
            "data/images/c03.jpg and c03.png have the same id",
        ),
        (spoil_shape, "data/labels/c03.png: shape (16, 8) differs from (16, 16)"),
        (spoil_value, "the masks have more than one value besides 0: 1 (data/labels/c03.png), 255"),
        (spoil_file, "data/images/c03.png: cannot be read"),
        (spoil_index, "data/index.csv: has no row for c11"),
        (empty_masks, "data/labels: all masks are empty"),
        (lambda f: [p.unlink() for p in (f / "images").iterdir()], "data/images: is empty"),
        (strange_names, "data: holds Bilder/, Masken/: rename the folder of images to images/ (or"),
        (lambda f: (f / "Index.CSV").write_text("id,group\n"), "Index.CSV: rename it to index.csv"),
        (swapped, "are images and masks in each other's folder?"),
    ],
)
def test_wrong_data_is_named_before_any_training(run, no_training, folder, spoil, text):
    spoil(folder)
    code, output = run(changed(**FOLDERS))
    assert code == 2 and text in output, output
    assert "Traceback" not in output


def test_after_the_fault_is_mended_the_same_command_goes_on(run, folder, tmp_path, monkeypatch):
    mask = (folder / "labels" / "c03.png").read_bytes()
    (folder / "labels" / "c03.png").unlink()
    assert run(changed(**FOLDERS))[0] == 2
    (folder / "labels" / "c03.png").write_bytes(mask)
    seen = []
    monkeypatch.setattr("segrisk.study.engine.Engine.run", lambda self, cells: seen.extend(cells))
    run(changed(**FOLDERS))
    assert len(seen) == 6


def test_data_can_be_checked_without_training(folder, no_training, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(changed(**FOLDERS)))
    arguments = ["study", "run", str(file), "--out", str(tmp_path / "out"), "--check"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0 and "sound: 6 of 6 cells are to run" in result.output
    assert not (tmp_path / "out" / "study.json").exists()


def test_what_may_mislead_is_said_before_any_training(run, folder, monkeypatch):
    monkeypatch.setattr("segrisk.study.engine.Engine.run", lambda self, cells: None)
    white = np.full((16, 16), 255, np.uint8)
    white[0, 0] = 0
    Image.fromarray(white).save(folder / "labels" / "c03.png")
    _, output = run(changed(**FOLDERS))
    assert "mine: every case is a group of its own: if a patient has several" in output
    assert "mine: c03: more than three quarters is foreground" in output
    assert "are not those of the last run" not in output
    for name in ("images", "labels"):
        (folder / name / "c03.png").unlink()
    _, output = run(changed(**FOLDERS))
    assert "note: mine: its cases are not those of the last run here" in output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_named(run, no_training):
    code, output = run(changed(device="cuda"))
    assert code == 2 and "'device': cuda, but PyTorch" in output and "sees none here" in output


def test_a_file_in_the_place_of_the_results_is_named(run, no_training, tmp_path):
    (tmp_path / "out").write_text("mine")
    code, output = run(TINY)
    assert code == 2 and "out: is a file; give --out a folder" in output
    code, output = run(TINY, out="out/below")
    assert code == 2 and "out/below: cannot be written (not a directory)" in output


def test_a_constant_image_is_a_warning(run, folder, monkeypatch):
    Image.new("L", (16, 16), 7).save(folder / "images" / "c03.png")
    monkeypatch.setattr("segrisk.study.engine.Engine.run", lambda self, cells: None)
    _, output = run(changed(**FOLDERS))
    assert "warning: data/images/c03.png: is constant (every value is 7)" in output


def test_empty_masks_in_one_training_part_are_a_warning(run, folder, monkeypatch):
    for index in range(1, 12):
        Image.new("L", (16, 16)).save(folder / "labels" / f"c{index:02d}.png")
    monkeypatch.setattr("segrisk.study.engine.Engine.run", lambda self, cells: None)
    _, output = run(changed(**FOLDERS))
    assert "all masks of its training part are empty" in output


def test_a_folder_of_another_study_is_left_alone(run, no_training, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.json").write_text(json.dumps({"name": "other", "cells": []}))
    code, output = run(TINY)
    assert code == 2
    assert "belongs to study 'other', not to 'tiny'; give --out another folder" in output


def test_a_folder_of_something_else_is_left_alone(run, no_training, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("\\documentclass{book}")
    code, output = run(TINY)
    assert code == 2 and "is not empty and holds no study" in output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_two_runs_on_one_store_do_not_meet(run, no_training, tmp_path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"):
        code, output = run(TINY)
    assert code == 2 and "another run is working here" in output


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.ENOSPC, "no space left on device"), (errno.EROFS, "read-only file system")],
)
def test_a_folder_that_takes_no_more_is_named(run, no_training, monkeypatch, number, reason):
    def fails(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("segrisk.data.prepare.write_json", fails)
    code, output = run(TINY)
    assert code == 2
    assert f"out: cannot be written ({reason}); free space or give --out another" in output


def test_a_disk_that_fills_during_training_stops_the_study_and_keeps_what_is_done(tmp_path):
    engine = Engine(None, Store(tmp_path), 1, None)
    future = Future()
    future.set_exception(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(StoreError, match=r"no space left on device.*finished cells are kept"):
        engine._end(None, future.exception())


def test_status_of_a_folder_without_a_study(tmp_path):
    result = CliRunner().invoke(app, ["study", "status", "--out", str(tmp_path)])
    assert result.exit_code == 2 and "holds no study" in " ".join(result.output.split())


@pytest.mark.parametrize(
    "arguments", [[], ["study"], *(["study", c] for c in ("run", "status", "report", "export"))]
)
def test_every_help_shows_an_example(arguments):
    result = CliRunner().invoke(app, [*arguments, "--help"])
    assert result.exit_code == 0
    assert "Example: segrisk study" in " ".join(result.output.replace("│", " ").split())


def test_a_broken_case_is_named_and_can_be_excluded_by_name(run, no_training, folder):
    (folder / "images" / "c03.png").write_bytes(b"\x89PNG")
    tasks = {"mine": {"folder": "data", "size": [16, 16]}}
    code, text = run(changed(tasks=tasks))
    assert code == 2 and "data/images/c03.png: cannot be read" in text
    tasks["mine"]["exclude"] = ["c30"]
    code, text = run(changed(tasks=tasks))
    assert code == 2 and "`exclude` names c30, and there is no such case; did you mean" in text
    tasks["mine"]["exclude"] = ["c03"]
    _, text = run(changed(tasks=tasks), out="other")
    assert "mine: 11 cases in 11 groups, 1 channel, at 16×16; excluded: c03" in text


def test_the_same_image_in_two_groups_is_refused(run, no_training, folder):
    (folder / "images" / "c07.png").write_bytes((folder / "images" / "c02.png").read_bytes())
    code, text = run(changed(**FOLDERS))
    assert code == 2 and "cases c02 and c07 hold the same image in two groups" in text


def test_a_study_of_before_these_keys_keeps_its_record_and_its_hash():
    task = Task(folder="x", size=(16, 16))
    assert not set(task.model_dump(mode="json")) & {*LATER, "spread"}
    drawn = Task(phantom="molar", size=(16, 16), spread=0, factors={"size": "uniform"})
    kept = drawn.model_dump(mode="json")
    assert kept["spread"] == 0 and kept["factors"] == {"size": "uniform"}
    assert "stands_for" not in kept
    assert len({case.fraction for case in phantom_task(drawn)}) == 1
    later = Task(folder="x", size=(16, 16), exclude=("a",), colour="grey")
    assert later.model_dump(mode="json")["exclude"] == ["a"]
    assert Task.model_validate(later.model_dump(mode="json")) == later
