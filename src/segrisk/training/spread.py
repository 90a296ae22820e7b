"""A training in several processes of one machine, a device each."""

import os
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory

import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from segrisk.processes import together
from segrisk.training.device import quiet
from segrisk.training.fit import Interrupted

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""What processes exchange on the host, such as whether to stop, no GPU has to wait for."""


def spread(
    function: Callable[..., None],
    *arguments: object,
    devices: int,
    accelerator: str,
    precision: str,
) -> None:
    """`function(fabric, *arguments)` in `devices` processes, of whose `fabric` each is one rank.

    They are spawned, as by Fabric's `ddp_spawn` (its `ddp` runs the whole command line once more),
    but what they raise comes out as it is, `Interrupted` only once all have ended by themselves.
    `processes.Killed` is raised where one was killed; the others are then ended.
    """
    with TemporaryDirectory(prefix="segrisk-") as folder:
        # They meet in a file: a port that is free now may be taken when they are ready.
        meeting = Path(folder) / "meeting"
        given = (meeting, devices, accelerator, precision, function, arguments)
        interrupted = together(_enter, devices, *given)
    if any(interrupted):
        raise Interrupted


def _enter(
    rank: int,
    meeting: Path,
    devices: int,
    accelerator: str,
    precision: str,
    function: Callable[..., None],
    arguments: tuple[object, ...],
) -> bool:
    """Run `function` as one of several processes; whether it was interrupted."""
    quiet()
    os.environ["LOCAL_RANK"] = str(rank)  # tells Fabric that its processes are there already
    dist.init_process_group(
        BACKENDS[accelerator], init_method=meeting.as_uri(), rank=rank, world_size=devices
    )
    strategy = DDPStrategy(**_without_sending_buffers())
    fabric = Fabric(
        accelerator=accelerator, devices=devices, strategy=strategy, precision=precision
    )
    fabric.launch()
    try:
        function(fabric, *arguments)
    except Interrupted:
        return True
    dist.destroy_process_group()
    return False


def _without_sending_buffers() -> dict[str, bool]:
    """What keeps DDP from sending buffers at each call: in validation processes call apart.

    Buffers stay the same by themselves: they follow from the batches of all.
    """
    known = signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers"  # called so from PyTorch 2.13 on
    return {name if name in known else "broadcast_buffers": False}
