"""One phase of training: what it keeps, when it stops, and that resuming changes nothing."""

import math

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from segrisk.losses import CrossEntropy, LovaszJaccard
from segrisk.networks import UNet
from segrisk.training import checkpoint
from segrisk.training.config import Augmentation, Phase
from segrisk.training.examples import Examples
from segrisk.training.fit import Best, Interrupted, State, Training, finished, fit
from segrisk.training.progress import Epoch

FABRIC = Fabric(accelerator="cpu", devices=1)


@pytest.fixture(scope="module")
def examples():
    generator = np.random.default_rng(0)
    targets = np.zeros((24, 1, 16, 16), np.uint8)
    targets[:, :, 4:10, 5:12] = 1
    images = generator.standard_normal((24, 1, 16, 16), dtype=np.float32) + 2 * targets
    return Examples(images, targets, tuple(range(16)), tuple(range(16, 24)))


def go_on(progress):
    """Nobody watches."""


def train(examples, path, *, loss=None, network=None, report=go_on, **phase):
    torch.manual_seed(0)
    network = network or UNet(channels=(4, 8)).build(dimensions=2, channels=1)
    training = Training(
        Phase(**{"learning_rate": 0.01, **phase}), Augmentation(), batch_size=8, seed=1
    )
    loss = loss or CrossEntropy()
    return fit(FABRIC, network, loss, examples, training, checkpoint_path=path, report=report)


def same(a: State, b: State) -> bool:
    return a.curve[1:] == b.curve[1:] and all(
        torch.equal(x.weights[key], y.weights[key])
        for x, y in ((a.by_loss, b.by_loss), (a.by_dice, b.by_dice))
        for key in x.weights
    )


def test_learns(examples, tmp_path):
    state = train(examples, tmp_path / "c.pt", max_epochs=15)
    assert state.curve[-1].validation_dice > 0.8 > state.curve[0].validation_dice
    assert state.steps == 15 * 2


@pytest.mark.parametrize("loss", [CrossEntropy, LovaszJaccard])
def test_an_interrupted_phase_ends_with_the_same_bits(examples, tmp_path, loss):
    whole = train(examples, tmp_path / "whole.pt", loss=loss(), max_epochs=6)
    train(examples, tmp_path / "parts.pt", loss=loss(), max_epochs=2)
    train(examples, tmp_path / "parts.pt", loss=loss(), max_epochs=3)
    assert same(whole, train(examples, tmp_path / "parts.pt", loss=loss(), max_epochs=6))


class Droopy(nn.Module):
    """A network that draws at random while it trains, as a user's might."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Dropout(0.5))
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, x):
        return self.head(self.body(x) + float(np.random.random()))


def test_resuming_restores_every_source_of_chance(examples, tmp_path):
    torch.manual_seed(5)
    start = Droopy().state_dict()

    def fresh():
        network = Droopy()
        network.load_state_dict(start)
        np.random.seed(None)
        return network

    whole = train(examples, tmp_path / "a.pt", network=fresh(), max_epochs=4)
    train(examples, tmp_path / "b.pt", network=fresh(), max_epochs=2)
    resumed = train(examples, tmp_path / "b.pt", network=fresh(), max_epochs=4)
    assert same(whole, resumed)


def test_a_training_stopped_at_any_step_ends_with_the_same_bits(examples, tmp_path):
    torch.manual_seed(5)
    start = Droopy().state_dict()

    def fresh():
        network = Droopy()
        network.load_state_dict(start)
        np.random.seed(None)
        torch.seed()
        return network

    told = []

    def stop_at_every_step(progress):
        told.append((progress.epoch, progress.step))
        raise Interrupted

    whole = train(examples, tmp_path / "a.pt", network=fresh(), max_epochs=3)
    for _ in range(6):
        with pytest.raises(Interrupted):
            train(
                examples,
                tmp_path / "b.pt",
                network=fresh(),
                max_epochs=3,
                report=stop_at_every_step,
            )
    stopped = train(
        examples, tmp_path / "b.pt", network=fresh(), max_epochs=3, report=stop_at_every_step
    )
    assert told == [(epoch, step) for epoch in (1, 2, 3) for step in (1, 2)]  # each once
    assert same(whole, stopped)


def test_the_start_counts_as_epoch_0(examples, tmp_path):
    # A learning rate that ruins the network at once: the best epoch is the start.
    state = train(examples, tmp_path / "c.pt", learning_rate=50.0, max_epochs=2)
    assert state.by_loss.epoch == 0 and state.by_loss.steps == 0
    assert math.isnan(state.curve[0].train_loss)


def curve(*values):
    state = State([Epoch(i, i, 0.1, 0.0, value, 0.0) for i, value in enumerate(values)])
    best = min(range(len(values)), key=values.__getitem__)
    state.by_loss = Best(best, best, values[best], {})
    return state


@pytest.mark.parametrize(
    ("values", "stops"),
    [
        ((3, 2, 1), False),
        ((3, 2, 2.5), False),
        ((3, 2, 2.5, 2.1), True),
        ((3, 2, 1, 0.5, 0.4), True),
    ],
)
def test_stops_when_the_validation_loss_has_risen_or_the_epochs_are_over(values, stops):
    assert finished(curve(*values), Phase(max_epochs=4, stop_after=2)) is stops


def test_the_rate_falls_when_the_validation_loss_stagnates(examples, tmp_path):
    class Flat(nn.Module):
        def forward(self, logits, target):
            return 0 * logits.sum() + 1

    state = train(
        examples, tmp_path / "c.pt", loss=Flat(), max_epochs=5, reduce_after=2, reduce_factor=0.1
    )
    rates = [epoch.learning_rate for epoch in state.curve[1:]]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.0001])


def test_the_two_criteria_keep_their_own_epochs(examples, tmp_path):
    state = train(examples, tmp_path / "c.pt", max_epochs=10)
    losses = [epoch.validation_loss for epoch in state.curve]
    scores = [epoch.validation_dice for epoch in state.curve]
    assert state.by_loss.epoch == int(np.argmin(losses)) and state.by_loss.value == min(losses)
    assert state.by_dice.epoch == int(np.argmax(scores)) and state.by_dice.value == max(scores)


def test_a_loss_that_is_not_finite_is_named(examples, tmp_path):
    class Broken(nn.Module):
        def forward(self, logits, target):
            return logits.sum() * math.nan

    with pytest.raises(FloatingPointError, match="validation loss became nan in epoch 0"):
        train(examples, tmp_path / "c.pt", loss=Broken())


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_checkpoints_do_not_run_what_they_contain(tmp_path, capsys):
    torch.save({"weights": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(Exception, match=r"[Ww]eights.only|Unsupported"):
        checkpoint.load(tmp_path / "evil.pt")
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("harm", ["flipped", "cut", "empty"])
def test_a_damaged_checkpoint_is_known(tmp_path, harm):
    path = tmp_path / "c.pt"
    checkpoint.save(path, {"weights": torch.arange(1000.0)})
    assert not checkpoint.is_damaged(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"flipped": content, "cut": content[:-100], "empty": b""}[harm])
    assert checkpoint.is_damaged(path)
