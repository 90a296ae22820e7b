"""What a training learns from: whole images of one size, or patches of images of any."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from segrisk.training.augment import Draw, draw, reach, within
from segrisk.training.config import Augmentation, Patches
from segrisk.training.labels import widened
from segrisk.training.patches import corner, read
from segrisk.training.predict import batches, slide

Arrays = np.ndarray | Sequence[np.ndarray]
"""(cases, channels, *size), or an array (channels, *space) for each case."""

Batch = tuple[Tensor, Tensor, list[Draw]]
"""Images (B, channels, *size) and targets (see `labels`) on the CPU, and how to change each.

Without augmentation there are no draws: the images are not even resampled.
"""

Part = tuple[Tensor, Tensor]
"""Logits (B, 1, *space) and targets of some cases."""

EVERY = slice(None)


class Source(Protocol):
    """Where the training loop has its batches from. It knows of no patches."""

    @property
    def train(self) -> Sequence[int]:
        """The items that an epoch goes through."""

    def batch(
        self,
        items: Sequence[int],
        augmentation: Augmentation,
        *,
        seed: int,
        epoch: int,
    ) -> Batch:
        """Images and targets of some items, and their changes: functions of (seed, epoch, item)."""

    def validated(
        self, network: nn.Module, batch: int, device: torch.device, which: slice = EVERY
    ) -> Iterator[Part]:
        """`which` parts of the validation cases, whole, with what the network makes of them."""


@dataclass(frozen=True)
class Examples:
    """Whole images of one size: arrays over all cases, and which of them play which part."""

    images: np.ndarray
    """(cases, channels, *size) float32."""
    targets: np.ndarray
    """(cases, 1, *size), in [0, 1]."""
    train: tuple[int, ...]
    validation: tuple[int, ...]
    ignored: np.ndarray | None = None
    """(cases, 1, *size), true where a voxel counts for nothing."""

    def batch(
        self,
        items: Sequence[int],
        augmentation: Augmentation,
        *,
        seed: int,
        epoch: int,
    ) -> Batch:
        """The images of some cases with their targets and changes."""
        if augmentation.is_none:
            return *self._part(items), []
        shape = self.images.shape[1:]
        draws = [draw(augmentation, shape, seed=seed, epoch=epoch, case=item) for item in items]
        return *self._part(items), draws

    def validated(
        self, network: nn.Module, batch: int, device: torch.device, which: slice = EVERY
    ) -> Iterator[Part]:
        """The validation cases, in batches."""
        for part in list(batches(self.validation, batch))[which]:
            images, targets = self._part(part)
            yield widened(network(images.to(device))), targets.to(device)

    def _part(self, items: Sequence[int]) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(self.images[list(items)])
        targets = self.targets[list(items)]
        if self.ignored is not None:
            targets = np.concatenate([targets, self.ignored[list(items)]], axis=1)
        return images, torch.from_numpy(targets).float()


@dataclass(frozen=True)
class PatchExamples:
    """Patches of images of any size, of which no more than a batch is in memory.

    Validation cases are predicted whole, one at a time: the Dice loss of a patch is not that of
    its image, where most patches of a small object would be empty.
    """

    images: Arrays
    targets: Arrays
    cases: tuple[int, ...]
    """The cases that train."""
    validation: tuple[int, ...]
    patches: Patches
    ignored: Arrays | None = None

    @property
    def train(self) -> tuple[int, ...]:
        """An item for each patch of an epoch; where a case has one, its own number."""
        count = self.patches.per_case
        return tuple(case * count + which for case in self.cases for which in range(count))

    def batch(
        self,
        items: Sequence[int],
        augmentation: Augmentation,
        *,
        seed: int,
        epoch: int,
    ) -> Batch:
        """Patches and what their changes turn into them, with targets and changes."""
        size = self.patches.size
        beyond = reach(augmentation, size)
        wide = np.add(size, np.multiply(2, beyond))
        images, targets, draws = [], [], []
        for item in items:
            case = item // self.patches.per_case
            image, parts = self.images[case], self._parts(case)
            start = corner(self.patches, *parts, seed=seed, epoch=epoch, item=item)
            start = np.subtract(start, beyond)
            images.append(read(image, start, wide))
            targets.append(np.concatenate([read(part, start, wide) for part in parts]))
            if not augmentation.is_none:
                drawn = draw(augmentation, (len(image), *size), seed=seed, epoch=epoch, case=item)
                draws.append(within(drawn, beyond))
        image, target = (torch.from_numpy(np.stack(arrays)) for arrays in (images, targets))
        return image, target.float(), draws

    def validated(
        self, network: nn.Module, batch: int, device: torch.device, which: slice = EVERY
    ) -> Iterator[Part]:
        """The validation cases, one at a time."""
        for case in self.validation[which]:
            logits = slide(network, self.images[case], self.patches, batch, device)
            target = torch.from_numpy(np.concatenate(self._parts(case))).float()
            yield logits[None].to(device), target[None].to(device)

    def _parts(self, case: int) -> list[np.ndarray]:
        """The labels of a case, and, where some count for nothing, which: each (1, *space)."""
        return [arrays[case] for arrays in (self.targets, self.ignored) if arrays is not None]
