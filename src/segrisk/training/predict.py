"""From a network to logits and masks at each case's own resolution."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import interpolate


def batches(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Consecutive runs of at most `size` indices."""
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


@torch.no_grad()
def predict(
    fabric: Fabric, network: nn.Module, images: np.ndarray, indices: Sequence[int], batch: int
) -> Iterator[tuple[int, Tensor]]:
    """Each index with its logits (1, *size), in float32."""
    network.eval()
    for part in batches(indices, batch):
        logits = network(fabric.to_device(torch.from_numpy(images[list(part)]))).float()
        yield from zip(part, logits, strict=True)


def logits_at(logits: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The logits (1, *size) interpolated linearly at `shape`."""
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    if logits.shape[1:] != shape:
        logits = interpolate(logits[None], size=shape, mode=mode, align_corners=False)[0]
    return logits[0]


def mask_at(logits: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """The decision p > 1/2 at `shape`."""
    return (logits_at(logits, shape) > 0).cpu().numpy()


def probabilities_at(logits: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """p at `shape`, in float32."""
    return logits_at(logits, shape).sigmoid().cpu().numpy()
