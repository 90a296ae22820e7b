"""A batch over several processes, a device each: what each computes, and what they exchange.

`fabric.world_size` processes, of which this is number `fabric.global_rank`, hold the same weights.
DDP takes the mean of their gradients; what is here makes that the gradient of the whole batch.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn

from segrisk.losses.processes import summed_over, sums_suffice
from segrisk.training.labels import cost

T = TypeVar("T")


def share(fabric: Fabric, batch: Sequence[int]) -> list[int]:
    """What this process takes of a batch, in turn with the others, and as many items as they do.

    Where too few are left, its first item stands in for what is missing, and counts for nothing.
    """
    largest = len(batch[:: fabric.world_size])
    own = batch[fabric.global_rank :: fabric.world_size]
    return [*own, *[batch[0]] * (largest - len(own))]


def with_common_norms(fabric: Fabric, network: nn.Module) -> nn.Module:
    """`network` where what normalises a batch does so over all processes; GPUs alone can."""
    if fabric.world_size == 1 or fabric.device.type != "cuda":
        return network
    return nn.SyncBatchNorm.convert_sync_batchnorm(network)


def cost_of_batch(
    fabric: Fabric, loss: nn.Module, logits: Tensor, targets: Tensor, count: int
) -> Tensor:
    """The loss of a batch of `count` images, of which `logits` are this process's share.

    Processes exchange sums where these suffice. For any other loss, such as a user's, they exchange
    the logits, and each computes the loss of the whole batch.
    """
    if fabric.world_size == 1:
        return cost(loss, logits, targets)
    if sums_suffice(loss, logits[0, 0].numel()):
        with summed_over(dist.group.WORLD, loss):
            return cost(loss, logits, _without_stand_ins(fabric, targets, count))
    return cost(loss, _gathered(fabric, logits, count), _gathered(fabric, targets, count))


def _without_stand_ins(fabric: Fabric, targets: Tensor, count: int) -> Tensor:
    """Targets (see `labels`) in which nothing counts of what only stands in."""
    own = len(range(count)[fabric.global_rank :: fabric.world_size])
    if own == len(targets):
        return targets
    y, ignored = targets[:, :1], targets[:, 1:]
    ignored = ignored.clone() if ignored.numel() else torch.zeros_like(y)
    ignored[own:] = 1
    return torch.cat([y, ignored], dim=1)


def _gathered(fabric: Fabric, own: Tensor, count: int) -> Tensor:
    """The `count` images of the whole batch, in its order, from the share of each process."""
    parts = [torch.empty_like(own) for _ in range(fabric.world_size)]
    dist.all_gather(parts, own.detach().contiguous())
    if own.requires_grad:
        mine = own.clone()
        # Each process derives the whole loss by its own logits alone, and DDP takes the mean.
        mine.register_hook(lambda gradient: fabric.world_size * gradient)
        parts[fabric.global_rank] = mine
    return torch.stack(parts, dim=1).flatten(0, 1)[:count]


def of_all(fabric: Fabric, own: T) -> list[T]:
    """What each process has, by rank, in every process."""
    if fabric.world_size == 1:
        return [own]
    found: list[Any] = [None] * fabric.world_size
    dist.all_gather_object(found, own)
    return found


def in_turn(fabric: Fabric, own: Sequence[T]) -> list[T]:
    """What all processes have made of items that they took in turn, in the order of the items."""
    turns = zip_longest(*of_all(fabric, own))
    return [one for turn in turns for one in turn if one is not None]
