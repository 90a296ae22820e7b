"""Lovász losses: the piecewise-linear extension of a similarity's loss over the errors."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from segrisk import kernels
from segrisk.losses.base import Loss
from segrisk.losses.door import Activation, Batch
from segrisk.losses.reduction import AXES, Empty, Reduction
from segrisk.similarity import Confusion, Similarity, jaccard

Errors = Literal["probability", "hinge"]


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
