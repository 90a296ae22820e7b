"""Cross-entropy, as a study's own loss whose worker comes to harm where `fault.json` says so."""

import errno
import json
import os
import resource
import signal
import time
from multiprocessing import parent_process
from pathlib import Path

import torch
from torch import nn

from segrisk.losses import CrossEntropy

ORDER = Path(__file__).with_name("fault.json")


class Faulty(nn.Module):
    """The loss; a worker that builds it takes the order, which then is gone: it strikes once."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = CrossEntropy()
        if parent_process() is not None and ORDER.exists():
            order = json.loads(ORDER.read_text())
            if not order.get("stays"):
                ORDER.unlink()
            FAULTS[order["fault"]](order)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Cross-entropy."""
        return self.loss(logits, target)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _at(order: dict, strike) -> None:
    """Before the call number `count` of `os.NAME` from now on."""
    name, left = order["name"], order["count"]
    call = getattr(os, name)

    def guarded(*arguments, **options):
        nonlocal left
        left -= 1
        if left == 0:
            strike()
        return call(*arguments, **options)

    setattr(os, name, guarded)


def _limited(order: dict) -> None:
    """Allocate past a limit of the system: MemoryError, or PyTorch's own."""
    resource.setrlimit(resource.RLIMIT_AS, (order["bytes"], resource.RLIM_INFINITY))
    try:
        bytearray(order["bytes"])
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _eaten(order: dict) -> None:
    """Allocate, and be killed for it, as by the kernel when memory is short."""
    taken = [bytearray(b"1") * (1 << 24) for _ in range(8)]
    assert taken
    _die()


def _clock(order: dict) -> None:
    """Set this process's clock back by an hour."""
    now = time.time
    time.time = lambda: now() - 3600


FAULTS = {
    "kill": lambda order: _at(order, _die),
    "full": lambda order: _at(order, _full),
    "limited": _limited,
    "eaten": _eaten,
    "clock": _clock,
}
