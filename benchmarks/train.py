"""Time a study's training against a bare PyTorch loop: `make bench-train`, or DEVICE=cuda.

The bare loop is what one writes by hand: batches that lie ready on the device, Adam, validation
after each epoch, the best weights saved. The harness is `segrisk.training.fit` as a worker of a
study runs it, with a resumable checkpoint after each epoch. Both train the same network on the same
batches in the same order, in turn; ratios are medians over rounds of neighbours in time.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from segrisk.losses import CrossEntropy
from segrisk.networks import UNet
from segrisk.networks.base import Network
from segrisk.networks.vgg import VGG16
from segrisk.training.config import Augmentation, Phase
from segrisk.training.device import make_reproducible
from segrisk.training.examples import Examples
from segrisk.training.fit import State, Training, fit

T = TypeVar("T")
AT_MOST, WAIT_AT_MOST = 1.10, 0.10
"""Harness over bare loop, without augmentation; the share of a step that waits for its batch."""
SEED = 0
STILL = Augmentation(noise=0, shift=0, rotate_degrees=0, flip=())
MOVED = Augmentation()


@dataclass(frozen=True)
class Configuration:
    """A training that is timed: `train` and `validation` count batches."""

    name: str
    shape: tuple[int, ...]
    kind: Network
    batch: int
    train: int = 8
    validation: int = 2
    epochs: int = 2

    def network(self) -> nn.Module:
        """The same weights at every call."""
        torch.manual_seed(0)
        return self.kind.build(dimensions=len(self.shape) - 1, channels=self.shape[0])

    def tiny(self) -> "Configuration":
        """To try the script, not to measure."""
        shape = (self.shape[0], *(16 for _ in self.shape[1:]))
        kind = UNet(channels=(4, 8))
        return replace(self, shape=shape, kind=kind, batch=2, train=2, validation=1, epochs=1)

    def examples(self) -> Examples:
        """Noise with a bright box as the object."""
        generator = np.random.default_rng(0)
        learned, count = self.train * self.batch, (self.train + self.validation) * self.batch
        targets = np.zeros((count, 1, *self.shape[1:]), np.uint8)
        targets[:, :, *(slice(side // 4, side // 2) for side in self.shape[1:])] = 1
        images = generator.standard_normal((count, *self.shape), dtype=np.float32) + targets
        return Examples(images, targets, tuple(range(learned)), tuple(range(learned, count)))

    def training(self, augmentation: Augmentation, compiled: bool) -> Training:
        """As many epochs as are timed, with nothing to stop them early."""
        phase = Phase(max_epochs=self.epochs, stop_after=self.epochs + 1)
        return Training(phase, augmentation, self.batch, seed=SEED, compile=compiled)


CONFIGURATIONS = (
    Configuration("2D, 16×3×128×128", (3, 128, 128), UNet(channels=(16, 32, 64, 128)), 16),
    Configuration("3D, 2×1×48×48×48", (1, 48, 48, 48), UNet(channels=(8, 16, 32, 64)), 2),
)
WIDE = (
    Configuration("U-Net", (3, 128, 128), UNet(channels=(16, 32, 64, 128, 256)), 16, 40, 10),
    Configuration("VGG-16", (3, 128, 128), VGG16(weights="random"), 16, 20, 5),
)
"""2D studies at 128 px, with the networks that a GPU trains."""


Batches = list[tuple[Tensor, Tensor]]


def bare(
    configuration: Configuration,
    device: str,
    precision: str,
    train: list[Batches],
    validation: Batches,
) -> list[float]:
    """Train as one would by hand, on each epoch's batches; the validation losses."""
    network = configuration.network().to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    criterion, curve = CrossEntropy(), []
    kind = torch.float16 if precision == "16-mixed" else torch.bfloat16
    mixed = torch.autocast(device, dtype=kind, enabled=precision != "32-true")
    scaler = torch.amp.GradScaler(device, enabled=precision == "16-mixed" and device == "cuda")
    with tempfile.TemporaryDirectory() as folder:
        # Before the first epoch the network is validated, as the harness does.
        for batches in ([], *train):
            network.train()
            for images, targets in batches:
                optimizer.zero_grad()
                with mixed:
                    logits = network(images)
                loss = criterion(logits.float(), targets)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            network.eval()
            total, hits, sizes = 0.0, [], []
            with torch.no_grad():
                for images, targets in validation:
                    with mixed:
                        logits = network(images)
                    total += criterion(logits.float(), targets).item()
                    mask, y = (logits > 0).flatten(1), (targets > 0).flatten(1)
                    hits.append((mask & y).sum(1))
                    sizes.append(mask.sum(1) + y.sum(1))
            (2 * torch.cat(hits) / torch.cat(sizes)).mean().item()
            curve.append(total / len(validation))
            if curve[-1] == min(curve):
                torch.save(network.state_dict(), Path(folder) / "best.pt")
    return curve


