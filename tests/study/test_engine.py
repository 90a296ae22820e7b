"""The rules that all engines share, on a pool that runs nothing, and the local processes."""

import errno
import os
from functools import partial

import pytest

from segrisk.configuration import ConfigurationError, validate
from segrisk.files import write_json
from segrisk.processes import end, started
from segrisk.study import local
from segrisk.study.config import Study
from segrisk.study.engine import ATTEMPTS, Engine, Lost
from segrisk.study.local import LocalPool, default_workers, local_pool, visible_gpus
from segrisk.study.plan import plan, prepare_tasks
from segrisk.study.resources import Local, Ray, chosen
from segrisk.study.store import MANIFEST, WEIGHTS, Store, StoreError
from segrisk.study.worker import enter
from tiny_study import TINY


def study(**changes):
    return validate(Study, {**TINY, "device": "cpu", **changes}, "study.yaml")


class Told:
    """A view that keeps what it was told."""

    def __init__(self):
        self.done, self.failed, self.again = [], {}, []

    def update(self, running):
        pass

    def ended(self, cell, failure):
        if failure is None:
            self.done.append(cell.key)
        else:
            self.failed[cell.key] = failure

    def discarded(self, cells, why):
        self.again += [cell.key for cell in cells]


class Scripted:
    """A pool in which `outcome(work, attempt)` says how each attempt at a cell ends."""

    def __init__(self, store, outcome, capacity=2):
        self.store, self.outcome, self.capacity = store, outcome, capacity
        self.begun, self.running, self.most, self.closed = [], [], 0, False

    def submit(self, work):
        if work.cell.start is not None:
            assert self.store.has_weights(work.cell.start), "begun before its start was finished"
        self.begun.append(work.cell.key)
        self.running.append(work)
        self.most = max(self.most, len(self.running))

    def ended(self):
        work = self.running.pop(0)
        key = work.cell.key
        error = self.outcome(work, self.begun.count(key))
        if error is None:
            finish(self.store, key)
        return [(key, error)]

    def close(self):
        self.closed = True


def finish(store, key):
    folder = store.begin(key)
    (folder / WEIGHTS).write_bytes(key.encode())
    (folder / "scores.csv").write_text("x")
    store.commit(key)


@pytest.fixture
def ran(tmp_path):
    """Run the tiny study in a scripted pool."""

    def ran(outcome, **options):
        store, view = Store(tmp_path / "out"), Told()
        store.root.mkdir()
        given = study()
        cells = plan(given, prepare_tasks(given, store.data))
        pool = Scripted(store, outcome, **options)
        Engine(given, store, pool, view).run(cells)
        assert pool.closed
        return cells, store, pool, view

    return ran


@pytest.mark.parametrize("capacity", [1, 2, 5])
def test_every_cell_is_run_once_after_its_start_and_never_too_many_at_once(ran, capacity):
    cells, _, pool, view = ran(lambda work, attempt: None, capacity=capacity)
    assert sorted(pool.begun) == sorted(view.done) == sorted(cell.key for cell in cells)
    assert pool.most <= capacity


def test_losses_wait_for_their_start_and_are_left_where_it_fails(ran):
    def outcome(work, attempt):
        is_first = work.cell.start is None and work.cell.fold == 0
        return RuntimeError("no") if is_first else None

    cells, store, pool, view = ran(outcome)
    assert len(pool.begun) == 4 and len(view.done) == 3  # the other fold, whole
    (key,) = view.failed
    assert view.failed[key] == store.failure(key) == "RuntimeError: no"
    assert len(store.missing(cells)) == 3


@pytest.mark.parametrize("what", ["worker", "node"])
def test_a_lost_cell_is_tried_again_and_its_losses_are_counted_once(ran, what):
    limit = ATTEMPTS[what]
    lost = {}

    def outcome(work, attempt):
        lost.setdefault("key", work.cell.key)
        return Lost(what) if work.cell.key == lost["key"] and attempt < limit else None

    cells, _, pool, view = ran(outcome)
    assert pool.begun.count(lost["key"]) == limit
    assert sorted(view.done) == sorted(cell.key for cell in cells) and not view.failed


@pytest.mark.parametrize(("what", "help"), [("worker", "out of memory"), ("node", "machine")])
def test_a_cell_that_loses_every_worker_has_failed_and_its_companions_have_not(ran, what, help):
    def outcome(work, attempt):
        is_bad = work.cell.loss is not None and work.cell.loss.name == "soft_dice"
        return Lost(what) if is_bad and work.cell.fold == 1 else None

    cells, _, pool, view = ran(outcome)
    (bad,) = view.failed
    assert pool.begun.count(bad) == ATTEMPTS[what]
    assert f"died {ATTEMPTS[what]} times" in view.failed[bad] and help in view.failed[bad]
    assert len(view.done) == len(cells) - 1


