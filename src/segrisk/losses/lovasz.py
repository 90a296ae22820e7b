"""Lovász losses: the piecewise-linear extension of a similarity's loss over the errors."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from segrisk import kernels
from segrisk.kernels import operators
from segrisk.losses.base import Loss
from segrisk.losses.door import Activation, Batch
from segrisk.losses.reduction import AXES, Empty, Reduction, summed
from segrisk.similarity import Confusion, Similarity, jaccard

Errors = Literal["probability", "hinge"]

SORTED_BELOW = 2**14
"""Errors of images with fewer voxels than this are sorted; those of others put into levels."""
FEW, MANY, MANY_FROM = 2**14, 2**16, 2**20
"""The number of levels: few below `MANY_FROM` voxels, where tables would cost most, else many."""
STEP = 1e-3
"""What an empty level is taken to hold for its slope; float64 differences of that are exact."""
NODES = 6


def lovasz_extension(
    similarity: Similarity, errors: Tensor, y: Tensor, weight: Tensor | None = None
) -> Tensor:
    """The Lovász extension of the loss 1 − S at `errors`, all (B, C, V); gives (B, C).

    With errors sorted downwards, e_(1) ≥ e_(2) ≥ …, and Δ(k) the loss when the k voxels of largest
    error are wrong: Σ_k e_(k) [Δ(k) − Δ(k − 1)] (Berman et al. 2018, Eq. 8). A voxel of weight w
    counts w times. Δ is evaluated and differenced in float64: float32 rounds most increments of a
    large image to 0.
    """
    w = torch.ones_like(errors) if weight is None else weight
    ordered, order = errors.sort(dim=-1, descending=True, stable=True)
    fn = (w * y).gather(-1, order).double().cumsum(-1)
    fp = (w * (1 - y)).gather(-1, order).double().cumsum(-1)
    positives, negatives = fn[..., -1:], fp[..., -1:]
    masses = Confusion(positives - fn, fp, fn, negatives - fp)
    increments = similarity.loss(masses).diff(dim=-1, prepend=torch.zeros_like(positives))
    return (ordered * increments).sum(-1)


def level_tables(similarity: Similarity, counts: Tensor) -> tuple[Tensor, Tensor]:
    """The extension on levels, (B, C), and its slope by the errors at each, (B, C, 2, levels).

    `counts` (B, C, 2, levels) is the weight of background and foreground voxels whose error lies
    in [l, l + 1) / levels; all count as if it were (l + ½) / levels, so the value is within half a
    level of the exact one. The slope of a level is the mean increment of Δ in that level, over
    any order of its voxels; empty levels have one too, since rounding may send a voxel there.
    """
    if similarity is jaccard and operators.compiled(counts.device):
        return operators.jaccard_levels(counts)
    after = counts.flip(-1).cumsum(-1).flip(-1)
    before = after - counts
    total = counts.sum(-1, keepdim=True)
    negatives, positives = total[:, :, 0], total[:, :, 1]

    def delta(b: Tensor, f: Tensor) -> Tensor:
        return similarity.loss(Confusion(positives - f, b, f, negatives - b))

    (b0, f0), (b1, f1) = before.unbind(2), after.unbind(2)
    levels = counts.shape[-1]
    centres = (torch.arange(levels, device=counts.device, dtype=counts.dtype) + 0.5) / levels
    value = (centres * (delta(b1, f1) - delta(b0, f0))).sum(-1)
    db, df = (b1 - b0).clamp(min=STEP), (f1 - f0).clamp(min=STEP)
    middle = (f0 + f1) / 2
    background = (delta(b0 + db, middle) - delta(b0, middle)) / db
    # Δ bends in b: the foreground's slope is averaged over b by Gauss and Legendre's rule.
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    foreground = torch.zeros_like(background)
    for node, weight in zip(nodes, weights, strict=True):
        b = b0 + (node + 1) / 2 * (b1 - b0)
        foreground += weight / 2 * (delta(b, f0 + df) - delta(b, f0)) / df
    return value, torch.stack([background, foreground], dim=2)


class Lovasz(Loss):
    """The Lovász extension of the loss of one similarity.

    At hard predictions it is the loss itself, in between it is piecewise linear in the errors:
    `probability` |y − p| by sigmoid or softmax, or `hinge` max(0, 1 − (2y − 1)·x), unbounded, for
    classes that may overlap. Convex in the errors for Jaccard and Hamming, whose set functions
    are submodular; not for Dice and the others. Labels must be hard: soft ones belong to `Soft`.
    `exact` sorts where levels would do (see `docs/losses.md`). `pool`, `empty`, `background`,
    `class_weight` and `group`: see `Reduction`. A class that is absent costs fp / d, whose
    extension is the mean error.
    """

    def __init__(
        self,
        similarity: Similarity,
        *,
        errors: Errors = "probability",
        exact: bool = False,
        pool: Sequence[str] = (),
        empty: Empty = "penalise",
        background: bool = True,
        class_weight: Sequence[float] | None = None,
        activation: Activation | None = None,
        ignore_index: int | None = None,
        group: Any = None,
    ) -> None:
        super().__init__(activation=activation, ignore_index=ignore_index)
        if errors not in {"probability", "hinge"}:
            raise ValueError(f"errors must be 'probability' or 'hinge', got {errors!r}")
        if errors == "hinge" and activation == "softmax":
            raise ValueError(
                "hinge errors are those of a sigmoid's logit: leave out activation='softmax'"
            )
        self.similarity, self.errors, self.exact = similarity, errors, exact
        self.family = "metric" if similarity.of_foreground else "pixel"
        self.label = getattr(type(self), "label", f"Lovász {similarity.name}")
        self.reduction = Reduction(
            pool=pool,
            empty=empty,
            background=background,
            class_weight=class_weight,
            group=group,
        )

    def compute(self, batch: Batch) -> Tensor:
        if self.errors == "hinge" and batch.activation == "softmax":
            raise ValueError(
                "hinge errors need one channel for each class that may overlap with others: give "
                "a target of the shape of the logits, and activation='sigmoid'"
            )
        across = self.reduction.group is not None and "batch" in self.reduction.pool
        voxels = batch.logits.shape[-1]
        if across and (self.exact or self.errors == "hinge"):
            raise ValueError(
                "errors cannot be sorted across processes: pool the batch of one process, or "
                "leave out exact=True and errors='hinge'"
            )
        if across or not self.sorts(voxels):
            return self._compute_levels(batch, MANY if voxels >= MANY_FROM else FEW)
        return self._compute_sorted(batch)

    def sorts(self, voxels: int) -> bool:
        """Whether errors of images of so many voxels are sorted, not put into levels."""
        return self.exact or self.errors == "hinge" or voxels < SORTED_BELOW

    def _compute_levels(self, batch: Batch, levels: int) -> Tensor:
        given = {"weight": batch.weight, "ignore": batch.ignore, "activation": batch.activation}
        selected = self.reduction.selected(batch)
        counts = kernels.error_histogram(batch.logits, batch.labels, levels=levels, **given)
        counts = self.reduction.pooled(counts, selected)
        value, slopes = level_tables(self.similarity, counts)
        # Images and classes that are pooled, here and elsewhere, have one table, and each its part
        # of the value: added up they give the value, and the gradient of each.
        parts = self._processes() * (selected.numel() // value.numel())
        shared = (value / parts).expand(selected.shape)
        slopes = slopes.expand(*selected.shape, *slopes.shape[2:])
        terms = kernels.with_slopes(shared, slopes, batch.logits, batch.labels, **given)
        terms = self._collected(torch.where(selected, terms, terms.detach()))
        sums = counts.sum(-1)
        positives, total = sums[:, :, 1], sums.sum(-1)
        masses = Confusion(positives, 0 * total, 0 * total, total - positives)
        return self.reduction.mean(terms, self.reduction.kept(masses, selected))

    def _collected(self, terms: Tensor) -> Tensor:
        """Each image's and class's part of a pooled term, added up, over processes too."""
        axes = [AXES[name] for name in self.reduction.pool]
        if axes:
            terms = terms.sum(dim=axes, keepdim=True)
        return summed(terms, self.reduction.group) if self._processes() > 1 else terms

    def _processes(self) -> int:
        """How many processes the batch is pooled over."""
        across = self.reduction.group is not None and "batch" in self.reduction.pool
        return dist.get_world_size(self.reduction.group) if across else 1

    def _compute_sorted(self, batch: Batch) -> Tensor:
        activation = "hinge" if self.errors == "hinge" else batch.activation
        e, y, w = kernels.errors(
            batch.logits,
            batch.labels,
            weight=batch.weight,
            ignore=batch.ignore,
            activation=activation,
        )
        if not batch.is_hard:
            e = kernels.refuse_soft_labels(e, y, "a Lovász loss")
        selected = self.reduction.selected(batch)
        w = w * selected.unsqueeze(-1)
        e, y, w = (self._rows(part) for part in (e, y, w))
        terms = lovasz_extension(self.similarity, e, y, w)
        positives, total = (part.sum(-1, dtype=torch.float64) for part in (w * y, w))
        masses = Confusion(positives, 0 * total, 0 * total, total - positives)
        return self.reduction.mean(terms, self.reduction.kept(masses, selected))

    def _rows(self, part: Tensor) -> Tensor:
        """(B, C, V) with the pooled axes as further voxels."""
        pooled = [AXES[name] for name in self.reduction.pool]
        order = [axis for axis in (0, 1) if axis not in pooled] + sorted(pooled) + [2]
        shape = [1 if axis in pooled else part.shape[axis] for axis in (0, 1)]
        return part.permute(order).reshape(*shape, -1)


class LovaszJaccard(Lovasz):
    """The Lovász extension of the Jaccard loss: Lovász-sigmoid, Lovász-softmax, Lovász-hinge.

    The tight convex closure of the Jaccard loss in the errors (Berman et al. 2018).

    >>> hard = torch.tensor([[[20.0, 20.0, -20.0]]])
    >>> print(f"{LovaszJaccard()(hard, torch.tensor([[[1, 0, 0]]])):.4f}")
    0.5000
    """

    label, family = "Lovász", "metric"

    def __init__(self, **options: Any) -> None:
        super().__init__(jaccard, **options)
