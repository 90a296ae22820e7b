"""Trackers get every curve and score once; results never depend on them."""

import math
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest

from segrisk.configuration import ConfigurationError, validate
from segrisk.data.folds import Split
from segrisk.files import write_json
from segrisk.scores import Score, write_scores
from segrisk.study import trackers
from segrisk.study.config import DecisionChoice, LossChoice, Study
from segrisk.study.plan import Cell
from segrisk.study.status import read_progress
from segrisk.study.store import Store
from segrisk.study.trackers import tracker
from segrisk.study.tracking import Tracking, tracked
from segrisk.study.worker import _write_curve
from segrisk.training.progress import Epoch, Progress, told
from tiny_study import TINY

CURVE = [Epoch(0, 0, 0.0, math.nan, 0.9, 0.1), Epoch(1, 3, 0.01, 0.8, 0.7, 0.5)]
CE = Cell(
    "ce", "molar", 1, 0, LossChoice.model_validate("cross_entropy"), "s", Split(1, (), (), ()), None
)
START = replace(CE, key="s", loss=None, start=None)
RULE = replace(CE, key="r", decision=DecisionChoice.model_validate("tuned"), start="ce")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def run(store, cell, epochs=2):
    """A cell in the midst of its training."""
    progress = Progress(epochs, 9, 1, 3, tuple(CURVE[:epochs]))
    write_json(store.begin(cell.key) / "progress.json", told(progress))


def finish(store, cell):
    folder = store.begin(cell.key)
    if cell.kind != "decision":
        _write_curve(folder / "curve.csv", CURVE)
    if cell.kind != "start":
        scores = [
            Score("molar", cell.model, case, case, "foreground", 1, 0, metric, value)
            for case, value in (("a", 0.5), ("b", 0.7))
            for metric in ("dice", "jaccard")
        ]
        write_scores(folder / "scores.csv", scores)
    store.commit(cell.key)


class Kept:
    """A tracker that remembers."""

    name, where = "kept", "nowhere"

    def __init__(self):
        self.begun, self.points, self.ends = [], [], []

    def begin(self, cell):
        self.begun.append(cell.key)
        return SimpleNamespace(
            metrics=lambda values, step: self.points.append((cell.key, step, dict(values))),
            end=lambda summary: self.ends.append((cell.key, summary)),
        )


def test_a_curve_is_followed_and_each_epoch_handed_on_once(store, monkeypatch):
    monkeypatch.setattr("segrisk.study.tracking.REFRESH", 0.0)
    kept = Kept()
    tracking = Tracking(kept, store)
    for epochs in (1, 1, 2, 2):
        run(store, CE, epochs)
        tracking.update([CE])
    finish(store, CE)
    tracking.ended(CE, None)
    assert kept.begun == ["ce"]
    assert [(key, step) for key, step, _ in kept.points] == [("ce", 0), ("ce", 1)]
    assert "train_loss" not in kept.points[0][2]  # epoch 0 trains nothing
    assert kept.points[1][2] == {
        "steps": 3,
        "learning_rate": 0.01,
        "train_loss": 0.8,
        "validation_loss": 0.7,
        "validation_dice": 0.5,
    }
    assert kept.ends == [("ce", pytest.approx({"held_out_dice": 0.6, "held_out_jaccard": 0.6}))]


def test_the_next_run_hands_on_what_is_missing_and_nothing_twice(store):
    finish(store, START)
    finish(store, RULE)
    first, second, third = Kept(), Kept(), Kept()
    with tracked(first, store, [START, CE, RULE]) as tracking:
        run(store, CE)
        tracking.update([CE])
    # Stopped in its midst: its log ends without scores, and is begun anew.
    assert first.begun == ["s", "r", "ce"] and first.ends[-1] == ("ce", None)
    finish(store, CE)
    with tracked(second, store, [START, CE, RULE]) as tracking:
        assert second.begun == ["ce"] and len(second.points) == 2
        tracking.discarded([RULE], "its start came out otherwise here")
    with tracked(third, store, [START, CE, RULE]):
        assert third.begun == ["r"] and third.points == []


def test_a_failed_cell_has_no_scores_and_is_not_marked(store):
    kept = Kept()
    tracking = Tracking(kept, store)
    run(store, CE)
    tracking.update([CE])
    tracking.ended(CE, "MemoryError")
    assert kept.ends == [("ce", None)] and not list(store.root.glob("tracked/*/*"))


