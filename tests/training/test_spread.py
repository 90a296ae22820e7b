"""One training over two processes, against the same on one device."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from segrisk.losses import CrossEntropy, LovaszJaccard, SoftDice, TopK
from segrisk.training.chance import seed_everything
from segrisk.training.config import Augmentation, Patches, Phase
from segrisk.training.examples import Examples, PatchExamples
from segrisk.training.fit import Interrupted, Training, fit
from segrisk.training.ranks import share, with_common_norms
from segrisk.training.spread import spread

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch without distributed"
)


class Double(nn.Module):
    """A network in float64 that normalises each image by itself, and may drop channels."""

    def __init__(self, dropout=0.0):
        super().__init__()
        torch.manual_seed(3)
        # Of which DDP must not speak in validation, where one process has more to do.
        self.register_buffer("one", torch.ones(1))
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.InstanceNorm2d(4),
            nn.PReLU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(4, 1, 3, padding=1),
        ).double()

    def forward(self, images):
        return self.one * self.body(images.double())


class Pooled(nn.Module):
    """A user's loss, which knows of no processes."""

    def forward(self, logits, target):
        p = logits.sigmoid()
        return 1 - 2 * (p * target).sum() / (p + target).sum()


LOSSES = {
    "soft Dice of the batch": SoftDice(pool=("batch",)),
    "Lovász of each image": LovaszJaccard(),
    "Lovász of the batch, sorted": LovaszJaccard(pool=("batch",)),
    "Lovász of the batch, in levels": LovaszJaccard(pool=("batch",)),
    "cross-entropy and soft Dice": CrossEntropy() + SoftDice(),
    "cross-entropy, ignoring": 0.5 * CrossEntropy(pool=("batch",)) + SoftDice(),
    "patches": CrossEntropy() + SoftDice(pool=("batch",)),
    "top k": TopK(k=0.3),
    "a user's": Pooled(),
}
EPOCHS = 5
"""Of three batches of five images each, and one of a single image: a process has none."""


def examples(name):
    side = 128 if name.endswith("levels") else 16
    generator = np.random.default_rng(0)
    targets = np.zeros((21, 1, side, side), np.uint8)
    targets[1:, :, side // 4 : side // 2, side // 3 : side // 2] = 1  # the first is empty
    images = generator.standard_normal(targets.shape, dtype=np.float32) + 2 * targets
    ignored = generator.random(targets.shape) < 0.3 if name.endswith("ignoring") else None
    parts = (tuple(range(16)), tuple(range(16, 21)))
    if name == "patches":
        return PatchExamples(images, targets, *parts, Patches(size=(8, 8)))
    return Examples(images, targets, *parts, ignored)


def train(fabric, name, path, *, network=None, report=lambda progress: None):
    network = network or Double()
    phase = Phase(learning_rate=0.01, max_epochs=EPOCHS, stop_after=EPOCHS)
    training = Training(phase, Augmentation(), batch_size=5, seed=1)
    state = fit(
        fabric,
        network,
        LOSSES[name],
        examples(name),
        training,
        checkpoint_path=path,
        report=report,
    )
    assert state.steps == 20
    return state, {key: value.detach().clone() for key, value in network.state_dict().items()}


def one_of_two(fabric, folder):
    """Train with each loss, and once with interruptions; every process keeps what it came to."""
    rank = fabric.global_rank
    for name in LOSSES:
        state, weights = train(fabric, name, folder / f"{name}.pt")
        torch.save((vars(state), weights), folder / f"{name}.{rank}")
    name = "soft Dice of the batch"
    _, whole = train(fabric, name, folder / "whole.pt", network=Double(dropout=0.5))
    stops = {(1, 4), (3, 2)}

    def report(progress):
        assert rank == 0, "the first process alone reports"
        if (progress.epoch, progress.step) in stops:
            raise Interrupted

    for _ in stops:
        with pytest.raises(Interrupted):
            train(fabric, name, folder / "part.pt", network=Double(dropout=0.5), report=report)
        torch.manual_seed(rank + 7)
    _, parts = train(fabric, name, folder / "part.pt", network=Double(dropout=0.5))
    assert all(torch.equal(parts[key], value) for key, value in whole.items())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spread")
    spread(one_of_two, folder, devices=2, accelerator="cpu", precision="32-true")
    return folder


@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_train_as_one_device_with_the_whole_batch(trained, tmp_path, name):
    alone, weights = train(Fabric(accelerator="cpu", devices=1), name, tmp_path / "alone.pt")
    start = Double().state_dict()
    for rank in range(2):
        state, own = torch.load(trained / f"{name}.{rank}", weights_only=False)
        for key, value in weights.items():
            assert not torch.allclose(value, start[key], atol=1e-4) or key in {"body.0.bias", "one"}
            assert torch.allclose(own[key], value, rtol=0, atol=1e-8), (key, rank)
        for epoch, other in zip(state["curve"], alone.curve, strict=True):
            assert epoch.validation_dice == pytest.approx(other.validation_dice, abs=1e-8)
            assert epoch.validation_loss == pytest.approx(other.validation_loss, abs=1e-8)
            assert epoch.train_loss == pytest.approx(other.train_loss, abs=1e-8, nan_ok=True)


def test_each_process_draws_numbers_of_its_own():
    drawn = []
    for rank in (0, 1, 2, 0):
        seed_everything(5, 7, rank)
        drawn.append(float(torch.rand(())))
    assert drawn[0] == drawn[3] and len(set(drawn)) == 3


@pytest.mark.parametrize(
    ("processes", "device", "kind"),
    [(1, "cuda", nn.BatchNorm2d), (2, "cpu", nn.BatchNorm2d), (2, "cuda", nn.SyncBatchNorm)],
)
def test_batches_are_normalised_over_all_gpus(processes, device, kind):
    fabric = SimpleNamespace(world_size=processes, device=torch.device(device))
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.InstanceNorm2d(2))
    keys = list(network.state_dict())
    norms = with_common_norms(fabric, network)
    assert type(norms[1]) is kind and type(norms[2]) is nn.InstanceNorm2d
    assert list(norms.state_dict()) == keys


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_shares_are_of_one_size_and_make_up_the_batch(count, processes):
    batch = list(range(100, 100 + count))
    ranks = [SimpleNamespace(world_size=processes, global_rank=rank) for rank in range(processes)]
    shares = [share(rank, batch) for rank in ranks]
    assert len({len(one) for one in shares}) == 1
    in_order = [item for turn in zip(*shares, strict=True) for item in turn]
    assert in_order[:count] == batch and set(in_order[count:]) <= {100}
