"""`segrisk doctor` as a person meets it, on small trees and on real data."""

import inspect
import shutil

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from mask_trees import AFFINE, ball, flat, write
from segrisk.commands import app
from segrisk.compare.doctor import doctor, gather
from segrisk.compare.request import Finding, Request, numbers, pairs, together
from segrisk.compare_app import compare
from segrisk.compare_app import doctor as doctor_command
from segrisk.data.errors import DataError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `segrisk doctor`; the exit status, and the lines that were printed."""
    monkeypatch.chdir(tmp_path)
    for folder in ("labels_x", "A", "B"):
        flat(tmp_path / folder, ["a", "b"])

    def run(*arguments):
        result = CliRunner().invoke(app, ["doctor", *map(str, arguments)])
        return result.exit_code, result.output.splitlines()

    return run


MODELS = ("--reference", "labels_x", "--model", "A=A", "--model", "B=B")


def test_sound_input_is_called_sound(run):
    code, lines = run(*MODELS)
    assert code == 0 and lines[-1] == "sound; 2 cases, models: A, B"
    assert lines[0].startswith("note: every case is taken as a group of its own")


def test_faults_are_listed_and_the_status_is_2(run, tmp_path):
    write(tmp_path / "A" / "c.nii.gz")
    (tmp_path / "B" / "b.nii.gz").unlink()
    code, lines = run(*MODELS)
    assert code == 2 and lines[-1] == "1 fault to mend; 2 cases, models: A, B"
    assert lines[0].startswith("fault: A: has 1 prediction without reference (c): rename")
    assert "note: B: has no prediction for 1 of 2 cases (b): scored as the worst value" in lines
    code, lines = run(*MODELS, "--extra", "leave-out", "--missing", "refuse")
    assert (
        code == 2 and lines[0] == "fault: B: has no prediction for 1 of 2 cases (b): predict them"
    )
    code, lines = run(*MODELS, "--extra", "leave-out")
    assert code == 0
    assert lines[-1] == "sound, but 1 of B count as the worst; 2 cases, models: A, B"


def test_faults_that_are_alike_are_told_as_one_of_each_kind(run, tmp_path):
    names = [f"c{index:02}" for index in range(12)]
    for folder in ("labels_x", "A", "B"):
        flat(tmp_path / folder, names)
    for index, name in enumerate(names[:7]):
        write(tmp_path / "B" / f"{name}.nii.gz", ball(space=(6, 5, 8 + index)))
    moved = AFFINE.copy()
    moved[0, 3] += 50
    for name in names[7:11]:
        write(tmp_path / "B" / f"{name}.nii.gz", affine=moved)
    write(tmp_path / "A" / "c00.nii.gz", ball(space=(6, 5, 8)))
    code, lines = run(*MODELS)
    faults = [line for line in lines if line.startswith("fault: ")]
    begins = (
        "fault: A: A/c00.nii.gz: shape (6, 5, 8) differs from (6, 5, 7) of",
        "fault: B: 7 files, such as B/c00.nii.gz: shape (6, 5, 8) differs from",
        "fault: B: 4 files, such as B/c07.nii.gz: its affine places a corner 50 mm away",
    )
    assert code == 2 and len(faults) == 3
    assert all(map(str.startswith, faults, begins)), faults
    assert faults[1].endswith(
        "(also c01.nii.gz, c02.nii.gz, c03.nii.gz, c04.nii.gz, c05.nii.gz and 1 more)"
    )
    assert lines[-2].startswith("12 faults to mend") and "--all" in lines[-1]
    _, each = run(*MODELS, "--all")
    assert sum(line.startswith("fault: ") for line in each) == 12 and "--all" not in each[-1]


def test_a_comparison_tells_faults_that_are_alike_as_one(run, tmp_path):
    names = [f"c{index}" for index in range(30)]
    for folder in ("labels_x", "A", "B"):
        flat(tmp_path / folder, names)
    for name in names:
        (tmp_path / "A" / f"{name}.nii.gz").write_bytes(b"broken")
        write(tmp_path / "B" / f"{name}.nii.gz", ball([3]))
    request = Request(
        tmp_path / "labels_x", (("A", tmp_path / "A"), ("B", tmp_path / "B")), missing="refuse"
    )
    with pytest.raises(DataError) as caught:
        gather(request)
    assert len(caught.value.faults) == 3
    assert caught.value.faults[0].startswith("A: 30 files, such as ")
    assert caught.value.faults[2] == "60 faults in all: segrisk doctor --all names each"


ONE_HOT = np.stack([ball() == 0, ball() == 1]).astype(np.uint8)


@pytest.mark.parametrize(
    ("ending", "reference", "prediction", "said"),
    [
        (
            ".nii.gz",
            ball(),
            np.moveaxis(ONE_HOT, 0, -1),
            "has shape (6, 5, 7, 2), where 3 axes are",
        ),
        (".npy", ball(), ONE_HOT, "has shape (2, 6, 5, 7), where at most 3 axes are expected"),
        (".npy", ball()[0], ONE_HOT[:, 0], "; it seems to have a channel for each class: "),
        (".npy", np.moveaxis(ONE_HOT[:, 0], 0, -1), ball()[0], "; its reference seems to have a"),
    ],
)
def test_a_channel_for_each_class_is_no_mask(tmp_path, ending, reference, prediction, said):
    for folder, values in (("labels_x", reference), ("A", prediction)):
        write(tmp_path / folder / f"a{ending}", values)
    (fault,) = doctor(Request(tmp_path / "labels_x", (("A", tmp_path / "A"),))).faults
    assert said in fault.text and "save the argmax over the channels" in fault.text
    assert "0000" not in fault.text


def test_an_axis_of_length_1_is_no_class(tmp_path):
    for folder, values in (("labels_x", ball()), ("A", ball()[None])):
        write(tmp_path / folder / "a.npy", values)
    (fault,) = doctor(Request(tmp_path / "labels_x", (("A", tmp_path / "A"),))).faults
    assert "(1, 6, 5, 7)" in fault.text and "np.squeeze" in fault.text
    assert "argmax" not in fault.text


def test_faults_of_two_models_are_never_one():
    def faults(model):
        return [Finding("nan", f"{model}: m/{n}: is NaN", one=f"m/{n}") for n in range(4)]

    told = [finding.text for finding in together([*faults("net1"), *faults("net2")])]
    assert told == [f"net{n}: 4 files, such as m/0: is NaN (also 1, 2, 3)" for n in (1, 2)]


def test_lines_of_a_table_that_are_alike_are_told_as_one(run, tmp_path):
    rows = "".join(f"c{index},x{index},.5\n" for index in range(9))
    (tmp_path / "s.csv").write_text(f"case_id,A,B\n{rows}")
    _, lines = run("--scores", "s.csv")
    assert lines[0].startswith(
        "fault: s.csv: 9 lines, such as 2: 'x0' is no number: correct it (also 3,"
    )


def test_the_options_of_a_comparison_can_be_given_to_the_doctor():
    options = [inspect.signature(command).parameters for command in (compare, doctor_command)]
    assert set(options[1]) - set(options[0]) == {"each"} and set(options[0]) < set(options[1])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("--region core=4", "fault: --region core: no reference of labels_x holds 4: it holds 1"),
        ("--ignore 1", "fault: --ignore 1: is the only label of labels_x"),
        ("--ignore 9", "note: no reference holds 9, which is to be ignored"),
        ("--unit group_mean", "fault: --unit group_mean is over the means of groups, but every"),
        ("--out new --margin 0.02 --alpha 0.1 --seed 3", "sound; 2 cases, models: A, B"),
    ],
)
def test_the_doctor_finds_what_a_comparison_would_refuse(run, tmp_path, asked, said):
    code, lines = run(*MODELS, *asked.split())
    assert any(line.startswith(said) for line in lines), lines
    assert code == (2 if said.startswith("fault") else 0)
    assert not (tmp_path / "new").exists()


def test_a_name_that_looks_like_markup_is_printed_as_it_is(run, tmp_path):
    write(tmp_path / "A" / "[red]x[bold].nii.gz")
    _, lines = run(*MODELS)
    assert "([red]x[bold])" in lines[0]


def test_manifests_and_tables(run, tmp_path):
    (tmp_path / "m.csv").write_text("case,group,reference,A\na,p,labels_x/a.nii.gz,A/a.nii.gz\n")
    assert run("--manifest", "m.csv") == (0, ["sound; 1 cases, models: A"])
    (tmp_path / "s.csv").write_text("c,m,v\n1,A,0.5\n1,B,0.4\n")
    columns = [x for pair in ("case=c", "algorithm=m", "value=v") for x in ("--column", pair)]
    code, lines = run("--scores", "s.csv", *columns)
    assert (code, lines[-1]) == (0, "sound; 1 cases, models: A, B")
    assert lines[0].startswith("note: every case is taken as a group of its own")
    (tmp_path / "g.csv").write_text("case,group\n1,p\n")
    grouped = run("--scores", "s.csv", *columns, "--groups", "g.csv")
    assert grouped == (0, ["sound; 1 cases, models: A, B"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "A"), "--model 'A': expected NAME=VALUE, as in --model A=runs/a"),
        (("--model", "A=x", "--model", "A=y"), "--model A: is given twice: give each a name"),
        (("--labels", "1;2", "--model", "A=x"), "--labels '1;2' is no list of numbers"),
        ((*MODELS, "--metric", "dise"), "no metric is called 'dise'; did you mean 'dice'?"),
        ((*MODELS, "--metric", "nsd"), "give tolerance_mm (--nsd-mm), the error"),
        ((*MODELS, "--metric", "dice", "--metric", "dice"), "names 'dice' twice"),
        ((*MODELS, "--convention", "nnunett"), "did you mean 'nnunet'?"),
        (("--scores", "s.csv", "--metric", "hd"), "no metric is called 'hd'; known are: assd_mm"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_before_a_file_is_read(
    run, monkeypatch, arguments, said
):
    monkeypatch.setattr("segrisk.compare.show.doctor", None)
    code, lines = run(*arguments)
    assert code == 2 and said in " ".join(lines)


def test_lists_of_the_command_line():
    assert numbers("") == () and numbers("3") == (3,)
    with pytest.raises(DataError, match=r"--column 'x=': expected NAME=VALUE"):
        pairs("--column", ["x="])


def real(folder, task, tmp_path):
    """A real task with two models that are its references, B's first mask moved."""
    models = []
    for name in "AB":
        models.append((name, tmp_path / name))
        (tmp_path / name).mkdir()
        for path in sorted((folder / task / "labels").iterdir())[:40]:
            shutil.copy(path, tmp_path / name / path.name)
    return Request(folder / task, tuple(models), unpredicted="leave-out")


@pytest.mark.parametrize(("task", "labels"), [("polyps", (255,)), ("hippocampus", (1,))])
def test_real_masks_are_sound(real_data, tmp_path, task, labels):
    request = real(real_data, task, tmp_path)
    found = gather(request)
    assert len(found.cases) == 40 and found.labels == {task: labels}
    assert all(path.is_file() for path in found.images.values()) and len(found.images) == 40


def test_a_real_mask_with_a_wrong_affine_is_found(real_data, tmp_path):
    request = real(real_data, "hippocampus", tmp_path)
    path = sorted((tmp_path / "B").iterdir())[0]
    image = nib.load(path)
    wrong = image.affine.copy()
    wrong[:2, 3] += (50, -50)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), wrong), path)
    (finding,) = doctor(request).faults
    assert finding.kind == "geometry" and path.name in finding.text and "70.71 mm" in finding.text
