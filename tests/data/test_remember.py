"""Files that were read are not read again; whatever changes about them is."""

import json
import os

import numpy as np
import pytest

import image_trees as trees
from segrisk.data import remember
from segrisk.data.errors import DataError
from segrisk.data.folder import Folder
from segrisk.data.prepare import prepare
from segrisk.data.preprocessing import Preprocessing
from segrisk.data.readers import read_folder
from segrisk.data.remember import MEMORY, prepare_folder

SIZE = (8, 8)


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        image = generator.integers(0, 255, (12, 10), dtype=np.uint8)
        trees.picture(tmp_path / f"set/images/{name}.png", image)
        trees.picture(tmp_path / f"set/labels/{name}.png", np.eye(12, 10, dtype=np.uint8))
    return Folder(tmp_path / "set")


@pytest.fixture
def read(monkeypatch):
    """How often files were opened."""
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return real(*arguments)

    real = remember.read_found
    monkeypatch.setattr(remember, "read_found", counted)
    return calls


def test_the_same_files_are_read_once_and_keep_the_name_of_their_content(folder, read, tmp_path):
    first = prepare_folder(folder, SIZE, tmp_path / "data")
    assert prepare_folder(folder, SIZE, tmp_path / "data") == first and len(read) == 1
    assert first.key == prepare(read_folder(folder), SIZE, tmp_path / "other").key
    assert set(json.loads((tmp_path / "data" / MEMORY).read_text()).values()) == {first.folder.name}


def test_whatever_may_change_the_content_makes_it_be_read(folder, read, tmp_path):
    def keys():
        return prepare_folder(folder, SIZE, tmp_path / "data").key

    first, label = keys(), folder.path / "labels/b.png"
    os.utime(label, ns=(1, 1))
    assert keys() == first and len(read) == 2  # read again, and found to be the same
    before = label.stat()
    trees.picture(label, np.eye(12, 10, 1, dtype=np.uint8))
    os.utime(label, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a copy may keep it
    second = keys()
    assert second != first and len(read) == 3
    (folder.path / "index.csv").write_text("id,group\na,x\nb,x\nc,y\n")
    third = keys()
    assert third not in (first, second) and len(read) == 4
    for options in ({"size": (4, 4)}, {"by": Preprocessing(normalise="none")}):
        prepare_folder(folder, **{"size": SIZE, "root": tmp_path / "data", **options})
    prepare_folder(Folder(folder.path, exclude=("c",)), SIZE, tmp_path / "data")
    assert len(read) == 7
    assert keys() == third and len(read) == 7


def test_names_are_checked_every_time_and_a_lost_memory_is_no_loss(folder, read, tmp_path):
    first = prepare_folder(folder, SIZE, tmp_path / "data")
    (tmp_path / "data" / MEMORY).write_text("{broken")
    assert prepare_folder(folder, SIZE, tmp_path / "data") == first and len(read) == 2
    (first.folder / "task.json").unlink()
    (folder.path / "labels/a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png: has no mask in labels/"):
        prepare_folder(folder, SIZE, tmp_path / "data")


def test_another_version_of_the_code_reads_anew(folder, read, tmp_path, monkeypatch):
    prepare_folder(folder, SIZE, tmp_path / "data")
    monkeypatch.setattr(remember, "_code", lambda: "later")
    prepare_folder(folder, SIZE, tmp_path / "data")
    assert len(read) == 2
