"""The door of every loss: what may come in, and the one form in which it is passed on."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from segrisk import kernels

Activation = Literal["sigmoid", "softmax"]
Relaxation = Literal["l1", "product", "squared"]


@dataclass(eq=False)
class Batch:
    """Checked input: space is flat, and several losses may ask for the same masses."""

    logits: Tensor
    """(B, C, V)"""
    labels: Tensor
    """Classes (B, V), or (B, C, V) in [0, 1]."""
    activation: Activation
    weight: Tensor | None
    """(B, V)"""
    ignore: int | None
    annotated: Tensor
    """(B, C), true where the class was looked for in the image."""
    _tables: dict[str, Tensor] = field(default_factory=dict)

    @property
    def is_hard(self) -> bool:
        """Whether labels are known to be 0 or 1 from their type alone."""
        return not self.labels.is_floating_point()

    def masses(self, relaxation: Relaxation = "product") -> Tensor:
        """The table (B, C, 6) of `segrisk.kernels.masses`, computed once."""
        # On hard labels l1 and product are the same numbers, and so the same pass.
        key = "product" if relaxation == "l1" and self.is_hard else relaxation
        if key not in self._tables:
            self._tables[key] = kernels.masses(
                self.logits,
                self.labels,
                weight=self.weight,
                ignore=self.ignore,
                activation=self.activation,
                relaxation=key,
            )
        return self._tables[key]


def prepare(
    logits: Tensor,
    target: Tensor,
    *,
    activation: Activation | None = None,
    ignore_index: int | None = None,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
    annotated: Tensor | None = None,
) -> Batch:
    """Check shapes and types, or say what was given, what was expected, and what to do."""
    _check_logits(logits)
    if not isinstance(target, Tensor):
        raise TypeError(f"target must be a tensor, got {type(target).__name__}")
    for name, tensor in (("target", target), ("mask", mask), ("weight", weight)):
        if tensor is not None and tensor.device != logits.device:
            raise ValueError(
                f"{name} is on {tensor.device} and logits on {logits.device}: move one of them"
            )
    activation, labels = _labels(logits, target, activation)
    return Batch(
        logits=logits.flatten(2),
        labels=labels,
        activation=activation,
        weight=_weight(logits, mask, weight),
        ignore=ignore_index,
        annotated=_annotated(logits, annotated),
    )


def check(
    logits: Tensor,
    target: Tensor,
    *,
    activation: Activation | None = None,
    ignore_index: int | None = None,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
    annotated: Tensor | None = None,
) -> None:
    """Raise what a loss would raise, on any device, and look at every label and logit.

    Losses cannot do that on a GPU without waiting for it: there, labels out of range give NaN.
    """
    batch = prepare(
        logits,
        target,
        activation=activation,
        ignore_index=ignore_index,
        mask=mask,
        weight=weight,
        annotated=annotated,
    )
    if count := int((~torch.isfinite(logits)).sum()):
        raise ValueError(f"logits hold {count} values that are NaN or infinite")
    kernels.masses(
        batch.logits.detach().cpu(),
        batch.labels.cpu(),
        ignore=batch.ignore,
        activation=batch.activation,
    )


def _check_logits(logits: Tensor) -> None:
    if isinstance(logits, list | tuple):
        raise TypeError(
            f"logits are a {type(logits).__name__} of {len(logits)}: for outputs at several "
            "resolutions wrap the loss, DeepSupervision(loss)"
        )
    if not isinstance(logits, Tensor):
        raise TypeError(f"logits must be a tensor, got {type(logits).__name__}")
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating point, got {logits.dtype}")
    if logits.ndim < 3:
        raise ValueError(f"logits have shape {tuple(logits.shape)}: they must be (B, C, *space)")
    if logits.numel() == 0:
        raise ValueError(f"logits have shape {tuple(logits.shape)}: there is nothing to compare")


def _labels(
    logits: Tensor, target: Tensor, activation: Activation | None
) -> tuple[Activation, Tensor]:
    """Labels of every voxel (B, V) or of every channel (B, C, V), and what activation they mean."""
    size, classes, *space = logits.shape
    if target.is_complex():
        raise ValueError(f"target must be boolean, integer or floating, got {target.dtype}")
    of_classes = target.shape == logits.shape
    if not of_classes and list(target.shape) not in ([size, *space], [size, 1, *space]):
        raise ValueError(
            f"logits have shape {tuple(logits.shape)} and target {tuple(target.shape)}: "
            "logits are (B, C, *space), and the target is (B, *space) or (B, 1, *space) with one "
            "label for each voxel, or of the shape of the logits"
        )
    if classes == 1:
        if activation == "softmax":
            raise ValueError("a softmax over one class is always 1: use activation='sigmoid'")
        return "sigmoid", target.reshape(size, 1, -1)
    if of_classes:
        if activation is None:
            raise ValueError(
                f"the target has the shape {tuple(target.shape)} of the logits: say "
                "activation='softmax' for soft labels of exclusive classes, or 'sigmoid' for "
                "labels that may overlap"
            )
        return activation, target.flatten(2)
    if activation == "sigmoid":
        raise ValueError(
            "integer classes exclude each other: use activation='softmax', or give labels "
            f"that may overlap as a target of the shape {tuple(logits.shape)} of the logits"
        )
    if target.is_floating_point() or target.dtype == torch.bool:
        raise ValueError(
            f"a target with one label for each voxel must hold integer classes, got "
            f"{target.dtype}: convert it with .long(), as segrisk.integrations.monai.EngineLoss "
            "does, or give one channel for each class"
        )
    return "softmax", target.reshape(size, -1)


def _weight(logits: Tensor, mask: Tensor | None, weight: Tensor | None) -> Tensor | None:
    """Mask and weight as one weight (B, V)."""
    if mask is not None and mask.dtype != torch.bool:
        raise ValueError(f"mask must be boolean, got {mask.dtype}: give numbers as weight")
    if weight is not None and not weight.is_floating_point():
        raise ValueError(f"weight must be floating point, got {weight.dtype}")
    parts = [
        _per_voxel(logits, tensor, name).float()
        for name, tensor in (("mask", mask), ("weight", weight))
        if tensor is not None
    ]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else parts[0] * parts[1]


def _per_voxel(logits: Tensor, tensor: Tensor, name: str) -> Tensor:
    batch, space = logits.shape[0], tuple(logits.shape[2:])
    if tuple(tensor.shape) not in {(batch, *space), (batch, 1, *space)}:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}: for logits {tuple(logits.shape)} it must be "
            f"{(batch, *space)} or {(batch, 1, *space)}"
        )
    return tensor.reshape(batch, -1)


def _annotated(logits: Tensor, annotated: Tensor | None) -> Tensor:
    expected = tuple(logits.shape[:2])
    if annotated is None:
        return torch.ones(expected, dtype=torch.bool, device=logits.device)
    if tuple(annotated.shape) != expected or annotated.dtype != torch.bool:
        raise ValueError(
            f"annotated must be boolean of shape (B, C) = {expected}, got {annotated.dtype} of "
            f"shape {tuple(annotated.shape)}"
        )
    return annotated.to(logits.device)
