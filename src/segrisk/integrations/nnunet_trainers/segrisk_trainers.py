"""Where nnU-Net finds `nnUNetTrainerSegrisk`; see `segrisk.integrations.nnunet`."""

from typing import Any


def __getattr__(name: str) -> Any:
    """The trainer class of any name that begins so: nnU-Net asks each of its modules for it."""
    from segrisk.integrations.nnunet import PREFIX, trainer_class

    if not name.startswith(PREFIX):
        raise AttributeError(f"there is no {name} here")
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    return trainer_class(nnUNetTrainer, name)