def test_lost_machines_do_not_count_as_lost_workers(ran):
    losses = [*[Lost("worker")] * (ATTEMPTS["worker"] - 1), *[Lost("node")] * 4]

    def outcome(work, attempt):
        is_first = work.cell.start is None and work.cell.fold == 0
        return losses[attempt - 1] if is_first and attempt <= len(losses) else None

    *_, view = ran(outcome)
    assert not view.failed


def test_a_full_disk_ends_the_run_with_what_to_do(ran, tmp_path):
    with pytest.raises(StoreError, match=r"cannot be written.*free space.*finished cells are kept"):
        ran(lambda work, attempt: OSError(errno.ENOSPC, "No space left on device"))


def test_losses_of_a_start_that_came_out_otherwise_are_run_again(ran, tmp_path):
    cells, store, *_ = ran(lambda work, attempt: None)
    start = next(cell for cell in cells if cell.kind == "start")
    begun = [cell for cell in cells if cell.start == start.key]
    for cell in begun:
        write_json(store.finished(cell.key) / "cell.json", {"began_from": "elsewhere"})
    (store.finished(start.key) / WEIGHTS).unlink()
    (store.finished(begun[0].key) / MANIFEST).unlink()  # one is missing, so the start is needed
    view = Told()
    Engine(study(), store, Scripted(store, lambda work, attempt: None), view).run(cells)
    assert view.again == [cell.key for cell in begun]
    assert sorted(view.done) == sorted([start.key, *(cell.key for cell in begun)])


def seen() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def test_workers_see_one_gpu_each_in_turn(monkeypatch):
    begun = []

    class Process:
        def __init__(self, initializer):
            self.gpu = initializer.args[0]

        def submit(self, function, work):
            begun.append(self.gpu)
            return local.Future()

    monkeypatch.setattr(local, "started", lambda workers, initializer: Process(initializer))
    gpus = ["3", "GPU-8f2a"]
    for pool in (LocalPool(4, gpus), LocalPool(2)):
        for index in range(pool.capacity):
            pool.submit(type("Work", (), {"cell": type("Cell", (), {"key": str(index)})}))
    assert begun == ["3", "GPU-8f2a", "3", "GPU-8f2a", None, None]


def test_a_worker_has_its_gpu_in_its_environment(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    pool = started(1, partial(enter, "1"))
    try:
        assert pool.submit(seen).result() == "1"
    finally:
        end(pool)
    assert seen() is None


@pytest.mark.parametrize(
    ("named", "count", "expected"),
    [(None, 2, ["0", "1"]), ("2, 5", 2, ["2", "5"]), ("GPU-8f2a", 1, ["GPU-8f2a"]), ("", 0, [])],
)
def test_gpus_are_called_as_the_environment_calls_them(monkeypatch, named, count, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    assert visible_gpus() == expected
    assert default_workers(study(device="cuda")) == max(1, count)
    assert local_pool(study(device="cuda"), 3)._gpus == expected
    assert local_pool(study(), 3)._gpus == []


def test_the_command_line_goes_before_the_study_and_keeps_what_it_says_of_that_engine():
    written = study(engine={"name": "ray", "address": "head", "workers": 9}).engine
    assert chosen(written, "ray") == chosen(written, None) == written
    assert chosen(written, "local") == chosen(None, None) == Local()
    assert chosen(None, "ray") == study(engine="ray").engine == Ray()


def test_an_engine_is_no_part_of_a_cell_and_of_no_record_where_unset(tmp_path):
    plain, ray = study(), study(engine={"name": "ray", "resources": {"memory": "2GiB"}})
    assert "engine" not in plain.model_dump(mode="json")
    recorded = ray.model_dump(mode="json")
    assert recorded["engine"]["resources"]["memory"] == 2 * 2**30
    assert validate(Study, recorded, "study.json") == ray
    tasks = prepare_tasks(plain, tmp_path)
    assert [c.key for c in plan(plain, tasks)] == [c.key for c in plan(ray, tasks)]


@pytest.mark.parametrize(
    ("engine", "text"),
    [
        ("rai", r"'engine'.*'local', 'ray'"),
        (3, r"'engine': an engine is local or ray, or a mapping with a `name`, got 3"),
        ({"name": "local", "address": "auto"}, r"unknown key 'engine.address'"),
        ({"name": "ray", "adress": "auto"}, r"unknown key 'engine.adress'.*'address'"),
        ({"name": "ray", "workers": 0}, r"'engine.workers': .*greater than or equal to 1, got 0"),
        ({"name": "ray", "resources": {"gpus": 1.5}}, r"'engine.resources.gpus': must be a share"),
        ({"name": "ray", "resources": {"cpus": 0}}, r"'engine.resources.cpus': .*greater than 0"),
        ({"name": "ray", "resources": {"memory": "much"}}, r"'engine.resources.memory': "),
    ],
)
def test_a_wrong_engine_is_named_with_its_place(engine, text):
    with pytest.raises(ConfigurationError, match=text):
        study(engine=engine)
