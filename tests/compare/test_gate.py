"""The gate: who is in, what each file holds, where it lies, and how each fault is said."""

import gzip

import numpy as np
import pytest
from PIL import Image

from mask_trees import AFFINE, SPACE, age, ball, bids, flat, nnunet_dataset, nnunet_results, write
from segrisk.compare.doctor import doctor, gather
from segrisk.compare.request import Request
from segrisk.data.errors import DataError

NAMES = ["c1", "c10", "c2", "Zoë é", "1.2.3", "a b"]


@pytest.fixture
def sound(tmp_path):
    """References and two models, all well; a request for them with other policies."""
    for folder in ("labels_x", "A", "B"):
        flat(tmp_path / folder, NAMES)

    def request(**options):
        models = (("A", tmp_path / "A"), ("B", tmp_path / "B"))
        return Request(**{"reference": tmp_path / "labels_x", "models": models, **options})

    return request


def faults(request):
    return [finding.text for finding in doctor(request).faults]


def notes(request):
    return [finding.text for finding in doctor(request).notes]


def only(texts):
    assert len(texts) == 1, texts
    return texts[0]


def test_sound_folders_give_every_case_with_every_prediction(sound, tmp_path):
    request = sound()
    assert faults(request) == []
    found = gather(request)
    assert found.models == ("A", "B") and found.labels == {"labels_x": (1,)}
    assert [case.case for case in found.cases] == sorted(NAMES)
    for case in found.cases:
        assert (case.task, case.group, case.fold, case.seed) == ("labels_x", case.case, 0, 0)
        assert case.reference == tmp_path / "labels_x" / f"{case.case}.nii.gz"
        assert case.predictions == {m: tmp_path / m / f"{case.case}.nii.gz" for m in "AB"}
    assert "every case is taken as a group of its own" in only(list(found.notes))


def test_a_missing_prediction_is_the_worst_value_and_no_smaller_n(sound, tmp_path):
    (tmp_path / "B" / "c1.nii.gz").unlink()
    found = gather(sound())
    assert len(found.cases) == len(NAMES)
    by_case = {case.case: case.predictions for case in found.cases}
    assert by_case["c1"]["B"] is None and by_case["c1"]["A"] is not None
    assert by_case["c10"]["B"] is not None  # c1 is its beginning
    assert "B: has no prediction for 1 of 6 cases (c1): scored as the worst value" in found.notes
    refused = only(faults(sound(missing="refuse")))
    assert refused == "B: has no prediction for 1 of 6 cases (c1): predict them"


def test_an_extra_prediction_is_named(sound, tmp_path):
    write(tmp_path / "A" / "d.nii.gz")
    text = "A: has 1 prediction without reference (d)"
    assert (
        only(faults(sound()))
        == f"{text}: rename or remove them, or leave them out (--extra leave-out)"
    )
    assert f"{text}: left out" in notes(sound(extra="leave-out"))
    assert len(gather(sound(extra="leave-out")).cases) == len(NAMES)


def test_a_misspelt_name_is_recognised(sound, tmp_path):
    (tmp_path / "A" / "c10.nii.gz").rename(tmp_path / "A" / "C10.nii.gz")
    assert "(C10); is C10 meant for c10?" in only(faults(sound()))


def test_a_reference_that_nobody_predicted_is_a_question(sound, tmp_path):
    write(tmp_path / "labels_x" / "new.nii.gz")
    text = "no model has a prediction for 1 of 7 references (new)"
    assert only(faults(sound())).startswith(f"{text}: remove those references, or give --unpred")
    left_out, worst = (gather(sound(unpredicted=how)) for how in ("leave-out", "worst"))
    assert len(left_out.cases) == 6 and f"{text}: left out" in left_out.notes
    assert len(worst.cases) == 7 and f"{text}: scored as the worst value" in worst.notes
    (case,) = (case for case in worst.cases if case.case == "new")
    assert case.predictions == {"A": None, "B": None}
    assert not any("has no prediction for 1 of 7" in note and "A:" in note for note in worst.notes)


