"""One summand of a loss, with what several checks ask of it."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from segrisk.losses.linter.probe import Probe, noise, objects
from segrisk.losses.linter.reading import Reading
from segrisk.losses.linter.use import Use


@dataclass(frozen=True)
class Summand:
    """One summand of the loss, alone: what it is, and a way to call it."""

    probe: Probe
    reading: Reading

    @property
    def use(self) -> Use:
        """What the loss is used for."""
        return self.probe.use

    @cached_property
    def batches(self) -> "Batches":
        """What the loss gives for several images at once, and for the same one by one."""
        size = max(2, self.use.batch) * self.use.processes
        y = objects(self.use, batch=size, device=self.probe.device)
        # Some images are predicted well and some badly: a pooled ratio hides the bad ones.
        quality = torch.linspace(0, 2, size, device=y.device).view(-1, 1, 1, 1)
        x = quality * (2 * y - 1) + noise(y.shape, device=y.device)
        parts = zip(x.chunk(self.use.processes), y.chunk(self.use.processes), strict=True)
        singles = [self.probe.value(x[i : i + 1], y[i : i + 1]) for i in range(size)]
        split = [self.probe.value(*part) for part in parts]
        return Batches(size, self.probe.value(x, y), _mean(split), _mean(singles))


@dataclass(frozen=True)
class Batches:
    """One set of images: as one batch, as the mean over processes, as the mean over images."""

    images: int
    whole: float
    by_process: float
    by_image: float

    @property
    def pools(self) -> bool:
        """Whether images are summed before a ratio is taken."""
        return not math.isclose(self.whole, self.by_image, rel_tol=1e-3, abs_tol=1e-5)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
