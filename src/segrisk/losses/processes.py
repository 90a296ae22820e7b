"""A loss over several processes, each of which has some images of one batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from segrisk.losses.base import Sum
from segrisk.losses.lovasz import Lovasz
from segrisk.losses.reduction import Reduction


def sums_suffice(loss: object, voxels: int) -> bool:
    """Whether processes with images of so many voxels need to exchange nothing but sums.

    Not where errors of all images are sorted together, nor in a loss that has no `Reduction`.

    >>> from segrisk.losses import CrossEntropy, LovaszJaccard, SoftDice, TopK
    >>> sums_suffice(CrossEntropy() + SoftDice(pool=("batch",)), 64), sums_suffice(TopK(), 64)
    (True, False)
    >>> pooled = LovaszJaccard(pool=("batch",))
    >>> sums_suffice(pooled, 64), sums_suffice(pooled, 2**20), sums_suffice(LovaszJaccard(), 64)
    (False, True, True)
    """
    if isinstance(loss, Sum):
        return all(sums_suffice(part, voxels) for part in loss.losses)
    reduction = getattr(loss, "reduction", None)
    if not isinstance(reduction, Reduction):
        return False
    return not (isinstance(loss, Lovasz) and "batch" in reduction.pool and loss.sorts(voxels))


@contextmanager
def summed_over(group: Any, loss: nn.Module) -> Iterator[None]:
    """Let a loss of which `sums_suffice` sum over the processes of `group` while the block runs."""
    found = (getattr(part, "reduction", None) for part in loss.modules())
    reductions = [one for one in found if isinstance(one, Reduction)]
    before = [one.group for one in reductions]
    try:
        for one in reductions:
            one.group = group
        yield
    finally:
        for one, own in zip(reductions, before, strict=True):
            one.group = own
