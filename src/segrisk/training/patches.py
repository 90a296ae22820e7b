"""Patches as a function of (seed, epoch, item), never of the worker or the order."""

from collections.abc import Sequence

import numpy as np

from segrisk.training.config import Patches


def corner(
    patches: Patches,
    target: np.ndarray,
    ignored: np.ndarray | None = None,
    *,
    seed: int,
    epoch: int,
    item: int,
) -> tuple[int, ...]:
    """The first voxel of the patch that is drawn for an item, whose case has `target` (1, *space).

    With probability `foreground_share`, and where there is foreground, it is centred on one of its
    voxels, as far as it stays inside; else, where a case has voxels that are `ignored`, on one of
    those that are not: a patch without any teaches nothing. Where a case is smaller than the
    patch, the patch begins before it, so that the case lies in its middle, as in prediction.
    """
    # The stream of the augmentation is (seed, epoch, item).
    generator = np.random.default_rng((seed, epoch, item, 1))
    space = target.shape[1:]
    sides = list(zip(space, patches.size, strict=True))
    at_foreground = generator.random() < patches.foreground_share
    places = [int(generator.integers(0, _free(*pair), endpoint=True)) for pair in sides]
    marked = np.flatnonzero(target) if at_foreground else np.empty(0)
    if not marked.size and ignored is not None and ignored.any():
        marked = np.flatnonzero(~ignored.astype(bool))
    if marked.size:
        voxel = np.unravel_index(marked[generator.integers(marked.size)], space)
        firsts = [centre - window // 2 for centre, window in zip(voxel, patches.size, strict=True)]
        places = [
            int(np.clip(first, 0, _free(*pair))) for first, pair in zip(firsts, sides, strict=True)
        ]
    return tuple(
        place if side >= window else -((window - side) // 2)
        for place, (side, window) in zip(places, sides, strict=True)
    )


def read(array: np.ndarray, start: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """`size` voxels of `array` (channels, *space) from `start` on; 0 where there are none."""
    space = array.shape[1:]
    stop = [first + side for first, side in zip(start, size, strict=True)]
    inside = [
        slice(max(first, 0), max(min(last, side), 0))
        for first, last, side in zip(start, stop, space, strict=True)
    ]
    found = array[:, *inside]
    missing = [
        (part.start - first, window - (part.start - first) - got)
        for part, first, window, got in zip(inside, start, size, found.shape[1:], strict=True)
    ]
    return np.pad(found, [(0, 0), *missing])


def _free(side: int, window: int) -> int:
    """By how many voxels a window can be moved within a side."""
    return max(side - window, 0)
