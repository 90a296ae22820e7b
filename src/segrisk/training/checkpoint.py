"""Checkpoints: written whole, and read without running anything that they contain."""

import io
import math
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segrisk.files import write_bytes


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, text and containers of them, in one step."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, onto the CPU. Pickled objects of any other kind are refused."""
    return torch.load(path, map_location="cpu", weights_only=True)


def is_damaged(path: Path) -> bool:
    """Whether a file is not what `save` wrote, by the checksums of its parts.

    `torch.load` itself may read changed numbers without a word.
    """
    try:
        with zipfile.ZipFile(path) as parts:
            return parts.testzip() is not None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError):
        return True


@dataclass
class Saver:
    """Saves no more often than is cheap: at most `share` of the time goes into checkpoints.

    The first one is always due. A kill then costs at most 1 / `share` times what one takes.
    """

    path: Path
    share: float = 0.05
    clock: Callable[[], float] = time.perf_counter
    _saved: float = -math.inf
    _took: float = 0.0

    def is_due(self) -> bool:
        """Whether the last checkpoint is old enough, measured by what it took."""
        return self.clock() - self._saved >= self._took / self.share

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint, and see how long that takes."""
        began = self.clock()
        save(self.path, state)
        self._saved = self.clock()
        self._took = self._saved - began
