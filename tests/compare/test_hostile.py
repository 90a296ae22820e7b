"""Input as a hostile or tired person gives it: a sentence on what to do, never a traceback."""

import errno
import json
import os

import numpy as np
import pytest
from typer.testing import CliRunner

from mask_trees import ball, flat, write
from segrisk.commands import app
from segrisk.compare.asked import comparison, examine
from segrisk.compare.doctor import gather
from segrisk.compare.layouts import find_masks
from segrisk.compare.request import Request
from segrisk.metrics import Region

MODELS = ("--reference", "labels", "--model", "A=A", "--model", "B=B")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Three cases of two models."""
    monkeypatch.chdir(tmp_path)
    for folder in ("labels", "A", "B"):
        flat(tmp_path / folder, ["c0", "c1", "c2"])
    return tmp_path


def said(command, *arguments):
    """The exit status and what was printed, as one text; whatever else is raised is a defect."""
    result = CliRunner().invoke(app, [command, *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def linked(path, to):
    path.unlink()
    path.symlink_to(to)


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


ABSENT = {
    "a link to itself": (lambda p: linked(p, p), "is a link that leads to no file: copy the mask"),
    "a link to nothing": (lambda p: linked(p, "gone"), "is a link that leads to no file: copy"),
    "a folder": (folder, "is no file, where one is expected: put the mask itself there"),
    "a pipe": (pipe, "is no file, where one is expected: put the mask itself there"),
    "no byte": (lambda p: p.write_bytes(b""), "cannot be read (ImageFileError: Empty file"),
    "a web page": (
        lambda p: p.write_text("<html>404"),
        "cannot be read (ImageFileError: File c1.nii.gz is not",
    ),
}


@pytest.mark.parametrize("what", ABSENT)
def test_what_is_no_mask_is_called_what_it_is(here, what):
    spoil, text = ABSENT[what]
    spoil(here / "A/c1.nii.gz")
    status, output = said("doctor", *MODELS)
    assert status == 0 and f"note: A: A/c1.nii.gz: {text}" in output
    spoil(here / "labels/c1.nii.gz")
    status, output = said("doctor", *MODELS)
    assert status == 2 and "fault: reference labels/c1.nii.gz: " in output


NAMES = {
    "a line break": "x\ny",
    "an escape": "x\x1b[31m",
    "bytes that are no UTF-8": "x\udcff",
    "no character": "x\ufffe",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_that_cannot_be_shown_are_refused_as_codes(here, name):
    """Drawn into a figure, some of them end the whole process."""
    for place in ("labels", "A", "B"):
        (here / place / "c1.nii.gz").rename(here / place / f"{name}.nii.gz")
    status, output = said("doctor", *MODELS)
    code = ascii(name)[1:-1]
    assert status == 2
    assert f"fault: case {code}: holds a control character, or bytes that are no UTF-8" in output
    status, output = said("doctor", "--reference", "labels", "--model", f"{name}=A")
    assert status == 2 and f"fault: model {code}: holds a control" in output


def test_html_and_every_script_are_names_as_others(here):
    for name in ("<img src=x onerror=alert(1)>", "病例", "Größe a", "c'3\"&"):
        for place in ("labels", "A", "B"):
            write(here / place / f"{name}.nii.gz")
    assert said("doctor", *MODELS)[0] == 0


FAULTS = {
    ("--model", "A=loop"): "A: loop: is a link that leads nowhere, where a folder of masks is",
    ("--model", "A=A/c0.nii.gz"): "A: A/c0.nii.gz: is a file, where a folder of masks is expected",
    ("--model", "A=empty"): "A: empty: holds no masks: expected files .nii.gz",
    ("--model", "A=A", "--model", "B=linked"): "A and B are the same folder, linked: correct one",
    ("--model", "A=labels/../labels"): "A: is the folder of the references itself",
    ("--model", "a/b=A"): "'a/b' cannot name a model: give a name without slashes",
    ("--model", "..=A"): "'..' cannot name a model",
    ("--model", "=A"): "--model '=A': expected NAME=VALUE, as in --model A=runs/a",
    ("--model", "m" * 101 + "=A"): "'mmmmmmmmmmmmmmmmmmmm…' is too long to name a model: give",
    ("--model", "A=A", "--groups", "gone.csv"): "gone.csv: does not exist: correct the path",
    ("--model", "A=A", "--groups", "A"): "A: is a folder, where a file is expected: correct",
    ("--model", "A=A", "--sizes", "s.csv"): "masks say how large their objects are: leave out",
}


@pytest.mark.parametrize("arguments", FAULTS, ids=lambda own: " ".join(own)[:40])
def test_folders_and_names_of_models(here, arguments):
    (here / "loop").symlink_to(here / "loop")
    (here / "linked").symlink_to(here / "A")
    (here / "empty").mkdir()
    status, output = said("doctor", "--reference", "labels", *arguments)
    assert status == 2 and FAULTS[arguments] in output


def test_a_name_may_hold_an_equals_sign_in_its_path(here):
    (here / "A").rename(here / "x=1")
    assert said("doctor", "--reference", "labels", "--model", "A=x=1")[0] == 0


def test_a_folder_that_may_not_be_opened_is_named(here, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    (finding,) = find_masks(here / "A").findings
    assert finding.text.endswith("/A: cannot be opened (Permission denied): change its permissions")


VALUES = {
    "one half": (ball() * np.float32(0.5), "holds 0.5, which is no label number"),
    "negative": (ball().astype(np.int16) * -1, "holds -1, where 1 is expected"),
    "257, which is 1 in a byte": (ball().astype(np.int64) * 257, "holds 257, where 1 is expected"),
    "complex": (ball().astype(complex), "holds complex128 values: save numbers"),
    "text": (np.full((6, 5, 7), "x"), "holds <U1 values: save numbers"),
    "of two masks": (np.stack([ball()] * 2, -1), "shape (6, 5, 7, 2) differs from (6, 5, 7) of"),
    "a scalar": (np.uint8(1), "has shape (), no voxels: remove it"),
}


@pytest.mark.parametrize("what", VALUES)
def test_values_that_are_no_labels(here, what):
    values, text = VALUES[what]
    (here / "A/c1.nii.gz").unlink()
    np.save(here / "A/c1.npy", values)
    status, output = said("doctor", *MODELS)
    assert status == 2 and f"fault: A: A/c1.npy: {text}" in output


def test_large_labels_are_labels(here):
    for place in ("labels", "A", "B"):
        for path in sorted((here / place).iterdir()):
            path.unlink()
            np.save(here / place / path.name.replace("nii.gz", "npy"), ball().astype(int) * 2**40)
    assert said("doctor", *MODELS)[0] == 0


def test_negative_values_of_references_must_be_declared(here):
    for place in ("labels", "A", "B"):
        values = ball().astype(np.int16)
        values[0, 0, 0] = -1
        write(here / place / "c1.nii.gz", values)
    status, output = said("doctor", *MODELS)
    assert status == 2
    assert "fault: reference labels/c1.nii.gz: holds -1, which can be no label: save" in output
    assert said("doctor", *MODELS, "--labels", "-1,1")[0] == 0


def test_an_image_is_no_reference(here):
    many = np.arange(2000).reshape(20, 10, 10)
    for place in ("labels", "A", "B"):
        write(here / place / "c1.nii.gz", many.astype(np.int16))
    status, output = said("doctor", *MODELS)
    assert status == 2 and "c1.nii.gz: holds more than 1000 values: give masks, where" in output


ASKED = {
    ("--region", "x=7"): "--region x: no reference of labels holds 7: it holds 1: correct",
    ("--region", "x=0"): "region 'x' has the labels (0,): name at least one, and none of them 0",
    ("--region", "x=liver"): "--region x: 'liver' is no list of numbers: give it as 1,2,4",
    ("--region", "x="): "--region 'x=': expected NAME=VALUE, as in --region core=1,2",
    ("--region", "x=1", "--region", "x=2"): "error: --region x: is given twice: give each",
    ("--region", "x=1", "--ignore", "1"): "is the only label of labels: nothing is left to score",
    ("--ignore", "0"): "--ignore 0: is the background, without which no false positive counts",
    ("--out", "labels"): "labels: is not empty and holds no comparison: give --out a new or empty",
    ("--out", "m.csv"): "m.csv: is a file: give --out a folder",
    ("--out", "m.csv/x"): "m.csv: is a file: give --out a folder",
    ("--out", "/proc/none/x"): "cannot be written (No such file or directory): free space",
}


@pytest.mark.parametrize("arguments", ASKED, ids=" ".join)
def test_what_is_asked_of_masks(here, arguments):
    (here / "m.csv").write_text("x")
    out = () if "--out" in arguments else ("--out", "out")
    status, output = said("compare", *MODELS, *arguments, *out)
    assert status == 2 and ASKED[arguments] in output
    assert not (here / "out").exists()


def test_regions_that_overlap_are_scored_each_for_itself(here):
    request = Request(here / "labels", (("A", here / "A"),))
    regions = (Region("whole", (1, 2)), Region("core", (1,)))
    asked = comparison(request, here / "out", regions=regions)
    gathered = gather(request)
    assert examine(asked, gathered) == []


def test_an_ignored_label_that_is_nowhere_is_noted(here):
    request = Request(here / "labels", (("A", here / "A"),))
    asked = comparison(request, here / "out", ignore=9)
    (found,) = examine(asked, gather(request))
    assert found.text == "no reference holds 9, which is to be ignored" and not found.stops


@pytest.mark.parametrize("option", ["--region x=1", "--ignore 2", "--convention monai"])
def test_what_only_masks_can_answer_is_not_ignored_in_silence(here, option):
    (here / "s.csv").write_text("case_id,A,B\nc1,.5,.4\nc2,.3,.4\n")
    name, value = option.split()
    status, output = said("compare", "--scores", "s.csv", "--out", "out", name, value)
    assert status == 2 and f"{name}: tables of scores hold no masks: leave it out" in output


def test_a_full_disk_and_a_cut_off_declaration(here, monkeypatch):
    (here / "s.csv").write_text("case_id,A,B\nc1,.5,.4\nc2,.3,.4\n")
    (here / "out").mkdir()
    (here / "out/comparison.json").write_text("{")
    (here / "out/scores.csv").write_text("x")
    status, output = said("compare", "--scores", "s.csv", "--out", "out")
    assert status == 2
    assert "out/comparison.json: does not say what was declared before scores" in output

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "new/report.html")

    monkeypatch.setattr("segrisk.compare.run.write_report", full)
    status, output = said("compare", "--scores", "s.csv", "--out", "new")
    assert status == 2
    assert "new/report.html: cannot be written (No space left on device): free space" in output
    assert set(json.loads((here / "new/comparison.json").read_text())) >= {"declared", "used"}


TABLES = {
    ("--manifest", b""): "is empty: write a line of headings, and the rows below it",
    ("--manifest", b"case,reference,A\nc,labels/c\0,\n"): r"line 2: 'labels/c\x00' can be no file",
    ("--manifest", b"case,reference,A\nc," + b"x" * 999 + b",\n"): "xxx' can be no file: correct",
    ("--manifest", b"case,fold,reference,A\nc," + b"9" * 5000 + b",labels/c0.nii.gz,\n"): (
        "line 2: fold '99999999999999999999' is no whole number: correct it"
    ),
    ("--manifest", b"case,reference,A\nc,labels,A\n"): "reference labels: is no file, where",
    ("--manifest", bytes(range(256))): "cannot be read ('utf-8' codec",
    ("--scores", b""): "is empty: write a line of headings",
    ("--scores", b"case_id,A,B\n,.5,.4\nc,.3,.4\n"): "the tables hold 2 scores of no case: fill in",
    (
        "--scores",
        b"case_id,A,B\nc," + b"1" * 5000 + b",.4\n",
    ): "A: case c: dice is inf, where 0 to 1",
    ("--model", b"[" * 100000): "cannot be read (maximum recursion depth exceeded",
    ("--model", b'{"metric_per_case": null}'): "is not as its program writes it (TypeError",
}


@pytest.mark.parametrize("case", TABLES, ids=range(len(TABLES)))
def test_tables_that_cannot_be_meant(here, case):
    option, content = case
    file = here / ("t.json" if option == "--model" else "t.csv")
    file.write_bytes(content)
    name = f"A={file.name}" if option == "--model" else file.name
    status, output = said("doctor", option, name)
    assert status == 2 and TABLES[case] in output


@pytest.mark.parametrize(
    ("path", "text"), [("gone.csv", "does not exist"), ("A", "holds no score")]
)
def test_tables_that_are_not_there(here, path, text):
    status, output = said("doctor", "--scores", path)
    assert status == 2 and f"fault: {path}: {text}" in output
