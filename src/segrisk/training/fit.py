"""One phase of training, from its start to its best epochs, resumable after epochs and steps."""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from segrisk.similarity import dice
from segrisk.training import checkpoint
from segrisk.training.ahead import ahead
from segrisk.training.augment import Changes, apply, together
from segrisk.training.chance import drawn_so_far, seed_everything, take_up
from segrisk.training.config import Augmentation, Phase
from segrisk.training.device import pinned, threads_ahead
from segrisk.training.examples import Source
from segrisk.training.labels import cost, masses, widened
from segrisk.training.predict import batches
from segrisk.training.progress import Epoch, Progress
from segrisk.training.ranks import cost_of_batch, in_turn, of_all, share, with_common_norms
from segrisk.training.timing import Laps, clock_of


@dataclass(frozen=True)
class Training:
    """How a phase learns. The order of cases and their augmentation follow from `seed` alone."""

    phase: Phase
    augmentation: Augmentation
    batch_size: int
    seed: int
    compile: bool = False
    """Whether the network runs as `torch.compile` makes it."""


@dataclass(frozen=True)
class Best:
    """The weights of the epoch that a criterion chose."""

    epoch: int
    steps: int
    value: float
    weights: dict[str, Tensor]


@dataclass
class State:
    """Everything that the next epoch depends on, besides the seed."""

    curve: list[Epoch] = field(default_factory=list)
    by_loss: Best | None = None
    by_dice: Best | None = None
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds by `timing.PHASES`, over all runs of the training."""
    under_way: list[Tensor] = field(default_factory=list)
    """The losses of the steps that the next epoch has taken already."""
    chance: dict[str, Any] | None = None
    """Where the generators stood after these steps, if another process took them."""

    def spend(self, seconds: dict[str, float]) -> None:
        """Add what the phases of the last epoch took."""
        for phase, spent in seconds.items():
            self.phases[phase] = self.phases.get(phase, 0.0) + spent
            self.seconds += spent

    @property
    def epoch(self) -> int:
        return self.curve[-1].epoch

    @property
    def steps(self) -> int:
        return self.curve[-1].steps


class Interrupted(Exception):
    """Somebody asked a training to stop; it can go on from where it is."""


Report = Callable[[Progress], None]
"""Told of every step, by the first process alone; it may raise `Interrupted`, and the training is
saved after that step."""


def fit(
    fabric: Fabric,
    network: nn.Module,
    loss: nn.Module,
    examples: Source,
    training: Training,
    *,
    checkpoint_path: Path,
    report: Report = lambda progress: None,
) -> State:
    """Train `network` with `loss` until the validation loss rises; return curve and best epochs.

    The state is saved to `checkpoint_path` after an epoch, after each where that is cheap, and
    after the step at which `report` raises `Interrupted`, which is raised on; where the file
    exists, training goes on from it and ends with the same bits as if it had never stopped.

    Of several processes each calls this alike, and batches are divided among them: see `ranks`.
    """
    network = with_common_norms(fabric, network)
    laps = Laps(clock_of(fabric.device))
    precision = fabric.strategy.precision
    optimizer = torch.optim.Adam(network.parameters(), training.phase.learning_rate)
    # The compiled network shares the weights of `network`, which stays as it is for prediction.
    trained = torch.compile(network) if training.compile else network
    model, optimizer = fabric.setup(trained, optimizer)
    fabric.to_device(loss)
    scheduler = _scheduler(optimizer, training.phase)
    stateful = {"network": network, "optimizer": optimizer, "scheduler": scheduler, "loss": loss}
    if precision.state_dict():  # the scale of float16's gradients
        stateful["precision"] = precision
    saver = checkpoint.Saver(checkpoint_path)
    if checkpoint_path.exists():
        state = _restore(checkpoint_path, stateful, fabric.device, fabric.global_rank)
    else:
        state = State()
        seed_everything(training.seed, 0, fabric.global_rank)
        _observe(state, fabric, model, loss, examples, training, train_loss=math.nan, rate=0.0)
        scheduler.step(state.curve[0].validation_loss)
        laps.end("validation")
    while not finished(state, training.phase):
        rate = optimizer.param_groups[0]["lr"]
        try:
            train_loss = _train_epoch(
                fabric, model, loss, optimizer, examples, training, state, report, laps
            )
        except Interrupted:
            state.spend(laps.read())
            chance = of_all(fabric, drawn_so_far())
            if fabric.is_global_zero:
                saver.save(_saved(state, stateful, chance))
            raise
        _observe(state, fabric, model, loss, examples, training, train_loss, rate)
        scheduler.step(state.curve[-1].validation_loss)
        laps.end("validation")
        state.spend(laps.read())
        if fabric.is_global_zero and (finished(state, training.phase) or saver.is_due()):
            saver.save(_saved(state, stateful))
        laps.end("bookkeeping")
    state.spend(laps.read())
    return state


def _scheduler(
    optimizer: torch.optim.Optimizer, phase: Phase
) -> torch.optim.lr_scheduler.ReduceLROnPlateau:
    return torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=phase.reduce_factor, patience=phase.reduce_after - 1, threshold=0.0
    )


def finished(state: State, phase: Phase) -> bool:
    """Whether the last epoch is done, or the validation loss has risen for long enough."""
    assert state.by_loss is not None
    return state.epoch >= phase.max_epochs or state.epoch - state.by_loss.epoch >= phase.stop_after


def _train_epoch(
    fabric: Fabric,
    model: nn.Module,
    loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    examples: Source,
    training: Training,
    state: State,
    report: Report,
    laps: Laps,
) -> float:
    # Every source of chance is set from (seed, epoch), so that nothing of it needs saving between
    # epochs: the sampler, the augmentation in `draw`, what a network or a user's loss may draw.
    epoch = state.epoch + 1
    seed_everything(training.seed, epoch, fabric.global_rank)
    order = np.random.default_rng((training.seed, epoch)).permutation(examples.train).tolist()
    parts = list(batches(order, training.batch_size))
    values = state.under_way
    begun = len(values)
    if state.chance is not None:
        take_up(state.chance)
        state.chance = None
    shares = [share(fabric, part) for part in parts[begun:]]
    prepare = partial(_prepared, fabric.device, examples, training, epoch)
    model.train()
    with closing(ahead(prepare, shares, threads_ahead(fabric.device))) as prepared:
        for step, batch in enumerate(prepared, start=begun + 1):
            images, targets, changes = fabric.to_device(batch)
            laps.end("data")
            if changes is not None:
                images, targets = apply(changes, images, targets)
            laps.end("augmentation")
            optimizer.zero_grad()
            logits = widened(model(images))
            laps.end("forward")
            value = cost_of_batch(fabric, loss, logits, targets, len(parts[step - 1]))
            laps.end("loss")
            fabric.backward(value)
            laps.end("backward")
            optimizer.step()
            laps.end("optimizer")
            values.append(value.detach())
            curve = tuple(state.curve)
            progress = Progress(epoch, training.phase.max_epochs, step, len(parts), curve)
            _report(fabric, report, progress)
            laps.end("bookkeeping")
    state.under_way = []
    return _mean(values, [len(part) for part in parts])


def _report(fabric: Fabric, report: Report, progress: Progress) -> None:
    """Tell of a step in the first process; if that raises `Interrupted`, all raise it."""
    is_to_stop = False
    if fabric.is_global_zero:
        try:
            report(progress)
        except Interrupted:
            is_to_stop = True
    if fabric.broadcast(is_to_stop):
        raise Interrupted


def _prepared(
    device: torch.device, examples: Source, training: Training, epoch: int, part: Sequence[int]
) -> tuple[Tensor, Tensor, Changes | None]:
    """A batch and its drawn changes, ready to be moved to the device; a thread may make it."""
    images, targets, draws = examples.batch(
        part, training.augmentation, seed=training.seed, epoch=epoch
    )
    changes = Changes(*(pinned(tensor, device) for tensor in together(draws))) if draws else None
    return pinned(images, device), pinned(targets, device), changes


def _mean(values: Sequence[Tensor], counts: Sequence[int]) -> float:
    """The mean over cases of the means over `counts` of them; here alone the host waits."""
    total = 0.0
    # Not `sum`: from Python 3.12 on it adds floats in another way, with other last bits.
    for value, count in zip(torch.stack(values).flatten().tolist(), counts, strict=True):
        total += value * count
    return total / sum(counts)


@torch.no_grad()
def _evaluate(
    fabric: Fabric, model: nn.Module, loss: nn.Module, examples: Source, batch_size: int
) -> tuple[float, float]:
    """The mean loss and the mean Dice score over the validation cases, as the network sees them."""
    model.eval()
    which = slice(fabric.global_rank, None, fabric.world_size)
    own = [
        (cost(loss, logits, targets), dice(masses(logits, targets)))
        for logits, targets in examples.validated(model, batch_size, fabric.device, which)
    ]
    parts = in_turn(fabric, [(value.cpu(), score.cpu()) for value, score in own])
    values, scores = zip(*parts, strict=True)
    return _mean(values, [len(score) for score in scores]), float(torch.cat(scores).double().mean())


def _observe(
    state: State,
    fabric: Fabric,
    model: nn.Module,
    loss: nn.Module,
    examples: Source,
    training: Training,
    train_loss: float,
    rate: float,
) -> None:
    """Add a line to the curve and keep the weights if either criterion calls them the best."""
    value, score = _evaluate(fabric, model, loss, examples, training.batch_size)
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the validation loss became {value} in epoch {len(state.curve)}: "
            "lower the learning rate, or see whether the loss is finite for empty masks"
        )
    epoch = len(state.curve)
    steps = epoch * math.ceil(len(examples.train) / training.batch_size)
    state.curve.append(Epoch(epoch, steps, rate, train_loss, value, score))
    better_loss = state.by_loss is None or value < state.by_loss.value
    better_dice = state.by_dice is None or score > state.by_dice.value
    if better_loss or better_dice:
        weights = {key: tensor.cpu().clone() for key, tensor in model.state_dict().items()}
    if better_loss:
        state.by_loss = Best(epoch, steps, value, weights)
    if better_dice:
        state.by_dice = Best(epoch, steps, score, weights)


def _saved(
    state: State, stateful: dict[str, Any], chance: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """What a checkpoint holds; `chance`, by process, in the midst of an epoch alone."""
    return {
        "curve": [asdict(epoch) for epoch in state.curve],
        "by_loss": vars(state.by_loss),
        "by_dice": vars(state.by_dice),
        "seconds": state.seconds,
        "phases": state.phases,
        "under_way": state.under_way,
        "chance": chance,
        **{name: part.state_dict() for name, part in stateful.items()},
    }


def reached(path: Path) -> State:
    """What a training came to that saved itself at `path`."""
    return _restore(path, {}, torch.device("cpu"), rank=0)


def _restore(path: Path, stateful: dict[str, Any], device: torch.device, rank: int) -> State:
    saved = checkpoint.load(path)
    for name, part in stateful.items():
        part.load_state_dict(saved[name])
    # Older versions wrote that of one process, as it is.
    chance = saved.get("chance")
    return State(
        curve=[Epoch(**epoch) for epoch in saved["curve"]],
        by_loss=Best(**saved["by_loss"]),
        by_dice=Best(**saved["by_dice"]),
        seconds=saved["seconds"],
        # A training that an older version began goes on.
        phases=saved.get("phases", {}),
        under_way=[value.to(device) for value in saved.get("under_way", [])],
        chance=chance[rank] if isinstance(chance, list) else chance,
    )
