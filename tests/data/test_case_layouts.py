"""Sets as they are published become cases; whatever is wrong with one is a line that mends it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import image_trees as trees
from image_trees import SPACE, labels
from segrisk.data.errors import DataError, DataWarning
from segrisk.data.folder import Folder
from segrisk.data.layouts.choose import LAYOUTS, layout_of
from segrisk.data.prepare import load_prepared, prepare
from segrisk.data.readers import mask_files, read_folder
from segrisk.data.twins import apart

GREY = np.random.default_rng(0).integers(0, 255, (12, 10), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 255, (12, 10, 3), dtype=np.uint8)
DISC = np.zeros((12, 10), np.uint8)
DISC[3:8, 2:7] = 255
MR = ("MR_ADC", "MR_MTT", "MR_rBF", "MR_rBV", "MR_Tmax", "MR_TTP")
CT = ("CT", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax")


def cases(root: Path, **options):
    return list(read_folder(Folder(root, **options)))


def refused(root: Path, text: str, **options) -> DataError:
    with pytest.raises(DataError, match=text) as error:
        cases(root, **options)
    return error.value


@pytest.fixture
def brats(tmp_path):
    return trees.brats2018(tmp_path / "brats")


@pytest.fixture
def nnunet(tmp_path):
    return trees.nnunet(tmp_path / "Dataset042_Tumour")


@pytest.fixture
def decathlon(tmp_path):
    return trees.decathlon(tmp_path / "Task05_Prostate")


def isles2018(root):
    return trees.isles(root, "CT", CT, "case")


def kvasir(root):
    for name in ("a", "b"):
        trees.picture(root / f"images/{name}.jpg", COLOUR)
        trees.picture(root / f"masks/{name}.jpg", DISC, quality=95)
    return root


def clinic(root):
    for name in ("1", "2"):
        trees.picture(root / f"Original/{name}.tif", COLOUR)
        trees.picture(root / f"Ground Truth/{name}.tif", np.repeat(DISC[..., None], 3, -1))
    return root


def dental(root):
    """Panoramic radiographs, and what each of two experts drew."""
    for name in ("1", "2"):
        trees.picture(root / f"Images/{name}.png", GREY)
        trees.picture(root / f"Segmentation1/{name}.png", DISC)
        trees.picture(root / f"Segmentation2/{name}.png", np.roll(DISC, 1, 0))
    return root


SETS = {
    "nnunet": trees.nnunet,
    "decathlon": trees.decathlon,
    "brats": trees.brats2018,
    "brats2023": lambda root: (
        trees.brats_case(root / "BraTS-GLI-00000-000", trees.SINCE_2023, (1, 2, 3)).parent
    ),
    "isles2017": lambda root: trees.isles(root, "MR", MR, "training"),
    "isles2018": isles2018,
    "raters": trees.qubiq,
    "pictures": kvasir,
}


def test_every_layout_is_recognised_and_none_but_ours_has_no_tree_here(tmp_path):
    assert set(SETS) == set(LAYOUTS) - {"task"}
    for name, make in SETS.items():
        root = make(tmp_path / name)
        assert layout_of(root) == name
        assert [own for own, (applies, _) in LAYOUTS.items() if applies(root)] == [name], name


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - {"task"}))
def test_a_layout_named_for_a_folder_of_another_kind_says_what_it_expects(tmp_path, name):
    trees.picture(tmp_path / "other/photos/a.png", GREY)
    error = refused(tmp_path / "other", "other", layout=name)
    assert all(":" in fault and "Traceback" not in fault for fault in error.faults)


# BraTS


def test_brats_2018_has_four_channels_the_whole_tumour_and_patients(brats):
    low, high = cases(brats)
    assert (low.id, low.group) == ("Brats18_2013_0_1", "Brats18_2013_0")
    assert (high.id, high.group) == ("Brats18_TCIA04_111_1", "Brats18_TCIA04_111")
    for number, channel in enumerate(high.image):  # FLAIR, T1, T1 with contrast, T2
        np.testing.assert_array_equal(channel, trees.intensities(number))
    np.testing.assert_array_equal(high.label, labels(1, 2, 4) > 0)
    assert high.origin.axes == high.origin.prepared == "LPS"
    assert high.origin.scaling == ((1.0, 0.0),) * 4


@pytest.mark.parametrize(
    ("target", "values"), [("tumour core", (1, 4)), ("enhancing tumour", (4,))]
)
def test_brats_regions(brats, target, values):
    (_, case) = cases(brats, target=target)
    np.testing.assert_array_equal(case.label, np.isin(labels(1, 2, 4), values))


def test_brats_2020_is_uncompressed_and_its_misnamed_reference_is_found_and_excluded(tmp_path):
    root = tmp_path / "MICCAI_BraTS2020_TrainingData"
    for seed, name in enumerate(("BraTS20_Training_001", "BraTS20_Training_355")):
        trees.brats_case(root / name, trees.BEFORE_2023, ending=".nii", seed=seed)
    broken = root / "BraTS20_Training_355"
    (broken / f"{broken.name}_seg.nii").rename(broken / "W39_1998.09.19_Segm.nii")
    (root / "name_mapping.csv").write_text("Grade,BraTS_2020_subject_ID\n")
    refused(root, r"case BraTS20_Training_355 has no seg: copy it again, or put .* `exclude`")
    (case,) = cases(root, exclude=("BraTS20_Training_355",))
    assert case.id == case.group == "BraTS20_Training_001"


def test_brats_2021_and_2023_name_cases_and_modalities_anew(tmp_path):
    old = trees.brats_case(tmp_path / "2021/BraTS2021_00002", trees.BEFORE_2023).parent
    new = trees.brats_case(
        tmp_path / "2023/BraTS-GLI-00005-001", trees.SINCE_2023, (1, 2, 3)
    ).parent
    (before,), (since,) = cases(old), cases(new)
    assert (before.group, since.group) == ("BraTS2021_00002", "BraTS-GLI-00005")
    np.testing.assert_array_equal(before.image, since.image)  # the same order of channels
    np.testing.assert_array_equal(before.label, since.label)
    (enhancing,) = cases(new, target="enhancing tumour")
    np.testing.assert_array_equal(enhancing.label, labels(1, 2, 3) == 3)


def test_brats_label_3_before_2023_and_4_after_it_are_refused(brats, tmp_path):
    trees.brats_case(brats / "LGG/Brats18_2013_1_1", trees.BEFORE_2023, (1, 2, 3))
    text = r"_1_1_seg\.nii\.gz: holds 3, where the labels are 1, 2, 4 \(.*3 is the enhancing.*"
    refused(brats, text + "relabel it as 4")
    assert len(cases(brats, labels=(1, 2, 3, 4))) == 3
    assert len(cases(brats, exclude=("Brats18_2013_1_1",))) == 2
    root = trees.brats_case(tmp_path / "new/BraTS-GLI-00001-000", trees.SINCE_2023).parent
    refused(root, r"holds 4, where the labels are 1, 2, 3 \(.*relabel it as 3")


def test_brats_missing_modality_foreign_files_and_a_case_twice(brats):
    shutil.copytree(brats / "HGG/Brats18_TCIA04_111_1", brats / "LGG/Brats18_TCIA04_111_1")
    (brats / "LGG/Brats18_2013_0_1/Brats18_2013_0_1_t1ce.nii.gz").unlink()
    other = trees.brats_case(brats / "HGG/Brats18_CBICA_AAB_1", trees.BEFORE_2023, seed=3)
    (other / f"{other.name}_t2.nii.gz").rename(other / "Brats18_CBICA_AAG_1_t2.nii.gz")
    error = refused(brats, "brats: has the case Brats18_TCIA04_111_1 twice: remove one")
    assert "case Brats18_2013_0_1 has no t1ce: copy it again" in str(error)
    assert "holds files of Brats18_CBICA_AAB_1 and of Brats18_CBICA_AAG_1: sort" in str(error)
    assert len(error.faults) == 3


def test_a_validation_part_has_no_references(tmp_path):
    folder = trees.brats_case(tmp_path / "v/BraTS20_Validation_001", trees.BEFORE_2023)
    (folder / f"{folder.name}_seg.nii.gz").unlink()
    refused(tmp_path / "v", r"v: no case has a reference \(seg\): give the training part")


# ISLES


def test_isles_2017_leaves_the_perfusion_series_out_and_scales_the_maps(tmp_path):
    root = trees.isles(tmp_path / "isles", "MR", MR, "training")
    first, _ = cases(root)
    assert first.id == "training_1" and first.image.shape == (6, *SPACE)
    expected = trees.intensities(10) * 0.5 - 10
    np.testing.assert_allclose(first.image[0], expected)
    assert first.origin.scaling == ((0.5, -10.0),) * 6
    assert first.origin.axes == "RAS"
    np.testing.assert_allclose(first.spacing_mm, np.linalg.norm(trees.OBLIQUE[:3, :3], axis=0))


def test_isles_2018_asks_for_the_patients(tmp_path):
    root = isles2018(tmp_path / "TRAINING")
    with pytest.warns(DataWarning, match="several cases of one patient.*in `groups`"):
        assert [case.image.shape[0] for case in cases(root)] == [5, 5]
    table = tmp_path / "patients.csv"
    table.write_text("case,group\ncase_1,p\ncase_2,p\n")
    assert [case.group for case in cases(root, groups=table)] == ["p", "p"]
    table.write_text("case,group\ncase_1,p\n")
    refused(root, r"patients\.csv: has no row for case_2: add the group", groups=table)


def test_a_map_with_time_points_another_map_and_a_missing_one_are_refused(tmp_path):
    root = trees.isles(tmp_path / "isles", "MR", MR, "training")
    (adc,) = root.glob("training_1/*/*MR_ADC*.nii")
    trees.nifti(adc, np.zeros((*SPACE, 4), np.int16), trees.OBLIQUE)
    refused(root, r"MR_ADC.*: has shape \(8, 7, 6, 4\), where 3 axes are expected")
    (ttp,) = root.glob("training_2/*MR_TTP*")
    shutil.move(ttp / f"{ttp.name}.nii", root / "training_2/VSD.Brain.XX.O.MR_Flair.1.nii")
    error = refused(root, "case training_2 has no MR_TTP")
    assert "case training_2 has MR_Flair, which is no channel" in str(error)


# The Decathlon and nnU-Net


def test_the_decathlon_has_its_modalities_in_one_file(decathlon):
    first, second = cases(decathlon, target="TZ")
    assert first.id == "prostate_00" and second.image.shape == (2, *SPACE)
    np.testing.assert_array_equal(first.image[1], trees.intensities(5))
    np.testing.assert_array_equal(first.label, labels(1, 2) == 2)
    refused(decathlon, "more than one value besides 0.*set `target: PZ`, `foreground")
    refused(decathlon, "has no region 'TZZ'; did you mean 'TZ'", target="TZZ")


def test_what_a_decathlon_lists_must_be_there_once_and_fit_its_modalities(decathlon):
    path = decathlon / "dataset.json"
    content = json.loads(path.read_text())
    content["training"] += [content["training"][0]]
    content["training"] += [{"image": "./imagesTr/x.nii.gz", "label": "../x.nii.gz"}]
    path.write_text(json.dumps(content))
    error = refused(decathlon, "lists the case prostate_00 twice: remove one entry")
    assert "lists ./imagesTr/x.nii.gz, which is not there" in str(error)
    assert "../x.nii.gz leaves its folder" in str(error)
    path.write_text(json.dumps({**content, "training": content["training"][:2]}))
    trees.nifti(decathlon / "imagesTr/prostate_01.nii.gz", trees.intensities(1), trees.OBLIQUE)
    refused(decathlon, "prostate_01.*has shape .* 3 axes and then 2 channels", foreground=(1,))


def test_nnunet_regions_and_channels(nnunet):
    first, _ = cases(nnunet, target="whole")
    assert first.image.shape == (2, *SPACE)
    np.testing.assert_array_equal(first.label, labels(1, 2) > 0)
    first, _ = cases(nnunet, target="core")
    np.testing.assert_array_equal(first.label, labels(1, 2) == 2)
    assert mask_files(Folder(nnunet))["p1"] == nnunet / "labelsTr/p1.nii.gz"


def test_nnunet_undeclared_labels_are_refused(tmp_path):
    root = trees.nnunet(tmp_path / "Dataset042")
    trees.nifti(root / "labelsTr/p1.nii.gz", labels(1, 2, 7))
    error = refused(root, "p1.nii.gz: holds 7, where the labels are 1, 2, 3: mend", target="whole")
    assert len(error.faults) == 1
    (case,) = cases(trees.nnunet(tmp_path / "Dataset043"), target="whole", exclude=("p2",))
    assert case.id == "p1"


def test_nnunet_dataset_json_must_fit_the_files(tmp_path):
    root = trees.nnunet(
        tmp_path / "Dataset042", numTraining=5, channel_names={"0": "CT"}, file_ending=".nrrd"
    )
    error = refused(root, "says numTraining 5, there are 2 cases")
    assert "names 1 channels (CT), p1 has 2" in str(error) and "file_ending .nrrd" in str(error)
    (root / "dataset.json").write_text('{"labels": }')
    refused(root, "dataset.json: cannot be read .Expecting value: line 1 column 12")
    (root / "dataset.json").unlink()
    refused(root, "Dataset042: has no dataset.json that can be read")
    root = trees.nnunet(tmp_path / "Dataset043")
    (root / "imagesTr/p2_0001.nii.gz").unlink()
    refused(root, "Dataset043/imagesTr/p2: has the channels 0000, other cases have 0000, 0001|"
            "Dataset043/imagesTr/p1: has the channels 0000, 0001, other")  # fmt: skip


# Pictures


def test_kvasir_masks_are_jpeg_and_need_a_threshold(tmp_path):
    root = kvasir(tmp_path / "Kvasir-SEG")
    refused(root, r"masks/a\.jpg.*JPEG changes label values.*`threshold: 127`")
    first, _ = cases(root, threshold=127)
    np.testing.assert_array_equal(first.label, DISC > 0)
    assert first.image.shape == (3, 12, 10) and first.origin.axes is None


def test_clinic_masks_are_tiff_in_a_folder_with_a_blank(tmp_path):
    first, second = cases(clinic(tmp_path / "CVC-ClinicDB"))
    assert (first.id, second.id) == ("1", "2")
    np.testing.assert_array_equal(first.label, DISC > 0)


def test_masks_may_be_named_after_their_images(tmp_path):
    for name in ("ISIC_1", "ISIC_2"):
        trees.picture(tmp_path / f"set/images/{name}.jpg", COLOUR)
        trees.picture(tmp_path / f"set/masks/{name}_segmentation.png", DISC)
    assert [case.id for case in cases(tmp_path / "set")] == ["ISIC_1", "ISIC_2"]
    (tmp_path / "set/masks/ISIC_2_segmentation.png").unlink()
    refused(tmp_path / "set", r"set/images/ISIC_2\.jpg: has no mask in masks/: add the mask")


def test_grey_and_colour_mix_only_where_the_study_says_as_what(tmp_path):
    for name, image in (("a", GREY), ("b", COLOUR), ("c", np.repeat(GREY[..., None], 3, -1))):
        trees.picture(tmp_path / f"set/images/{name}.png", image)
        trees.picture(tmp_path / f"set/masks/{name}.png", DISC)
    refused(tmp_path / "set", r"b\.png: has 3 channels.*set `colour: grey` or `colour: rgb`")
    a, b, c = (case.image for case in cases(tmp_path / "set", colour="grey"))
    np.testing.assert_array_equal(a, c)
    luma = 0.299 * COLOUR[..., 0] + 0.587 * COLOUR[..., 1] + 0.114 * COLOUR[..., 2]
    assert b.shape == (1, 12, 10) and np.abs(b[0] - luma).max() <= 0.501
    a, b, c = (case.image for case in cases(tmp_path / "set", colour="rgb"))
    assert a.shape == b.shape == (3, 12, 10)
    np.testing.assert_array_equal(a, c)


# Several raters


@pytest.mark.parametrize("part", ["", "Training"])
def test_the_label_is_what_most_raters_marked_and_their_share_is_kept(tmp_path, part):
    first, _ = cases(trees.qubiq(tmp_path / "brain-growth", part=part), dimensions=2)
    assert first.id == "case01" and first.label.shape == (9, 8) and first.image.shape == (1, 9, 8)
    rows = np.array([0, 1, 1, 2 / 3, 1 / 3, 0, 0, 0, 0])
    np.testing.assert_allclose(first.raters[:, 2], rows, rtol=1e-6)
    np.testing.assert_array_equal(first.label[:, 2], rows > 0.5)
    assert first.spacing_mm == (1.0, 1.0)


def test_half_of_the_raters_are_not_most(tmp_path):
    first, _ = cases(dental(tmp_path / "panoramic"))
    np.testing.assert_array_equal(first.label, (DISC > 0) & (np.roll(DISC, 1, 0) > 0))
    np.testing.assert_array_equal(first.raters > 0, (DISC > 0) | (np.roll(DISC, 1, 0) > 0))


def test_several_targets_need_a_choice_and_missing_masks_are_named(tmp_path):
    root = trees.qubiq(tmp_path / "prostate", targets=("task01", "task02"))
    refused(root, "prostate: has masks of task01, task02: choose one, such as `target: task01`")
    assert len(cases(root, target="task02")) == 2
    for path in (root / "case02").glob("task02*"):
        path.unlink()
    refused(root, "prostate: case case02 has no mask of task02: copy", target="task02")
    (root / "case01/image.nii.gz").unlink()
    refused(root, "prostate: case case01 has no image", target="task01")


def test_a_study_of_slices_refuses_volumes_and_of_volumes_slices(brats, tmp_path):
    said = "and the `size` or `patch` of its task has"
    refused(brats, rf"has shape \(8, 7, 6\), {said} 2 sides: give it 3", dimensions=2)
    refused(clinic(tmp_path / "c"), f"{said} 3 sides: give it 2", dimensions=3)


# Orientation, spacing and scale


def test_cases_that_lie_otherwise_are_turned_to_the_others_and_can_be_turned_back(tmp_path):
    from segrisk.data.orientation import turned

    axial = np.diag([-1.0, -1.0, 3.0, 1.0])
    sagittal = np.array([[0, 0, 3.0, 5], [1, 0, 0, 0], [0, -1.0, 0, 7], [0, 0, 0, 1]])  # A I R
    image, label = trees.intensities(0), labels(1)
    root = tmp_path / "task"
    for name, affine in (("a", sagittal), ("b", axial), ("c", axial)):
        trees.nifti(root / f"images/{name}.nii.gz", image, affine)
        trees.nifti(root / f"labels/{name}.nii.gz", label, affine)
    a, b, c = cases(root)
    assert (a.origin.axes, a.origin.prepared) == ("AIR", "LPS")
    np.testing.assert_array_equal(a.image[0], turned(image, "AIR", "LPS").astype(np.float32))
    np.testing.assert_array_equal(turned(a.label, "LPS", "AIR"), label > 0)
    assert a.spacing_mm == (3.0, 1.0, 1.0) and a.origin.spacing_mm == (1.0, 1.0, 3.0)
    assert b.origin.axes == c.origin.axes == "LPS" and b.spacing_mm == (1.0, 1.0, 3.0)
    # A voxel of the turned case lies where the file had it: x left, y posterior, z superior.
    where = sagittal @ [2, 3, 4, 1]  # index (2, 3, 4), of shape 8 × 7 × 6
    np.testing.assert_allclose(where[:3], (17, 2, 4))
    assert a.image[0][6 - 1 - 4, 8 - 1 - 2, 7 - 1 - 3] == image[2, 3, 4]


def test_turning_and_turning_back_is_the_identity_for_all_orientations():
    from itertools import permutations, product

    from segrisk.data.orientation import reordered, turned

    values = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    every = ["".join(p) for axes in permutations(("LR", "PA", "IS")) for p in product(*axes)]
    assert len(set(every)) == 48
    for axes in every:
        there = turned(values, "RAS", axes)
        assert there.shape[1:] == reordered(values.shape[1:], "RAS", axes)
        np.testing.assert_array_equal(turned(there, axes, "RAS"), values)


def test_a_preparation_records_where_its_cases_come_from(tmp_path):
    root = trees.isles(tmp_path / "isles", "MR", MR, "training")
    prepared = prepare(read_folder(Folder(root)), (8, 8, 8), tmp_path / "data")
    origin = load_prepared(prepared.folder).entries[0].origin
    assert origin == next(iter(read_folder(Folder(root)))).origin and origin.axes == "RAS"
    assert origin.scaling[0] == (0.5, -10.0)


def test_scaled_masks_are_read_as_what_they_stand_for(tmp_path):
    trees.nifti(tmp_path / "t/images/a.nii", trees.intensities(0))
    trees.nifti(tmp_path / "t/labels/a.nii", labels(1) * 200, scaling=(1 / 200, 0))
    (case,) = cases(tmp_path / "t", labels=(1,))
    np.testing.assert_array_equal(case.label, labels(1) > 0)


# What is wrong inside a set


def test_a_flip_between_image_and_label_is_named(brats):
    path = brats / "LGG/Brats18_2013_0_1/Brats18_2013_0_1_seg.nii.gz"
    flipped = trees.LPS @ np.diag([-1.0, 1, 1, 1])
    trees.nifti(path, labels(1, 2), flipped)
    refused(brats, r"_seg\.nii\.gz: its affine places a corner .* \(axes RPS, there LPS\)")


def test_different_grids_among_modalities_are_named(brats):
    folder = brats / "LGG/Brats18_2013_0_1"
    trees.nifti(folder / f"{folder.name}_t2.nii.gz", trees.intensities(0, (8, 7, 5)))
    refused(brats, r"_t2\.nii\.gz: shape \(8, 7, 5\) differs from \(8, 7, 6\) of .*_flair\.nii\.gz")


def test_a_truncated_volume_is_named_and_can_be_excluded(brats):
    folder = brats / "LGG/Brats18_2013_0_1"
    path = folder / f"{folder.name}_t1.nii.gz"
    trees.nifti(path, trees.intensities(0, (30, 30, 30)))
    path.write_bytes(path.read_bytes()[:-4000])
    refused(brats, r"_t1\.nii\.gz: cannot be read \(EOFError.*copy or export the file again")
    (case,) = cases(brats, exclude=(folder.name,))
    assert case.id == "Brats18_TCIA04_111_1"


def test_an_exclusion_names_a_case_and_leaves_some(brats):
    refused(brats, "`exclude` names Brats18_2013_1_1, .* no such case; did you mean 'Brats18_2013",
            exclude=("Brats18_2013_1_1",))  # fmt: skip
    refused(brats, "`exclude` names every case: leave some",
            exclude=("Brats18_2013_0_1", "Brats18_TCIA04_111_1"))  # fmt: skip


def test_an_excluded_case_needs_no_row_and_no_soundness(tmp_path):
    root = clinic(tmp_path / "set")
    trees.picture(root / "Original/3.tif", COLOUR)  # it has no mask
    (root / "index.csv").write_text("id,group\n1,p\n2,q\n")
    assert [case.group for case in cases(root, exclude=("3",))] == ["p", "q"]
    volumes = trees.nnunet(tmp_path / "Dataset042")
    (volumes / "labelsTr/p2.nii.gz").unlink()
    (volumes / "dataset.json").write_text('{"labels": {"background": 0, "whole": [1, 2]}}')
    assert len(refused(volumes, r"p2_0000\.nii\.gz: has no mask in labelsTr/").faults) == 2
    assert [case.id for case in cases(volumes, target="whole", exclude=("p2",))] == ["p1"]
    refused(root, r"set/Original/3\.tif: has no mask in Ground Truth/")


def test_one_image_in_two_groups_is_refused(tmp_path):
    root = clinic(tmp_path / "set")  # both of its images are the same
    with pytest.raises(DataError, match="cases 1 and 2 hold the same image in two groups, so that"):
        list(apart(read_folder(Folder(root))))
    (root / "index.csv").write_text("id,group\n1,p\n2,p\n")
    assert len(list(apart(read_folder(Folder(root))))) == 2


# Real data


def test_real_sets_are_read_in_the_layouts_of_others(real_data, tmp_path):
    nerve, brain = real_data / "nerve", real_data / "hippocampus"
    if not (nerve.is_dir() and brain.is_dir()):
        pytest.skip(f"the real data at {real_data} has no nerve and hippocampus")
    names = ["0000", "0039", "0040", "0150"]  # of both kinds
    for name in names:
        for ours, theirs in (("images", "Images"), ("labels", "masks")):
            (tmp_path / "set" / theirs).mkdir(parents=True, exist_ok=True)
            (tmp_path / "set" / theirs / f"{name}.png").symlink_to(nerve / ours / f"{name}.png")
    read = cases(tmp_path / "set", colour="grey")
    assert [case.image.shape[0] for case in read] == [1] * 4
    root = tmp_path / "Task04_Hippocampus"
    listed = []
    for path in sorted((brain / "labels_multiclass").iterdir())[:3]:
        image = path.name.replace(".nii.gz", "_0000.nii.gz")
        for folder, source in (("imagesTr", brain / "images" / image), ("labelsTr", path)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / folder / path.name)
        listed.append({"image": f"imagesTr/{path.name}", "label": f"labelsTr/{path.name}"})
    named = {"0": "background", "1": "Anterior", "2": "Posterior"}
    trees.dataset(root, modality={"0": "MRI"}, labels=named, training=listed)
    assert layout_of(root) == "decathlon"
    front, both = cases(root, target="Anterior"), cases(root, foreground=(1, 2))
    assert all(0 < a.label.sum() < b.label.sum() for a, b in zip(front, both, strict=True))


def test_the_mixed_pictures_of_a_real_set_become_grey(real_data):
    if not (real_data / "nerve").is_dir():
        pytest.skip(f"the real data at {real_data} has no nerve")
    read = read_folder(Folder(real_data / "nerve", colour="grey", dimensions=2))
    assert {next(read).image.shape[0] for _ in range(60)} == {1}
