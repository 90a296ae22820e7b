"""Results in object storage: what counts there, what an interruption leaves, who may work there."""

import json
import shutil
import subprocess
import time
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrisk.configuration import validate
from segrisk.files import write_json
from segrisk.study import lease, mirror, remote
from segrisk.study.config import Study
from segrisk.study.lease import Lease, is_held
from segrisk.study.mirror import Mirror, looked_at, opened_at, working_folder
from segrisk.study.plan import restore
from segrisk.study.remote import Remote
from segrisk.study.store import MANIFEST, WEIGHTS, Store, StoreError
from tiny_study import command, environment


@pytest.fixture
def there():
    """An empty place in storage."""
    return Remote(f"memory://{uuid4().hex}/run")


@pytest.fixture
def cell(tmp_path):
    """A finished cell in a store here."""
    store = Store(tmp_path / "here")
    folder = store.begin("key")
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / "scores.csv").write_text("0.5")
    store.commit("key")
    return store.finished("key")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_pulled_is_what_was_pushed(there, cell, tmp_path):
    there.push(cell, "cells/key")
    assert there.pull("cells/key", tmp_path / "other" / "key")
    assert contents(tmp_path / "other" / "key") == contents(cell)
    assert there.manifests() == {"key": json.loads((cell / MANIFEST).read_text())}


class Interrupted(Exception):
    pass


@settings(max_examples=20, deadline=None)
@given(data=st.data(), files=st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=9)))
def test_an_upload_that_is_cut_off_anywhere_does_not_count_and_is_redone(
    tmp_path_factory, data, files
):
    there, folder = Remote(f"memory://{uuid4().hex}/run"), tmp_path_factory.mktemp("cut")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    left = data.draw(st.integers(0, len(files)))

    def cut(given):
        def act(*arguments, **options):
            nonlocal left
            left -= 1
            if left < 0:
                raise Interrupted
            return given(*arguments, **options)

        return act

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(there, "put", cut(there.put))
        patch.setattr(there, "write", cut(there.write))
        there.push(folder, "cells/key")
    back = tmp_path_factory.mktemp("back") / "key"
    assert not there.pull("cells/key", back) and not there.manifests() and not back.exists()
    there.push(folder, "cells/key")
    assert there.pull("cells/key", back)
    assert {**contents(back), MANIFEST: b""} == {**files, MANIFEST: b""}


@pytest.mark.parametrize("harm", ["changed", "gone", "cut manifest"])
def test_a_cell_that_came_to_harm_there_does_not_count(there, cell, tmp_path, harm):
    there.push(cell, "cells/key")
    if harm == "changed":
        there.write("cells/key/scores.csv", 0.9)
    elif harm == "gone":
        there.delete("cells/key/scores.csv")
    else:
        there._fs.pipe_file(there._path(f"cells/key/{MANIFEST}"), b'{"scores.csv": ')
    assert not there.pull("cells/key", tmp_path / "other" / "key")
    assert there.read(f"cells/key/{MANIFEST}") is None
    assert not (tmp_path / "other" / "key").exists()
    there.push(cell, "cells/key")
    assert there.pull("cells/key", tmp_path / "other" / "key")


def test_of_two_whole_uploads_the_first_counts_and_both_have_it(there, cell, tmp_path):
    second = Store(tmp_path / "second")
    folder = second.begin("key")
    shutil.copytree(cell, folder, dirs_exist_ok=True)
    (folder / MANIFEST).unlink()
    (folder / "effort.json").write_text("slower")
    second.commit("key")
    there.push(cell, "cells/key")
    there.push(second.finished("key"), "cells/key")
    assert there.pull("cells/key", second.finished("key"))
    assert contents(second.finished("key")) == contents(cell)


def test_a_cell_without_its_weights_is_replaced_by_one_that_has_them(there, cell, tmp_path):
    kept = tmp_path / "kept" / "key"
    shutil.copytree(cell, kept, ignore=shutil.ignore_patterns(WEIGHTS))
    there.push(kept, "cells/key")
    assert there.pull("cells/key", tmp_path / "other" / "key")
    assert not (tmp_path / "other" / "key" / WEIGHTS).exists()
    there.push(cell, "cells/key")
    assert there.pull("cells/key", tmp_path / "other" / "key")
    assert (tmp_path / "other" / "key" / WEIGHTS).read_bytes() == b"weights"


def test_who_only_looks_fetches_no_weights_and_who_predicts_gets_them(there, cell, tmp_path):
    there.push(cell, "cells/key")
    seen = tmp_path / "seen" / "key"
    assert there.pull("cells/key", seen, weights=False) and not (seen / WEIGHTS).exists()
    assert there.pull("cells/key", seen) and (seen / WEIGHTS).exists()


