"""nnU-Net v2 with the losses of this package: one trainer, told what to do by name or environment.

`nnUNetv2_train DATASET 2d 0 -tr nnUNetTrainerSegrisk_soft_dice` works once nnU-Net looks into
`trainers_folder()`; see `docs/integrations.md`.
"""

import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from segrisk.files import write_json
from segrisk.integrations.hard import as_classes
from segrisk.losses.base import Loss
from segrisk.losses.reduction import Reduction
from segrisk.losses.registry import LOSSES, LossError, build_loss, option_names, terms
from segrisk.names import nearest

PREFIX = "nnUNetTrainerSegrisk"
KEY = "segrisk"
"""Of the configuration in nnU-Net's plans that holds settings."""
RECORD = "segrisk.json"
VARIABLES = {
    "loss": "SEGRISK_LOSS",
    "options": "SEGRISK_LOSS_OPTIONS",
    "epochs": "SEGRISK_EPOCHS",
    "iterations": "SEGRISK_ITERATIONS",
}
"""The settings, and the variables of the environment that give them."""


@dataclass(frozen=True)
class Settings:
    """What a trainer does otherwise than nnU-Net's own; None leaves what nnU-Net has.

    `loss` and `options` are read by `segrisk.losses.registry.build_loss`; `iterations` are those
    of an epoch.
    """

    loss: str
    options: Mapping[str, str]
    epochs: int | None = None
    iterations: int | None = None


def settings(
    name: str,
    configuration: Mapping[str, Any],
    environment: Mapping[str, str],
    record: Mapping[str, Any] | None = None,
) -> Settings:
    """What a trainer of this name is told: by the environment, else the plans, else its name.

    The plans' configuration may hold `segrisk: {loss: …, options: {…}, epochs: …}`. Of the name,
    what follows `nnUNetTrainerSegrisk_` is the loss if it is a registered one, and a mere label
    of the results' folder otherwise. Where nothing is said at all, `record` holds: what the
    folder's earlier trainings were told. ValueError where no loss is named, or a setting is wrong.

    >>> settings("nnUNetTrainerSegrisk_soft_dice", {}, {"SEGRISK_EPOCHS": "2"})
    Settings(loss='soft_dice', options={}, epochs=2, iterations=None)
    """
    given = dict(configuration.get(KEY, {}))
    for unknown in given.keys() - VARIABLES.keys():
        raise ValueError(f"the plans' '{KEY}' has no '{unknown}'{nearest(unknown, VARIABLES)}")
    given |= {key: environment[v] for key, v in VARIABLES.items() if environment.get(v)}
    label = name.removeprefix(PREFIX).removeprefix("_")
    if record and not given and label not in LOSSES:
        given = dict(record)
    loss = given.get("loss") or (label if label in LOSSES else None)
    if loss is None:
        raise LossError(
            f"{name} is told no loss: set {VARIABLES['loss']}='0.5*cross_entropy + soft_dice', or "
            f"name a trainer such as {PREFIX}_soft_dice; registered are {', '.join(LOSSES)}"
        )
    options = _options(given.get("options") or {})
    numbers = {key: _number(given.get(key), key) for key in ("epochs", "iterations")}
    return Settings(loss, options, **numbers)


def trainer_loss(
    chosen: Settings, *, batch_dice: bool, regions: bool, ignore_label: int | None, group: Any
) -> "TrainerLoss":
    """The loss of nnU-Net's (output, target), with nnU-Net's own defaults where it has options.

    As there, `batch_dice` of the plans pools the batch, and the background of exclusive labels
    is left out of overlaps; the settings' options go before these. `group` makes the batches of
    its processes one. LossError where a voxel that is to be ignored could not be.
    """
    known = {option for loss in terms(chosen.loss) for option in option_names(loss)}
    defaults = {"pool": "batch" if batch_dice else "none"}
    if regions:
        defaults["activation"] = "sigmoid"
    else:
        defaults["background"] = "false"
        if ignore_label is not None:
            defaults["ignore_index"] = str(ignore_label)
    options = {key: value for key, value in defaults.items() if key in known}
    loss = build_loss(chosen.loss, {**options, **chosen.options})
    parts = getattr(loss, "losses", (loss,))
    if ignore_label is not None and not all(isinstance(part, Loss) for part in parts):
        raise LossError(
            f"'{chosen.loss}' holds a loss that is not of this package, and the dataset has an "
            "ignore label, which it would be trained on: use losses of `segrisk losses list`"
        )
    for part in parts:
        reduction = getattr(part, "reduction", None)
        if isinstance(reduction, Reduction):
            reduction.group = group
        elif group is not None:
            raise LossError(
                f"'{chosen.loss}' holds {getattr(part, 'label', part)}, which does not know of "
                "other processes: train on one GPU, or use cross-entropy, soft or Lovász losses"
            )
    return TrainerLoss(loss, regions, regions and ignore_label is not None)


