"""Pixel losses: sums over voxels, surrogates of the (weighted) Hamming loss."""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from segrisk.losses.base import Loss


class CrossEntropy(Loss):
    """The mean binary cross-entropy −[y log p + (1 − y) log(1 − p)] over voxels.

    A statistically consistent surrogate of the Hamming loss 1 − H (Eq. 2).

    >>> import torch
    >>> logits = torch.zeros(1, 1, 2, 2)
    >>> print(f"{CrossEntropy()(logits, torch.ones(1, 1, 2, 2)):.4f}")
    0.6931
    """

    label, family = "CE", "pixel"

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(logits, target)


class WeightedCrossEntropy(Loss):
    """The mean of w·CE over voxels, foreground and background balanced equally.

    w = 1 / (2p) on the foreground and 1 / (2 − 2p) on the background, with `prior` p the
    foreground fraction of the training part (section 3 of the paper). A plain mean: it is not
    divided by the sum of weights, so the loss of a batch does not depend on the batch's balance.
    At p = 1/2 it is the cross-entropy.

    >>> import torch
    >>> logits = torch.zeros(1, 1, 2, 2)
    >>> print(f"{WeightedCrossEntropy(prior=0.25)(logits, torch.ones(1, 1, 2, 2)):.4f}")
    1.3863
    """

    label, family = "wCE", "pixel"

    def __init__(self, prior: float) -> None:
        super().__init__()
        if not 0 < prior < 1:
            raise ValueError(
                f"the foreground prior must lie strictly between 0 and 1, got {prior}: "
                "weights 1/(2p) and 1/(2-2p) need both classes in the training part"
            )
        self.prior = prior

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        foreground, background = 1 / (2 * self.prior), 1 / (2 - 2 * self.prior)
        weight = background + (foreground - background) * target
        return binary_cross_entropy_with_logits(logits, target, weight=weight)