def test_a_tracker_that_fails_ends_no_study(store):
    class Down(Kept):
        def begin(self, cell):
            raise ConnectionError("no route to host")

    finish(store, START)
    with (
        pytest.warns(UserWarning, match=r"tracking ends \(ConnectionError: no route to host\)"),
        tracked(Down(), store, [START]) as tracking,
    ):
        pass
    with warnings.catch_warnings(action="error"):  # said once
        tracking.ended(START, None)


def test_progress_goes_through_json_and_back(store):
    run(store, CE)
    progress = read_progress(store, CE)
    assert (progress.epoch, progress.curve[1]) == (2, CURVE[1])
    assert math.isnan(progress.curve[0].train_loss)
    write_json(
        store.begin("ce") / "progress.json", {"epoch": 1, "epochs": 9, "step": 1, "steps": 3}
    )
    assert read_progress(store, CE) == Progress(1, 9, 1, 3)  # of an older version


def test_what_is_tracked_where(tmp_path, monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    assert tracker(None, "tiny", tmp_path) is None
    monkeypatch.undo()
    assert tracker("none", "tiny", tmp_path) is None
    for name, package in (("tensorboard", "'segrisk\\[track\\]'"), ("wandb", "wandb")):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(
            ConfigurationError, match=f"`track: {name}` needs .*pip install {package}"
        ):
            tracker(name, "tiny", tmp_path)


def test_tracking_is_no_part_of_a_record_unless_it_is_set():
    plain = validate(Study, TINY, "study.yaml")
    assert "track" not in plain.model_dump(mode="json")
    assert validate(Study, {**TINY, "track": "none"}, "x").model_dump()["track"] == "none"
    with pytest.raises(
        ConfigurationError, match="'track': Input should be 'tensorboard', 'mlflow'"
    ):
        validate(Study, {**TINY, "track": "comet"}, "study.yaml")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_shows_curves_and_scores(store):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    finish(store, CE)
    for _ in range(2):  # the second time, as if a kill had come before the mark
        with tracked(tracker("tensorboard", "tiny", store.root), store, [CE]):
            pass
        (store.root / "tracked" / "tensorboard" / "ce").unlink()
    folder = store.root / "tensorboard" / "molar" / "fold 1 seed 0" / "cross_entropy"
    events = EventAccumulator(str(folder)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("validation_dice")] == [
        (0, pytest.approx(0.1)),
        (1, pytest.approx(0.5)),
    ]
    assert [e.value for e in events.Scalars("held_out_dice")] == pytest.approx([0.6])
    assert events.PluginTagToContent("hparams")


@pytest.mark.filterwarnings("ignore")
def test_mlflow_keeps_a_run_for_each_cell(store):
    mlflow = pytest.importorskip("mlflow")
    finish(store, CE)
    chosen = tracker("mlflow", "tiny", store.root)
    chosen.begin(CE).metrics({"validation_dice": 0.3}, 0)  # a kill came before its end
    with tracked(chosen, store, [CE]):
        pass
    client = mlflow.MlflowClient(f"sqlite:///{store.root}/mlflow.db")
    experiment = client.get_experiment_by_name("tiny").experiment_id
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FINISHED" and run.data.tags["cell"] == "ce"
    assert run.data.params["loss"] == "cross_entropy" and run.data.params["fold"] == "1"
    history = client.get_metric_history(run.info.run_id, "validation_dice")
    assert [(point.step, point.value) for point in history] == [(0, 0.1), (1, 0.5)]
    assert run.data.metrics["held_out_dice"] == pytest.approx(0.6)


def test_wandb_is_given_a_run_for_each_cell(store, monkeypatch):
    # A stand-in of the part of its interface that is used.
    logged, summary, given = [], {}, {}
    run = SimpleNamespace(
        log=lambda values, step: logged.append((step, values["validation_dice"])),
        summary=summary,
        finish=lambda: summary.setdefault("finished", True),
    )
    wandb = SimpleNamespace(init=lambda **options: given.update(options) or run)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    finish(store, CE)
    with tracked(tracker("wandb", "tiny", store.root), store, [CE]):
        pass
    assert logged == [(0, 0.1), (1, 0.5)]
    assert summary["held_out_dice"] == pytest.approx(0.6) and summary["finished"]
    assert (given["project"], given["id"], given["resume"]) == ("tiny", "ce", "allow")
    assert given["config"]["decision"] == "p > 1/2"