class TrainerLoss(nn.Module):
    """A loss called as nnU-Net calls its own.

    Labels come as (B, 1, *space), of any type. Regions come as channels (B, R, *space), after
    which stands one more, true where a voxel is to be ignored, if the dataset has an ignore label.
    """

    def __init__(self, loss: Callable[..., Tensor], regions: bool, ignore_channel: bool) -> None:
        super().__init__()
        self.loss, self.regions, self.ignore_channel = loss, regions, ignore_channel

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        if not self.regions:
            return self.loss(output, as_classes(target, output))
        if not self.ignore_channel:
            return self.loss(output, target)
        return self.loss(output, target[:, :-1], mask=target[:, -1:] == 0)


@cache
def trainer_class(base: type, name: str) -> type:
    """The trainer of this name, a subclass of nnU-Net's `nnUNetTrainer` that is given as `base`.

    Network, data, schedule and deep supervision stay nnU-Net's. Settings are recorded in
    `segrisk.json` beside the plans; another loss in the same folder is refused, since folds of
    one folder are taken for one model.
    """
    if "__" in name:
        raise ValueError(f"{name}: nnU-Net divides names of folders at '__': use single ones")

    class Trainer(base):
        """nnU-Net's trainer with a loss of segrisk."""

        def initialize(self) -> None:
            self.segrisk = _chosen(self)
            if self.segrisk.epochs is not None:
                self.num_epochs = self.segrisk.epochs
            if self.segrisk.iterations is not None:
                ratio = self.num_val_iterations_per_epoch / self.num_iterations_per_epoch
                self.num_iterations_per_epoch = self.segrisk.iterations
                self.num_val_iterations_per_epoch = max(1, round(ratio * self.segrisk.iterations))
            super().initialize()

        def _build_loss(self) -> nn.Module:
            labels = self.label_manager
            loss = trainer_loss(
                self.segrisk,
                batch_dice=self.configuration_manager.batch_dice,
                regions=labels.has_regions,
                ignore_label=labels.ignore_label,
                group=dist.group.WORLD if self.is_ddp else None,
            )
            self.print_to_log_file(f"segrisk: {self.segrisk}")
            if not self.enable_deep_supervision:
                return loss
            # The weights of its resolutions are nnU-Net's business; only the loss is replaced.
            supervised = super()._build_loss()
            if not isinstance(getattr(supervised, "loss", None), nn.Module):
                raise RuntimeError(
                    f"nnU-Net's deep supervision, {type(supervised).__name__}, holds no loss to "
                    "replace: use nnunetv2 2.8, which this was written for"
                )
            supervised.loss = loss
            return supervised

    Trainer.__name__ = Trainer.__qualname__ = name
    return Trainer


def _chosen(trainer: Any) -> Settings:
    """The settings, recorded in the folder that all folds share."""
    path = Path(trainer.output_folder_base) / RECORD
    record = json.loads(path.read_text()) if path.is_file() else None
    configuration = trainer.configuration_manager.configuration
    chosen = settings(type(trainer).__name__, configuration, os.environ, record)
    if record is not None and record != asdict(chosen):
        raise ValueError(
            f"{path.parent} holds trainings of {record}, and now {asdict(chosen)} is asked for: "
            f"name another trainer, such as {type(trainer).__name__}_b, for another folder"
        )
    if trainer.local_rank == 0 and record is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(chosen))
    return chosen


def _options(given: Mapping[str, Any] | str) -> dict[str, str]:
    """Options of a mapping, or of a text such as 'pool=batch background=false'."""
    if isinstance(given, Mapping):
        return {str(name): str(value) for name, value in given.items()}
    options = {}
    for part in given.split():
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise LossError(
                f"{VARIABLES['options']} holds '{part}': write NAME=VALUE, with blanks between "
                "such pairs alone, as in 'pool=batch background=false'"
            )
        options[name] = value
    return options


def _number(given: Any, key: str) -> int | None:
    if given is None:
        return None
    if not str(given).isdecimal() or int(given) < 1:
        raise ValueError(f"{VARIABLES[key]} is a number from 1 on, got '{given}'")
    return int(given)


def trainers_folder() -> Path:
    """The folder for nnU-Net's variable `nnUNet_extTrainer`, which it searches for trainers."""
    return Path(__file__).parent / "nnunet_trainers"


def install(package: Path | None = None) -> Path:
    """Copy the trainer into nnU-Net's own folder of trainers, and return where it lies.

    For versions of nnU-Net that do not know `nnUNet_extTrainer`. `package` is the folder of
    nnunetv2, found by itself where it is installed beside this package.
    """
    if package is None:
        found = importlib.util.find_spec("nnunetv2")
        if found is None or not found.submodule_search_locations:
            raise ValueError(
                "nnunetv2 is not installed in this environment: install segrisk into the "
                "environment of nnU-Net, and run this command there"
            )
        package = Path(found.submodule_search_locations[0])
    folder = package / "training" / "nnUNetTrainer"
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: give the folder of the package nnunetv2")
    return Path(shutil.copy(trainers_folder() / "segrisk_trainers.py", folder))
