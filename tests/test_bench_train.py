"""The script that times trainings runs, and its verdicts can be wrong and right."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from lightning_fabric import Fabric

from segrisk.training.fit import State
from segrisk.training.timing import PHASES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
train = pytest.importorskip("train")


def state(**seconds):
    phases = dict.fromkeys(PHASES, 0.0) | seconds
    return State(phases=phases, seconds=sum(phases.values()))


def test_the_wait_is_a_share_of_the_step_alone():
    states = [state(data=1, forward=4, backward=4, optimizer=1, validation=70, bookkeeping=20)]
    assert train.wait_share(states) == pytest.approx(0.1)
    assert sum(train.shares(states).values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("ratio", "wait", "device", "reached"),
    [
        (1.09, 0.5, "cpu", True),
        (1.11, 0.0, "cpu", False),
        (1.0, 0.05, "cuda", True),
        (1.0, 0.2, "cuda", False),
    ],
)
def test_verdicts(ratio, wait, device, reached, capsys):
    assert train.verdicts(ratio, wait, device) is reached
    assert ("NO" in capsys.readouterr().out) is not reached


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("configuration", train.CONFIGURATIONS, ids=lambda c: c.name[:2])
def test_harness_and_bare_loop_do_the_same_work(configuration, precision):
    small = replace(configuration.tiny(), epochs=3)
    examples = small.examples()
    curve = train.bare(small, "cpu", precision, *train.preloaded(small, examples, "cpu"))
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    state = train.harness(small, fabric, examples, train.STILL)
    assert [epoch.validation_loss for epoch in state.curve] == pytest.approx(curve, rel=1e-5)
    assert len(curve) == 4 and curve[-1] < curve[0]


def test_times_and_a_verdict_are_printed(capsys):
    train.measure(train.CONFIGURATIONS[0].tiny(), "cpu", "32-true", rounds=1)
    printed = capsys.readouterr().out
    assert "harness over bare loop" in printed and "backward" in printed


@pytest.mark.filterwarnings("ignore:You passed .Fabric.*fp16")
def test_every_variant_that_a_gpu_will_train_is_tried(capsys, monkeypatch):
    monkeypatch.setattr(train.torch, "compile", lambda network: network)
    assert list(train.variants("cpu", (train.WIDE[0].tiny(),))) == []
    assert capsys.readouterr().out.count("yes") == 4
