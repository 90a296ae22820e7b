"""Pixel losses: means over voxels, surrogates of the (weighted) Hamming loss."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from segrisk import kernels
from segrisk.losses.base import Loss
from segrisk.losses.door import Activation, Batch
from segrisk.losses.reduction import Reduction, constants
from segrisk.similarity import Confusion


class CrossEntropy(Loss):
    """The mean cross-entropy −Σ_c y_c log p_c over voxels, or for each channel of a sigmoid
    −y log p − (1 − y) log(1 − p).

    A statistically consistent surrogate of the Hamming loss 1 − H (Eq. 2). The mean over the
    voxels of an image that count, then over images; `pool=("batch",)` takes it over all voxels at
    once, as PyTorch does, which differs where images have unequal numbers of voxels that count.

    >>> logits = torch.zeros(1, 1, 2, 2)
    >>> print(f"{CrossEntropy()(logits, torch.ones(1, 2, 2, dtype=torch.long)):.4f}")
    0.6931
    """

    label, family = "CE", "pixel"

    def __init__(
        self,
        *,
        pool: Sequence[str] = (),
        activation: Activation | None = None,
        ignore_index: int | None = None,
        group: Any = None,
    ) -> None:
        super().__init__(activation=activation, ignore_index=ignore_index)
        self.reduction = Reduction(pool=pool, group=group)

    def compute(self, batch: Batch) -> Tensor:
        table = batch.masses()
        foreground, background = self.weights(batch)
        nll = table[..., 4] * constants(foreground, table)
        nll = nll + table[..., 5] * constants(background, table)
        table = torch.stack([nll, table[..., :4].sum(-1)], dim=-1)
        selected = self.reduction.selected(batch)
        if batch.activation == "softmax":
            # Each voxel stands in one class's column, and counts in every class's total.
            nll = torch.where(selected, table[..., 0], 0).sum(1, keepdim=True)
            table = torch.stack([nll, table[:, :1, 1]], dim=-1)
            selected = torch.ones_like(selected[:, :1])
        table = self.reduction.pooled(table, selected)
        nll, total = table.unbind(-1)
        terms = nll / torch.where(total > 0, total, 1)
        return self.reduction.mean(terms, self.reduction.kept(_only(total), selected))

    def weights(self, batch: Batch) -> tuple[list[float], list[float]]:
        """What each class's foreground and, under a sigmoid, background voxels weigh."""
        ones = [1.0] * batch.logits.shape[1]
        return ones, ones


