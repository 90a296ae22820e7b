"""Masses and error histograms of logits on a GPU, in one pass over the voxels, through Triton.

What goes in and comes out is that of `segrisk.kernels.cpu`, but that `bad` stays on the device:
nothing here waits for it. Logits, labels and weights may have any strides; gradients get those of
`torch.empty_like`, and nothing else of the size of the logits is written.

A program takes one tile of one row: a few classes at a time, of a block of voxels. With few classes
the loops over them are gone after compilation and the logits stay in registers; with many, a tile
is read again from the caches. Within a tile sums are float32; across tiles they are float64 and in
one order, so masses are the same in every run. So are counts, which are integers. Sums of weights
by level are float64, added as programs come.
"""

import torch
import triton
from torch import Tensor

from segrisk.kernels import blocks

COLUMNS = 6  # of masses
# Of a tile, threads read 16 bytes at a time, and have whole voxels where classes are up to 4. One
# warp's tile needs no exchange between warps for its sums: on an H200 masses took 84 % of the time
# that tiles of 8 warps took. Histograms are better off with large ones, for their lowest levels.
LOGITS_OF_THREAD, WARPS, NARROW = 16, 8, 4
CHUNK = 16  # classes taken together, at most
CELLS = 1024  # levels of a table taken together
# Errors of trained networks crowd in few levels: near 0, where one may hold 6 % of the voxels, and
# a GPU adds to one address no faster than one voxel at a time. So tiles count by turns in several
# copies of the tables, one for each `VOXELS_OF_COPY` voxels of a row, which are then added up.
# More copies cost passes over them: together they have at most `CELLS_OF_COPIES` cells (16 MiB of
# counts, a third of the L2 cache of an H100), where additions are done. Tables of 65,536 levels do
# not fit in the shared memory of a multiprocessor.
COPIES, VOXELS_OF_COPY, CELLS_OF_COPIES = 16, 2**17, 2**22


def _given(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None
) -> tuple[object, ...]:
    """The input as kernels take it."""
    labels = labels.view(torch.uint8) if labels.dtype == torch.bool else labels
    steps = (0, 0) if weight is None else weight.stride()
    return logits, *logits.stride(), labels, *labels.stride(), weight, *steps, ignore


def _cut(logits: Tensor, *, large: bool = False) -> tuple[int, dict[str, int]]:
    """The number of tiles of a row, at least one so that tables are written; how they are cut."""
    _, classes, voxels = logits.shape
    chunk = min(triton.next_power_of_2(classes), CHUNK)
    # Half precision has twice the logits in the same bytes.
    halves = 4 // logits.element_size()
    warps = WARPS // halves if large or chunk > NARROW else 1
    size = 32 * LOGITS_OF_THREAD * halves * warps // chunk
    return max(1, triton.cdiv(voxels, size)), {
        "C": classes,
        "CHUNK": chunk,
        "SIZE": size,
        "num_warps": warps,
    }


def masses(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None
) -> tuple[Tensor, Tensor]:
    """The table of masses, float64 (R, C, 6): see `cpu.masses`. And the number of bad labels."""
    rows, classes, voxels = logits.shape
    tiles, cut = _cut(logits)
    partial = logits.new_empty((rows, classes, COLUMNS, tiles), dtype=torch.float32)
    bad = logits.new_zeros((), dtype=torch.int64)
    with torch.cuda.device_of(logits):
        blocks.masses[(rows * tiles,)](
            *_given(logits, labels, weight, ignore), voxels, tiles, partial, bad, **cut
        )
    return partial.sum(-1, dtype=torch.float64), bad


def masses_backward(
    grad: Tensor, logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None
) -> Tensor:
    """The gradient by the logits, given that by `masses`, float64 (R, C, 6)."""
    return _gradient(grad, logits, labels, weight, ignore, None)


def histogram(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None, levels: int
) -> tuple[Tensor, Tensor]:
    """The table of errors, float64 (R, C, 2, levels): see `cpu.histogram`. And bad labels."""
    rows, classes, voxels = logits.shape
    tiles, cut = _cut(logits, large=True)
    cells = rows * classes * 2 * levels
    copies = max(1, min(COPIES, voxels // VOXELS_OF_COPY, CELLS_OF_COPIES // max(cells, 1)))
    dtype = torch.int32 if weight is None else torch.float64
    private = logits.new_zeros((copies, cells), dtype=dtype)
    broken = logits.new_zeros(rows, dtype=torch.int32)
    bad = logits.new_zeros((), dtype=torch.int64)
    counts = logits.new_empty((rows, classes, 2, levels), dtype=torch.float64)
    with torch.cuda.device_of(logits):
        blocks.histogram[(rows * tiles,)](
            *_given(logits, labels, weight, ignore),
            voxels,
            tiles,
            private,
            copies,
            rows,
            broken,
            bad,
            **cut,
            LEVELS=levels,
        )
        blocks.collect[(triton.cdiv(cells, CELLS),)](
            private, copies, cells, broken, counts, classes, LEVELS=levels, SIZE=CELLS
        )
    return counts, bad


def histogram_backward(
    increments: Tensor,
    scale: Tensor,
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore: int | None,
) -> Tensor:
    """The gradient by the logits, given the slope by the error of each level and label.

    `scale` (R, C) multiplies the slopes of a row and class.
    """
    scaled = increments * scale[..., None, None].to(increments.dtype)
    return _gradient(scaled, logits, labels, weight, ignore, increments.shape[-1])


def _gradient(
    table: Tensor,
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore: int | None,
    levels: int | None,
) -> Tensor:
    rows, _, voxels = logits.shape
    tiles, cut = _cut(logits)
    gradient = torch.empty_like(logits)
    with torch.cuda.device_of(logits):
        blocks.gradient[(rows * tiles,)](
            *_given(logits, labels, weight, ignore),
            voxels,
            tiles,
            table.contiguous(),
            gradient,
            *gradient.stride(),
            **cut,
            LEVELS=levels,
        )
    return gradient


def lovasz_jaccard_tables(counts: Tensor) -> tuple[Tensor, Tensor]:
    """The Lovász extension of the Jaccard loss and its increments: see `cpu`.

    Written out in PyTorch the tables take some 40 passes in float64, longer than all voxels do.
    """
    levels = counts.shape[-1]
    size = min(CELLS, levels & -levels)  # a power of two that divides them
    parts = levels // size
    counts = counts.contiguous()
    sums = counts.unflatten(-1, (parts, size)).sum(-1)
    value = counts.new_empty((*counts.shape[:2], parts))
    increments = torch.empty_like(counts, dtype=torch.float32)
    with torch.cuda.device_of(counts):
        blocks.jaccard_tables[(counts.shape[0] * counts.shape[1] * parts,)](
            counts,
            sums,
            value,
            increments,
            PARTS=parts,
            ALL=triton.next_power_of_2(parts),
            SIZE=size,
        )
    return value.sum(-1) / levels, increments
