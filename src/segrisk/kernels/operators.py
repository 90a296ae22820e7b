"""The compiled kernels as PyTorch operators: differentiable, and whole under `torch.compile`.

They take rows (R, C, V), where one channel means sigmoid: see `segrisk.kernels.cpu`. Each device
has its module, named as PyTorch names the device, of the same functions. It is imported at the
first call, since Numba and Triton take their time, and may be absent.
"""

import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor


def _has_triton() -> bool:
    """Whether Triton is there, and not older than 3.4: before, it cannot compile the kernels."""
    if importlib.util.find_spec("triton") is None:
        return False
    try:
        major, minor = importlib.metadata.version("triton").split(".")[:2]
    except importlib.metadata.PackageNotFoundError:  # packaged under another name
        return True
    return (int(major), int(minor)) >= (3, 4)


HAS_NUMBA = importlib.util.find_spec("numba") is not None
HAS_TRITON = _has_triton()
DTYPES = {torch.float32, torch.bfloat16, torch.float16}

_forked = False


def _mark_forked() -> None:
    global _forked
    _forked = True


# The threads of OpenMP do not survive a fork: a child that calls a kernel would hang or die.
os.register_at_fork(after_in_child=_mark_forked)


def compiled(device: torch.device) -> bool:
    """Whether there are compiled kernels for a device."""
    return (device.type == "cpu" and HAS_NUMBA and not _forked) or (
        device.type == "cuda" and HAS_TRITON
    )


def serve(logits: Tensor, labels: Tensor, weight: Tensor | None, activation: str) -> bool:
    """Whether the compiled kernels can take this input."""
    return (
        compiled(logits.device)
        and logits.dtype in DTYPES
        and not labels.is_floating_point()
        # Under a softmax they take classes; one channel for each, of integers, is rare.
        and (labels.ndim == 2 or activation == "sigmoid")
        and (weight is None or not weight.requires_grad)
    )


def _operator(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function of tensors as the operator of its name.

    As `torch.library.custom_op` does, whose wrapper imports PyTorch's compiler at the first call:
    that took 1.4 s of 1.8.
    """
    name = f"segrisk::{function.__name__}"
    torch.library.define(name, torch.library.infer_schema(function, mutates_args=()))
    torch.library.impl(name, ("cpu", "cuda"), function)
    return getattr(torch.ops.segrisk, function.__name__).default


def _kernels(tensor: Tensor) -> ModuleType:
    """The compiled kernels for where a tensor is."""
    return importlib.import_module(f"segrisk.kernels.{tensor.device.type}")


@_operator
def masses(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None
) -> tuple[Tensor, Tensor]:
    """The table (R, C, 6) and the number of bad labels."""
    table, bad = _kernels(logits).masses(logits, labels, weight, ignore)
    return table, torch.as_tensor(bad)


@torch.library.register_fake("segrisk::masses")
def _(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None
) -> tuple[Tensor, Tensor]:
    table = logits.new_empty((*logits.shape[:2], 6), dtype=torch.float64)
    return table, logits.new_empty((), dtype=torch.int64)


@_operator
def masses_backward(
    gradient: Tensor, logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None
) -> Tensor:
    """The gradient by the logits, given that by the table."""
    return _kernels(logits).masses_backward(gradient, logits, labels, weight, ignore)


@torch.library.register_fake("segrisk::masses_backward")
def _(
    gradient: Tensor, logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None
) -> Tensor:
    return torch.empty_like(logits)


@_operator
def error_histogram(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None, levels: int
) -> tuple[Tensor, Tensor]:
    """Voxels by level of error and by label (R, C, 2, levels), and the number of bad labels."""
    counts, bad = _kernels(logits).histogram(logits, labels, weight, ignore, levels)
    return counts, torch.as_tensor(bad)


@torch.library.register_fake("segrisk::error_histogram")
def _(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None, levels: int
) -> tuple[Tensor, Tensor]:
    counts = logits.new_empty((*logits.shape[:2], 2, levels), dtype=torch.float64)
    return counts, logits.new_empty((), dtype=torch.int64)


@_operator
def jaccard_levels(counts: Tensor) -> tuple[Tensor, Tensor]:
    """The Lovász extension of the Jaccard loss on levels, and its slope at each level."""
    return _kernels(counts).lovasz_jaccard_tables(counts)


@torch.library.register_fake("segrisk::jaccard_levels")
def _(counts: Tensor) -> tuple[Tensor, Tensor]:
    return counts.new_empty(counts.shape[:2]), counts.new_empty(counts.shape, dtype=torch.float32)


@_operator
def with_slopes(
    value: Tensor,
    slopes: Tensor,
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore: int | None,
) -> Tensor:
    """`value` (R, C) as it is, with the gradient by the logits that `slopes` by the errors give."""
    return value.clone()


@torch.library.register_fake("segrisk::with_slopes")
def _(
    value: Tensor,
    slopes: Tensor,
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore: int | None,
) -> Tensor:
    return torch.empty_like(value)


@_operator
def slopes_backward(
    slopes: Tensor,
    scale: Tensor,
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore: int | None,
) -> Tensor:
    """The gradient by the logits, given the slope by the error at each level, times `scale`."""
    return _kernels(logits).histogram_backward(slopes, scale, logits, labels, weight, ignore)


@torch.library.register_fake("segrisk::slopes_backward")
def _(
    slopes: Tensor,
    scale: Tensor,
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore: int | None,
) -> Tensor:
    return torch.empty_like(logits)


def _keep_masses_input(ctx: Any, inputs: Any, output: Any) -> None:
    logits, labels, weight, ctx.ignore = inputs
    ctx.save_for_backward(logits, labels, weight)


def _masses_gradient(ctx: Any, gradient: Tensor, _: Any) -> tuple[Tensor, None, None, None]:
    logits, labels, weight = ctx.saved_tensors
    return masses_backward(gradient, logits, labels, weight, ctx.ignore), None, None, None


def _keep_slopes_input(ctx: Any, inputs: Any, output: Any) -> None:
    _, slopes, logits, labels, weight, ctx.ignore = inputs
    ctx.save_for_backward(slopes, logits, labels, weight)


def _slopes_gradient(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    slopes, logits, labels, weight = ctx.saved_tensors
    # The tables may be as large as the logits: they are scaled where they are looked up.
    result = slopes_backward(slopes, gradient, logits, labels, weight, ctx.ignore)
    return None, None, result, None, None, None


torch.library.register_autograd(
    "segrisk::masses", _masses_gradient, setup_context=_keep_masses_input
)
torch.library.register_autograd(
    "segrisk::with_slopes", _slopes_gradient, setup_context=_keep_slopes_input
)
