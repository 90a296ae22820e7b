"""Lovász losses: the piecewise-linear extension of a similarity's loss over the errors."""

import torch
from torch import Tensor

from segrisk.losses.base import Loss, flat
from segrisk.similarity import Confusion, Similarity, jaccard


def lovasz_extension(similarity: Similarity, errors: Tensor, y: Tensor) -> Tensor:
    """The Lovász extension of the loss 1 − S at `errors`, both (B, C, voxels); gives (B, C).

    With errors sorted downwards, e_(1) ≥ e_(2) ≥ …, and Δ(k) the loss when the k voxels of largest
    error are wrong: Σ_k e_(k) [Δ(k) − Δ(k − 1)] (Berman et al. 2018, Eq. 8). Δ is evaluated and
    differenced in float64: float32 rounds most increments of a large image to 0.
    """
    ordered, order = errors.sort(dim=-1, descending=True, stable=True)
    wrong = y.gather(-1, order).double()
    fn = wrong.cumsum(-1)
    fp = (1 - wrong).cumsum(-1)
    positives = fn[..., -1:]
    masses = Confusion(positives - fn, fp, fn, fp[..., -1:] - fp)
    increments = similarity.loss(masses).diff(dim=-1, prepend=torch.zeros_like(positives))
    return (ordered * increments.to(ordered.dtype)).sum(-1)


class LovaszSigmoid(Loss):
    """Lovász-sigmoid: the convex extension of the Jaccard loss at the errors |y − p|.

    Per image and channel, then the mean; hard labels only. An image whose reference is empty
    costs fp / d, whose extension is the mean error.

    >>> hard = torch.tensor([[[20.0, 20.0, -20.0]]])
    >>> print(f"{LovaszSigmoid()(hard, torch.tensor([[[1.0, 0.0, 0.0]]])):.4f}")
    0.5000
    """

    label, family = "Lovász", "metric"

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        p, y = flat(logits).sigmoid(), flat(target)
        return lovasz_extension(jaccard, (y - p).abs(), y).mean()
