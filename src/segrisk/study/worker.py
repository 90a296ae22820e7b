"""What a worker process does: run one cell from its start to its commit."""

import csv
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from segrisk import processes
from segrisk.data.prepare import PreparedTask, load_prepared
from segrisk.decision import as_json
from segrisk.files import write_json, write_text
from segrisk.losses import LOSSES, CrossEntropy
from segrisk.metrics import score
from segrisk.networks import begin_at
from segrisk.scores import RISKS, SURROGATES, Score, write_scores
from segrisk.study.plan import Cell
from segrisk.study.remote import PROGRESS_SECONDS, Remote
from segrisk.study.store import CELL, CHECKPOINT, CURVE, PROGRESS, SCORES, WEIGHTS, Store
from segrisk.study.task import Task
from segrisk.training import checkpoint
from segrisk.training.device import make_reproducible, quiet
from segrisk.training.examples import Examples, PatchExamples, Source
from segrisk.training.fit import Interrupted, State, Training, fit, reached
from segrisk.training.predict import Box, mask_at, predict, probabilities_at
from segrisk.training.progress import Epoch, Progress, told
from segrisk.training.spread import spread
from segrisk.training.timing import PHASES

T = TypeVar("T")
At = Callable[[Tensor, tuple[int, ...], Box | None], np.ndarray]
"""From logits (1, *size) to a mask or probabilities on the grid of a case, shown in a box of it."""


LOOK_SECONDS = 0.1
"""A store on a network drive is not asked at every step whether the run is to stop."""


@dataclass(frozen=True)
class Work:
    """A cell, and how it is to be run."""

    cell: Cell
    task: Task
    root: Path
    threads: int
    precision: str
    device: str
    devices: int = 1
    compile: bool = False
    remote: str | None = None
    """The URL that the store's folder mirrors, where it lies in object storage."""


def enter(gpus: str | None = None) -> None:
    """Prepare a fresh worker process; with `gpus`, such as "0,1", those are all that it sees."""
    processes.enter()
    if gpus is not None:  # before the first call of CUDA, which reads it once
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    quiet()


def run_cell(work: Work) -> None:
    """Run one cell, continuing what was begun, and make it finished."""
    make_reproducible(work.threads)
    store, cell = Store(work.root), work.cell
    remote = Remote.at(work.remote) if work.remote else None
    if remote is not None:
        remote.provide(cell.start, cell.data, work.root)
    if not store.is_complete(cell):
        folder = store.begin(cell.key)
        run = _decide if cell.kind == "decision" else _train
        run(work, folder)
        began_from = {"began_from": store.weights_digest(cell.start)} if cell.start else {}
        write_json(folder / CELL, {"title": cell.title, "key": cell.key, **began_from})
    store.commit(cell.key)
    if remote is not None:
        remote.push_cell(store.finished(cell.key), cell.key)


def _train(work: Work, folder: Path) -> None:
    """Train; with a loss, predict and score the held-out cases as well."""
    cell, task = work.cell, _load(work.cell.data)
    fabric, network = _fabric(work), _network(work, task)
    state = _fit(work, folder, fabric, network) if work.devices == 1 else _fit_spread(work, folder)
    _write_curve(folder / CURVE, state.curve)
    write_json(folder / "effort.json", _effort(state))
    assert state.by_loss is not None and state.by_dice is not None
    checkpoint.save(folder / WEIGHTS, state.by_loss.weights)
    if cell.loss is not None:
        for name, best in (("", state.by_loss), ("_by_validation_dice", state.by_dice)):
            network.load_state_dict(best.weights)
            masks = _in_run(work, _maps(work, fabric, network, cell.split.test, mask_at))
            write_scores(folder / f"scores{name}.csv", _score(cell, task, masks))
        network.load_state_dict(state.by_loss.weights)
        values = _in_run(work, _surrogates(work, fabric, network))
        write_scores(folder / "surrogates.csv", _scores(cell, task, values))


def _fit(work: Work, folder: Path, fabric: Fabric, network: nn.Module) -> State:
    task = _load(work.cell.data)
    return fit(
        fabric,
        network,
        _loss(work.cell, task),
        _examples(work, task),
        _training(work),
        checkpoint_path=folder / CHECKPOINT,
        report=_Reporter(folder, work),
    )


