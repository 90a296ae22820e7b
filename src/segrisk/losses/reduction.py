"""What is summed before a ratio is taken, and which mean is taken of the ratios."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from segrisk.losses.door import Batch
from segrisk.similarity import Confusion

Empty = Literal["penalise", "skip"]
AXES = {"batch": 0, "class": 1}


class Reduction:
    """From a table of each image and class to one number.

    `pool` names what is summed before the ratio: nothing (a ratio for each image and class),
    `batch`, `class`, or both. The ratios of classes that are kept are averaged flat, with
    `class_weight` normalised over them. Kept are classes that are annotated and have a voxel that
    counts; without `background`, all but channel 0 of several; with `empty="skip"`, those whose
    reference is not empty. When nothing is kept the loss is 0.

    With a process `group`, sums over images go over its processes too. Gradients are those of the
    whole batch after the mean that data-parallel training takes over processes.
    """

    def __init__(
        self,
        *,
        pool: Sequence[str] = (),
        empty: Empty = "penalise",
        background: bool = True,
        class_weight: Sequence[float] | None = None,
        group: Any = None,
    ) -> None:
        for name in [pool] if isinstance(pool, str) else pool:
            if name not in AXES:
                raise ValueError(f"pool may name 'batch' and 'class', got {name!r}")
        if not isinstance(background, bool):
            raise ValueError(f"background must be True or False, got {background!r}")
        if isinstance(pool, str):
            raise ValueError(f"pool is a tuple of names, got {pool!r}: write ({pool!r},)")
        if empty not in {"penalise", "skip"}:
            raise ValueError(f"empty must be 'penalise' or 'skip', got {empty!r}")
        if class_weight is not None and "class" in pool:
            raise ValueError("classes that are pooled cannot be weighted: leave out class_weight")
        if class_weight is not None and (min(class_weight) < 0 or not sum(class_weight) > 0):
            raise ValueError(f"class weights must be at least 0, not all 0: got {class_weight}")
        self.pool, self.empty, self.background = tuple(pool), empty, background
        self.class_weight = None if class_weight is None else tuple(class_weight)
        self.group = group

    def selected(self, batch: Batch) -> Tensor:
        """Which images and classes (B, C) are looked at."""
        classes = batch.logits.shape[1]
        chosen = batch.annotated
        if not self.background and classes > 1:
            chosen = chosen & (torch.arange(classes, device=chosen.device) > 0)
        return chosen

    def pooled(self, table: Tensor, selected: Tensor) -> Tensor:
        """Sums over the pooled axes, which stay as axes of length 1."""
        axes = [AXES[name] for name in self.pool]
        if axes:
            chosen = selected.view(*selected.shape, *[1] * (table.ndim - 2))
            table = torch.where(chosen, table, 0).sum(dim=axes, keepdim=True)
        return summed(table, self.group) if "batch" in self.pool else table

    def kept(self, masses: Confusion, selected: Tensor) -> Tensor:
        """Which of the pooled terms enter the mean."""
        axes = [AXES[name] for name in self.pool]
        kept = selected.sum(dim=axes, keepdim=True) > 0 if axes else selected
        # NaN is not 0: logits that are not finite stay in the mean, and show.
        kept = kept & (masses.total != 0)
        return kept & (masses.positives != 0) if self.empty == "skip" else kept

    def mean(self, terms: Tensor, kept: Tensor) -> Tensor:
        """The weighted mean of the kept terms; a differentiable 0 where none is."""
        weight = kept.to(terms.dtype)
        if self.class_weight is not None:
            if len(self.class_weight) != terms.shape[1]:
                raise ValueError(
                    f"class_weight has {len(self.class_weight)} entries for {terms.shape[1]} "
                    "classes: give one for each channel of the logits"
                )
            weight = weight * constants(self.class_weight, weight)
        total, count = (weight * terms.masked_fill(weight == 0, 0)).sum(), weight.sum()
        if "batch" not in self.pool:
            total, count = summed(total, self.group), summed(count, self.group)
        # The least number above 0 changes no weight, and makes 0 / 0 a 0.
        return total / count.clamp_min(torch.finfo(count.dtype).tiny)


def constants(values: Sequence[float], like: Tensor) -> Tensor:
    """Numbers as a tensor beside another, filled in there: a GPU's host would wait for a copy."""
    if len(set(values)) == 1:
        return like.new_full((len(values),), values[0])
    return torch.stack([like.new_full((), value) for value in values])


def summed(tensor: Tensor, group: Any) -> Tensor:
    """The sum over the processes of a group; a tensor as it is where there is none."""
    return tensor if group is None else _AllReduce.apply(tensor, group)


class _AllReduce(torch.autograd.Function):
    """A sum over processes, whose gradient is the sum of the processes' gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Any) -> Tensor:
        ctx.group = group
        result = tensor.contiguous().clone()
        dist.all_reduce(result, group=group)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        result = gradient.contiguous().clone()
        dist.all_reduce(result, group=ctx.group)
        return result, None
