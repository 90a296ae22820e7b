"""Which masks a folder holds, in the layouts of others and with their quirks."""

import json
import unicodedata

import numpy as np
import pytest

from mask_trees import ball, bids, decathlon, flat, nnunet_dataset, nnunet_results, write
from segrisk.compare.layouts import case_name, find_masks, image_beside


def faults(tree):
    return [finding.text for finding in tree.findings if finding.stops]


def cases(tree):
    assert not faults(tree)
    return [file.case for file in tree.files]


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("a.nii.gz", "a"),
        ("a.NII.GZ", "a"),
        ("a.nii", "a"),
        ("1.2.840.113619.nii.gz", "1.2.840.113619"),
        ("scan.v2.PNG", "scan.v2"),
        ("a b.tiff", "a b"),
        ("a.seg.nrrd", "a"),
        ("a.nrrd", "a"),
        ("a.mha", "a"),
        ("a.npz", "a"),
        ("._a.nii.gz", None),
        (".DS_Store", None),
        ("a.txt", None),
        ("a.nii.gz.tmp", None),
    ],
)
def test_a_case_is_the_name_without_its_ending(tmp_path, name, case):
    assert case_name(tmp_path / name) == case


def test_both_forms_of_an_accent_are_one_case(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert case_name(tmp_path / f"{decomposed}.png") == composed


def test_a_flat_folder_of_any_format(tmp_path):
    names = ["a.nii.gz", "b.NII", "c.png", "d.TIF", "e.npy", "f.npz", "g.h.nii.gz"]
    for name in names:
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "._a.nii.gz").write_bytes(b"x")
    (tmp_path / "old.nii.gz").mkdir()
    tree = find_masks(tmp_path)
    assert tree.layout == "flat folder"
    assert cases(tree) == ["a", "b", "c", "d", "e", "f", "g.h", "old"]  # to be named as a fault
    assert {file.fold for file in tree.files} == {file.group for file in tree.files} == {None}


def test_nnunet_folds_are_recorded_and_probabilities_are_no_masks(tmp_path):
    root = nnunet_results(tmp_path / "T__P__3d", {"0": ["c1", "c10"], "1": ["c2"], "10": ["c3"]})
    tree = find_masks(root)
    assert tree.layout == "nnU-Net folds"
    assert {file.case: file.fold for file in tree.files} == {"c1": 0, "c10": 0, "c2": 1, "c3": 10}
    assert all(file.path.name.endswith(".nii.gz") for file in tree.files)


@pytest.mark.parametrize("inside", ["fold_1", "fold_1/validation"])
def test_one_fold_alone_knows_its_number(tmp_path, inside):
    root = nnunet_results(tmp_path / "T__P__3d", {"0": ["a"], "1": ["b"]})
    (file,) = find_masks(root / inside).files
    assert (file.case, file.fold) == ("b", 1)


def test_version_1_calls_the_folder_validation_raw(tmp_path):
    flat(tmp_path / "fold_2" / "validation_raw", ["a"])
    (file,) = find_masks(tmp_path).files
    assert (file.case, file.fold) == ("a", 2)


def test_fold_all_is_left_out_or_said_to_flatter(tmp_path):
    both = find_masks(nnunet_results(tmp_path / "both", {"0": ["a"], "all": ["a", "b"]}))
    assert cases(both) == ["a"] and "trained on every case" in both.findings[0].text
    assert "left out" in both.findings[0].text
    alone = find_masks(nnunet_results(tmp_path / "alone", {"all": ["a", "b"]}))
    assert cases(alone) == ["a", "b"] and "its scores are too good" in alone.findings[0].text


def test_an_nnunet_dataset_has_regions_and_an_ignored_value(tmp_path):
    labels = {"whole tumour": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4}
    tree = find_masks(nnunet_dataset(tmp_path / "Dataset007", ["a", "b"], **labels))
    assert tree.layout == "data set" and cases(tree) == ["a", "b"]
    assert tree.labelling.regions == (
        ("whole tumour", (1, 2, 3)),
        ("core", (2, 3)),
        ("enhancing", (3,)),
    )
    assert tree.labelling.ignore == 4


def test_the_decathlon_names_values_and_leaves_apple_files(tmp_path):
    tree = find_masks(decathlon(tmp_path / "Task04", ["hippocampus_001", "hippocampus_003"]))
    assert cases(tree) == ["hippocampus_001", "hippocampus_003"]
    assert tree.labelling.regions == (("Anterior", (1,)), ("Posterior", (2,)))
    assert tree.labelling.ignore is None


def test_a_listed_file_that_is_absent_is_named(tmp_path):
    root = decathlon(tmp_path / "Task04", ["h_1", "h_2"])
    (root / "labelsTr" / "h_2.nii.gz").unlink()
    assert faults(find_masks(root)) == [
        "Task04/dataset.json: lists ./labelsTr/h_2.nii.gz, which is not there: copy it again, or "
        "remove the entry"
    ]


@pytest.mark.parametrize("name", ["../secret.nii.gz", "/etc/passwd"])
def test_a_listed_file_cannot_leave_its_folder(tmp_path, name):
    root = decathlon(tmp_path / "Task04", ["h_1"])
    content = json.loads((root / "dataset.json").read_text())
    content["training"].append({"image": "x", "label": name})
    (root / "dataset.json").write_text(json.dumps(content))
    assert faults(find_masks(root)) == [f"Task04/dataset.json: {name} leaves its folder: remove it"]