def test_two_files_of_one_case_are_refused(sound, tmp_path):
    write(tmp_path / "A" / "c1.nii")
    assert only(faults(sound())).endswith(
        "A/c1.nii and "
        + "/".join((tmp_path / "A" / "c1.nii.gz").parts[-3:])
        + " are both of it: remove or rename one"
    )


def test_one_case_in_two_folds_is_refused(tmp_path):
    """As after training again with other splits: nnU-Net never clears `validation`."""
    reference = nnunet_dataset(tmp_path / "D", ["a", "b"])
    old = nnunet_results(tmp_path / "old", {"0": ["a", "b"], "1": ["b"]})
    request = Request(reference=reference, models=(("A", old),))
    text = only(faults(request))
    assert "fold_0/validation/b.nii.gz and fold_1/validation/b.nii.gz are both of it" in text
    assert text.endswith("keep the one of the fold that did not train on it")


def test_folds_are_recorded(tmp_path):
    reference = nnunet_dataset(tmp_path / "D", ["a", "b", "c"])
    folded = nnunet_results(tmp_path / "folded", {"0": ["a"], "1": ["b"], "3": ["c"]})
    plain = flat(tmp_path / "plain", ["a", "b", "c"])
    found = gather(Request(reference=reference, models=(("A", folded), ("B", plain))))
    assert {case.case: case.fold for case in found.cases} == {"a": 0, "b": 1, "c": 3}
    assert found.labelling.regions == (("liver", (1,)),)
    assert found.images["D", "a"] == reference / "imagesTr" / "a_0000.nii.gz"


def test_different_folds_are_not_used(tmp_path):
    reference = nnunet_dataset(tmp_path / "D", ["a", "b"])
    one = nnunet_results(tmp_path / "one", {"1": ["b"], "3": ["a"]})
    two = nnunet_results(tmp_path / "two", {"1": ["b"], "2": ["a"]})
    found = gather(Request(reference=reference, models=(("A", one), ("B", two))))
    assert {case.case: case.fold for case in found.cases} == {"a": 0, "b": 1}
    assert "models have 1 cases in different folds (a): fold 0 is written" in found.notes


def test_a_fold_that_one_model_lacks_is_named(tmp_path):
    reference = nnunet_dataset(tmp_path / "D", ["a", "b", "c"])
    one = nnunet_results(tmp_path / "one", {"0": ["a"], "1": ["b"], "2": ["c"]})
    two = nnunet_results(tmp_path / "two", {"0": ["a"]})
    found = gather(Request(reference=reference, models=(("A", one), ("B", two))))
    assert any(note.startswith("B: has no folds 1, 2, which others have") for note in found.notes)
    assert found.worst == {("D", "B"): 2}
    strict = Request(reference=reference, models=(("A", one), ("B", two)), missing="refuse")
    assert any("B: has no folds 1, 2" in text for text in faults(strict))


def test_models_of_unlike_cases_are_refused(tmp_path):
    reference = nnunet_dataset(tmp_path / "D", ["a", "b"])
    results = nnunet_results(tmp_path / "R", {"0": ["a"], "1": ["b"]})
    models = (("A", results / "fold_0"), ("B", results / "fold_1"))
    assert "A and B have no case in common" in only(
        faults(Request(reference=reference, models=models))
    )


def test_labels_that_are_said_in_two_ways_are_named(tmp_path):
    reference = nnunet_dataset(tmp_path / "D", ["a"])
    results = nnunet_results(tmp_path / "R", {"0": ["a"]})
    (results / "dataset.json").write_text('{"labels": {"tumour": 1}}')
    request = Request(reference=reference, models=(("A", results),))
    assert any("differ in labels: the first is taken" in note for note in notes(request))
    assert gather(request).labelling.regions == (("liver", (1,)),)


def test_subjects_of_bids_are_groups(tmp_path):
    scans = {"01": ["1", "2"], "02": ["1"]}
    manual, network = (bids(tmp_path / name, scans, name) for name in ("manual", "net"))
    found = gather(Request(reference=manual, models=(("A", network),)))
    assert [case.group for case in found.cases] == ["sub-01", "sub-01", "sub-02"]
    assert found.notes == ()


