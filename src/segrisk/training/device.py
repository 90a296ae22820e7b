"""What a training does differently on each kind of device, decided in one place."""

import torch
from torch import Tensor, nn

LAYOUT = 1
"""The version of where channels come last: it is part of the identity of what it changes."""

AHEAD = 4
"""Threads that prepare batches while a GPU computes: drawing noise takes most of their time."""

CONTIGUOUS_NORMS = (nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)
"""Layers whose CUDA code copies its input to contiguous memory: channels last would cost twice."""


def make_reproducible(threads: int) -> None:
    """Make this process compute the same bits each time, with `threads` threads."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Otherwise PyTorch fills every new tensor with NaN first, to show who reads it unwritten.
    torch.utils.deterministic.fill_uninitialized_memory = False


def threads_ahead(device: torch.device) -> int:
    """How many threads prepare batches ahead.

    None on a processor: as many trainings as processors run at once, and each computes alone.
    """
    return 0 if device.type == "cpu" else AHEAD


def wants_channels_last(network: nn.Module, device: torch.device, precision: str) -> bool:
    """Whether the convolutions of `network` are to be computed with channels last in memory.

    That is what a GPU's half-precision convolutions are made for; in float32, or between layers
    that copy their input back, it costs more than it brings.

    >>> cuda, plain = torch.device("cuda"), nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> wants_channels_last(plain, cuda, "bf16-mixed"), wants_channels_last(plain, cuda, "32-true")
    (True, False)
    >>> wants_channels_last(nn.Sequential(*plain, nn.InstanceNorm2d(8)), cuda, "bf16-mixed")
    False
    """
    copied = any(isinstance(part, CONTIGUOUS_NORMS) for part in network.modules())
    return device.type == "cuda" and precision != "32-true" and not copied


def put_channels_last(network: nn.Module) -> None:
    """Reorder the weights of convolutions in memory; PyTorch then orders what they compute alike.

    The weights stay what they are, and so does every checkpoint of them.
    """
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            part.to(memory_format=torch.channels_last)
        elif isinstance(part, nn.Conv3d | nn.ConvTranspose3d):
            part.to(memory_format=torch.channels_last_3d)


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` where a GPU can fetch it by itself; as it is for other devices."""
    return tensor.pin_memory() if device.type == "cuda" else tensor
