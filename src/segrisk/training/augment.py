"""Augmentation as a function of (seed, epoch, case), never of the worker or the order.

Flips, rotation and translation of a case are one affine map, so a whole batch is resampled in one
call; a chain of per-case transforms costs about as much as the training step itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from segrisk.training.config import Augmentation


@dataclass(frozen=True)
class Draw:
    """The random change of one case: an affine map in units of the half side, and the noise."""

    matrix: np.ndarray
    """(space, space + 1): where in the old image each point of the new one is read."""
    noise: np.ndarray
    """(channels, *size) float32, to be added to the image."""


def draw(
    augmentation: Augmentation, shape: tuple[int, ...], *, seed: int, epoch: int, case: int
) -> Draw:
    """Draw the change of one case of `shape` (channels, *size) in one epoch."""
    generator = np.random.default_rng((seed, epoch, case))
    size = np.asarray(shape[1:], dtype=float)
    flips = np.ones(len(size))
    for axis in augmentation.flip:
        # Drawn for axes that the image lacks as well: the draws that follow stay the same.
        flipped = generator.random() < 0.5
        if flipped and axis < len(size):
            flips[axis] = -1.0
    angle = np.deg2rad(augmentation.rotate_degrees) * generator.uniform(-1, 1)
    shift = 2 * augmentation.shift * generator.uniform(-1, 1, len(size))
    rotation = np.eye(len(size))
    rotation[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    # Points are in units of half a side; a rotation is one only where all axes share a unit.
    linear = rotation * flips * size[None, :] / size[:, None]
    deviation = augmentation.noise * generator.random()
    noise = deviation * generator.standard_normal(shape, dtype=np.float32)
    return Draw(np.concatenate([linear, shift[:, None]], axis=1), noise.astype(np.float32))


def reach(augmentation: Augmentation, size: tuple[int, ...]) -> tuple[int, ...]:
    """How many voxels beyond a patch of `size`, on each side, any change of it can read."""
    largest = np.deg2rad(augmentation.rotate_degrees)
    beyond = []
    for axis, side in enumerate(size):
        # A turned side reaches (side cos a + other sin a) / 2, the most at tan a = other / side.
        other = size[1 - axis] if axis < 2 else 0
        angle = min(largest, np.arctan2(other, side))
        turned = side * np.cos(angle) + other * np.sin(angle)
        most = (turned - side) / 2 + augmentation.shift * side
        beyond.append(int(np.ceil(most)) + 1 if most > 0 else 0)
    return tuple(beyond)


def within(drawn: Draw, beyond: tuple[int, ...]) -> Draw:
    """The same change, read from an image that is larger by `beyond` voxels on each side."""
    size = np.asarray(drawn.noise.shape[1:])
    return Draw(drawn.matrix * (size / (size + 2 * np.asarray(beyond)))[:, None], drawn.noise)


class Changes(NamedTuple):
    """The draws of a batch as tensors, so that they are moved to a device with its images."""

    theta: Tensor
    """(B, space, space + 1) float32, in PyTorch's order of coordinates."""
    noise: Tensor
    """(B, channels, *size) float32."""


def together(draws: Sequence[Draw]) -> Changes:
    """The draws of the cases of a batch, in the order of its cases."""
    # PyTorch orders the coordinates of a point from the last axis to the first.
    order = list(range(len(draws[0].matrix)))[::-1]
    theta = np.stack([draw.matrix[order][:, [*order, len(order)]] for draw in draws])
    noise = np.stack([draw.noise for draw in draws])
    return Changes(torch.from_numpy(theta.astype(np.float32)), torch.from_numpy(noise))


def apply(changes: Changes, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Change `images` (B, C, *size) and `targets` (B, 1 or 2, *size) as drawn, on their device.

    The result has the size of the drawn noise. What comes in from outside the image repeats its
    border, and is known background in the target.
    """
    grid = affine_grid(changes.theta, list(changes.noise.shape), align_corners=False)
    moved = grid_sample(images, grid, padding_mode="border", align_corners=False) + changes.noise
    marked = grid_sample(targets, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved, marked
