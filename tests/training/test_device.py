"""What depends on the device: batches made ahead, precision, compilation."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import nn

from segrisk.losses import CrossEntropy
from segrisk.networks import UNet
from segrisk.training import checkpoint, fit
from segrisk.training.config import Augmentation, Phase
from segrisk.training.device import threads_ahead
from segrisk.training.examples import Examples

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_batches_are_made_ahead_where_another_device_computes():
    assert threads_ahead(CPU) == 0 < threads_ahead(CUDA)


@pytest.fixture
def examples():
    targets = np.zeros((12, 1, 16, 16), np.uint8)
    targets[:, :, 4:10, 5:12] = 1
    images = np.random.default_rng(0).standard_normal(targets.shape, dtype=np.float32) + targets
    return Examples(images, targets, tuple(range(8)), tuple(range(8, 12)))


def train(examples, path, *, fabric=None, network=None, loss=None, epochs=2, **how):
    torch.manual_seed(0)
    network = network or UNet(channels=(4, 8)).build(dimensions=2, channels=1)
    how = {"augmentation": Augmentation(), "batch_size": 4, "seed": 1, **how}
    training = fit.Training(Phase(max_epochs=epochs, learning_rate=0.01), **how)
    fabric = fabric or Fabric(accelerator="cpu", devices=1)
    loss = loss or CrossEntropy()
    return fit.fit(fabric, network, loss, examples, training, checkpoint_path=path)


def test_made_ahead_or_in_line_the_bits_are_the_same(examples, tmp_path, monkeypatch):
    in_line = train(examples, tmp_path / "a.pt")
    monkeypatch.setattr(fit, "threads_ahead", lambda device: 4)
    by_threads = train(examples, tmp_path / "b.pt")
    assert in_line.curve[1:] == by_threads.curve[1:]
    for key, tensor in in_line.by_loss.weights.items():
        assert torch.equal(tensor, by_threads.by_loss.weights[key])


def test_without_augmentation_images_come_as_they_are(examples, tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("resampled by nothing")

    monkeypatch.setattr(fit, "apply", never)
    still = Augmentation(noise=0, shift=0, rotate_degrees=0, flip=())
    seen = []

    class Seen(nn.Module):
        def forward(self, logits, target):
            return logits.mean()

    class Look(nn.Conv2d):
        def forward(self, images):
            seen.append(images)
            return super().forward(images)

    look = Look(1, 1, 1)
    train(examples, tmp_path / "c.pt", network=look, loss=Seen(), epochs=1, augmentation=still)
    given = torch.from_numpy(examples.images)
    assert all(any(torch.equal(own, one) for one in given) for batch in seen for own in batch)
    with pytest.raises(AssertionError, match="resampled by nothing"):
        train(examples, tmp_path / "d.pt", epochs=1)


def half(scale):
    """Fabric's float16 with scaled gradients, on a processor."""
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=2)
    return Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu", scaler))


class Float32(CrossEntropy):
    """What a loss is given in any precision."""

    def forward(self, logits, target):
        assert logits.dtype == target.dtype == torch.float32
        return super().forward(logits, target)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_losses_are_computed_in_float32(examples, tmp_path, precision):
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    train(examples, tmp_path / "c.pt", fabric=fabric, loss=Float32(), epochs=1)


def test_steps_whose_gradients_overflow_are_left_out_and_training_goes_on(examples, tmp_path):
    class Overflows(Float32):
        def forward(self, logits, target):
            # The first two steps: validation does not ask for gradients.
            grow = logits.requires_grad and self.calls < 2
            self.calls += logits.requires_grad
            return super().forward(logits, target) * (1e38 if grow else 1.0)

    loss = Overflows()
    loss.calls = 0
    fabric = half(2.0**10)
    state = train(examples, tmp_path / "c.pt", fabric=fabric, loss=loss, epochs=3)
    # Both steps of the first epoch are left out: it validates as the start does.
    start, first, *_, last = state.curve
    assert first.validation_loss == start.validation_loss > last.validation_loss
    assert all(weight.isfinite().all() for weight in state.by_loss.weights.values())


def test_the_scale_of_gradients_survives_an_interruption(examples, tmp_path):
    whole = train(examples, tmp_path / "whole.pt", fabric=half(2.0**4), epochs=4)
    train(examples, tmp_path / "parts.pt", fabric=half(2.0**4), epochs=2)
    assert checkpoint.load(tmp_path / "parts.pt")["precision"]["scale"] == 2.0**6
    fabric = half(2.0**4)
    parts = train(examples, tmp_path / "parts.pt", fabric=fabric, epochs=4)
    assert fabric.strategy.precision.scaler.get_scale() == 2.0**8
    assert parts.curve[1:] == whole.curve[1:]


def test_a_compiled_network_learns_into_the_same_weights(examples, tmp_path, monkeypatch):
    compiled = []

    def stand_in(network, **_):
        # Fabric compiles again what it has wrapped.
        compiled.append(network)
        return original(network, backend="eager")

    original = torch.compile
    as_it_is = train(examples, tmp_path / "a.pt", epochs=1)
    monkeypatch.setattr(torch, "compile", stand_in)
    state = train(examples, tmp_path / "b.pt", epochs=1, compile=True)
    assert state.by_loss.weights.keys() == compiled[0].state_dict().keys()
    assert state.curve[1].validation_loss == pytest.approx(as_it_is.curve[1].validation_loss)
