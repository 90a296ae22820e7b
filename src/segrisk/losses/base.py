"""What every loss shares: logits in, a scalar out, and the family that it belongs to."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

Family = Literal["pixel", "metric", "other"]


class Loss(nn.Module):
    """A loss of `logits` (B, C, *space) against `target` (B, C, *space) in [0, 1].

    Each channel is one binary segmentation. `label` is the name in tables. `family` says what the
    loss surrogates: `pixel` the (weighted) Hamming loss, `metric` the Dice or Jaccard loss; the
    marks of Table 1 compare these two groups.
    """

    label: ClassVar[str]
    family: ClassVar[Family]

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        check(logits, target)
        # Sums over millions of voxels need float32, whatever precision the network runs in.
        precision = torch.promote_types(logits.dtype, torch.float32)
        return self.compute(logits.to(precision), target.to(precision))

    def compute(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of checked input in float32 or better."""
        raise NotImplementedError


def check(logits: Tensor, target: Tensor) -> None:
    """Refuse shapes that would broadcast: the door of every loss."""
    if logits.shape != target.shape or logits.ndim < 3:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)} and target {tuple(target.shape)}: "
            "both must be (B, C, *space)"
        )
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating point, got {logits.dtype}")


def flat(tensor: Tensor) -> Tensor:
    """(B, C, *space) as (B, C, voxels)."""
    return tensor.flatten(start_dim=2)
