"""Cells that train on several devices: the scores of one, whatever is interrupted or killed."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from segrisk.configuration import ConfigurationError, validate
from segrisk.processes import Killed
from segrisk.scores import read_scores
from segrisk.study.config import Study
from segrisk.study.engine import Engine
from segrisk.study.local import LocalPool, default_workers, local_pool
from segrisk.study.plan import plan, prepare_tasks
from segrisk.study.store import Store, opened
from segrisk.study.worker import Work, run_cell
from segrisk.training.fit import Interrupted
from tiny_study import TINY

PHASE = {"learning_rate": 0.01, "max_epochs": 60, "stop_after": 60}
LONG = {"batch_size": 4, "cross_entropy": PHASE, "loss": {**PHASE, "max_epochs": 3}}


def study(**changes):
    return validate(Study, {**TINY, "device": "cpu", **changes}, "study.yaml")


@pytest.fixture(autouse=True)
def as_it_was():
    """A worker makes its whole process reproducible."""
    yield
    torch.use_deterministic_algorithms(False)


def first_cells(given, store):
    """The start of the first fold, and soft Dice from it."""
    cells = plan(given, prepare_tasks(given, store.data))
    loss = next(cell for cell in cells if cell.loss and cell.loss.name == "soft_dice")
    return [next(cell for cell in cells if cell.key == loss.start), loss]


def scores(store, cell):
    return [
        (s.case, s.metric, s.value) for s in read_scores(store.finished(cell.key) / "scores.csv")
    ]


class Told:
    """A view that keeps what it was told."""

    def __init__(self):
        self.failed = []

    def update(self, running):
        pass

    def ended(self, cell, failure):
        self.failed += [failure] if failure else []


def children(pid):
    """The processes that a process has started and that are still there."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def kill_one_of_two(pool, store, cell, killed):
    """Once the training of `cell` is under way, end one of its processes without warning."""
    while not (store.partial(cell.key) / "checkpoint.pt").exists():
        time.sleep(0.002)
    (executor,) = pool._processes.values()
    (worker,) = executor._processes
    parts = [pid for pid in children(worker) if "spawn_main" in command_of(pid)]
    killed += parts
    os.kill(parts[-1], signal.SIGKILL)


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.slow
def test_two_devices_score_as_one_though_one_process_is_killed(tmp_path):
    alone, spread = (study(schedule=LONG, devices=count) for count in (1, 2))
    expected, store = Store(tmp_path / "alone"), Store(tmp_path / "spread")
    for cell in first_cells(alone, expected):
        run_cell(Work(cell, alone.tasks[cell.task], expected.root, 1, "32-true", "cpu"))
    cells, pool, view, killed = first_cells(spread, store), LocalPool(1), Told(), []
    thief = threading.Thread(target=kill_one_of_two, args=(pool, store, cells[0], killed))
    thief.start()
    engine = Engine(spread, store, pool, view)
    engine.run(cells)
    thief.join()
    assert view.failed == [] and engine.losses == {(cells[0].key, "worker"): 1}
    assert len(killed) == 2 and not any(Path(f"/proc/{pid}").exists() for pid in killed)
    assert store.discard_damaged(cells) == [] and not list(store.root.glob("cells/*.partial"))
    for cell, other in zip(cells, first_cells(alone, expected), strict=True):
        assert cell.key != other.key
        files = {path.name for path in store.finished(cell.key).iterdir()}
        assert files == {path.name for path in expected.finished(other.key).iterdir()}
    own, others = scores(store, cells[1]), scores(expected, other)
    assert [row[:2] for row in own] == [row[:2] for row in others]
    for (*_, value), (*_, other_value) in zip(own, others, strict=True):
        assert value == pytest.approx(other_value, abs=0.05)