def _fit_spread(work: Work, folder: Path) -> State:
    """Train in a process for each device; what they come to is in the last checkpoint."""
    how = {"accelerator": work.device, "precision": work.precision}
    spread(_fit_part, work, folder, devices=work.devices, **how)
    return reached(folder / CHECKPOINT)


def _fit_part(fabric: Fabric, work: Work, folder: Path) -> None:
    """Train as one of several processes."""
    make_reproducible(work.threads)
    _fit(work, folder, fabric, _network(work, _load(work.cell.data)))


def _decide(work: Work, folder: Path) -> None:
    """Fit a rule on the validation part of a trained loss, and score it on the held-out cases."""
    began = time.monotonic()
    cell, task = work.cell, _load(work.cell.data)
    assert cell.decision is not None
    fabric, network = _fabric(work), _network(work, task)
    validation = _maps(work, fabric, network, cell.split.validation, probabilities_at)
    seen = _in_run(work, validation)
    cases = (_counted(task.known(index), p, task.mask(index)) for index, p in seen)
    fitted = cell.decision.build().fit(cases)
    write_json(folder / "rule.json", as_json(fitted))
    test = _maps(work, fabric, network, cell.split.test, probabilities_at)
    decided = ((index, fitted.decide(p)) for index, p in _in_run(work, test))
    write_scores(folder / SCORES, _score(cell, task, decided))
    write_json(folder / "effort.json", {"seconds": round(time.monotonic() - began, 3)})


def _in_run(work: Work, cases: Iterable[T]) -> Iterator[T]:
    """`cases`, until the run is to stop: they are predicted again when it goes on."""
    for case in cases:
        if Store(work.root).is_to_stop():
            raise Interrupted
        yield case


def held_out(work: Work, at: At) -> Iterator[tuple[int, np.ndarray]]:
    """What `at` makes of each held-out case, with the weights that the cell starts from."""
    network = _network(work, _load(work.cell.data))
    yield from _maps(work, _fabric(work), network, work.cell.split.test, at)


def _fabric(work: Work) -> Fabric:
    return Fabric(accelerator=work.device, devices=1, precision=work.precision)


@lru_cache(maxsize=2)
def _load(folder: Path) -> PreparedTask:
    return load_prepared(folder)


def _network(work: Work, task: PreparedTask) -> nn.Module:
    cell = work.cell
    torch.manual_seed(_seed(cell, "weights"))
    network = work.task.network.build(dimensions=len(work.task.window), channels=task.channels)
    if cell.start is not None:
        network.load_state_dict(checkpoint.load(Store(work.root).finished(cell.start) / WEIGHTS))
    else:
        begin_at(network, _prior(cell, task))
        work.task.network.pretrain(network)
    return network


def _loss(cell: Cell, task: PreparedTask) -> nn.Module:
    if cell.loss is None:
        return CrossEntropy()
    return cell.loss.build(prior=_prior(cell, task))


def _examples(work: Work, task: PreparedTask) -> Source:
    patches, parts = work.task.patch, (work.cell.split.train, work.cell.split.validation)
    if patches is not None:
        return PatchExamples(task.images, task.targets, *parts, patches, task.ignored)
    assert isinstance(task.images, np.ndarray) and isinstance(task.targets, np.ndarray)
    assert task.ignored is None or isinstance(task.ignored, np.ndarray)
    return Examples(task.images, task.targets, *parts, task.ignored)


def _prior(cell: Cell, task: PreparedTask) -> float:
    """The foreground fraction of what is known in the training part."""
    fractions = []
    for index in cell.split.train:
        known = None if task.ignored is None else ~task.ignored[index]
        (target,) = _counted(known, task.targets[index])
        fractions.append(target.mean(dtype=np.float64))
    return float(np.mean(fractions))


def _training(work: Work) -> Training:
    schedule = work.task.schedule
    phase = schedule.cross_entropy if work.cell.loss is None else schedule.loss
    # All losses of one (task, fold, seed) see the same cases in the same order, changed alike.
    stream = "start" if work.cell.loss is None else "loss"
    seed = _seed(work.cell, stream)
    return Training(phase, work.task.augmentation, schedule.batch_size, seed, compile=work.compile)


