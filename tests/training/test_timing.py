"""Where the time of a training goes: all of it, to the right phase, and over interruptions."""

import numpy as np
import torch
from lightning_fabric import Fabric

from segrisk.losses import CrossEntropy
from segrisk.networks import UNet
from segrisk.training import checkpoint, fit
from segrisk.training.config import Augmentation, Phase
from segrisk.training.examples import Examples
from segrisk.training.timing import PHASES, CudaClock, HostClock, Laps, clock_of


class Fake:
    """A clock that is put forward by hand."""

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def between(self, moments):
        return HostClock().between(moments)


def test_laps_of_a_phase_add_up_and_all_laps_are_all_the_time():
    clock = Fake()
    laps = Laps(clock)
    for seconds, phase in [(1, "data"), (4, "forward"), (2, "data"), (0.5, "loss")]:
        clock.time += seconds
        laps.end(phase)
    assert laps.read() == {"data": 3, "forward": 4, "loss": 0.5}
    # The time goes on from the last lap, so that reading loses nothing.
    clock.time += 3
    laps.end("validation")
    assert laps.read() == {"validation": 3}
    assert laps.read() == {}


class Event:
    """What `torch.cuda.Event` is to the clock: it may be read once the device is done with it."""

    device = 0.0
    waits = 0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.at = Event.device

    def synchronize(self):
        Event.waits += 1

    def elapsed_time(self, other):
        assert Event.waits, "read before the device was waited for"
        return 1000 * (other.at - self.at)


def test_on_a_gpu_the_host_waits_once_for_all_laps(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    laps = Laps(clock_of(torch.device("cuda")))
    for _ in range(5):
        for phase in ("data", "forward"):
            Event.device += 0.25
            laps.end(phase)
    assert Event.waits == 0
    assert laps.read() == {"data": 1.25, "forward": 1.25}
    assert Event.waits == 1


def test_a_processor_has_its_own_clock():
    assert isinstance(clock_of(torch.device("cpu")), HostClock)
    assert isinstance(clock_of(torch.device("cuda", 1)), CudaClock)


def train(path, epochs, report=lambda progress: None, loss=None):
    targets = np.zeros((12, 1, 16, 16), np.uint8)
    targets[:, :, 4:10, 5:12] = 1
    examples = Examples(targets.astype(np.float32), targets, tuple(range(8)), tuple(range(8, 12)))
    torch.manual_seed(0)
    network = UNet(channels=(4, 8)).build(dimensions=2, channels=1)
    training = fit.Training(Phase(max_epochs=epochs), Augmentation(), batch_size=4, seed=1)
    fabric = Fabric(accelerator="cpu", devices=1)
    return fit.fit(
        fabric,
        network,
        loss or CrossEntropy(),
        examples,
        training,
        checkpoint_path=path,
        report=report,
    )


def test_the_phases_are_the_whole_time_of_a_training(tmp_path, monkeypatch):
    clock = Fake()
    monkeypatch.setattr(fit, "clock_of", lambda device: clock)

    class Slow(CrossEntropy):
        def forward(self, *arguments):
            clock.time += 1
            return super().forward(*arguments)

    def report(progress):
        clock.time += 10

    state = train(tmp_path / "c.pt", epochs=3, report=report, loss=Slow())
    # Two steps and one batch of validation in each of three epochs; epoch 0 is validated alone.
    assert state.phases == dict.fromkeys(PHASES, 0) | {
        "loss": 6,
        "validation": 4,
        "bookkeeping": 60,
    }
    assert state.seconds == clock.time == 70


def test_times_go_on_where_a_training_was_interrupted(tmp_path, monkeypatch):
    clock = Fake()
    monkeypatch.setattr(fit, "clock_of", lambda device: clock)

    def report(progress):
        clock.time += 10

    train(tmp_path / "c.pt", epochs=1, report=report)
    # What the last steps of the first run took was saved before its checkpoint was.
    state = train(tmp_path / "c.pt", epochs=2, report=report)
    assert state.phases["bookkeeping"] == state.seconds == 40


def test_a_checkpoint_from_before_phases_were_timed_is_continued(tmp_path):
    train(tmp_path / "c.pt", epochs=1)
    old = checkpoint.load(tmp_path / "c.pt")
    del old["phases"]
    checkpoint.save(tmp_path / "c.pt", {**old, "seconds": 1000.0})
    state = train(tmp_path / "c.pt", epochs=2)
    assert state.seconds > 1000 > sum(state.phases.values()) > 0


def test_every_lap_has_a_name_that_is_recorded(tmp_path):
    assert set(train(tmp_path / "c.pt", epochs=1).phases) == set(PHASES)


def test_checkpoints_take_a_small_share_of_the_time(tmp_path, monkeypatch):
    clock = Fake()

    def slow(path, state):
        clock.time += 2

    monkeypatch.setattr(checkpoint, "save", slow)
    saver = checkpoint.Saver(tmp_path / "c.pt", share=0.1, clock=clock.now)
    assert saver.is_due()
    saver.save({})
    clock.time += 19.9
    assert not saver.is_due()
    clock.time += 0.1
    assert saver.is_due()
