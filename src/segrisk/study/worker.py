"""What a worker process does: run one cell from its start to its commit."""

import csv
import io
import logging
import time
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from segrisk import processes
from segrisk.data.prepare import PreparedTask, load_prepared
from segrisk.files import write_json, write_text
from segrisk.losses import CrossEntropy
from segrisk.metrics import score
from segrisk.networks import build
from segrisk.scores import Score, write_scores
from segrisk.study.config import Task
from segrisk.study.plan import Cell
from segrisk.study.store import WEIGHTS, Store
from segrisk.training import checkpoint
from segrisk.training.fit import Epoch, Examples, Progress, State, Training, fit
from segrisk.training.predict import mask_at, predict


@dataclass(frozen=True)
class Work:
    """A cell, and how it is to be run."""

    cell: Cell
    task: Task
    root: Path
    threads: int
    precision: str
    device: str


def enter() -> None:
    """Prepare a fresh worker process."""
    processes.enter()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def run_cell(work: Work) -> None:
    """Train (and for a loss, predict and score) one cell, continuing what was begun."""
    torch.set_num_threads(work.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    store, cell = Store(work.root), work.cell
    folder = store.begin(cell.key)
    task = _load(cell.data)
    fabric = Fabric(accelerator=work.device, devices=1, precision=work.precision)
    network = _network(work, task)
    state = fit(
        fabric,
        network,
        _loss(cell, task),
        Examples(task.images, task.targets, cell.split.train, cell.split.validation),
        _training(work),
        checkpoint_path=folder / "checkpoint.pt",
        report=_Reporter(folder),
    )
    _write_curve(folder / "curve.csv", state.curve)
    write_json(folder / "effort.json", _effort(state))
    write_json(folder / "cell.json", {"title": cell.title, "key": cell.key})
    assert state.by_loss is not None and state.by_dice is not None
    checkpoint.save(folder / WEIGHTS, state.by_loss.weights)
    if cell.loss is not None:
        for name, best in (("", state.by_loss), ("_by_validation_dice", state.by_dice)):
            network.load_state_dict(best.weights)
            scores = _score(fabric, network, task, cell, work.task.schedule.batch_size)
            write_scores(folder / f"scores{name}.csv", scores)
    store.commit(cell.key)


@lru_cache(maxsize=2)
def _load(folder: Path) -> PreparedTask:
    return load_prepared(folder)


def _network(work: Work, task: PreparedTask) -> nn.Module:
    cell = work.cell
    torch.manual_seed(_seed(cell, "weights"))
    network = build(work.task.network, dimensions=len(task.size), channels=task.channels)
    if cell.start is not None:
        network.load_state_dict(checkpoint.load(Store(work.root).finished(cell.start) / WEIGHTS))
    return network


def _loss(cell: Cell, task: PreparedTask) -> nn.Module:
    if cell.loss is None:
        return CrossEntropy()
    prior = float(np.mean([task.targets[index].mean() for index in cell.split.train]))
    return cell.loss.build(prior=prior)


def _training(work: Work) -> Training:
    schedule = work.task.schedule
    phase = schedule.cross_entropy if work.cell.loss is None else schedule.loss
    # All losses of one (task, fold, seed) see the same cases in the same order, changed alike.
    stream = "start" if work.cell.loss is None else "loss"
    return Training(phase, work.task.augmentation, schedule.batch_size, _seed(work.cell, stream))


def _seed(cell: Cell, purpose: str) -> int:
    words = (cell.seed, cell.fold, *purpose.encode())
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def _score(
    fabric: Fabric, network: nn.Module, task: PreparedTask, cell: Cell, batch: int
) -> list[Score]:
    assert cell.loss is not None
    scores = []
    for index, logits in predict(fabric, network, task.images, cell.split.test, batch):
        entry = task.entries[index]
        values = score(mask_at(logits, entry.shape), np.asarray(task.mask(index)))
        scores += [
            Score(
                task=cell.task,
                model=cell.loss.name,
                case=entry.id,
                group=entry.group,
                label="foreground",
                fold=cell.fold,
                seed=cell.seed,
                metric=metric,
                value=value,
            )
            for metric, value in values.items()
        ]
    return scores


def _effort(state: State) -> dict[str, float]:
    assert state.by_loss is not None and state.by_dice is not None
    return {
        "steps": state.steps,
        "best_step_by_loss": state.by_loss.steps,
        "best_step_by_dice": state.by_dice.steps,
        "seconds": round(state.seconds, 3),
    }


def _write_curve(path: Path, curve: list[Epoch]) -> None:
    text = io.StringIO()
    rows = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    rows.writeheader()
    rows.writerows(asdict(epoch) for epoch in curve)
    write_text(path, text.getvalue())


class _Reporter:
    """Leaves the progress where the parent, and `segrisk study status`, can read it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "progress.json"
        self._told = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told > 1.0:
            self._told = now
            write_json(self._path, asdict(progress))