def test_two_folders_of_labels_are_ambiguous(tmp_path):
    root = nnunet_dataset(tmp_path / "Dataset007", ["a"])
    flat(root / "labelsTs", ["t"])
    assert "holds masks in labelsTr/ and labelsTs/: give the one" in faults(find_masks(root))[0]


@pytest.mark.parametrize(
    "content, said", [('{"labels": [', "cannot be read (Expecting value: line 1"), ("[]", "a list")]
)
def test_a_broken_dataset_json_is_a_fault_for_it_says_what_is_ignored(tmp_path, content, said):
    root = nnunet_dataset(tmp_path / "Dataset007", ["a"])
    (root / "dataset.json").write_text(content)
    (fault,) = faults(find_masks(root))
    assert "Dataset007/dataset.json: " in fault and said in fault and "mend it" in fault


def test_the_folder_of_labels_has_the_dataset_json_beside_it(tmp_path):
    root = nnunet_dataset(tmp_path / "Dataset007", ["a"], whole=[1, 2], ignore=3)
    tree = find_masks(root / "labelsTr")
    assert tree.labelling.regions == (("whole", (1, 2)),) and tree.labelling.ignore == 3
    (root / "labelsTr" / "dataset.json").write_text('{"labels": {"mine": 1}}')
    assert find_masks(root / "labelsTr").labelling.regions == (("mine", (1,)),)


def test_what_lies_beside_the_right_folder_names_it(tmp_path):
    root = nnunet_dataset(tmp_path / "Dataset007", ["a"])
    (fault,) = faults(find_masks(root / "imagesTr"))
    assert fault.endswith("holds the images of a data set: give its labelsTr/ instead")
    results = tmp_path / "results"
    for trainer in ("one", "two"):
        nnunet_results(results / trainer, {"0": ["a"], "1": ["b"]})
    (fault,) = faults(find_masks(results))
    assert fault.endswith("give one of one/, two/ for each model")


def test_bids_takes_the_subject_as_group_and_pairs_pipelines(tmp_path):
    scans = {"01": ["1", "2"], "02": ["1"]}
    manual = find_masks(bids(tmp_path / "manual", scans, "manual"))
    network = find_masks(bids(tmp_path / "network", scans, "network"))
    assert manual.layout == "BIDS derivatives"
    assert cases(manual) == cases(network)
    assert cases(manual) == [
        "sub-01_ses-1_space-T1w",
        "sub-01_ses-2_space-T1w",
        "sub-02_ses-1_space-T1w",
    ]
    assert [file.group for file in manual.files] == ["sub-01", "sub-01", "sub-02"]


def test_bids_masks_are_taken_where_there_is_no_dseg(tmp_path):
    write(tmp_path / "sub-1" / "anat" / "sub-1_label-lesion_mask.nii.gz")
    assert cases(find_masks(tmp_path)) == ["sub-1_label-lesion"]


def test_our_own_task_folder_brings_its_groups(tmp_path):
    flat(tmp_path / "labels", ["a", "b"], ".png")
    (tmp_path / "index.csv").write_text("id,group\na,p1\nb,p1\n")
    tree = find_masks(tmp_path)
    assert tree.layout == "task folder"
    assert [(file.case, file.group) for file in tree.files] == [("a", "p1"), ("b", "p1")]


def test_nii_beside_nii_gz_and_probabilities_beside_masks(tmp_path):
    flat(tmp_path, ["a"])
    write(tmp_path / "a.nii")
    write(tmp_path / "a.npz", np.zeros((2, 3, 3), np.float32), key="softmax")
    write(tmp_path / "b.npz", ball())
    assert {case: len(files) for case, files in find_masks(tmp_path).by_case.items()} == {
        "a": 2,
        "b": 1,
    }


def test_what_is_no_folder_of_masks_is_said(tmp_path):
    (absent,) = faults(find_masks(tmp_path / "no"))
    assert "no: does not exist, where a folder of masks is expected: correct it" in absent
    file = write(tmp_path / "a.nii.gz")
    assert "is a file, where a folder of masks is expected" in faults(find_masks(file))[0]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no masks: expected files .nii.gz, .nii, .nrrd" in faults(find_masks(empty))[0]
    flat(empty / "best" / "fold", ["a"])
    assert (
        "its folder best/fold/ does: give that one, or a manifest" in faults(find_masks(empty))[0]
    )


def test_images_stand_beside_labels(tmp_path):
    root = nnunet_dataset(tmp_path / "D", ["a"])
    assert image_beside(root / "labelsTr" / "a.nii.gz") == root / "imagesTr" / "a_0000.nii.gz"
    assert image_beside(root / "labelsTr" / "b.nii.gz") is None
    flat(tmp_path / "labels", ["p"], ".png")
    assert image_beside(tmp_path / "labels" / "p.png") is None
    write(tmp_path / "images" / "p.jpg", ball())
    assert image_beside(tmp_path / "labels" / "p.png") == tmp_path / "images" / "p.jpg"
    assert image_beside(tmp_path / "elsewhere" / "p.png") is None
