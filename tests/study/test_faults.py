"""What a kill, a full disk, damage and Ctrl-C leave behind, and that a run goes on from it."""

import errno
import os
import re
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from segrisk.configuration import validate
from segrisk.data.errors import DataWarning
from segrisk.files import UNFINISHED, file_digest
from segrisk.study.config import Study
from segrisk.study.engine import Engine
from segrisk.study.plan import plan, prepare_tasks
from segrisk.study.stopping import stoppable
from segrisk.study.store import Store, StoreError, opened
from segrisk.study.worker import Work, run_cell
from segrisk.training.fit import Interrupted
from tiny_study import ROOT, TINY, command, environment

STUDY = validate(
    Study, {**TINY, "device": "cpu", "decisions": ["half-dice"], "fold_seed": 1}, "study.yaml"
)
CHANGES = ("replace", "fsync", "rename", "unlink", "rmdir", "mkdir")
"""What a process asks of the file system between two of which it may be killed."""
RESULTS = {"scores.csv", "scores_by_validation_dice.csv", "surrogates.csv", "curve.csv"}


class Killed(BaseException):
    """A process that is dead does nothing any more, not even what stands behind `except`."""


@contextmanager
def killed_before(count, monkeypatch, raised=Killed):
    """The change number `count` of the file system does not happen, nor any later one."""
    done = 0

    def guarded(change):
        def guard(*arguments, **options):
            nonlocal done
            done += 1
            if done >= count:
                raise raised
            return change(*arguments, **options)

        return guard

    with monkeypatch.context() as patched:
        for name in CHANGES:
            patched.setattr(os, name, guarded(getattr(os, name)))
        yield


