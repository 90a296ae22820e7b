"""Labels that nobody knows, and labels that several raters drew: from files to prepared arrays."""

import shutil

import numpy as np
import pytest

import image_trees as trees
from image_trees import SPACE, labels
from segrisk.data.case import Case
from segrisk.data.errors import DataError
from segrisk.data.folder import Folder
from segrisk.data.prepare import load_prepared, prepare
from segrisk.data.preprocessing import DEFAULT, Preprocessing, preprocess
from segrisk.data.readers import read_folder

SIZE = (16, 12)


def cases(root, **options):
    return list(read_folder(Folder(root, **options)))


def refused(root, text, **options):
    with pytest.raises(DataError, match=text) as error:
        cases(root, **options)
    return error.value


def drawn(seed=0, *, ignored=None, raters=None, name="a") -> Case:
    generator = np.random.default_rng(seed)
    image = generator.standard_normal((1, *SIZE), dtype=np.float32)
    label = generator.random(SIZE) < 0.4
    return Case(name, name, image, label, (1.0, 1.0), raters=raters, ignored=ignored)


def half() -> np.ndarray:
    ignored = np.zeros(SIZE, bool)
    ignored[:, : SIZE[1] // 2] = True
    return ignored


# What is read


def test_nnunet_voxels_of_the_ignored_label_are_kept_apart(tmp_path):
    root = trees.nnunet(tmp_path / "Dataset042", values=(1, 2, 3))
    (tmp_path / "Dataset042/labelsTr/p2.nii.gz").unlink()
    trees.nifti(root / "labelsTr/p2.nii.gz", labels(1, 2))
    first, second = cases(root, target="whole")
    np.testing.assert_array_equal(first.ignored, labels(1, 2, 3) == 3)
    np.testing.assert_array_equal(first.label, np.isin(labels(1, 2, 3), (1, 2)))
    assert second.ignored is None
    foreground, known = first.label.sum(), np.prod(SPACE) - first.ignored.sum()
    assert first.fraction == foreground / known != second.fraction


@pytest.mark.parametrize("foreground", [(), (1,)])
def test_any_layout_may_have_a_value_that_counts_for_nothing(tmp_path, foreground):
    mask = np.zeros((9, 8), np.uint8)
    mask[2:5, 2:5], mask[6:, :] = 1, 255
    for name in ("a", "b"):
        trees.picture(
            tmp_path / f"set/images/{name}.png", np.arange(72, dtype=np.uint8).reshape(9, 8)
        )
        trees.picture(tmp_path / f"set/labels/{name}.png", mask)
    first, _ = cases(tmp_path / "set", ignore=255, foreground=foreground)
    np.testing.assert_array_equal(first.ignored, mask == 255)
    np.testing.assert_array_equal(first.label, mask == 1)
    refused(tmp_path / "set", "more than one value besides 0: 1 .*, 255 ")
    refused(tmp_path / "set", "no mask has the ignored value 7.*: correct `ignore`", ignore=7,
            foreground=(1,), labels=(255,))  # fmt: skip


def test_an_ignored_label_that_is_foreground_is_refused(tmp_path):
    root = trees.nnunet(tmp_path / "Dataset042", values=(1, 2, 3))
    text = "3 is both a label of the foreground \\(1, 3\\) and the ignored one"
    refused(root, text, foreground=(1, 3))
    with pytest.raises(ValueError, match=r"foreground .3. has 3, which `ignore` leaves out"):
        Folder(root, foreground=(3,), ignore=3)
    with pytest.raises(ValueError, match="ignore 0 is the background"):
        Folder(root, ignore=0)
    with pytest.raises(ValueError, match=r"ignore 9 and threshold 0\.5 exclude each other"):
        Folder(root, ignore=9, threshold=0.5)


def test_raters_agree_on_what_they_know(tmp_path):
    root = trees.qubiq(tmp_path / "brain")
    space = (9, 8, 1)
    for rater, values in enumerate(([1, 0, 9, 9], [1, 1, 9, 1], [0, 0, 9, 0]), start=1):
        mask = np.zeros(space, np.float32)
        mask[0, :4, 0] = values
        trees.nifti(root / f"case01/task01_seg{rater:02d}.nii.gz", mask, np.eye(4))
    first, second = cases(root, dimensions=2, ignore=9, foreground=(1,))
    np.testing.assert_allclose(first.raters[0, :4], [2 / 3, 1 / 3, 0, 1 / 2], rtol=1e-6)
    np.testing.assert_array_equal(first.label[0, :4], [True, False, False, False])
    assert first.ignored.sum() == 1 and first.ignored[0, 2] and second.ignored is None


def test_raters_of_different_grids_are_refused(tmp_path):
    root = trees.qubiq(tmp_path / "brain")
    path = root / "case02/task01_seg02.nii.gz"
    trees.nifti(path, np.ones((9, 7, 1), np.float32), np.eye(4))
    refused(root, r"case02/task01_seg02\.nii\.gz: shape \(9, 7, 1\) differs", dimensions=2)


# What is prepared


def test_what_stands_under_the_ignored_voxels_changes_nothing(tmp_path):
    where = half()
    one, other = drawn(ignored=where), drawn(ignored=where)
    other = Case("a", "a", one.image, one.label ^ where, (1.0, 1.0), ignored=where)
    tasks = [prepare([case], (8, 8), tmp_path / name) for case, name in ((one, "1"), (other, "2"))]
    assert tasks[0].key == tasks[1].key and tasks[0].entries == tasks[1].entries
    for path in sorted((tmp_path / "1").glob("*/*")):
        assert path.read_bytes() == (tmp_path / "2" / path.parent.name / path.name).read_bytes()


def test_ignored_voxels_lie_beside_the_targets_and_the_masks(tmp_path):
    where = half()
    three = [drawn(0, name="a"), drawn(1, ignored=where, name="b"), drawn(2, name="c")]
    for size in ((8, 6), None):
        task = prepare(three, size, tmp_path)
        assert task.ignores and task.entries[1].ignored == where.sum()
        assert [task.known(index) is None for index in range(3)] == [True, False, True]
        np.testing.assert_array_equal(task.known(1), ~where)
        np.testing.assert_array_equal(task.mask(2), three[2].label)
        sides = task.shapes[1]
        for index in range(3):
            expected = index == 1 and np.arange(sides[1]) < sides[1] // 2
            np.testing.assert_array_equal(task.ignored[index][0], np.broadcast_to(expected, sides))
            assert not (task.targets[index] & task.ignored[index]).any()


def test_a_task_without_ignored_voxels_is_prepared_as_ever(tmp_path):
    task = prepare([drawn(ignored=np.zeros(SIZE, bool))], (8, 8), tmp_path)
    assert task == prepare([drawn()], (8, 8), tmp_path) and task.ignored is None
    names = {path.name for path in task.folder.iterdir()}
    assert names == {"images.bin", "targets.bin", "masks.bin", "task.json"}
    text = (task.folder / "task.json").read_text()
    assert "ignored" not in text and "soft" not in text
    assert task.key.startswith("43357f67d3a5e565")  # as it was before voxels could be ignored


def test_a_voxel_of_the_network_is_what_the_known_part_of_it_is():
    image = np.zeros((1, 4, 2), np.float32)
    label = np.array([[1, 0], [0, 0], [1, 1], [0, 0]], bool)
    ignored = np.array([[0, 1], [0, 0], [0, 1], [1, 1]], bool)
    case = Case("a", "a", image, label, (1.0, 1.0), ignored=ignored)
    seen = preprocess(case, (4, 1), DEFAULT)
    # Anti-aliasing smooths along the shrunk axis alone: two voxels become one.
    assert seen.ignored[0, :, 0].tolist() == [False, False, False, True]
    assert seen.target[0, :, 0].tolist() == [1, 0, 1, 0]


def test_cases_with_nothing_to_learn_or_of_one_rater_are_named(tmp_path):
    nothing = drawn(ignored=np.ones(SIZE, bool), name="blank")
    with pytest.raises(DataError, match="case blank: every voxel that a network would see is ign"):
        prepare([drawn(), nothing], (8, 8), tmp_path)
    share = np.full(SIZE, 0.25, np.float32)
    with pytest.raises(
        DataError, match="b: has the mask of one rater, and `train_on: raters` need"
    ):
        prepare([drawn(raters=share), drawn(name="b")], (8, 8), tmp_path, soft=True)
    with pytest.raises(DataError, match="no case has masks of several raters: leave out `train_on"):
        prepare([drawn(), drawn(name="b")], (8, 8), tmp_path, soft=True)
    assert list(tmp_path.iterdir()) == []


def test_the_share_of_raters_becomes_a_soft_target(tmp_path):
    share = (np.arange(np.prod(SIZE)).reshape(SIZE) % 4 / 3).astype(np.float32)
    case = drawn(raters=share, ignored=half())
    hard = prepare([case], None, tmp_path, Preprocessing(spacing_mm=(1, 1)))
    soft = prepare([case], None, tmp_path, Preprocessing(spacing_mm=(1, 1)), soft=True)
    assert soft.soft and not hard.soft and soft.key != hard.key
    assert load_prepared(soft.folder) == soft
    np.testing.assert_array_equal(soft.targets[0][0], np.where(half(), 0, share))
    np.testing.assert_array_equal(soft.ignored[0][0], half())
    np.testing.assert_array_equal(soft.mask(0), case.label)
    shrunk = prepare([case], (5, 7), tmp_path, soft=True).targets
    assert shrunk.dtype == np.float32 and 0 <= shrunk.min() < shrunk.max() <= 1
    other = drawn(raters=1 - share, ignored=half())
    assert prepare([other], (5, 7), tmp_path).key == prepare([case], (5, 7), tmp_path).key
    shutil.rmtree(tmp_path)