def _seed(cell: Cell, purpose: str) -> int:
    words = (cell.seed, cell.fold, *purpose.encode())
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def _maps(
    work: Work,
    fabric: Fabric,
    network: nn.Module,
    part: Sequence[int],
    at: At,
) -> Iterator[tuple[int, np.ndarray]]:
    """Each case of `part` with what `at` makes of its logits on its own grid."""
    task = _load(work.cell.data)
    for index, logits in _logits(work, fabric, network, part):
        entry = task.entries[index]
        yield index, at(logits, entry.shape, entry.box)


def _logits(
    work: Work, fabric: Fabric, network: nn.Module, part: Sequence[int]
) -> Iterator[tuple[int, Tensor]]:
    task, batch = _load(work.cell.data), work.task.schedule.batch_size
    return predict(fabric, network, task.images, part, batch, work.task.patch)


def _surrogates(
    work: Work, fabric: Fabric, network: nn.Module
) -> Iterator[tuple[int, dict[str, float]]]:
    """Each held-out case with every surrogate and the risks, all as the network sees it.

    Soft labels are cut at one half: the risks are those of the reference, the majority.
    """
    task = _load(work.cell.data)
    losses = {name: LOSSES[name]() for name in SURROGATES}
    for index, logits in _logits(work, fabric, network, work.cell.split.test):
        logits, target = logits.cpu(), np.asarray(task.targets[index]) > 0.5
        known = None if task.ignored is None else ~np.asarray(task.ignored[index])
        y = torch.from_numpy(target.astype(np.uint8))[None]
        mask = None if known is None else torch.from_numpy(known)[None]
        values = {name: float(loss(logits[None], y, mask)) for name, loss in losses.items()}
        hard = score(*_counted(known, logits.numpy() > 0, target))
        yield index, values | {RISKS[metric]: 1 - value for metric, value in hard.items()}


def _score(cell: Cell, task: PreparedTask, masks: Iterable[tuple[int, np.ndarray]]) -> list[Score]:
    scored = (
        (index, score(*_counted(task.known(index), mask, np.asarray(task.mask(index)))))
        for index, mask in masks
    )
    return _scores(cell, task, scored)


def _counted(known: np.ndarray | None, *arrays: np.ndarray) -> Sequence[np.ndarray]:
    """What counts of arrays of one shape: all, or a list of the voxels that are known."""
    return arrays if known is None else [array[known] for array in arrays]


def _scores(
    cell: Cell, task: PreparedTask, values: Iterable[tuple[int, dict[str, float]]]
) -> list[Score]:
    return [
        Score(
            task=cell.task,
            model=cell.model,
            case=task.entries[index].id,
            group=task.entries[index].group,
            label="foreground",
            fold=cell.fold,
            seed=cell.seed,
            metric=metric,
            value=value,
        )
        for index, own in values
        for metric, value in own.items()
    ]


def _effort(state: State) -> dict[str, Any]:
    assert state.by_loss is not None and state.by_dice is not None
    return {
        "steps": state.steps,
        "best_step_by_loss": state.by_loss.steps,
        "best_step_by_dice": state.by_dice.steps,
        "seconds": round(state.seconds, 3),
        "phases": {phase: round(state.phases.get(phase, 0.0), 3) for phase in PHASES},
    }


def _write_curve(path: Path, curve: list[Epoch]) -> None:
    text = io.StringIO()
    rows = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    rows.writeheader()
    rows.writerows(asdict(epoch) for epoch in curve)
    write_text(path, text.getvalue())


class _Reporter:
    """Leaves the progress where the parent, and `segrisk study status`, can read it.

    Once a run is to stop, it ends the training after its step.
    """

    def __init__(self, folder: Path, work: Work) -> None:
        self._path, self._store = folder / PROGRESS, Store(work.root)
        self._remote = Remote.at(work.remote) if work.remote else None
        self._told = self._sent = self._looked = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told > 1.0:
            self._told = now
            write_json(self._path, told(progress))
        if self._remote is not None and now - self._sent > PROGRESS_SECONDS:
            self._sent = now
            with suppress(OSError):  # a training does not end because nobody could be told of it
                self._remote.write(f"cells/{self._path.parent.name}/{PROGRESS}", told(progress))
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            if self._store.is_to_stop():
                raise Interrupted
