"""The primitives in plain PyTorch: any device, any dtype, differentiable as often as one likes."""

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softplus

ROUNDED = 0.05
"""How far from 1 soft labels of exclusive classes may sum up to: they are stored in 8 bits, say."""


def accumulator(tensor: Tensor) -> torch.dtype:
    """What sums over voxels are kept in: float64 where the device has it."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def dense(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None, activation: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Labels as y in [0, 1], the weight of every voxel, and how many labels are out of range.

    `labels` are classes (B, V), or (B, C, V) in [0, 1]; y and weight are (B, C or 1, V) in the
    precision that is computed in. Soft labels of exclusive classes that do not sum up to 1 are out
    of range too.
    """
    precision = torch.promote_types(logits.dtype, torch.float32)
    exclusive = labels.ndim == 2
    given = labels.unsqueeze(1) if exclusive else labels
    valid = torch.ones_like(given, dtype=torch.bool) if ignore is None else given != ignore
    if exclusive:
        classes = torch.arange(logits.shape[1], device=labels.device).view(1, -1, 1)
        y = (given == classes).to(precision)
        outside = (given < 0) | (given >= logits.shape[1])
    else:
        y = given.to(precision)
        outside = ~((y >= 0) & (y <= 1))
        y = torch.where(valid, y, 0)
        if activation == "softmax":
            apart = (y.sum(1, keepdim=True) - 1).abs() > ROUNDED
            outside = outside | (apart & valid.all(1, keepdim=True))
    w = valid.to(precision)
    if weight is not None:
        w = w * weight.unsqueeze(1)
    return y, w, (outside & valid).sum()


def probabilities(logits: Tensor, activation: str) -> tuple[Tensor, Tensor, Tensor]:
    """p, −log p and −log(1 − p) of logits (B, C, V), the last 0 for a softmax.

    A softmax counts every voxel once, in the class that it belongs to.
    """
    x = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if activation == "softmax":
        log_p = log_softmax(x, dim=1)
        return log_p.exp(), -log_p, torch.zeros_like(x)
    return x.sigmoid(), softplus(-x), softplus(x)


def masses(
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore: int | None,
    activation: str,
    relaxation: str,
) -> tuple[Tensor, Tensor]:
    """The table (B, C, 6) and the number of labels that are out of range: see `dispatch.masses`."""
    y, w, bad = dense(logits, labels, weight, ignore, activation)
    p, cost, cost_not = probabilities(logits, activation)
    if relaxation == "l1":
        tp, fp, fn = p.minimum(y), (p - y).clamp(min=0), (y - p).clamp(min=0)
    elif relaxation == "product":
        tp, fp, fn = p * y, p * (1 - y), (1 - p) * y
    else:
        # Dice becomes 2Σpy / (Σp² + Σy²): fp + fn = Σ(p − y)², and tp + fn is 0 without foreground.
        tp, fp, fn = p * y, p * (p - y), y * (y - p)
    tn = 1 - tp - fp - fn
    columns = (tp, fp, fn, tn, y * cost, (1 - y) * cost_not)
    dtype = accumulator(logits)
    return torch.stack([(w * column).sum(-1, dtype=dtype) for column in columns], dim=-1), bad


def levels_of(e: Tensor, levels: int) -> Tensor:
    """The level ⌊e · levels⌋ of errors in [0, 1]; what is not a number goes to level 0."""
    return (e.detach().nan_to_num(0.0) * levels).long().clamp(0, levels - 1)


def histogram(e: Tensor, y: Tensor, w: Tensor, levels: int) -> Tensor:
    """Weight by level and by label, (B, C, 2, levels); NaN where an error is."""
    size, classes, _ = e.shape
    row = torch.arange(size * classes, device=e.device).view(size, classes, 1)
    index = (2 * row + (y > 0.5)) * levels + levels_of(e, levels)
    counts = torch.zeros(2 * size * classes * levels, dtype=accumulator(e), device=e.device)
    counts.index_add_(0, index.flatten(), w.flatten().to(counts.dtype))
    broken = torch.isnan(e).any(-1)[..., None, None]
    return torch.where(broken, torch.nan, counts.view(size, classes, 2, levels))


def with_slopes(value: Tensor, slopes: Tensor, e: Tensor, y: Tensor, w: Tensor) -> Tensor:
    """`value` (B, C), with the gradient by the errors that `slopes` (B, C, 2, levels) give."""
    levels = slopes.shape[-1]
    index = (y > 0.5) * levels + levels_of(e, levels)
    slope = slopes.detach().flatten(2).gather(-1, index).to(e.dtype)
    linear = (slope * w * e).sum(-1, dtype=value.dtype)
    return value.detach() + linear - linear.detach()


def costs(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None, activation: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each voxel's and class's part of −log p_t, with y, weight and bad."""
    y, w, bad = dense(logits, labels, weight, ignore, activation)
    _, cost, cost_not = probabilities(logits, activation)
    return y * cost + (1 - y) * cost_not, y, w.expand_as(y), bad


def errors(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None, activation: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each voxel's error |y − p|, or for hinge max(0, 1 − (2y − 1)·x), with y, weight and bad."""
    y, w, bad = dense(logits, labels, weight, ignore, activation)
    if activation == "hinge":
        x = logits.to(y.dtype)
        e = (1 - (2 * y - 1) * x).clamp(min=0)
    else:
        e = (y - probabilities(logits, activation)[0]).abs()
    return e, y, w.expand_as(e), bad
