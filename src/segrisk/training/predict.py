"""From a network to logits and masks at each case's own resolution."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from lightning_fabric import Fabric
from monai.inferers import sliding_window_inference
from torch import Tensor, nn
from torch.nn.functional import interpolate

from segrisk.training.config import Patches

Box = tuple[tuple[int, int], ...]
"""The first voxel along each axis, and the one after the last."""


def batches(indices: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Consecutive runs of at most `size` indices."""
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


@torch.no_grad()
def predict(
    fabric: Fabric,
    network: nn.Module,
    images: np.ndarray | Sequence[np.ndarray],
    indices: Sequence[int],
    batch: int,
    patches: Patches | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Each index with its logits (1, *space), in float32; with `patches` case by case."""
    network.eval()
    if patches is not None:
        for index in indices:
            yield index, slide(network, images[index], patches, batch, fabric.device)
        return
    assert isinstance(images, np.ndarray)
    for part in batches(indices, batch):
        logits = network(fabric.to_device(torch.from_numpy(images[list(part)]))).float()
        yield from zip(part, logits, strict=True)


def slide(
    network: nn.Module, image: np.ndarray, patches: Patches, batch: int, device: torch.device
) -> Tensor:
    """The logits (1, *space) of one case (channels, *space), on the CPU.

    Windows of the size of a patch are predicted on `device`, `batch` at a time, and averaged with
    Gaussian weights where they overlap. A case that is smaller is surrounded by 0.
    """
    return sliding_window_inference(
        torch.from_numpy(np.array(image))[None],
        patches.size,
        batch,
        lambda windows: network(windows).float(),
        overlap=patches.overlap,
        mode="gaussian",
        sw_device=device,
        device=torch.device("cpu"),
    )[0]


def logits_at(logits: Tensor, shape: tuple[int, ...], box: Box | None = None) -> Tensor:
    """The logits (1, *size) interpolated linearly at `shape`, or at `box` of it.

    Outside of the box, which the network has not seen, they are −∞: p = 0.
    """
    inside = shape if box is None else tuple(stop - start for start, stop in box)
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    if logits.shape[1:] != inside:
        logits = interpolate(logits[None], size=inside, mode=mode, align_corners=False)[0]
    if box is None or inside == shape:
        return logits[0]
    whole = logits.new_full(shape, -torch.inf)
    whole[tuple(slice(*sides) for sides in box)] = logits[0]
    return whole


def mask_at(logits: Tensor, shape: tuple[int, ...], box: Box | None = None) -> np.ndarray:
    """The decision p > 1/2 at `shape`; nothing outside of `box`."""
    return (logits_at(logits, shape, box) > 0).cpu().numpy()


def probabilities_at(logits: Tensor, shape: tuple[int, ...], box: Box | None = None) -> np.ndarray:
    """p at `shape`, in float32; 0 outside of `box`."""
    return logits_at(logits, shape, box).sigmoid().cpu().numpy()
