"""Soft losses: a similarity of the masses of probabilities."""

from torch import Tensor

from segrisk.losses.base import Loss, flat
from segrisk.similarity import Confusion, Similarity, dice, jaccard


def soft_confusion(p: Tensor, y: Tensor) -> Confusion:
    """The masses (B, C) of probabilities `p` against labels `y`, both (B, C, voxels).

    tp = Σ min(p, y), fp = Σ max(p − y, 0), fn = Σ max(y − p, 0): on hard labels the usual products
    Σ p·y, Σ p·(1 − y), Σ (1 − p)·y; on soft labels, unlike those, best exactly at p = y.
    """
    tp = p.minimum(y).sum(-1)
    fp = (p - y).clamp(min=0).sum(-1)
    fn = (y - p).clamp(min=0).sum(-1)
    tn = (1 - p.maximum(y)).sum(-1)
    return Confusion(tp, fp, fn, tn)


class Soft(Loss):
    """The loss 1 − S of one similarity at the soft masses, per image and channel, then the mean.

    An image whose reference is empty costs fp / d (see `Similarity.loss`).
    """

    family = "metric"

    def __init__(self, similarity: Similarity) -> None:
        super().__init__()
        self.similarity = similarity

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        masses = soft_confusion(flat(logits).sigmoid(), flat(target))
        return self.similarity.loss(masses).mean()


class SoftDice(Soft):
    """Soft Dice: 1 − 2tp / (2tp + fp + fn) on probabilities.

    >>> import torch
    >>> hard = torch.tensor([[[20.0, 20.0, -20.0]]])
    >>> print(f"{SoftDice()(hard, torch.tensor([[[1.0, 0.0, 0.0]]])):.4f}")
    0.3333
    """

    label = "sDice"

    def __init__(self) -> None:
        super().__init__(dice)


class SoftJaccard(Soft):
    """Soft Jaccard: 1 − tp / (tp + fp + fn) on probabilities.

    >>> import torch
    >>> hard = torch.tensor([[[20.0, 20.0, -20.0]]])
    >>> print(f"{SoftJaccard()(hard, torch.tensor([[[1.0, 0.0, 0.0]]])):.4f}")
    0.5000
    """

    label = "sJaccard"

    def __init__(self) -> None:
        super().__init__(jaccard)
