"""Masses and error histograms of logits on CPU, in one pass over the voxels, through Numba.

Both primitives turn logits (R, C, V) and labels (R, V) into a small table per row and class; their
backward passes compute the probabilities again, so nothing of the size of the logits is kept. One
class means sigmoid, several mean softmax.

Conventions: `logits` (R, C, V) float32, bfloat16 or float16, of any strides; `labels` (R, V) bool
or integer, 0 and 1 where C = 1; `weight` None or (R, V) float32; labels equal to `ignore` count for
nothing. Nor do labels of no class: `bad` is their number. A logit that counts and is not finite
makes the probabilities of its voxel NaN, and with them sums of its row in every class.
"""

import ctypes
import math
import sys
from collections.abc import Callable

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from segrisk.kernels import tiles
from segrisk.kernels.tiles import summing, threaded

# Voxels of a tile, and the float32 logits that it may hold: 256 KiB stay in L2.
TILE, TILE_LOGITS = 8192, 65536
SHARE = 1 << 16  # logits that are worth another thread
COLUMNS = 6  # of masses
BLOCK = 512  # levels of a table taken together
# Memory from 32 MiB on comes fresh from the system at each allocation, page by page.
LARGE, PAGE, HUGE_PAGES = 1 << 25, 4096, 14


def _flat(tensor: Tensor) -> np.ndarray:
    """The storage from a tensor's first element to its last, without a copy."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bool:
        tensor = tensor.view(torch.uint8)
    elif tensor.dtype == torch.bfloat16:
        tensor = tensor.view(torch.int16)
    size = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    return tensor.as_strided((size if tensor.numel() else 0,), (1,)).numpy()


def _voxels(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None
) -> tiles.Voxels:
    weighted = weight is not None
    weight = weight if weight is not None else torch.ones(()).expand(labels.shape)
    sources = ((t, _flat(t)) for t in (logits, labels, weight))
    flat = (value for tensor, array in sources for value in (array, *tensor.stride()))
    return tiles.Voxels(*flat, weighted, ignore is not None, ignore or 0)


def _threads() -> int:
    """PyTorch's number of threads, as far as Numba has them."""
    return min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)


def _run(workers: int, kernel: Callable[..., None], *arguments: object) -> None:
    """Call a threaded kernel with so many threads; one is this thread, and wakes no other."""
    own = torch.get_num_threads()
    before = numba.get_num_threads()
    # The first call starts Numba's threads, which sets the number of all that uses OpenMP.
    if torch.get_num_threads() != own:
        torch.set_num_threads(own)
    numba.set_num_threads(workers)
    try:
        kernel(*arguments)
    finally:
        numba.set_num_threads(before)


