"""Which implementation computes a primitive, and what happens to labels out of range."""

import torch
from torch import Tensor

from segrisk.kernels import operators, reference

COLUMNS = ("tp", "fp", "fn", "tn", "nll_foreground", "nll_background")
"""What the table of masses holds of each image and class."""


def masses(
    logits: Tensor,
    labels: Tensor,
    *,
    weight: Tensor | None = None,
    ignore: int | None = None,
    activation: str,
    relaxation: str = "product",
) -> Tensor:
    """The masses of probabilities against labels, with the negative log-likelihood.

    `logits` (B, C, V); `labels` classes (B, V), or (B, C, V) in [0, 1]; `weight` (B, V): a voxel
    counts so many times; labels equal to `ignore` count for nothing. Returns (B, C, 6), float64:
    Σ tp, Σ fp, Σ fn, Σ tn, Σ y·(−log p), Σ (1 − y)·(−log(1 − p)). The last is 0 for a softmax,
    which counts each voxel once. `relaxation` says what tp, fp and fn are at soft labels:
    `product` p·y, p(1 − y), (1 − p)y; `l1` min(p, y), max(p − y, 0), max(y − p, 0);
    `squared` p·y, p(p − y), y(y − p). The first two agree on hard labels.
    """
    hard = relaxation == "product"
    if hard and operators.serve(logits, labels, weight, activation):
        rows = _rows(logits, labels, weight, activation)
        table, bad = operators.masses(*rows, ignore)
        table = table.view(*logits.shape[:2], len(COLUMNS))
    else:
        table, bad = reference.masses(logits, labels, weight, ignore, activation, relaxation)
    return refuse_bad_labels(table, bad, logits, labels)


def error_histogram(
    logits: Tensor,
    labels: Tensor,
    *,
    weight: Tensor | None = None,
    ignore: int | None = None,
    activation: str,
    levels: int,
) -> Tensor:
    """The weight of voxels by the level ⌊|y − p| · levels⌋ of their error and by their label.

    Returns (B, C, 2, levels), float64, background first; without a gradient: `with_slopes` gives
    it. Soft labels raise.
    """
    with torch.no_grad():
        if operators.serve(logits, labels, weight, activation):
            counts, bad = operators.error_histogram(
                *_rows(logits, labels, weight, activation), ignore, levels
            )
            counts = counts.view(*logits.shape[:2], 2, levels)
        else:
            e, y, w, bad = reference.errors(logits, labels, weight, ignore, activation)
            e = refuse_soft_labels(e, y, "a Lovász loss")
            counts = reference.histogram(e, y, w, levels)
    return refuse_bad_labels(counts, bad, logits, labels)


def with_slopes(
    value: Tensor,
    slopes: Tensor,
    logits: Tensor,
    labels: Tensor,
    *,
    weight: Tensor | None = None,
    ignore: int | None = None,
    activation: str,
) -> Tensor:
    """`value` (B, C), to which each voxel's error has the slope of its level and label.

    `slopes` (B, C, 2, levels) as `error_histogram` orders them.
    """
    if operators.serve(logits, labels, weight, activation):
        rows = _rows(logits, labels, weight, activation)
        tables = (value.detach(), slopes.detach().float())
        value, slopes = (part.reshape(*rows[0].shape[:2], *part.shape[2:]) for part in tables)
        return operators.with_slopes(value, slopes, *rows, ignore).view(logits.shape[:2])
    e, y, w, _ = reference.errors(logits, labels, weight, ignore, activation)
    return reference.with_slopes(value, slopes, e, y, w)


def _rows(
    logits: Tensor, labels: Tensor, weight: Tensor | None, activation: str
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The rows that the compiled kernels take: under a sigmoid each channel is one."""
    if activation == "softmax":
        return logits, labels, weight
    size, classes, voxels = logits.shape
    if weight is not None:
        weight = weight.unsqueeze(1).expand(size, classes, voxels).reshape(-1, voxels)
    return logits.reshape(-1, 1, voxels), labels.reshape(-1, voxels), weight


def errors(
    logits: Tensor,
    labels: Tensor,
    *,
    weight: Tensor | None = None,
    ignore: int | None = None,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Every voxel's error, label and weight, each (B, C, V)."""
    e, y, w, bad = reference.errors(logits, labels, weight, ignore, activation)
    return refuse_bad_labels(e, bad, logits, labels), y, w


def costs(
    logits: Tensor,
    labels: Tensor,
    *,
    weight: Tensor | None = None,
    ignore: int | None = None,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Every voxel's cross-entropy in each class, label and weight, each (B, C, V)."""
    cost, y, w, bad = reference.costs(logits, labels, weight, ignore, activation)
    return refuse_bad_labels(cost, bad, logits, labels), y, w


def refuse_soft_labels(result: Tensor, y: Tensor, what: str) -> Tensor:
    """A float target may hold hard labels; whether it does, a GPU says by NaN."""
    soft = ((y != 0) & (y != 1)).sum()
    if result.device.type != "cpu" or torch.compiler.is_compiling():
        return torch.where(soft > 0, torch.nan, result)
    if count := int(soft):
        raise ValueError(
            f"the target holds {count} soft labels, and {what} needs 0 and 1: threshold them, or "
            "use Soft, which is made for soft labels"
        )
    return result


def refuse_bad_labels(result: Tensor, bad: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Raise on a CPU; elsewhere, where asking would stop the device, the result becomes NaN."""
    if result.device.type != "cpu" or torch.compiler.is_compiling():
        return torch.where(bad > 0, torch.nan, result)
    if count := int(bad):
        raise ValueError(_complaint(count, logits, labels))
    return result


def _complaint(count: int, logits: Tensor, labels: Tensor) -> str:
    low, high = labels.min().item(), labels.max().item()
    if labels.ndim == 3 and low >= 0 and high <= 1:
        return (
            "the target's channels do not sum up to 1 at every voxel, as those of exclusive "
            "classes do: use activation='sigmoid' for labels that overlap, and a mask for voxels "
            "that count for nothing"
        )
    if labels.ndim == 2:
        valid = f"classes 0 to {logits.shape[1] - 1}"
    else:
        valid = "values from 0 to 1 (that sum up to 1, under a softmax)"
    return (
        f"the target holds {count} labels outside {valid} (from {low} to {high}): "
        "relabel them, or name the value that counts for nothing as ignore_index"
    )