def test_groups_come_from_a_file(sound, tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("case,group\n" + "".join(f"{name},p{len(name)}\n" for name in NAMES), "utf-8")
    assert {c.group for c in gather(sound(groups=path)).cases} == {"p2", "p3", "p5"}
    path.write_text("case,group\nc1,p\n")
    assert "g.csv: has no row for 1.2.3, Zoë é, a b and 2 more: add" in only(
        faults(sound(groups=path))
    )


def test_names_that_never_fit_are_explained(tmp_path):
    reference = flat(tmp_path / "labels_x", ["case_01", "case_02"])
    flat(tmp_path / "A", ["case_01_pred", "case_02_pred"])
    text = only(faults(Request(reference=reference, models=(("A", tmp_path / "A"),))))
    assert text == (
        "A: none of its 2 masks has the name of a reference: it has case_01_pred, where a "
        "reference is case_01: rename them, or write a manifest"
    )


def test_a_stale_prediction_is_named_on_request(sound, tmp_path):
    age(tmp_path / "A" / "c2.nii.gz", 3600)
    assert faults(sound()) == []
    text = only(faults(sound(check_age=True)))
    assert text.endswith("A/c2.nii.gz: is older than its reference: predict it again")


BROKEN = {
    "cut": ("unreadable", "has no readable file for 1 of 6 cases (c1): scored as the worst"),
    "nan": ("nan", "has NaN or infinite values for 1 of 6 cases (c1): scored as the worst"),
}


def break_prediction(path, how):
    if how == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        values = ball().astype(np.float32)
        values[0] = np.nan
        write(path, values)


@pytest.mark.parametrize("how", BROKEN)
def test_a_failed_prediction_is_the_worst_value_and_named(sound, tmp_path, how):
    break_prediction(tmp_path / "B" / "c1.nii.gz", how)
    found = gather(sound())
    (case,) = (case for case in found.cases if case.case == "c1")
    assert case.predictions["B"] is None and len(found.cases) == len(NAMES)
    kind, text = BROKEN[how]
    assert any(text in note for note in found.notes)
    assert any(note.startswith("B: ") and "B/c1.nii.gz: " in note for note in found.notes)
    diagnosis = doctor(sound(missing="refuse"))
    assert [finding.kind for finding in diagnosis.faults] == [kind]


@pytest.mark.parametrize("how", BROKEN)
def test_a_reference_is_never_replaced(sound, tmp_path, how):
    break_prediction(tmp_path / "labels_x" / "c1.nii.gz", how)
    assert "reference " in only(faults(sound())) and "labels_x/c1.nii.gz" in only(faults(sound()))
    with pytest.raises(DataError, match="labels_x/c1"):
        gather(sound())


def test_what_is_no_label_is_refused(sound, tmp_path):
    write(tmp_path / "A" / "c1.nii.gz", ball().astype(np.float32) * 0.73)
    text = only(faults(sound()))
    assert "A/c1.nii.gz: holds 0.73, which is no label number: save labels as whole" in text
    write(tmp_path / "A" / "c1.nii.gz", ball((1, 3)))
    text = only(faults(sound()))
    assert "A/c1.nii.gz: holds 3, where 1 is expected: save the label numbers of" in text
    assert faults(sound(labels=(1, 3))) == []


def test_declared_labels_hold_for_references_too(sound, tmp_path):
    write(tmp_path / "labels_x" / "c1.nii.gz", ball((1, 7)))
    assert "reference " in only(faults(sound(labels=(1,))))
    assert "labels_x/c1.nii.gz: holds 7, where 1 is expected" in only(faults(sound(labels=(1,))))


def test_an_ignored_value_belongs_to_references(tmp_path):
    reference = nnunet_dataset(tmp_path / "D", ["a"], liver=1, ignore=9)
    write(reference / "labelsTr" / "a.nii.gz", ball((1, 9)))
    found = gather(Request(reference=reference, models=(("A", flat(tmp_path / "A", ["a"])),)))
    assert found.labels == {"D": (1,)} and found.labelling.ignore == 9


def pictures(tmp_path, reference, prediction):
    for folder, values in (("labels_x", reference), ("A", prediction)):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(values).save(tmp_path / folder / "p.png")
    return Request(reference=tmp_path / "labels_x", models=(("A", tmp_path / "A"),))


SQUARE = np.zeros((12, 12), np.uint8)
SQUARE[3:8, 4:9] = 1
SMOOTH = SQUARE * 255
SMOOTH[2, 4:9] = np.arange(30, 80, 10)


@pytest.mark.parametrize(
    ("reference", "prediction", "said"),
    [
        (SQUARE, SQUARE * 255, "A/p.png: holds 255, where 1 is expected"),
        (SQUARE * 255, SQUARE, "A/p.png: holds 1, where 255 is expected"),
        (SQUARE * 255, SMOOTH, "30, 40, 50, 60, 70, where 255 is expected; grey borders, as of"),
        (SMOOTH, SQUARE * 255, "p.png: holds 30, 40, 50, 60, 70 and 1 more: grey borders, as of"),
        (SQUARE, np.stack([SQUARE * 9, SQUARE, SQUARE], -1), "A/p.png: is a coloured mask: save"),
        (SQUARE * 0, SQUARE * 0, "all references are empty: there is nothing to compare"),
    ],
)
def test_pictures_of_masks_are_masks(tmp_path, reference, prediction, said):
    assert said in only(faults(pictures(tmp_path, reference, prediction)))


def test_grey_saved_as_colour_is_a_mask(tmp_path):
    assert faults(pictures(tmp_path, SQUARE, np.stack([SQUARE] * 3, -1))) == []


def test_references_in_two_fashions_are_refused(tmp_path):
    request = pictures(tmp_path, SQUARE, SQUARE)
    for folder in ("labels_x", "A"):
        Image.fromarray(SQUARE * 255).save(tmp_path / folder / "q.png")
    text = "references hold 1 (p.png) and 255 (q.png): save all in one way, or declare"
    assert text in only(faults(request))


def test_each_task_has_its_own_values(tmp_path):
    pictures(tmp_path, SQUARE, SQUARE)
    for folder in ("labels_x", "A"):
        Image.fromarray(SQUARE * 255).save(tmp_path / folder / "q.png")
    rows = ["one,p,labels_x/p.png,A/p.png", "two,q,labels_x/q.png,A/q.png"]
    path = tmp_path / "m.csv"
    path.write_text("\n".join(["task,case,reference,A", *rows]))
    assert gather(Request(manifest=path)).labels == {"one": (1,), "two": (255,)}
    Image.fromarray(SQUARE).save(tmp_path / "A" / "q.png")
    assert "A/q.png: holds 1, where 255 is expected" in only(faults(Request(manifest=path)))


def test_the_image_of_a_manifest_comes_first(tmp_path):
    reference = nnunet_dataset(tmp_path / "D", ["a", "b"])
    write(tmp_path / "flair.nii.gz")
    rows = ["a,D/labelsTr/a.nii.gz,flair.nii.gz,", "b,D/labelsTr/b.nii.gz,,"]
    (tmp_path / "m.csv").write_text("\n".join(["case,reference,image,A", *rows]))
    found = gather(Request(manifest=tmp_path / "m.csv"))
    assert found.images == {
        ("m", "a"): tmp_path / "flair.nii.gz",
        ("m", "b"): reference / "imagesTr" / "b_0000.nii.gz",
    }


def test_jpeg_is_refused(tmp_path):
    request = pictures(tmp_path, SQUARE, SQUARE)
    (tmp_path / "A" / "p.png").unlink()
    Image.fromarray(SQUARE).save(tmp_path / "A" / "p.jpg")
    assert "A/p.jpg: JPEG changes label values: save masks as PNG" in only(faults(request))


def test_an_array_is_compared_by_shape_and_said_to_be(sound, tmp_path):
    for name in NAMES:
        (tmp_path / "A" / f"{name}.nii.gz").unlink()
        np.save(tmp_path / "A" / f"{name}.npy", ball())
    assert "A: 6 files do not say where they lie: compared by shape alone" in notes(sound())
    np.save(tmp_path / "A" / "c1.npy", ball().T)
    text = only(faults(sound()))
    assert f"shape {SPACE[::-1]} differs from {SPACE}" in text
    assert text.endswith("its axes seem to be in reverse order: transpose it")


def test_nrrd_against_nifti(sound, tmp_path):
    pytest.importorskip("SimpleITK")
    for index, name in enumerate(NAMES):
        (tmp_path / "A" / f"{name}.nii.gz").unlink()
        write(tmp_path / "A" / f"{name}.nrrd", ball(shift=index))
    assert faults(sound()) == []
    write(tmp_path / "A" / "c1.nrrd", ball(), AFFINE + np.eye(4)[:, [3, 0, 1, 2]] * 0.5)
    assert only(doctor(sound()).faults).kind == "geometry"


def test_a_package_that_is_needed_is_named(sound, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "SimpleITK", None)
    (tmp_path / "A" / "c1.nii.gz").unlink()
    (tmp_path / "A" / "c1.mha").write_bytes(b"ObjectType = Image\n")
    assert only(faults(sound())) == "A: reading c1.mha needs SimpleITK: pip install SimpleITK"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"models": ()}, "no model is given: give --reference and --model NAME=FOLDER, or"),
        ({"reference": None, "models": ()}, "no model is given: give --reference and --model"),
        ({"manifest": "m.csv"}, "a manifest says it all: leave out --reference, --model and"),
        ({"scores": ("x",)}, "--scores are computed already: leave out --reference, or --scores"),
    ],
)
def test_what_cannot_be_meant_is_refused(sound, options, said):
    assert said in only(faults(sound(**options)))


