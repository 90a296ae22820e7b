"""A task's folder: pairing, the foreground rule, and the text of every fault."""

import csv
import pickle
from itertools import islice
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from segrisk.data.case import Case
from segrisk.data.errors import DataError, DataWarning
from segrisk.data.readers import Folder, read_folder

NOISE = np.random.default_rng(0).integers(0, 255, (6, 5, 4), dtype=np.uint8)
GREY, COLOUR = NOISE[..., 0], NOISE[..., :3]
MASK = (GREY > 128).astype(np.uint8)
VOLUME_MASK = (NOISE > 128).astype(np.uint8)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """An empty task; tests put files into it."""
    for name in ("images", "labels"):
        (tmp_path / "task" / name).mkdir(parents=True)
    return tmp_path / "task"


def put(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> None:
    if ".nii" in path.name:
        nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    else:
        Image.fromarray(values).save(path)


def pair(task: Path, id: str, image: np.ndarray = GREY, mask: np.ndarray = MASK) -> None:
    put(task / "images" / f"{id}.png", image)
    put(task / "labels" / f"{id}.png", mask)


def volumes(task: Path, id: str, *channels: np.ndarray, mask: np.ndarray = VOLUME_MASK) -> None:
    for number, channel in enumerate(channels):
        put(task / "images" / f"{id}_{number:04d}.nii.gz", channel)
    put(task / "labels" / f"{id}.nii.gz", mask)


def cases(task: Path, **rule) -> list[Case]:
    return list(read_folder(Folder(task, **rule)))


# What is read


def test_pictures_are_paired_by_id_whatever_the_extension(task):
    put(task / "images" / "b.JPG", COLOUR)
    put(task / "labels" / "b.png", MASK * 255)
    put(task / "images" / "a.tiff", COLOUR)
    put(task / "labels" / "a.PNG", MASK * 255)
    first, second = cases(task)
    assert (first.id, first.group, second.id) == ("a", "a", "b")
    assert first.image.shape == (3, 6, 5) and first.image.dtype == np.float32
    assert first.label.dtype == bool and first.spacing_mm == (1.0, 1.0)
    np.testing.assert_array_equal(first.label, MASK == 1)


def test_other_and_hidden_files_are_ignored(task):
    pair(task, "a")
    for name in ("images/Thumbs.db", "images/.DS_Store", "images/._a.png", "labels/README.md"):
        (task / name).write_text("not an image")
    (task / "images" / "old.png").mkdir()
    (task / "dataset.json").write_text("{}")
    assert [case.id for case in cases(task)] == ["a"]


def test_channels_are_stacked_in_order(task):
    volumes(task, "a", NOISE, NOISE // 2)
    volumes(task, "b", NOISE // 3, NOISE)
    first, second = cases(task)
    np.testing.assert_array_equal(first.image, np.stack([NOISE, NOISE // 2]))
    np.testing.assert_array_equal(second.image, np.stack([NOISE // 3, NOISE]))
    assert first.label.shape == (6, 5, 4) and first.spacing_mm == (1.0, 1.0, 1.0)


def test_one_volume_needs_no_channel_and_spacing_is_the_headers(task):
    affine = np.diag([0.5, 0.5, 3.0, 1.0])
    put(task / "images" / "a.nii.gz", NOISE, affine)
    put(task / "labels" / "a.nii", VOLUME_MASK.astype(np.float32), affine)
    (case,) = cases(task)
    assert case.spacing_mm == (0.5, 0.5, 3.0)
    np.testing.assert_array_equal(case.label, VOLUME_MASK == 1)


def test_digits_of_an_id_are_no_channel_where_the_mask_has_them_too(task):
    ids = ["0000", "scan", "scan-2", "scan_0000", "scan_0001"]  # sorted; "scan-2.png" is not
    for id in ids:
        pair(task, id)
    assert [case.id for case in cases(task)] == ids


def test_channels_of_pictures(task):
    put(task / "images" / "a_0000.png", GREY)
    put(task / "images" / "a_0001.png", GREY // 2)
    put(task / "labels" / "a.png", MASK)
    (case,) = cases(task)
    np.testing.assert_array_equal(case.image, np.stack([GREY, GREY // 2]))


def test_groups_come_from_the_index(task):
    pair(task, "a")
    pair(task, "b")
    (task / "index.csv").write_text("\ufeffid,h,group\nb,6,two\na,6,one\n", encoding="utf-8")
    assert [(case.id, case.group) for case in cases(task)] == [("a", "one"), ("b", "two")]


def test_grey_values_saved_as_colour_join_a_grey_task(task):
    pair(task, "a")
    pair(task, "b", image=np.repeat(GREY[..., None], 3, axis=-1))
    assert [case.image.shape[0] for case in cases(task)] == [1, 1]


def test_a_grey_frame_saved_as_colour_stays_colour_in_a_colour_task(task):
    pair(task, "a", image=COLOUR)
    pair(task, "b", image=np.repeat(GREY[..., None], 3, axis=-1))
    assert [case.image.shape[0] for case in cases(task)] == [3, 3]


# The foreground


def test_listed_values_are_merged_and_others_are_background(task):
    labels = GREY % 4
    pair(task, "a", mask=labels)
    (case,) = cases(task, foreground=(1, 3))
    np.testing.assert_array_equal(case.label, labels % 2 == 1)


def test_a_threshold_admits_jpeg_masks(task):
    block = np.zeros((16, 16), np.uint8)
    block[4:12, 4:12] = 255
    put(task / "images" / "a.png", np.arange(256, dtype=np.uint8).reshape(16, 16))
    put(task / "labels" / "a.jpg", block)
    (case,) = cases(task, threshold=127)
    np.testing.assert_array_equal(case.label, block == 255)


def test_jpeg_masks_need_a_threshold(task):
    put(task / "images" / "a.png", GREY)
    put(task / "labels" / "a.jpg", MASK * 255)
    for rule in ({}, {"foreground": (255,)}):
        with pytest.raises(DataError, match=r"task/labels/a\.jpg: JPEG .* set `threshold: 127`"):
            cases(task, **rule)


@pytest.mark.parametrize("second", [MASK * 255, MASK + (GREY > 200)])
def test_masks_must_share_one_value(task, second):
    pair(task, "a")
    pair(task, "b", mask=second)
    text = r"more than one value.*1 \(task/labels/a\.png\), \d+ \(task/labels/b\.png\): set "
    with pytest.raises(DataError, match=text + r"`foreground: \[1, \d+\]`.*or `threshold: \.\.`"):
        cases(task)


def test_a_listed_value_must_occur(task):
    pair(task, "a")
    with pytest.raises(DataError, match=r"no mask has the foreground value 2; found besides 0: 1:"):
        cases(task, foreground=(1, 2))


def test_masks_that_cannot_be_read_do_not_count_as_empty(task):
    pair(task, "a")
    (task / "labels" / "a.png").write_bytes(b"")
    for rule in ({}, {"foreground": (1,)}):
        with pytest.raises(DataError, match=r"^task/labels/a\.png: cannot be read .*again$"):
            cases(task, **rule)


def test_fractions_in_a_mask_need_a_threshold(task):
    volumes(task, "a", NOISE, mask=VOLUME_MASK.astype(np.float32) * 0.7)
    with pytest.raises(DataError, match=r"a\.nii\.gz: holds 0\.7, which is no label.*threshold"):
        cases(task)
    assert cases(task, threshold=0.5)[0].fraction == VOLUME_MASK.mean()


def test_coloured_masks_are_refused(task):
    pair(task, "a", mask=COLOUR)
    with pytest.raises(DataError, match=r"task/labels/a\.png: is a coloured mask"):
        cases(task)


def test_a_task_of_empty_masks_is_refused_and_one_empty_mask_is_not(task):
    pair(task, "a", mask=MASK * 0)
    with pytest.raises(DataError, match="task/labels: all masks are empty"):
        cases(task)
    pair(task, "b")
    assert [bool(case.label.any()) for case in cases(task)] == [False, True]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"foreground": (1,), "threshold": 0.5}, "exclude each other"),
        ({"foreground": (0, 1)}, "has 0, the background"),
        ({"threshold": float("nan")}, "nan is not a finite number"),
    ],
)
def test_rules_that_mean_nothing_are_refused(rule, text):
    with pytest.raises(ValueError, match=text):
        Folder(Path("task"), **rule)


# Pairing and index: before the first case


def refused(task: Path, text: str) -> DataError:
    with pytest.raises(DataError, match=text) as error:
        read_folder(Folder(task))  # the call alone raises
    return error.value


def test_missing_and_empty_folders(tmp_path, task):
    refused(tmp_path / "nowhere", "nowhere: there is no such folder")
    error = refused(task, r"task/images: is empty: add a file for each case \(\.png, ")
    assert len(error.faults) == 2
    (task / "labels").rmdir()
    refused(task, "task: has no folder labels/: add it")


def test_files_without_their_other_half(task):
    pair(task, "a")
    put(task / "images" / "b.png", GREY)
    put(task / "labels" / "c.png", MASK)
    error = refused(task, r"task/images/b\.png: has no mask in labels/: add the mask")
    assert "task/labels/c.png: has no image in images/: add the image" in error.faults[1]


def test_two_files_of_one_id(task):
    pair(task, "a")
    put(task / "images" / "a.jpg", GREY)
    refused(task, r"task/images/a\.jpg and a\.png have the same id: remove or rename one")
    (task / "images" / "a.jpg").unlink()
    put(task / "images" / "a_0000.png", GREY)
    refused(task, r"a\.png and a_0000\.png have the same id|a_0000\.png and a\.png have the same")
    (task / "images" / "a_0000.png").unlink()
    put(task / "labels" / "a.tif", MASK)
    refused(task, r"task/labels/a\.png and a\.tif have the same id")


def test_every_case_has_the_same_channels(task):
    for id in "abc":
        volumes(task, id, NOISE, NOISE)
    (task / "images" / "a_0001.nii.gz").unlink()
    refused(task, "task/images/a: has the channels 0000, other cases have 0000, 0001")


def test_pictures_and_volumes_do_not_mix(task):
    pair(task, "a")
    volumes(task, "b", NOISE)
    refused(task, r"task: mixes 3D files \(task/images/b_0000.* and 2D files \(task/images/a\.png")


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("name,patient\na,1\n", r"has no column id and group \(columns: name, patient\)"),
        ("id;group\na;1\n", r"has no column id and group \(columns: id;group\)"),
        ("", r"has no column id and group \(columns: none\)"),
        ("id,group\ne,1\n", r"task/index\.csv: has no row for a, b, c and 1 more: add the group"),
        ("id,group\na,1\na,2\nb,1\nc,1\nd,1\ne,1\n", "has two groups for a: keep one row"),
        ("id,group\na,1\nb, \nc,1\nd\ne,1\n", "has no group for b, d: give its patient"),
        ("id,group\na,1\nb,1\nc,1\nd,1\ne,1\nf,1\n", "has f, of which there is no file: remove"),
    ],
)
def test_the_index_must_fit_the_files(task, table, text):
    for id in "abcde":
        pair(task, id)
    (task / "index.csv").write_text(table)
    refused(task, text)


def test_an_index_in_another_encoding(task):
    pair(task, "a")
    (task / "index.csv").write_bytes("id,group\na,Jürgen\n".encode("latin-1"))
    refused(task, r"task/index\.csv: cannot be read \(.*save it as CSV in UTF-8")


def test_faults_of_pairing_and_index_come_together_and_survive_pickling(task):
    pair(task, "a")
    for number in range(30):
        put(task / "images" / f"b{number:02d}.png", GREY)
    (task / "index.csv").write_text("id,group\nz,1\n")
    error = refused(task, "… and 12 more")
    assert len(error.faults) == 32 and len(str(error).splitlines()) == 21
    assert pickle.loads(pickle.dumps(error)).faults == error.faults


# Inside the files: after the good cases, together


def test_faults_of_files_are_collected_and_good_cases_come_first(task):
    pair(task, "good")
    pair(task, "broken")
    (task / "images" / "broken.png").write_bytes(b"\x89PNG")
    (task / "labels" / "broken.png").write_bytes(b"")
    pair(task, "shape", image=GREY[:, :4])
    stream = read_folder(Folder(task))
    assert next(stream).id == "good"
    with pytest.raises(DataError, match=r"task/labels/broken\.png: cannot be read") as error:
        list(stream)
    assert len(error.value.faults) == 3
    assert error.value.faults[1].startswith("task/images/broken.png: cannot be read")
    assert "shape (6, 5) differs from (6, 4) of task/images/shape.png" in error.value.faults[2]


def test_a_link_that_leads_nowhere_is_named(task):
    pair(task, "a")
    (task / "images" / "b.png").symlink_to(task / "annexed.png")
    put(task / "labels" / "b.png", MASK)
    with pytest.raises(DataError, match=r"task/images/b\.png: cannot be read \(FileNotFoundError"):
        cases(task)


def test_colour_among_grey_is_refused(task):
    pair(task, "a", image=COLOUR)
    pair(task, "b")
    text = r"task/images/a\.png: has 3 channels \(colour\) where task/images/b\.png has 1 \(grey\)"
    with pytest.raises(DataError, match=text):
        cases(task)


@pytest.mark.parametrize("which", ["labels/a.nii.gz", "images/a_0001.nii.gz"])
def test_volumes_must_lie_in_the_same_place(task, which):
    volumes(task, "a", NOISE, NOISE)
    shifted = np.eye(4)
    shifted[:3, 3] = 3.0, 0.0, 4.0
    values = VOLUME_MASK if which.startswith("labels") else NOISE
    put(task / which, values, shifted)
    with pytest.raises(DataError, match=rf"task/{which}: its affine places a corner 5 mm away"):
        cases(task)
    put(task / which, values, np.diag([1.0, 1.0, 2.0, 1.0]))
    with pytest.raises(DataError, match=rf"task/{which}: spacing 1 × 1 × 2 mm differs from 1 × 1"):
        cases(task)


def test_four_axes_and_nan_are_refused(task):
    volumes(task, "a", np.stack([NOISE, NOISE], axis=-1))
    values = NOISE.astype(np.float32)
    values[0, 0] = np.nan
    volumes(task, "b", values)
    volumes(task, "c", NOISE, mask=np.where(VOLUME_MASK, np.nan, np.float32(0)))
    with pytest.raises(DataError, match=r"a_0000\.nii\.gz: has shape .*3 axes are exp") as error:
        cases(task)
    assert "b_0000.nii.gz: 4 of 120 intensities are NaN or infinite" in error.value.faults[1]
    assert "labels/c.nii.gz: " in error.value.faults[2] and "mask values" in error.value.faults[2]


def test_a_constant_image_warns_and_is_kept(task):
    pair(task, "a", image=GREY * 0 + 7)
    with pytest.warns(DataWarning, match=r"task/images/a\.png: is constant \(every value is 7\)"):
        assert len(cases(task)) == 1


def test_a_folder_of_one_name_is_named_too(task, monkeypatch):
    monkeypatch.chdir(task)
    put(task / "images" / "a.png", GREY)
    put(task / "labels" / "b.png", MASK)
    refused(Path("."), r"task/images/a\.png: has no mask")


@pytest.mark.parametrize(
    ("name", "channels", "dimensions"),
    [("polyps", 3, 2), ("nerve", 1, 2), ("glioma", 1, 3), ("hippocampus", 1, 3)],
)
def test_real_tasks_have_the_fractions_of_their_index(real_data, name, channels, dimensions):
    if not (real_data / name).is_dir():
        pytest.skip(f"the real data at {real_data} has no {name}")
    with (real_data / name / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    for case in islice(read_folder(Folder(real_data / name)), 20):  # of nerve 40 are grey
        assert case.image.shape == (channels, *case.label.shape)
        assert case.label.ndim == len(case.spacing_mm) == dimensions
        assert case.group == rows[case.id]["group"]
        assert case.fraction == pytest.approx(float(rows[case.id]["fg"]), abs=1e-6)


def test_real_labels_of_two_classes_need_the_foreground(real_data, tmp_path):
    (tmp_path / "task").mkdir()
    for name, source in (("images", "images"), ("labels", "labels_multiclass")):
        (tmp_path / "task" / name).mkdir()
        for path in sorted((real_data / "hippocampus" / source).glob("*.nii.gz"))[:3]:
            (tmp_path / "task" / name / path.name).symlink_to(path)
    with pytest.raises(DataError, match=r"more than one value besides 0: 1 .*, 2 "):
        cases(tmp_path / "task")
    merged = cases(tmp_path / "task", foreground=(1, 2))
    binary = islice(read_folder(Folder(real_data / "hippocampus")), 3)
    for one, other in zip(merged, binary, strict=True):
        np.testing.assert_array_equal(one.label, other.label)
