"""Checkpoints: written whole, and read without running anything that they contain."""

import io
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