def test_models_must_be_models(sound, tmp_path):
    own = tmp_path / "A"
    text = only(faults(sound(models=(("A", own), ("B", tmp_path / "B" / ".." / "A")))))
    assert text.startswith("A and B are the same folder, ") and text.endswith("correct one")
    text = only(faults(sound(models=(("A", tmp_path / "labels_x"),))))
    assert text == "A: is the folder of the references itself: correct it"
    for name in ("../x", "a/b", ".a", "case", "reference"):
        assert f"{name!r} cannot name a model" in only(faults(sound(models=((name, own),))))
    link = tmp_path / "linked"
    link.mkdir()
    for name in NAMES:
        (link / f"{name}.nii.gz").symlink_to(tmp_path / "labels_x" / f"{name}.nii.gz")
    text = only(faults(sound(models=(("A", link),))))
    assert text.startswith("A: 6 of its files are references (")


def test_every_fault_is_told_at_once(sound, tmp_path):
    write(tmp_path / "A" / "c1.nii")
    write(tmp_path / "B" / "extra.nii.gz")
    write(tmp_path / "B" / "c2.nii.gz", ball((5,)))
    write(tmp_path / "A" / "c10.nii.gz", ball(), AFFINE * 2)
    kinds = [finding.kind for finding in doctor(sound()).faults]
    assert sorted(kinds) == ["duplicate", "extra", "geometry", "labels"]
    with pytest.raises(DataError) as raised:
        gather(sound())
    assert len(raised.value.faults) == 4


def test_files_are_counted_as_they_are_read(sound):
    seen = []
    doctor(sound(), lambda done, of: seen.append((done, of)))
    assert seen == [(done, 18) for done in range(1, 19)]


def test_a_renamed_nifti_is_unreadable(sound, tmp_path):
    (tmp_path / "A" / "c1.nii.gz").write_bytes(gzip.compress(b"x" * 400))
    assert "unreadable" in {finding.kind for finding in doctor(sound()).notes}


def test_images_in_the_place_of_references_are_recognised(sound, tmp_path):
    request = sound()
    values = np.arange(np.prod(SPACE)).reshape(SPACE) % 90
    for path in (tmp_path / "labels_x").iterdir():
        write(path, values.astype(np.uint8))
    text = only(faults(request))
    assert text.startswith(
        "the references of labels_x hold 89 values, of which predictions hold 1: "
    )
    assert text.endswith(
        "give the folder of the masks, or declare the values that are meant (--labels)"
    )
    assert not faults(sound(labels=tuple(range(90))))
    for model in "AB":  # an atlas, which models know
        write(tmp_path / model / "c1.nii.gz", values.astype(np.uint8) % 60)
    assert not faults(sound())
