"""What a training does differently on each kind of device, decided in one place."""

import logging

import torch
from torch import Tensor

AHEAD = 4
"""Threads that prepare batches while a GPU computes: drawing noise takes most of their time."""


def make_reproducible(threads: int) -> None:
    """Make this process compute the same bits each time, with `threads` threads."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Otherwise PyTorch fills every new tensor with NaN first, to show who reads it unwritten.
    torch.utils.deterministic.fill_uninitialized_memory = False


def quiet() -> None:
    """Keep Fabric from announcing each training."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def threads_ahead(device: torch.device) -> int:
    """How many threads prepare batches ahead.

    None on a processor: as many trainings as processors run at once, and each computes alone.
    """
    return 0 if device.type == "cpu" else AHEAD


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` where a GPU can fetch it by itself; as it is for other devices."""
    return tensor.pin_memory() if device.type == "cuda" else tensor
