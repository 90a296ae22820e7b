"""The generators that networks and losses may draw from: seeded, taken up where they stopped."""

import random
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int, epoch: int, rank: int = 0) -> None:
    """Set every generator from (seed, epoch): between epochs nothing of them needs saving.

    Of several processes, which have different images, each draws numbers of its own.
    """
    words = (seed, epoch, 1) if rank == 0 else (seed, epoch, 1, rank)
    drawn = int(np.random.SeedSequence(words).generate_state(1)[0])
    random.seed(drawn)
    np.random.seed(drawn)
    torch.manual_seed(drawn)


def drawn_so_far() -> dict[str, Any]:
    """The state of every generator, as numbers, tuples and tensors, which a checkpoint may hold.

    >>> stopped = drawn_so_far()
    >>> first = random.random(), float(np.random.normal()), float(torch.rand(()))
    >>> take_up(stopped)
    >>> (random.random(), float(np.random.normal()), float(torch.rand(()))) == first
    True
    """
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        # Its own device alone: of several processes each would enter the GPUs of all.
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }


def take_up(state: dict[str, Any]) -> None:
    """Let every generator go on from where `drawn_so_far` found it."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state(state["cuda"][0])
