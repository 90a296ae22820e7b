"""From a study to its cells, each named by the hash of all that determines its result."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from segrisk.configuration import ConfigurationError
from segrisk.data.case import Case
from segrisk.data.folds import Split, cross_validation
from segrisk.data.phantoms import PHANTOMS, phantom_cases
from segrisk.data.prepare import PreparedTask, prepare
from segrisk.data.remember import prepare_folder
from segrisk.files import digest
from segrisk.networks.layers import check, normalises_batches
from segrisk.study.cell import Cell
from segrisk.study.config import DecisionChoice, LossChoice, Study
from segrisk.study.supervision import check_ignoring
from segrisk.study.task import Task, task_folder

COMPONENTS = {
    "preparation": 1,
    "losses": 2,
    "networks": 2,
    "training": 1,
    "scoring": 2,
    "decisions": 1,
}
"""Raise a number when what that component computes changes: its cells are then run again.

The version of the whole package, or its commit, would void every result at every change.
"""

PARTS = ("train", "validation", "test")

TRAINED = ("preparation", "losses", "networks", "training")
"""The components that weights depend on."""


def phantom_task(task: Task) -> Iterable[Case]:
    """The cases of a task that are drawn."""
    assert task.phantom is not None and task.size is not None
    phantom = PHANTOMS[task.phantom]
    given = {name: getattr(task, name) for name in ("fraction", "objects", "spread")}
    changed = {key: value for key, value in given.items() if value is not None}
    return phantom_cases(replace(phantom, **changed), task.cases, task.size, seed=task.seed)


def _prepared(task: Task, root: Path) -> PreparedTask:
    made = (task.size, root, task.preprocessing)
    if task.folder is None:
        return prepare(phantom_task(task), *made)
    return prepare_folder(task_folder(task), *made, soft=task.is_soft)


def prepare_tasks(study: Study, root: Path) -> dict[str, PreparedTask]:
    """Read, check and prepare every task of a study; all faults surface here."""
    prepared = {name: _prepared(task, root) for name, task in study.tasks.items()}
    for name, task in study.tasks.items():
        if prepared[name].ignores:
            check_ignoring(study.losses, task, f"'tasks.{name}'")
        try:
            check(task.network, size=task.window, channels=prepared[name].channels)
        except ConfigurationError as error:
            raise ConfigurationError(f"'tasks.{name}.network': {error}") from error
        if study.devices > 1 and resolve_device(study.device) == "cpu":
            _check_norms(name, task, prepared[name].channels)
    return prepared


def _check_norms(name: str, task: Task, channels: int) -> None:
    """Refuse a network that normalises a batch which PyTorch cannot divide among processors."""
    if normalises_batches(task.network, dimensions=len(task.window), channels=channels):
        raise ConfigurationError(
            f"'tasks.{name}.network': {task.network.described} has BatchNorm, which PyTorch "
            "computes over several devices on GPUs alone: leave out `devices`, or normalise each "
            "image by itself (InstanceNorm, GroupNorm)"
        )


def plan(study: Study, tasks: Mapping[str, PreparedTask]) -> list[Cell]:
    """Every cell of a study, each before the cells that begin from it."""
    device = resolve_device(study.device)
    cells = []
    for name, prepared in tasks.items():
        splits = cross_validation(
            [entry.group for entry in prepared.entries],
            [entry.fraction for entry in prepared.entries],
            folds=study.folds,
            validation=study.validation,
            seed=study.fold_seed,
        )
        for split in splits:
            for seed in study.seeds:
                cells += _cells(study, name, prepared, split, seed, device)
    return cells


def resolve_device(device: str) -> str:
    """The device that `auto` means here: it is part of what determines the bits."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _cells(
    study: Study, name: str, prepared: PreparedTask, split: Split, seed: int, device: str
) -> list[Cell]:
    task = study.tasks[name]
    common: dict[str, Any] = {
        "data": prepared.key,
        "split": {"train": split.train, "validation": split.validation},
        "stream": (seed, split.fold),
        "network": task.network.identity(),
        # Images without augmentation are not resampled: other bits than a resampling by nothing.
        "augmentation": None
        if task.augmentation.is_none
        else task.augmentation.model_dump(mode="json"),
        "batch_size": task.schedule.batch_size,
        "threads": study.threads,
        "precision": study.precision,
        "device": device,
        "torch": torch.__version__,
        "components": {key: COMPONENTS[key] for key in TRAINED},
        **({"devices": study.devices} if study.devices > 1 else {}),
        **({"compile": True} if study.compile else {}),
    }
    if task.patch is not None:
        common["patch"] = task.patch.model_dump(mode="json")
    phase = task.schedule.cross_entropy.model_dump(mode="json")
    start = Cell(
        key=digest({**common, "phase": phase})[:32],
        task=name,
        fold=split.fold,
        seed=seed,
        loss=None,
        start=None,
        split=split,
        data=prepared.folder,
    )
    losses = [_arm(start, task, loss) for loss in study.losses]
    decisions = [
        _decision(cell, decision)
        for decision in study.decisions
        for cell in losses
        if cell.loss is not None and decision.suits(cell.loss)
    ]
    return [start, *losses, *decisions]


def _arm(start: Cell, task: Task, loss: LossChoice) -> Cell:
    determines = {
        "start": start.key,
        "phase": task.schedule.loss.model_dump(mode="json"),
        "loss": loss.loss,
        "parameters": loss.parameters,
        "source": loss.source(),
        "test": start.split.test,
        "scoring": COMPONENTS["scoring"],
    }
    return replace(start, key=digest(determines)[:32], loss=loss, start=start.key)


def _decision(cell: Cell, decision: DecisionChoice) -> Cell:
    determines = {
        "start": cell.key,
        "rule": decision.rule,
        "metric": decision.metric,
        "components": {key: COMPONENTS[key] for key in ("decisions", "scoring")},
    }
    return replace(cell, key=digest(determines)[:32], decision=decision, start=cell.key)


def describe(cells: Sequence[Cell]) -> dict[str, Any]:
    """Cells as JSON: what the store keeps of the plan. The cells of a fold share its split."""
    splits: dict[str, dict[int, dict[str, list[int]]]] = {}
    for cell in cells:
        parts = {name: list(getattr(cell.split, name)) for name in PARTS}
        splits.setdefault(cell.task, {})[cell.fold] = parts
    return {
        "splits": {task: [own[fold] for fold in sorted(own)] for task, own in splits.items()},
        "cells": [
            {
                **{name: getattr(cell, name) for name in ("key", "task", "fold", "seed", "start")},
                "loss": cell.loss.model_dump(mode="json") if cell.loss else None,
                "decision": cell.decision.model_dump(mode="json") if cell.decision else None,
                "data": cell.data.name,
            }
            for cell in cells
        ],
    }


def restore(described: dict[str, Any], data: Path) -> list[Cell]:
    """The cells that `describe` gave, with their prepared tasks under `data`."""
    splits = described["splits"]
    return [
        Cell(
            **{
                **cell,
                "loss": cell["loss"] and LossChoice.model_validate(cell["loss"]),
                "decision": cell["decision"] and DecisionChoice.model_validate(cell["decision"]),
                "split": _split(splits[cell["task"]][cell["fold"]], cell["fold"]),
                "data": data / cell["data"],
            }
        )
        for cell in described["cells"]
    ]


def _split(parts: dict[str, list[int]], fold: int) -> Split:
    return Split(fold=fold, **{name: tuple(parts[name]) for name in PARTS})
