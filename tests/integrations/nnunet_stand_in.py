"""What nnU-Net 2.8.1 does around a trainer, as far as a trainer of ours meets it.

The names, the order of calls, the form of targets and the weights of resolutions are read from its
`training/nnUNetTrainer/nnUNetTrainer.py`, `training/loss/deep_supervision.py` and
`utilities/find_class_by_name.py`. `examples/nnunet/run.sh` runs the real one.
"""

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
import torch.distributed as dist
from torch import nn


class DeepSupervisionWrapper(nn.Module):
    def __init__(self, loss, weight_factors):
        super().__init__()
        self.weight_factors, self.loss = tuple(weight_factors), loss

    def forward(self, *args):
        pairs = enumerate(zip(*args, strict=True))
        weights = self.weight_factors
        return sum(weights[i] * self.loss(*pair) for i, pair in pairs if weights[i] != 0)


class nnUNetTrainer:
    def __init__(self, plans, configuration, fold, dataset_json, device):
        self.is_ddp = dist.is_available() and dist.is_initialized()
        self.local_rank = dist.get_rank() if self.is_ddp else 0
        given = locals()
        self.my_init_kwargs = {k: given[k] for k in inspect.signature(self.__init__).parameters}
        self.configuration_manager = SimpleNamespace(
            configuration=plans["configurations"][configuration],
            batch_dice=plans["configurations"][configuration]["batch_dice"],
        )
        self.output_folder_base = str(
            Path(plans["results"], f"{type(self).__name__}__nnUNetPlans__{configuration}")
        )
        self.output_folder = str(Path(self.output_folder_base, f"fold_{fold}"))
        self.device = device
        self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = 250, 50
        self.num_epochs, self.enable_deep_supervision = 1000, True
        labels = dataset_json["labels"]
        self.label_manager = SimpleNamespace(
            has_regions=any(isinstance(v, list) and len(v) > 1 for v in labels.values()),
            ignore_label=labels.get("ignore"),
        )
        self.loss, self.was_initialized, self.log = None, False, []
        Path(self.output_folder).mkdir(parents=True, exist_ok=True)

    def print_to_log_file(self, *args):
        self.log.append(" ".join(map(str, args)))

    def initialize(self):
        if self.was_initialized:
            raise RuntimeError("You have called self.initialize even though it was already.")
        self.schedule = self.num_epochs  # of the learning rate, fixed here
        self.loss = self._build_loss()
        self.was_initialized = True

    def _build_loss(self):
        loss = nn.CrossEntropyLoss()
        if not self.enable_deep_supervision:
            return loss
        weights = torch.tensor([1.0, 0.5, 0.25])
        weights[-1] = 1e-6 if self.is_ddp else 0
        return DeepSupervisionWrapper(loss, (weights / weights.sum()).tolist())

    def train_step(self, output, target):
        loss = self.loss(output, target)
        loss.backward()
        return loss.detach()


def found(folder, name):
    """As nnU-Net searches a folder of `nnUNet_extTrainer` for a class."""
    sys.path.insert(0, str(folder))
    try:
        for _, module, is_package in pkgutil.iter_modules([str(folder)]):
            if not is_package:
                loaded = importlib.import_module(module)
                if hasattr(loaded, name):
                    return getattr(loaded, name)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("segrisk_trainers", None)
    return None


def modules():
    """The module that holds nnU-Net's trainer, by its name, and its parents."""
    path = "nnunetv2.training.nnUNetTrainer.nnUNetTrainer".split(".")
    made = {".".join(path[: i + 1]): ModuleType(".".join(path[: i + 1])) for i in range(len(path))}
    made[".".join(path)].nnUNetTrainer = nnUNetTrainer
    return made