def _grid(logits: Tensor) -> tiles.Grid:
    rows, classes, voxels = logits.shape
    tile = max(128, min(TILE, TILE_LOGITS // classes))
    count = max(1, -(-voxels // tile))  # without voxels an empty one, so that tables are written
    enough = min(rows * count, rows * classes * voxels // SHARE)
    return tiles.Grid(rows, classes, voxels, tile, count, max(1, min(_threads(), enough)))


def _call(name: str, voxels: tiles.Voxels, grid: tiles.Grid, *arguments: object) -> None:
    """Call a kernel over tiles; that of one class has a name of its own."""
    kernel = getattr(tiles, name if grid.classes > 1 else f"{name}_one")
    _run(grid.workers, kernel, voxels, grid, *arguments)


def _float32(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype == torch.float16 else logits


def _empty_gradient(logits: Tensor) -> Tensor:
    """Memory for the gradient, in huge pages where it is large: first use costs 5 × less."""
    gradient = torch.empty_like(logits)
    size = gradient.numel() * gradient.element_size()
    if size >= LARGE and sys.platform == "linux":
        address = gradient.data_ptr()
        start = -(-address // PAGE) * PAGE
        length = ctypes.c_size_t(address + size - start)
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), length, HUGE_PAGES)
    return gradient


def masses(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None
) -> tuple[Tensor, int]:
    """Σ w p y, Σ w p (1 − y), Σ w (1 − p) y, Σ w (1 − p)(1 − y), Σ w y (−log p) and, where C = 1,
    Σ w (1 − y)(−log(1 − p)): float64 (R, C, 6). And the number of bad labels.
    """
    logits = _float32(logits)
    grid = _grid(logits)
    partial = np.empty((grid.rows * grid.tiles, grid.classes, COLUMNS))
    bad = np.zeros(grid.workers, np.int64)
    _call("masses", _voxels(logits, labels, weight, ignore), grid, partial, bad)
    table = partial.reshape(grid.rows, grid.tiles, grid.classes, COLUMNS).sum(1)
    if grid.classes > 1:
        table[..., 5] = 0
    return torch.from_numpy(table), int(bad.sum())


def masses_backward(
    grad: Tensor, logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None
) -> Tensor:
    """The gradient by the logits, given that by `masses`, float64 (R, C, 6)."""
    source = _float32(logits)
    gradient = _empty_gradient(source)
    voxels, grid = _voxels(source, labels, weight, ignore), _grid(source)
    table, flat = grad.contiguous().numpy(), _flat(gradient)
    _call("masses_backward", voxels, grid, table, flat, gradient.stride())
    return gradient.to(logits.dtype)


def histogram(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore: int | None, levels: int
) -> tuple[Tensor, int]:
    """Counts, or sums of weights, of the errors |y − p| by level: float64 (R, C, 2, levels).

    Index 0 is background, 1 foreground; level = min(⌊error · levels⌋, levels − 1). Where a logit of
    the row is not finite, counts[r, c, 0, 0] is NaN. And the number of bad labels.
    """
    logits = _float32(logits)
    grid = _grid(logits)
    # Whole numbers of voxels need no more than int32, and half the cache.
    private = np.empty(
        (grid.workers, grid.classes, 2 * levels + 1), np.int32 if weight is None else np.float64
    )
    counts = np.empty((grid.rows, grid.classes, 2 * levels))
    bad, broken = np.zeros(grid.workers, np.int64), np.zeros(grid.rows, np.bool_)
    voxels = _voxels(logits, labels, weight, ignore)
    _call("histogram", voxels, grid, levels, private, counts, bad, broken)
    counts[broken, :, 0] = np.nan
    return torch.from_numpy(counts).unflatten(2, (2, levels)), int(bad.sum())


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
    source = _float32(logits)
    gradient = _empty_gradient(source)
    voxels, grid = _voxels(source, labels, weight, ignore), _grid(source)
    table, factor = increments.flatten(2).contiguous().numpy(), scale.float().contiguous().numpy()
    levels, flat, steps = increments.shape[-1], _flat(gradient), gradient.stride()
    _call("histogram_backward", voxels, grid, levels, table, factor, flat, steps)
    return gradient.to(logits.dtype)


def lovasz_jaccard_tables(counts: Tensor) -> tuple[Tensor, Tensor]:
    """The Lovász extension of the Jaccard loss, float64 (R, C), and its increments per level.

    Increments, float32 (R, C, 2, levels), are slopes of the loss at the middle of each level, also
    of an empty one: rounding may send a voxel there in the backward pass.
    """
    value, increments = np.empty(counts.shape[:2]), np.empty(counts.shape, np.float32)
    shape = (-1, *counts.shape[2:])
    tables = counts.contiguous().numpy().reshape(shape)
    workers = min(_threads(), len(tables))
    _run(workers, _jaccard_tables, tables, value.reshape(-1), increments.reshape(shape))
    return torch.from_numpy(value), torch.from_numpy(increments)


# ---- the Jaccard loss on levels ------------------------------------------------------------------


@summing
def _jaccard_table(counts, increments):
    """Fill `increments` and give the loss of one table; both arguments (2, levels).

    Δ(b, f) is the loss when `b` background and `f` foreground voxels are wrong. With errors
    (l + ½) / levels, Σ error · (Δ after level l − Δ before it) is by parts the mean of Δ after each
    level, with level 0 halved.
    """
    levels = counts.shape[1]
    background, foreground = 0.0, 0.0
    for j in range(levels):
        background += counts[0, j]
        foreground += counts[1, j]
    n, d = foreground, foreground + background
    b, f = np.zeros(BLOCK + 1), np.zeros(BLOCK + 1)
    total = last = 0.0
    for stop in range(levels, 0, -BLOCK):
        start = max(stop - BLOCK, 0)
        size = stop - start
        b[size], f[size] = b[0], f[0]
        for j in range(size - 1, -1, -1):
            b[j] = b[j + 1] + counts[0, start + j]
            f[j] = f[j + 1] + counts[1, start + j]
        down, up = increments[0][start:stop], increments[1][start:stop]
        if n == 0:
            share = 1 / d if d != 0 else 0.0
            down[:] = share
            up[:] = 0
            for j in range(size):
                total += b[j] * share
            last = b[0] * share
        else:
            total += _jaccard_block(b, f, n, down, up)
            last = (b[0] + f[0]) / (n + b[0])
    return (total - last / 2) / levels


@summing
def _jaccard_block(b, f, n, down, up):
    """Increments of a block of levels, given the voxels wrong after each; gives Σ Δ."""
    total = 0.0
    for j in range(down.size):
        before, after = n + b[j + 1], n + b[j]
        total += (b[j] + f[j]) / after
        down[j] = (n - (f[j] + f[j + 1]) / 2) / (before * after)
    for j in range(down.size):
        # log(after / before) / (after − before) = 2 atanh(u) / (after − before), as a series
        before, after = n + b[j + 1], n + b[j]
        u = (after - before) / (after + before)
        v = u * u
        q = 1 / 3 + v * (1 / 5 + v * (1 / 7 + v * (1 / 9 + v * (1 / 11 + v / 13))))
        up[j] = 2 * (1 + v * q) / (after + before)
    for j in range(down.size):
        before, after = n + b[j + 1], n + b[j]
        if after - before > 0.2 * before:  # rare: here the series is too short
            up[j] = math.log(after / before) / (after - before)
    return total


@threaded
def _jaccard_tables(counts, value, increments):
    for k in prange(value.size):
        value[k] = _jaccard_table(counts[k], increments[k])