def harness(
    configuration: Configuration,
    fabric: Fabric,
    examples: Examples,
    augmentation: Augmentation,
    compiled: bool = False,
) -> State:
    """Train as a worker of a study does."""
    with tempfile.TemporaryDirectory() as folder, reproducible():
        return fit(
            fabric,
            configuration.network(),
            CrossEntropy(),
            examples,
            configuration.training(augmentation, compiled),
            checkpoint_path=Path(folder) / "checkpoint.pt",
        )


@contextmanager
def reproducible() -> Iterator[None]:
    """As in a worker of a study, which demands the same bits each time."""
    make_reproducible(threads=1)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def preloaded(
    configuration: Configuration, examples: Examples, device: str
) -> tuple[list[Batches], Batches]:
    """The batches of each epoch, as the harness orders them, and of validation, on the device."""

    def loaded(cases: Sequence[int]) -> Batches:
        images = torch.from_numpy(examples.images[list(cases)]).to(device)
        targets = torch.from_numpy(examples.targets[list(cases)]).float().to(device)
        size = configuration.batch
        return list(zip(images.split(size), targets.split(size), strict=True))

    orders = [
        np.random.default_rng((SEED, epoch)).permutation(examples.train)
        for epoch in range(1, configuration.epochs + 1)
    ]
    return [loaded(order) for order in orders], loaded(examples.validation)


def seconds(work: Callable[[], T], device: str) -> tuple[float, T]:
    """Seconds of one call, the device's work included, and what it returned."""
    begun = time.perf_counter()
    result = work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun, result


