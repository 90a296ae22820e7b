"""Inputs on which other tools are silently wrong: here each is refused by name, or comes out right.

The numbers are those that the tools print: a Dice of 1.818 by broadcasting, a pass for affines
whose differences cancel, a mean over fewer cases.
"""

from dataclasses import replace

import numpy as np
import pytest

from mask_trees import AFFINE, age, ball, flat, nnunet_dataset, nnunet_results, write
from score_files import entry, segauge, summary
from segrisk.compare.doctor import doctor, gather
from segrisk.compare.request import Request
from segrisk.data.errors import DataError


@pytest.fixture
def two(tmp_path):
    """Two models on three references; the request, and where B's prediction of `b` is."""
    for folder in ("labels_x", "A", "B"):
        flat(tmp_path / folder, ["a", "b", "c"])
    models = (("A", tmp_path / "A"), ("B", tmp_path / "B"))
    return Request(tmp_path / "labels_x", models), tmp_path / "B" / "b.nii.gz"


def shifted(by):
    affine = AFFINE.copy()
    affine[:3, 3] += by
    return affine


def flipped(axis):
    affine = AFFINE.copy()
    affine[axis] *= -1
    return affine


AFFINES = {
    "shifted by -100 mm": shifted((-100, 0, 0)),
    "shifted by 100 mm": shifted((100, 0, 0)),
    "shifts that cancel": shifted((50, -50, 0)),
    "a flipped axis": flipped(0),
    "another flipped axis": flipped(2),
    "half the spacing": AFFINE @ np.diag([0.5, 0.5, 0.5, 1]),
    "half the spacing of one axis": AFFINE @ np.diag([1, 1, 0.5, 1]),
    "two axes exchanged": AFFINE[:, [1, 0, 2, 3]],
    "shifted by 0.1 mm": shifted((0, 0.1, 0)),
}


@pytest.mark.parametrize("fault", AFFINES)
def test_a_misplaced_prediction_is_refused_by_name(two, fault):
    request, path = two
    write(path, ball(shift=1), AFFINES[fault])
    (finding,) = doctor(request).faults
    assert finding.kind == "geometry" and finding.cases == ("b",)
    assert finding.text.startswith("B: ") and "B/b.nii.gz: " in finding.text
    with pytest.raises(DataError, match=r"B/b\.nii\.gz"):
        gather(request)


def test_shapes_are_never_broadcast(tmp_path):
    """(1, 8, 8) against (10, 8, 8) has a Dice of 1.818 where arrays are broadcast."""
    ones = np.ones((10, 8, 8), np.uint8)
    for folder, values in (("labels_x", ones), ("A", ones), ("B", ones[:1])):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "a.npy", values)
    stretched = ones[:1] & ones
    assert 2 * stretched.sum() / (ones[:1].sum() + ones.sum()) == pytest.approx(1.818, abs=5e-4)
    models = (("A", tmp_path / "A"), ("B", tmp_path / "B"))
    (finding,) = doctor(Request(tmp_path / "labels_x", models)).faults
    assert finding.kind == "geometry"
    assert "B/a.npy: shape (1, 8, 8) differs from (10, 8, 8)" in finding.text


def test_one_missing_prediction_leaves_n_as_it_was(two):
    request, path = two
    path.unlink()
    cases = gather(request).cases
    assert len(cases) == 3
    assert {case.case: case.predictions["B"] is None for case in cases} == {
        "a": False,
        "b": True,
        "c": False,
    }


def test_one_nan_stands_for_a_failed_case_and_spreads_nowhere(two):
    request, path = two
    values = ball(shift=1).astype(np.float32)
    values[0, 0, 0] = np.nan
    write(path, values)
    found = gather(request)
    assert [case.predictions["B"] is None for case in found.cases] == [False, True, False]
    assert any("B/b.nii.gz: holds 1 NaN or infinite values" in note for note in found.notes)


