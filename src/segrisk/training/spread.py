"""A training in several processes of one machine, a device each."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

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
    # Buffers follow from the batches of all; sent at each step, they would be in validation too,
    # where processes do not keep in step.
    strategy = DDPStrategy(broadcast_buffers=False)
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