def test_what_is_the_same_here_is_not_fetched_again(there, cell, monkeypatch):
    there.push(cell, "cells/key")
    monkeypatch.setattr(there, "_download", None)
    assert there.pull("cells/key", cell)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("nowhere://bucket/run", "nowhere://bucket/run: cannot be reached .*nowhere"),
        ("gs://bucket/run", "gs://bucket/run: .*gcsfs"),
    ],
)
def test_storage_that_cannot_be_used_says_so(url, text):
    with pytest.raises(StoreError, match=text):
        Remote(url)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lease, "BEAT", 0.05)
    monkeypatch.setattr(lease, "PATIENCE", 0.6)


def held(there, owner):
    taken = Lease(there, owner)
    taken.take(lambda text: None)
    return taken


def test_a_second_run_is_refused_while_the_first_lives(there, quick):
    first, told = held(there, "anna"), []
    with pytest.raises(StoreError, match=r"another run is working here \(anna\); wait for it"):
        Lease(there, "bert").take(told.append)
    assert "a run of anna has not said that it ended; watching" in told[0]
    first.check()
    first.release()
    held(there, "bert").release()
    assert there.read("lease.json") is None


def test_a_lease_whose_owner_is_gone_is_taken_over_and_the_owner_notices(there, quick):
    there.write("lease.json", {"owner": "anna", "id": "1", "beats": 7, "at": 0})
    began = time.monotonic()
    second = held(there, "bert")
    assert time.monotonic() - began >= lease.PATIENCE
    assert is_held(there)
    there.write("lease.json", {"owner": "carl", "id": "2", "beats": 0, "at": 0})
    time.sleep(0.3)
    with pytest.raises(StoreError, match=r"no longer holds its lease \(carl took it\)"):
        second.check()
    second.release()
    assert there.read("lease.json")["owner"] == "carl" and not is_held(there)


def test_the_same_folder_s_next_run_need_not_wait(there):
    there.write("lease.json", {"owner": "anna 1f", "id": "1", "beats": 7, "at": 0})
    held(there, "anna 1f").release()


def test_who_cannot_renew_stops_before_another_may_take_over(there, quick, monkeypatch):
    first = held(there, "anna")

    def fail(*_):
        raise OSError("unreachable")

    monkeypatch.setattr(there, "read", fail)
    time.sleep(lease.PATIENCE)
    with pytest.raises(StoreError, match="could not be renewed"):
        first.check()
    first.release()