class WeightedCrossEntropy(CrossEntropy):
    """The mean of w·CE over voxels.

    With `prior`, classes are balanced as in the paper (section 3): under a sigmoid w = 1 / (2p) on
    the foreground and 1 / (2 − 2p) on the background, p the foreground fraction of the training
    part (one number, or one for each channel); under a softmax w_c = 1 / (C·p_c). With `weights`,
    w is given: (background, foreground) for one channel, else one for each class of a softmax.
    A plain mean, not divided by the sum of weights: the loss of a batch does not depend on the
    batch's balance. At equal priors it is the cross-entropy.

    >>> logits = torch.zeros(1, 1, 2, 2)
    >>> target = torch.ones(1, 2, 2, dtype=torch.long)
    >>> print(f"{WeightedCrossEntropy(prior=0.25)(logits, target):.4f}")
    1.3863
    """

    label, family = "wCE", "pixel"

    def __init__(
        self,
        prior: float | Sequence[float] | None = None,
        *,
        weights: Sequence[float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if (prior is None) == (weights is None):
            raise ValueError("give either the prior or the weights of the classes")
        self.prior = None if prior is None else _numbers(prior)
        self.given = None if weights is None else _numbers(weights)
        for p in self.prior or ():
            if not 0 < p < 1:
                raise ValueError(
                    f"the prior of a class must lie strictly between 0 and 1, got {p}: "
                    "weights 1/(2p) and 1/(2-2p) need both classes in the training part"
                )
        if self.given and min(self.given) < 0:
            raise ValueError(f"weights must be at least 0, got {self.given}")

    def weights(self, batch: Batch) -> tuple[list[float], list[float]]:
        classes, exclusive = batch.logits.shape[1], batch.activation == "softmax"
        if self.prior is not None:
            _expect(len(self.prior) == classes, "one prior for each", self.prior, batch)
            if exclusive:
                return [1 / (classes * p) for p in self.prior], [0.0] * classes
            return [1 / (2 * p) for p in self.prior], [1 / (2 - 2 * p) for p in self.prior]
        assert self.given is not None
        if exclusive:
            _expect(len(self.given) == classes, "one weight for each", self.given, batch)
            return list(self.given), [0.0] * classes
        pair = classes == 1 and len(self.given) == 2
        _expect(pair, "weights (background, foreground) of one", self.given, batch)
        return [self.given[1]], [self.given[0]]


class Focal(Loss):
    """The focal loss: the mean of (1 − p_t)^γ·(−log p_t), p_t the probability of what is true.

    Lin et al. 2017. Computed from log(1 − p_t), so that its gradient is finite for every γ ≥ 0 and
    every logit. γ = 0 is the cross-entropy.

    >>> logits = torch.zeros(1, 1, 2, 2)
    >>> print(f"{Focal(gamma=2)(logits, torch.ones(1, 2, 2, dtype=torch.long)):.4f}")
    0.1733
    """

    label, family = "focal", "other"

    def __init__(
        self,
        gamma: float = 2.0,
        *,
        activation: Activation | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(activation=activation, ignore_index=ignore_index)
        if not 0 <= gamma < float("inf"):
            raise ValueError(f"gamma must be at least 0 and finite, got {gamma}")
        self.gamma = gamma

    def compute(self, batch: Batch) -> Tensor:
        cost, weight, selected, y = _voxel_costs(batch)
        if not batch.is_hard:
            cost = kernels.refuse_soft_labels(cost, y, "the focal loss")
        focus = (self.gamma * _log_wrong(batch, y)).exp()
        return _mean_of_voxels(weight * focus * cost, weight, selected)


class TopK(Loss):
    """The mean cross-entropy of the share `k` of voxels that cost most, in each image.

    Of an image's voxels that count, W in weight, those of largest cost up to a weight of k·W, the
    last one in part. Under a sigmoid each channel has its own.

    >>> logits = torch.tensor([[[5.0, 5.0, 5.0, -1.0]]])
    >>> print(f"{TopK(k=0.25)(logits, torch.ones(1, 4, dtype=torch.long)):.4f}")
    1.3133
    """

    label, family = "top-k CE", "other"

    def __init__(
        self,
        k: float = 0.1,
        *,
        activation: Activation | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(activation=activation, ignore_index=ignore_index)
        if not 0 < k <= 1:
            raise ValueError(f"k is a share of the voxels in (0, 1], got {k}")
        self.k = k

    def compute(self, batch: Batch) -> Tensor:
        cost, weight, selected, _ = _voxel_costs(batch)
        ordered, order = torch.where(weight > 0, cost, -torch.inf).sort(dim=-1, descending=True)
        w = weight.gather(-1, order).double()
        ordered = torch.where(w > 0, ordered, 0)
        before = w.cumsum(-1) - w
        taken = (self.k * w.sum(-1, keepdim=True) - before).clamp(min=0).minimum(w)
        return _mean_of_voxels(taken * ordered, taken, selected)


def _voxel_costs(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """−log p_t and weight of each voxel, (B, 1, V) under a softmax, else (B, C, V); and y.

    The classes that are looked at are (B, 1) or (B, C).
    """
    cost, y, w = kernels.costs(
        batch.logits,
        batch.labels,
        weight=batch.weight,
        ignore=batch.ignore,
        activation=batch.activation,
    )
    if batch.activation == "softmax":
        cost = torch.where(batch.annotated.unsqueeze(-1), cost, 0).sum(1, keepdim=True)
        return cost, w[:, :1], torch.ones_like(batch.annotated[:, :1]), y
    return cost, w, batch.annotated, y


def _log_wrong(batch: Batch, y: Tensor) -> Tensor:
    """log(1 − p_t), stable where p_t rounds to 1; shaped as `_voxel_costs`."""
    x = batch.logits.to(y.dtype)
    if batch.activation == "sigmoid":
        return -(y * softplus(x) + (1 - y) * softplus(-x))
    others = x.masked_fill(y > 0.5, -torch.inf).logsumexp(1, keepdim=True)
    return others - x.logsumexp(1, keepdim=True)


def _mean_of_voxels(costs: Tensor, weight: Tensor, selected: Tensor) -> Tensor:
    """Costs over weights of each image and channel, then the mean over those that have a voxel."""
    reduction = Reduction()
    total = weight.sum(-1, dtype=torch.float64)
    terms = costs.sum(-1, dtype=torch.float64) / torch.where(total > 0, total, 1)
    return reduction.mean(terms, reduction.kept(_only(total), selected))


def _only(total: Tensor) -> Confusion:
    """Masses of which nothing but their total is asked."""
    return Confusion(total, 0, 0, 0)


def _numbers(given: float | Sequence[float]) -> tuple[float, ...]:
    return (
        tuple(float(v) for v in given) if isinstance(given, Sequence | Tensor) else (float(given),)
    )


def _expect(holds: bool, expected: str, given: Sequence[float], batch: Batch) -> None:
    if not holds:
        raise ValueError(
            f"a {batch.activation} over {batch.logits.shape[1]} channels needs {expected} "
            f"channel, got {list(given)}"
        )