def test_predictions_left_from_older_splits_are_found(tmp_path):
    """nnU-Net never clears `validation`, and scores every file in it."""
    reference = nnunet_dataset(tmp_path / "D", ["a", "b", "c"])
    results = nnunet_results(tmp_path / "T__P__C", {"0": ["a", "b"], "1": ["b", "c"]})
    (finding,) = doctor(Request(reference, (("A", results),))).faults
    assert finding.kind == "duplicate" and finding.cases == ("b",)


def test_rows_appended_by_running_again_are_found(tmp_path):
    path = tmp_path / "scores.csv"
    rows = [f"t,{m},{c},0.9" for m in "AB" for c in "xyz"]
    path.write_text("\n".join(["task,model,case,dice", *rows, *rows[3:]]) + "\n")
    faults = doctor(Request(scores=(path,))).faults
    assert [(f.kind, f.cases) for f in faults] == [("duplicate", (c,)) for c in "xyz"]


def test_a_manifest_reads_nothing_outside_its_root(tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "secret.nii.gz")
    for name in ("../secret.nii.gz", str(tmp_path / "secret.nii.gz")):
        path = tmp_path / "in" / "m.csv"
        path.write_text(f"case,reference,A\nc,{name},\n")
        (finding,) = doctor(Request(manifest=path)).faults
        assert f"line 2: {name} leaves" in finding.text


def test_an_archive_runs_no_code(two, tmp_path):
    request, path = two
    path.unlink()
    trap = np.empty(1, object)
    trap[0] = Trap(tmp_path / "ran")
    np.savez(path.with_name("b.npz"), mask=trap)
    assert "object values: save numbers" in doctor(request).faults[0].text
    assert not (tmp_path / "ran").exists()


def test_a_prediction_without_reference_does_not_end_everything(two):
    """In some tools it kills the whole pool after hours, with the results of all others."""
    request, path = two
    write(path.with_name("d.nii.gz"))
    (finding,) = doctor(request).faults
    assert (finding.kind, finding.cases) == ("extra", ("d",))
    found = gather(replace(request, extra="leave-out"))
    assert [case.case for case in found.cases] == ["a", "b", "c"]
    assert any("prediction without reference (d): left out" in note for note in found.notes)


def test_a_prediction_from_before_its_reference_is_found(two):
    request, path = two
    age(path, 3600)
    (finding,) = doctor(replace(request, check_age=True)).faults
    assert (finding.kind, finding.cases) == ("stale", ("b",))


def test_references_that_are_all_empty_have_no_mean(tmp_path):
    """MONAI's mean of no value is 0, as of a model that finds nothing."""
    for folder in ("labels_x", "A"):
        for name in "abc":
            write(tmp_path / folder / f"{name}.nii.gz", ball() * 0)
    request = Request(tmp_path / "labels_x", (("A", tmp_path / "A"),))
    texts = [finding.text for finding in doctor(request).faults]
    assert texts == ["all references are empty: there is nothing to compare: check the folder"]


def test_scores_against_different_references_are_not_compared(tmp_path):
    """A summary does not show which labels it was made with; the voxels that it counts do."""
    cases = [entry(f"c{index}", 0.8, 0.7, n_ref=40) for index in range(3)]
    corrected = [entry(f"c{index}", 0.9, 0.8, n_ref=40 + index) for index in range(3)]
    models = (
        ("A", summary(tmp_path / "a.json", *cases)),
        ("B", summary(tmp_path / "b.json", *corrected)),
    )
    (finding,) = doctor(Request(models=models)).faults
    assert finding.cases == ("c1", "c2") and "differ in size" in finding.text


def test_an_infinite_distance_is_neither_dropped_nor_averaged(tmp_path):
    """Dropped, a model gains by missing an object."""
    rows = [{"case_id": f"c{index}", "dice": 0.8, "hd95": 3.0} for index in range(3)]
    rows[1]["hd95"] = float("inf")
    path = segauge(tmp_path / "a.json", rows)
    (finding,) = doctor(Request(models=(("A", path),))).faults
    assert finding.cases == ("c1",) and "give the diagonal of the image" in finding.text


class Trap:
    """Unpickling it leaves a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (self.path.__class__.touch, (self.path,))
