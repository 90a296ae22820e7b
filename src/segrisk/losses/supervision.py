"""Deep supervision: one loss at several resolutions."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class DeepSupervision(nn.Module):
    """The mean of a loss over outputs of falling resolution, against the target at each.

    `logits` is a sequence, finest first, each (B, C, *space). Targets, masks and weights are
    picked at the nearest voxel, so integer labels stay integers and no new ones arise. `weights`
    default to 1, 1/2, 1/4, …; they are normalised.

    >>> from segrisk.losses import SoftDice
    >>> outputs = [torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4)]
    >>> print(f"{DeepSupervision(SoftDice())(outputs, torch.ones(1, 8, 8, dtype=torch.long)):.4f}")
    0.3333
    """

    def __init__(self, loss: Callable[..., Tensor], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if weights is not None and (min(weights) < 0 or not sum(weights) > 0):
            raise ValueError(f"weights must be at least 0, not all 0: got {list(weights)}")
        self.loss, self.weights = loss, weights

    def forward(
        self,
        logits: Sequence[Tensor],
        target: Tensor,
        mask: Tensor | None = None,
        weight: Tensor | None = None,
        annotated: Tensor | None = None,
    ) -> Tensor:
        if isinstance(logits, Tensor) or not logits:
            raise TypeError(_complaint(logits))
        sizes = [output.shape[2:].numel() for output in logits]
        if sizes != sorted(sizes, reverse=True):
            raise ValueError(f"outputs of {sizes} voxels: give them finest first")
        weights = self.weights or [0.5**level for level in range(len(logits))]
        if len(weights) != len(logits):
            raise ValueError(f"{len(weights)} weights were given for {len(logits)} outputs")
        values = []
        for factor, output in zip(weights, logits, strict=True):
            if factor:
                space = output.shape[2:]
                given = {"mask": mask, "weight": weight}
                resized = {k: resize_nearest(v, space) for k, v in given.items() if v is not None}
                if annotated is not None:
                    resized["annotated"] = annotated
                values.append(factor * self.loss(output, resize_nearest(target, space), **resized))
        return torch.stack(values).sum() / sum(weights)


def _complaint(logits: Sequence[Tensor]) -> str:
    if not isinstance(logits, Tensor):
        return "logits hold no output: give at least one, (B, C, *space)"
    return (
        f"logits are one tensor of shape {tuple(logits.shape)}: give a list of outputs, finest "
        "first. A network that stacks them, (B, outputs, C, *space) as MONAI's DynUNet does, is "
        "taken apart by logits.unbind(1); in evaluation, which has one output, use the loss alone"
    )


def resize_nearest(labels: Tensor, space: Sequence[int]) -> Tensor:
    """Labels (…, *space) of any type at another resolution, by the voxel nearest to each centre.

    >>> resize_nearest(torch.tensor([[0, 1, 2, 3]]), [2])
    tensor([[1, 3]])
    """
    first = labels.ndim - len(space)
    for axis, size in enumerate(space, start=first):
        old = labels.shape[axis]
        if old != size:
            centres = (torch.arange(size, device=labels.device) * 2 + 1) * old // (2 * size)
            labels = labels.index_select(axis, centres)
    return labels