@pytest.fixture
def mirrored(finished, tmp_path, there, monkeypatch):
    """The finished tiny study in a folder here and, whole, in storage; and its cells."""
    monkeypatch.setenv("SEGRISK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "PROGRESS_SECONDS", 0.0)
    root = working_folder(there.url)
    shutil.copytree(finished[0] / "out", root)
    store = Store(root, Mirror(there, root))
    store.send()
    store.publish("study.json")
    cells = restore(store.read(), store.data)
    store.publish(f"data/{cells[0].data.name}")
    return store, cells


def test_a_damaged_copy_here_is_fetched_again_and_one_there_is_run_again(mirrored):
    store, cells = mirrored
    (store.finished(cells[1].key) / "scores.csv").write_text("harm")
    assert store.discard_damaged(cells) == []
    assert store.is_finished(cells[1].key)
    store.mirror.remote.write(f"cells/{cells[2].key}/scores.csv", "harm")
    (store.finished(cells[2].key) / "scores.csv").write_text("harm")
    assert store.discard_damaged(cells) == [cells[2].title]
    assert store.missing(cells) == [cells[2]]
    assert cells[2].key not in store.mirror.remote.manifests()


def test_a_stale_cell_goes_there_too(mirrored):
    store, cells = mirrored
    path = store.finished(cells[1].key) / "cell.json"
    write_json(path, {**json.loads(path.read_text()), "began_from": "elsewhere"})
    assert store.discard_stale(cells) == [cells[1]]
    assert cells[1].key not in store.mirror.remote.manifests()


def test_failures_are_told_there_and_forgotten_there(mirrored):
    store, cells = mirrored
    store.fail(cells[1].key, "no")
    assert looked_at(store.url).failure(cells[1].key) == "no"
    store.forget_failures()
    assert looked_at(store.url).failure(cells[1].key) is None


def test_a_node_that_shares_no_folder_gets_what_a_cell_needs(mirrored, tmp_path):
    store, cells = mirrored
    root, cell = tmp_path / "node", cells[1]
    store.mirror.remote.provide(cell.start, root / "data" / cell.data.name, root)
    assert contents(root / "cells" / cell.start) == contents(store.finished(cell.start))
    data = contents(root / "data" / cell.data.name)
    assert {**data, MANIFEST: b""} == {**contents(cell.data), MANIFEST: b""}
    store.mirror.remove(cell.start)
    with pytest.raises(StoreError, match="to begin from is not there, or damaged"):
        store.mirror.remote.provide(cell.start, root / "data" / cell.data.name, root)


def test_whoever_looks_sees_what_is_there_and_no_more(mirrored, monkeypatch):
    store, cells = mirrored
    seen = looked_at(store.url)
    assert seen.root != store.root and not seen.missing([c for c in cells if c.kind != "start"])
    assert not list(seen.root.rglob("*.pt")) and not list(seen.root.rglob("images.bin"))
    store.mirror.remove(cells[1].key)
    name = f"cells/{cells[1].key}.partial/progress.json"
    store.mirror.remote.write(name, {"epoch": 2})
    seen = looked_at(store.url)
    assert not seen.is_finished(cells[1].key) and (seen.root / name).exists()
    assert store.is_finished(cells[1].key)  # what a run has here is its own
    whole = looked_at(store.url, whole=True)
    assert all(whole.has_weights(cell.key) for cell in cells if cell.key != cells[1].key)
    assert (whole.data / cells[0].data.name / "images.bin").exists()


def test_how_far_cells_elsewhere_are_is_seen_here_and_goes_with_the_cell(mirrored, monkeypatch):
    store, cells = mirrored
    monkeypatch.setattr(mirror, "PROGRESS_SECONDS", 0.0)
    key = cells[1].key
    store.mirror.remote.write(f"cells/{key}.partial/progress.json", {"epoch": 2})
    store.attend([key])
    assert json.loads((store.partial(key) / "progress.json").read_text()) == {"epoch": 2}
    assert store.fetch(key) and not store.partial(key).exists()


def test_a_place_of_another_study_or_of_something_else_is_refused(mirrored, there):
    with pytest.raises(StoreError, match="belongs to study 'tiny', not to 'other'"):
        with opened_at(mirrored[0].url, "other", print):
            pass
    foreign = Remote(f"memory://{uuid4().hex}/run")
    foreign.write("thesis.json", 1)
    with pytest.raises(StoreError, match="is not empty and holds no study"):
        with opened_at(foreign.url, "tiny", print):
            pass
    with pytest.raises(StoreError, match="holds no study; 'segrisk study run' makes one"):
        looked_at(f"memory://{uuid4().hex}/run")


def test_a_new_machine_opens_it_with_all_that_is_there(mirrored, tmp_path, monkeypatch):
    store, cells = mirrored
    monkeypatch.setenv("SEGRISK_CACHE", str(tmp_path / "new machine"))
    with opened_at(store.url, "tiny", print) as opened:
        assert opened.root != store.root and not opened.missing(cells)
        assert is_held(store.mirror.remote)
        assert store.is_busy()
        recorded = validate(Study, opened.read()["study"], "study.json")
        opened.declare(recorded, cells)
    assert not is_held(store.mirror.remote)
    assert replace(store, mirror=None).read() == store.mirror.remote.read("study.json")


def test_a_study_in_storage_ends_with_the_bytes_of_one_in_a_folder(finished, tmp_path):
    folder, _ = finished
    place, cache = tmp_path / "place", tmp_path / "cache"
    url = place.as_uri()
    shutil.copytree(folder / "out" / "cells", place / "cells")
    record = json.loads((folder / "out" / "study.json").read_text())
    shutil.copy(folder / "out" / "study.json", place)
    # An upload that was cut off, and a file that came to harm: both are run again.
    lost, harmed = [cell["key"] for cell in record["cells"] if cell["loss"]][:2]
    (place / "cells" / lost / MANIFEST).unlink()
    (place / "cells" / harmed / "scores.csv").write_text("harm")

    result = subprocess.run(
        command("study", "run", folder / "study.yaml", "--out", url, "--workers", 1),
        capture_output=True,
        text=True,
        env={**environment(), "SEGRISK_CACHE": str(cache)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 of 6 cells need no training, 2 do" in result.stdout
    expected = (folder / "out" / "report" / "scores.csv").read_bytes()
    assert (place / "report" / "scores.csv").read_bytes() == expected
    assert {path.parent.name for path in place.glob("cells/*/manifest.json")} == {
        cell["key"] for cell in record["cells"]
    }
    assert not (place / "lease.json").exists()