@pytest.fixture(autouse=True)
def as_it_was():
    """A worker makes its whole process reproducible."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "out")


@pytest.fixture
def cells(store):
    """The start of a fold, a loss that begins from it, and a decision on that."""
    planned = plan(STUDY, prepare_tasks(STUDY, store.data))
    decision = next(cell for cell in planned if cell.kind == "decision")
    loss = next(cell for cell in planned if cell.key == decision.start)
    return [next(cell for cell in planned if cell.key == loss.start), loss, decision]


def run(store, cell):
    run_cell(Work(cell, STUDY.tasks[cell.task], store.root, 1, "32-true", "cpu"))


def results(store, cell):
    """What counts of a finished cell; how long it took does not."""
    folder = store.finished(cell.key)
    kept = {name: (folder / name).read_bytes() for name in RESULTS if (folder / name).exists()}
    if (folder / "weights.pt").exists():
        weights = torch.load(folder / "weights.pt", weights_only=True)
        kept["weights"] = b"".join(weights[key].numpy().tobytes() for key in sorted(weights))
    return kept


def test_killed_between_any_two_changes_of_the_disk_a_cell_ends_the_same(
    store, cells, monkeypatch, tmp_path
):
    for cell in cells:
        run(store, cell)
    expected = {cell.key: results(store, cell) for cell in cells}
    survived = 0
    for cell in cells[1:]:
        for count in range(1, 1000):
            os.rename(store.finished(cell.key), tmp_path / f"{cell.key}.{count}")
            try:
                with killed_before(count, monkeypatch):
                    run(store, cell)
            except Killed:
                survived += 1
                assert not store.is_finished(cell.key) or store.discard_damaged([cell]) == []
                run(store, cell)
                assert results(store, cell) == expected[cell.key]
                assert store.discard_damaged([cell]) == []
                assert not list(store.root.glob("cells/*.partial"))
            else:
                break
    assert survived > 30


def test_what_was_complete_is_named_not_run_again(store, cells, monkeypatch):
    start = cells[0]
    run(store, start)
    os.rename(store.finished(start.key), store.partial(start.key))
    monkeypatch.setattr("segrisk.study.worker._train", None)
    run(store, start)
    assert store.is_finished(start.key)


@pytest.mark.parametrize("harm", ["scores.csv", "elsewhere"])
def test_what_was_complete_is_run_again_if_it_is_damaged_or_stale(store, cells, harm):
    start, loss, _ = cells
    run(store, start)
    run(store, loss)
    expected = results(store, loss)
    os.rename(store.finished(loss.key), store.partial(loss.key))
    if harm == "scores.csv":
        (store.partial(loss.key) / harm).write_text("harm")
    else:
        manifest = store.finished(start.key) / "manifest.json"
        text = re.sub(r'("weights.pt": ")\w+', r"\1elsewhere", manifest.read_text())
        manifest.write_text(text)
    assert not store.is_complete(loss)
    run(store, loss)
    assert results(store, loss) == expected


def test_a_disk_that_fills_at_any_write_leaves_what_was_there(store, cells, monkeypatch):
    start, full = cells[0], OSError(errno.ENOSPC, "No space left on device")
    run(store, start)
    expected = results(store, start)
    os.rename(store.finished(start.key), store.root.parent / "aside")
    for count in (2, 5, 8, 11):
        with killed_before(count, monkeypatch, full), pytest.raises(OSError, match="No space left"):
            run(store, start)
        with pytest.raises(StoreError, match=r"no space left on device.*finished cells are kept"):
            Engine(None, store, None, None)._end(start, full)
    run(store, start)
    assert results(store, start) == expected


def test_a_cell_without_memory_is_named(store, cells, monkeypatch):
    def no_memory(*_):
        raise MemoryError("cannot allocate 8 GB")

    class Watched:
        def ended(self, cell, failure):
            assert cell is start and failure == "MemoryError: cannot allocate 8 GB"

    start = cells[0]
    monkeypatch.setattr("segrisk.study.worker._network", no_memory)
    with pytest.raises(MemoryError) as caught:
        run(store, start)
    Engine(None, store, None, Watched())._end(start, caught.value)
    assert store.failure(start.key) == "MemoryError: cannot allocate 8 GB"


def test_a_run_that_is_to_stop_saves_its_step_and_goes_on_from_it(store, cells, monkeypatch):
    monkeypatch.setattr("segrisk.study.worker.LOOK_SECONDS", 0.0)
    for cell in cells:
        run(store, cell)
    expected = {cell.key: results(store, cell) for cell in cells}
    for cell in cells:
        os.rename(store.finished(cell.key), store.root.parent / cell.key)
        store.ask_to_stop()
        with pytest.raises(Interrupted):
            run(store, cell)
        assert (store.partial(cell.key) / "checkpoint.pt").exists() == (cell.kind != "decision")
        with opened(store.root, "tiny"):  # the next run; it makes nothing of the order to stop
            assert not store.is_to_stop()
            run(store, cell)
        assert results(store, cell) == expected[cell.key]


def test_an_order_to_stop_is_no_failure(store, cells):
    Engine(None, store, None, None)._end(cells[0], Interrupted())
    assert store.failure(cells[0].key) is None


def test_the_first_signal_asks_and_the_second_stops():
    said = []
    before = signal.getsignal(signal.SIGINT)
    with stoppable(lambda: said.append("stopping")) as stop:
        assert not stop.is_due() and not said
        signal.raise_signal(signal.SIGTERM)
        assert not said and stop.is_due() and stop.is_due() and said == ["stopping"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_damaged_checkpoint_is_named_and_begun_again(store, cells, monkeypatch):
    start = cells[0]
    run(store, start)
    expected = results(store, start)
    os.rename(store.finished(start.key), store.root.parent / "aside")
    with killed_before(6, monkeypatch), pytest.raises(Killed):
        run(store, start)
    saved = store.partial(start.key) / "checkpoint.pt"
    assert store.discard_damaged([start]) == []
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 1
    saved.write_bytes(content)
    assert store.discard_damaged([start]) == [f"{start.title}, its checkpoint"]
    run(store, start)
    assert results(store, start) == expected


@pytest.mark.parametrize("name", ["images.bin", "targets.bin", "masks.bin", "task.json"])
def test_damaged_prepared_data_is_found_and_made_again(tmp_path, name):
    task = prepare_tasks(STUDY, tmp_path)["molar"]
    hashes = {path.name: file_digest(path) for path in task.folder.iterdir()}
    content = bytearray((task.folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (task.folder / name).write_bytes(content)
    with pytest.warns(DataWarning, match="the prepared cases were damaged, and are made again"):
        prepare_tasks(STUDY, tmp_path)
    assert {path.name: file_digest(path) for path in task.folder.iterdir()} == hashes
    prepare_tasks(STUDY, tmp_path)  # and now without a warning


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "study.json").write_text('{"name": "tiny", ')
    with (
        pytest.raises(StoreError, match=r"study.json: is damaged \(.*restore a copy"),
        opened(tmp_path, "tiny"),
    ):
        pass


@pytest.mark.parametrize("recorded", [True, False])
def test_what_a_kill_left_in_the_midst_of_a_write_goes_with_the_next_run(tmp_path, recorded):
    left = [
        ".study.json.7.tmp",
        f"report/{UNFINISHED}x/.means.csv.7.tmp",
    ]
    for name in left if recorded else left[:1]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("half")
    if recorded:
        (tmp_path / "study.json").write_text('{"name": "tiny"}')
        (tmp_path / "report" / ".others").mkdir()
    with opened(tmp_path, "tiny"):
        pass
    assert not [*tmp_path.rglob("*.tmp"), *tmp_path.rglob(f"{UNFINISHED}*")]
    assert not recorded or (tmp_path / "report" / ".others").is_dir()


def test_nothing_asks_what_time_it_is():
    # A clock that is set back, on one machine or between two, then cannot mislead anything.
    clock = re.compile(r"\btime\.time\b|\bst_[mc]time|getmtime|datetime|\bctime\b")
    # Two show when another machine was last heard of; one asks whether a file is as it was.
    only_show = {"mirror.py", "lease.py", "remember.py"}
    for folder in ("study", "training", "data"):
        for path in (ROOT / "src" / "segrisk" / folder).rglob("*.py"):
            assert path.name in only_show or not clock.search(path.read_text()), path


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_a_run_that_then_goes_on(segrisk, finished, tmp_path, times):
    folder, _ = finished
    file, out = folder / "study.yaml", tmp_path / "out"
    process = subprocess.Popen(
        command("study", "run", file, "--out", out),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while not list(out.glob("cells/*.partial/checkpoint.pt")):
        time.sleep(0.002)
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        time.sleep(0.01)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 130 and "Traceback" not in output
    assert "the same command continues" in output
    if times == 1:
        assert "stopping: every training ends its step and saves" in output
    assert segrisk("study", "run", file, "--out", out).returncode == 0
    expected = (Path(folder) / "out" / "report" / "scores.csv").read_bytes()
    assert (out / "report" / "scores.csv").read_bytes() == expected