def test_an_order_to_stop_reaches_all_and_the_training_goes_on_to_what_one_device_learns(tmp_path):
    alone, given = study(), study(devices=2)
    expected, store = Store(tmp_path / "alone"), Store(tmp_path / "out")
    (one, *_), (cell, *_) = first_cells(alone, expected), first_cells(given, store)
    run_cell(Work(one, alone.tasks[one.task], expected.root, 1, "32-true", "cpu"))
    work = Work(cell, given.tasks[cell.task], store.root, 1, "32-true", "cpu", devices=2)
    store.ask_to_stop()
    with pytest.raises(Interrupted):
        run_cell(work)
    saved = torch.load(store.partial(cell.key) / "checkpoint.pt", weights_only=True)
    assert len(saved["under_way"]) == 1 and len(saved["chance"]) == 2
    with opened(store.root, given.name):
        run_cell(work)
    # Not weights: a bias before a norm has no gradient but rounding, of which Adam makes steps.
    own, other = (
        np.loadtxt(where.finished(key) / "curve.csv", delimiter=",", skiprows=1)
        for where, key in ((store, cell.key), (expected, one.key))
    )
    assert own.shape == other.shape == (4, 6)
    assert np.allclose(own, other, rtol=0, atol=1e-4, equal_nan=True)


def test_a_cell_that_loses_a_process_is_one_that_loses_its_worker(tmp_path):
    given, store = study(devices=2), Store(tmp_path)
    engine = Engine(given, store, None, Told(), running={})
    cell = first_cells(given, store)[0]
    engine._end(cell, Killed())
    assert engine.waiting == [cell] and engine.losses == {(cell.key, "worker"): 1}


def test_devices_are_part_of_a_cell_and_one_is_as_if_never_written(tmp_path):
    tasks = prepare_tasks(study(), tmp_path)
    assert "devices" not in study(devices=1).model_dump(mode="json")
    keys = [[cell.key for cell in plan(one, tasks)] for one in (study(), study(devices=1))]
    assert keys[0] == keys[1]
    two = study(devices=2)
    assert validate(Study, two.model_dump(mode="json"), "study.json").devices == 2
    assert not {cell.key for cell in plan(two, tasks)} & set(keys[0])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"devices": 0}, r"'devices'.*greater than or equal to 1"),
        ({"devices": 2.5}, r"'devices'.*integer"),
        ({"devices": 2, "device": "mps"}, "devices: 2, but mps is one device: leave it out"),
        ({"devices": 5}, r"task 'molar' have 4: give a batch_size of 5 or more"),
    ],
)
def test_devices_that_cannot_be_are_refused(changes, text):
    with pytest.raises(ConfigurationError, match=text):
        study(**changes)


def test_each_worker_gets_the_gpus_of_a_cell(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 5)
    two = study(device="cuda", devices=2)
    assert default_workers(two) == 2
    assert local_pool(two, None)._gpus == ["0,1", "2,3"]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ConfigurationError, match=r"'devices': 2, but this machine shows 1 GPU"):
        local_pool(two, None)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(8))
    assert default_workers(study(devices=2, threads=2)) == 2


def test_a_network_that_normalises_batches_is_refused_on_processors(tmp_path):
    network = {
        "name": "monai",
        "network": "BasicUNet",
        "parameters": {"features": [4, 4, 4, 4, 4, 4], "norm": "batch"},
        "stride": 16,
    }
    tasks = {"molar": {"phantom": "molar", "cases": 12, "size": [32, 32]}}
    prepare_tasks(study(network=network, tasks=tasks), tmp_path)
    with pytest.raises(ConfigurationError, match=r"'tasks.molar.network'.*BatchNorm.*GPUs alone"):
        prepare_tasks(study(network=network, tasks=tasks, devices=2), tmp_path)


def test_a_cell_asks_ray_for_all_its_devices():
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'segrisk[ray]'")
    from segrisk.study.cluster import needed
    from segrisk.study.resources import Resources

    assert needed(Resources(), study(device="cuda", devices=4)) == {"CPU": 4, "GPU": 4}
    assert needed(Resources(), study(devices=2, threads=3)) == {"CPU": 6}
    with pytest.raises(ConfigurationError, match=r"'engine.resources.gpus': 0.5, but.*4 GPUs"):
        needed(Resources(gpus=0.5), study(device="cuda", devices=4))