def measure(configuration: Configuration, device: str, precision: str, rounds: int) -> bool:
    """Print the times of one configuration; whether the aims are reached."""
    examples = configuration.examples()
    batches = preloaded(configuration, examples, device)
    fabric = Fabric(accelerator=device, devices=1, precision=precision)
    works = {
        "bare loop": lambda: bare(configuration, device, precision, *batches),
        "harness": lambda: harness(configuration, fabric, examples, STILL),
        "harness, augmented": lambda: harness(configuration, fabric, examples, MOVED),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    states: dict[str, list[State]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            own, state = seconds(work, device)
            if turn:  # the first round compiles and warms up
                times[name].append(own)
                states[name].append(state)
    steps = configuration.train * configuration.epochs
    print(f"\n{configuration.name}, {precision} on {device}: {rounds} rounds of {steps} steps")
    ratios = {}
    for name, own in times.items():
        pairs = zip(own, times["bare loop"], strict=True)
        ratios[name] = statistics.median(ours / theirs for ours, theirs in pairs)
        print(f"{name:20}{1000 * statistics.median(own) / steps:9.1f} ms a step{ratios[name]:8.2f}")
    for name in ("harness", "harness, augmented"):
        print(f"{name:20}" + breakdown(states[name]))
    return verdicts(ratios["harness"], wait_share(states["harness, augmented"]), device)


def shares(states: list[State]) -> dict[str, float]:
    """The share of each phase in the time of all trainings."""
    total = sum(state.seconds for state in states)
    return {
        phase: sum(state.phases.get(phase, 0.0) for state in states) / total
        for phase in states[0].phases
    }


def breakdown(states: list[State]) -> str:
    """The shares of the phases as one line."""
    return ", ".join(f"{phase} {100 * share:.1f} %" for phase, share in shares(states).items())


def wait_share(states: list[State]) -> float:
    """How much of a step, without validation and bookkeeping, waits for its batch."""
    parts = shares(states)
    step = 1 - parts.get("validation", 0.0) - parts.get("bookkeeping", 0.0)
    return parts["data"] / step


def verdicts(ratio: float, wait: float, device: str) -> bool:
    """Print whether the aims are reached; waiting is one where another device computes."""
    cheap, quick = ratio <= AT_MOST, wait <= WAIT_AT_MOST
    print(f"harness over bare loop: {ratio:.2f}, aim ≤ {AT_MOST:.2f}: {'yes' if cheap else 'NO'}")
    if device == "cpu":
        print(f"a step's wait for its batch: {100 * wait:.1f} % (drawn in line on a processor)")
        return cheap
    aim = f"aim ≤ {100 * WAIT_AT_MOST:.0f} %: {'yes' if quick else 'NO'}"
    print(f"a step's wait for its batch: {100 * wait:.1f} %, {aim}")
    return cheap and quick


def compiling(configuration: Configuration, device: str, precision: str) -> None:
    """Print what `torch.compile` brings: the seconds it takes first, and a step after them."""
    examples = configuration.examples()
    fabric = Fabric(accelerator=device, devices=1, precision=precision)
    steps = configuration.train * configuration.epochs
    for name, compiled in (("as it is", False), ("compiled", True)):
        whole = [
            seconds(lambda c=compiled: harness(configuration, fabric, examples, STILL, c), device)[
                0
            ]
            for _ in range(3)
        ]
        again = min(whole[1:])
        print(f"{name:20}first {whole[0]:7.1f} s, then {1000 * again / steps:7.1f} ms a step")


def variants(device: str, configurations: tuple[Configuration, ...] = WIDE) -> Iterator[str]:
    """Print each precision and compilation of a study at 128 px; yield faults.

    Each is trained twice, and the second time counts: what is compiled is compiled in the first.
    """
    names = ("precision", "compiled", "ms a step", "waits", "memory")
    print(f"\n{'':10}" + "".join(f"{name:>12}" for name in names) + "   reached")
    kinds = [*((kind, False) for kind in ("32-true", "bf16-mixed", "16-mixed"))]
    kinds += [("bf16-mixed", True)]
    for configuration in configurations:
        examples = configuration.examples()
        for precision, compiled in kinds:
            fabric = Fabric(accelerator=device, devices=1, precision=precision)
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            for _ in range(2):
                state = harness(configuration, fabric, examples, MOVED, compiled)
            peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0
            wait, curve = wait_share([state]), [epoch.validation_loss for epoch in state.curve]
            learns = all(map(math.isfinite, curve)) and min(curve[1:]) < curve[0]
            own = f"{configuration.name:10}{precision:>12}{compiled!s:>12}"
            reached = learns and (device == "cpu" or wait <= WAIT_AT_MOST)
            print(
                f"{own}{1000 * step_seconds(state):12.2f}{100 * wait:10.1f} %{peak:9.2f} GB"
                f"   {'yes' if reached else 'NO'}"
            )
            if not reached:
                yield f"training: {own}, waits {100 * wait:.1f} %, validation losses {curve}"


def step_seconds(state: State) -> float:
    """Seconds of a step, without validation and bookkeeping."""
    aside = sum(state.phases[phase] for phase in ("validation", "bookkeeping"))
    return (state.seconds - aside) / state.steps


def main() -> None:
    """Time all configurations; the exit status says whether the aims are reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="also time torch.compile")
    parser.add_argument("--tiny", action="store_true", help="to try this script, not to measure")
    given = parser.parse_args()
    torch.set_num_threads(1)
    reached = []
    for configuration in CONFIGURATIONS:
        if given.tiny:
            configuration = configuration.tiny()
        reached.append(measure(configuration, given.device, given.precision, given.rounds))
        if given.compile:
            compiling(configuration, given.device, given.precision)
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
