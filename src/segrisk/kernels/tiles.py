"""Numba kernels over voxels: masses and error histograms of logits, and their gradients.

Voxels are taken in tiles. A tile is first copied into contiguous float32 scratch, whatever its type
and strides, and stays in cache while short loops along it do the arithmetic. Each loop is plain
enough for LLVM to turn into vector instructions, which is also why exp and log are written out.
Within a tile sums are float32, across tiles float64. One class, whose sigmoid needs no passes over
classes, has kernels of its own, named so, that go from logits to the result in one or two loops.

All of it stands in one file: Numba's cache does not see that a function imported from another file
has changed.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange, types
from numba.extending import overload

# NumPy's division has no branch for zero, so loops that divide can be vectorised. Only the threaded
# functions are called from Python: no wrappers for the others saves compilation.
OPTIONS = {"cache": True, "error_model": "numpy"}
INNER = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
plain = njit(**INNER)
# Numba hands the caller's flags down unless a function sets its own: exp needs its rounding step.
exact = njit(**INNER, fastmath={"contract"})
# Summing in any order lets LLVM use vectors; NaN and infinity keep their meaning.
summing = njit(**INNER, fastmath={"reassoc", "contract", "arcp", "nsz"})
threaded = njit(**OPTIONS, parallel=True)

f32, i32 = np.float32, np.int32


class Voxels(NamedTuple):
    """The input of a kernel: flat views of storage, and steps along each dimension in elements."""

    logits: np.ndarray
    logit_row: int
    logit_class: int
    logit_step: int
    labels: np.ndarray
    label_row: int
    label_step: int
    weight: np.ndarray
    weight_row: int
    weight_step: int
    weighted: bool
    ignoring: bool
    ignore: int


class Grid(NamedTuple):
    """How rows are cut into tiles; item i is tile i % tiles of row i // tiles."""

    rows: int
    classes: int
    voxels: int
    tile: int
    tiles: int
    workers: int


class Scratch(NamedTuple):
    """The buffers of one worker, each row as long as a tile."""

    x: np.ndarray  # (classes, tile): logits, later the slope by each probability
    p: np.ndarray  # (classes, tile): probabilities
    rows: np.ndarray  # (6, tile): see below
    y: np.ndarray  # labels, −1 where a voxel does not count
    cell: np.ndarray  # where in a table an error is counted
    logits: np.ndarray  # in these three, values that strides scatter are brought together
    labels: np.ndarray
    weight: np.ndarray
    stored: np.ndarray  # and here what is stored with strides
    one: np.ndarray  # labels of one class, as `y`


# Rows of scratch: weights, 0 where a voxel does not count; −log of the probability of the label;
# the slope by it; the largest logit; Σ exp(logit − largest); and one for anything.
W, NLL, SLOPE, TOP, TOTAL, FREE = range(6)


# ---- numbers ------------------------------------------------------------------------------------


def decode(stored):
    """A stored logit as float32; bfloat16 arrives as int16."""


@overload(decode)
def _decode(stored):
    if stored == types.int16:
        return lambda stored: i32(i32(stored) << i32(16)).view(np.float32)
    return lambda stored: stored


def encode(value, like):
    """A float32 as it is stored: itself, or rounded to the nearest bfloat16 (ties to even)."""


@overload(encode)
def _encode(value, like):
    if like == types.int16:

        def bfloat16(value, like):
            bits = f32(value).view(np.int32)
            odd = i32(i32(bits >> i32(16)) & i32(1))
            rounded = i32(i32(bits + i32(0x7FFF)) + odd)
            # Rounding could carry the bits of a NaN into those of infinity.
            return np.int16(i32(rounded if value == value else i32(0x7FC00000)) >> i32(16))

        return bfloat16
    return lambda value, like: value


@exact
def _exp(x):
    """exp(x) for x ≤ 0, to 1e-7; NaN stays NaN, below −87 it is 1e-38."""
    x = f32(-87) if x < f32(-87) else x
    # Adding 1.5 · 2²³ rounds x / log 2 to an integer k and leaves it in the low bits.
    shifted = x * f32(1.4426950408889634) + f32(12582912)
    k = shifted - f32(12582912)
    r = (x - k * f32(0.693359375)) + k * f32(2.12194440e-4)
    q = f32(1.9875691500e-4) * r + f32(1.3981999507e-3)
    q = (q * r + f32(8.3334519073e-3)) * r + f32(4.1665795894e-2)
    q = (q * r + f32(1.6666665459e-1)) * r + f32(5.0000001201e-1)
    power = i32(i32(f32(shifted).view(np.int32) + i32(127)) << i32(23))
    return (q * r * r + r + f32(1)) * power.view(np.float32)


@exact
def _log1p(z):
    """log(1 + z) for 0 ≤ z ≤ 1, relative error 1e-7: 2 atanh(z / (2 + z)) as a polynomial."""
    u = z / (f32(2) + z)
    v = u * u
    q = (f32(0.14087329) * v + f32(0.13980709)) * v + f32(0.20012427)
    return f32(2) * u * ((q * v + f32(0.33333158)) * v + f32(1))


@exact
def _log(s):
    """log(s) for s ≥ 1; NaN stays NaN."""
    exponent = i32(f32(s).view(np.int32) >> i32(23))
    mantissa = s * i32(i32(i32(254) - exponent) << i32(23)).view(np.float32)
    return f32(i32(exponent - i32(127))) * f32(math.log(2)) + _log1p(mantissa - f32(1))


@plain
def _cell(p, hit, levels):
    """The level of an error, counted from `levels` on where the label is the class."""
    error = f32(1) - p if hit else p
    # NaN compares false: it lands in level 0.
    level = min(i32((error if error > 0 else f32(0)) * f32(levels)), i32(levels - 1))
    return i32(level + i32(levels)) if hit else level


# ---- one tile of one class ----------------------------------------------------------------------


@summing
def _sigmoid(v, z):
    """The sigmoid of a logit `v`, NaN where that is not finite, from z = exp(−|v|)."""
    return (f32(1) if v >= 0 else z) / (f32(1) + z) + v * f32(0)


@summing
def _loss(v, z, hit):
    """−log of the probability of the label, from the logit: also where that is 0 or 1."""
    return _log1p(z) + max(-v if hit else v, f32(0)) + v * f32(0)


@plain
def _stage_one(source, ignoring, ignore, y):
    """Labels to `y`, −1 where a voxel does not count; gives how many are bad."""
    strange = False
    for i in range(y.size):
        label = np.int64(source[i])
        inside = (label >= 0) & (label < 2)
        ignored = ignoring & (label == ignore)
        y[i] = np.int8(label) if inside & (not ignored) else np.int8(-1)
        strange |= (not inside) & (not ignored)
    return _bad(source, ignoring, ignore) if strange else 0  # rare: counting takes longer


@plain
def _bad(source, ignoring, ignore):
    bad = 0
    for i in range(source.size):
        label = np.int64(source[i])
        bad += ((label < 0) | (label >= 2)) & (not (ignoring & (label == ignore)))
    return bad


@plain
def _target(grid, item, c, n, flat, steps, s):
    """Where the gradient of a tile and class goes, contiguous, and its place in `flat`."""
    start = item % grid.tiles * grid.tile
    base = item // grid.tiles * steps[0] + c * steps[1] + start * steps[2]
    return (flat[base : base + n] if steps[2] == 1 else s.stored[:n]), base


@plain
def _scatter(values, flat, base, step):
    """Store what could not be written in place."""
    if step != 1:
        for i in range(values.size):
            flat[base + i * step] = values[i]


@plain
def _load_one(voxels, grid, item, s):
    """Logits, labels and weights of a tile of one class, contiguous; how many labels are bad."""
    row, start = item // grid.tiles, item % grid.tiles * grid.tile
    n = min(grid.tile, grid.voxels - start)
    base, step = row * voxels.logit_row + start * voxels.logit_step, voxels.logit_step
    logits = _gather(voxels.logits, base, step, s.logits[:n])
    base, step = row * voxels.label_row + start * voxels.label_step, voxels.label_step
    labels = _gather(voxels.labels, base, step, s.labels[:n])
    base, step = row * voxels.weight_row + start * voxels.weight_step, voxels.weight_step
    weight = _gather(voxels.weight, base, step, s.weight[:n])
    y = s.one[:n]
    return logits, y, weight, _stage_one(labels, voxels.ignoring, voxels.ignore, y)


@plain
def _probabilities_one(logits, y, weight, w, p, nll):
    """Weights, probabilities and −log of that of the label."""
    for i in range(y.size):
        counts = y[i] >= 0
        w[i] = weight[i] if counts else f32(0)
        v = decode(logits[i]) if counts else f32(0)
        z = _exp(-abs(v))
        p[i] = _sigmoid(v, z)
        nll[i] = _loss(v, z, y[i] == 1)


@plain
def _cells_one(logits, y, levels, absent, p, cell):
    """Probabilities, and cells as `_cells` has them; whether an error is NaN."""
    broken = False
    for i in range(y.size):
        counts = y[i] >= 0
        v = decode(logits[i]) if counts else f32(0)
        p[i] = _sigmoid(v, _exp(-abs(v)))
        cell[i] = _cell(p[i], y[i] == 1, levels) if counts else i32(absent)
        broken |= p[i] != p[i]
    return broken


@plain
def _gradient_one(p, h, slope, w, one):
    """The gradient by the logit of one class, from the slopes by p and by −log p."""
    # A sigmoid is the softmax of (0, logit), its first class of slope 0: p (h − p h) = p (1 − p) h.
    # Adding to 0 turns −0 into 0, as the sum over several classes does.
    return w * (p * (h - (f32(0) + p * h)) + slope * (p - one))


@plain
def _slopes(grad):
    """The slopes by the probability of a class: on its own voxels, and on those of others."""
    other = f32(grad[1] - grad[3])
    return other + (f32(grad[0] - grad[2]) - other), other


@plain
def _masses_backward_one(logits, y, weight, grad, target):
    """The gradient of a tile by its logits, given that by its masses."""
    above, below = _slopes(grad)
    own, other = f32(grad[4]), f32(grad[5])
    for i in range(y.size):
        counts, hit = y[i] >= 0, y[i] == 1
        v = decode(logits[i]) if counts else f32(0)
        p = _sigmoid(v, _exp(-abs(v)))
        h, slope = above if hit else below, own if hit else other
        w, one = weight[i] if counts else f32(0), f32(1) if hit else f32(0)
        target[i] = encode(_gradient_one(p, h, slope, w, one), target[i])


@plain
def _look_up_one(table, scale, cell, y, weight, p, h, target):
    """The gradient of a tile by its logits, given the slope by the error of each cell."""
    for i in range(y.size):
        h[i] = table[np.uint32(cell[i])]
    for i in range(y.size):
        counts, hit = y[i] >= 0, y[i] == 1
        slope = scale * h[i]
        w, one = weight[i] if counts else f32(0), f32(1) if hit else f32(0)
        value = _gradient_one(p[i], -slope if hit else slope, f32(0), w, one)
        target[i] = encode(value, target[i])


# ---- one tile: logits to probabilities ----------------------------------------------------------


@plain
def _scratch(voxels, grid):
    return Scratch(
        np.empty((grid.classes, grid.tile), np.float32),
        np.empty((grid.classes, grid.tile), np.float32),
        np.zeros((6, grid.tile), np.float32),
        np.empty(grid.tile, np.int32),
        np.empty(grid.tile, np.int32),
        np.empty(grid.tile, voxels.logits.dtype),
        np.empty(grid.tile, voxels.labels.dtype),
        np.empty(grid.tile, voxels.weight.dtype),
        np.empty(grid.tile, voxels.logits.dtype),
        np.empty(grid.tile, np.int8),
    )


@plain
def _gather(flat, base, step, buffer):
    """`buffer.size` values from `base` on, contiguous: a view where they are, else a copy."""
    if step == 1:
        return flat[base : base + buffer.size]
    if step == 0 and buffer.size > 0:
        buffer[:] = flat[base]
    else:
        for i in range(buffer.size):
            buffer[i] = flat[base + i * step]
    return buffer


@plain
def _stage_labels(source, classes, ignoring, ignore, y, w):
    """Labels to `y` and 1 to `w`, −1 and 0 where a voxel does not count; gives how many are bad."""
    bad = 0
    for i in range(y.size):
        label = np.int64(source[i])
        inside = (label >= 0) & (label < classes)
        ignored = ignoring & (label == ignore)
        counts = inside & (not ignored)
        y[i] = i32(label) if counts else i32(-1)
        w[i] = f32(1) if counts else f32(0)
        bad += (not inside) & (not ignored)
    return bad


@plain
def _stage(source, y, out):
    """Copy logits or weights, 0 where a voxel does not count: there they may be anything."""
    for i in range(y.size):
        out[i] = decode(source[i]) if y[i] >= 0 else f32(0)


@summing
def _softmax(x, p, n, top, total, inverse):
    """Probabilities of several classes, their largest logit and Σ exp(logit − largest).

    A voxel with a logit that is not finite becomes NaN.
    """
    for i in range(n):
        top[i] = x[0, i]
        total[i] = f32(0)
    for c in range(1, x.shape[0]):
        xc = x[c]
        for i in range(n):
            top[i] = xc[i] if xc[i] > top[i] else top[i]
    for c in range(x.shape[0]):
        xc, pc = x[c], p[c]
        for i in range(n):
            v = xc[i]
            e = _exp(v - top[i])
            total[i] += e + v * f32(0)
            pc[i] = e
    for i in range(n):
        inverse[i] = f32(1) / total[i]
    for c in range(x.shape[0]):
        pc = p[c]
        for i in range(n):
            pc[i] *= inverse[i]


@summing
def _losses(x, y, top, total, nll):
    """−log of the probability of each label, from the logits: also where that is 0 or 1."""
    for i in range(y.size):
        nll[i] = _log(total[i])
    for c in range(x.shape[0]):
        xc, label = x[c], i32(c)
        for i in range(y.size):
            nll[i] += top[i] - xc[i] if y[i] == label else f32(0)


@plain
def _load(voxels, grid, item, s):
    """Fill scratch with what a tile holds; gives its number of voxels and of bad labels."""
    row, start = item // grid.tiles, item % grid.tiles * grid.tile
    n = min(grid.tile, grid.voxels - start)
    y = s.y[:n]
    base, step = row * voxels.label_row + start * voxels.label_step, voxels.label_step
    labels = _gather(voxels.labels, base, step, s.labels[:n])
    bad = _stage_labels(labels, grid.classes, voxels.ignoring, voxels.ignore, y, s.rows[W])
    if voxels.weighted:
        base, step = row * voxels.weight_row + start * voxels.weight_step, voxels.weight_step
        _stage(_gather(voxels.weight, base, step, s.weight[:n]), y, s.rows[W])
    base, step = row * voxels.logit_row + start * voxels.logit_step, voxels.logit_step
    for c in range(grid.classes):
        start = base + c * voxels.logit_class
        _stage(_gather(voxels.logits, start, step, s.logits[:n]), y, s.x[c])
    _softmax(s.x, s.p, n, s.rows[TOP], s.rows[TOTAL], s.rows[FREE])
    return n, bad


# ---- one tile: sums and slopes ------------------------------------------------------------------


@summing
def _sum_masses(p, y, positive, w, nll, out):
    """Sum one class of one tile into the six columns of `out`."""
    tp = fp = fn = tn = own = other = f32(0)
    for i in range(y.size):
        hit = y[i] == positive
        wp, wq, wl = w[i] * p[i], w[i] * (f32(1) - p[i]), w[i] * nll[i]
        tp += wp if hit else f32(0)
        fp += f32(0) if hit else wp
        fn += wq if hit else f32(0)
        tn += f32(0) if hit else wq
        own += wl if hit else f32(0)
        other += f32(0) if hit else wl
    out[0], out[1], out[2], out[3], out[4], out[5] = tp, fp, fn, tn, own, other


@plain
def _mass_slopes(grad, y, h, slope):
    """Slopes of one tile: `h` by each probability, `slope` by the label's −log probability."""
    slope[:] = f32(0)  # where a voxel does not count
    for c in range(h.shape[0]):
        above, below = _slopes(grad[c])
        own, hc = f32(grad[c, 4]), h[c]
        for i in range(y.size):
            hit = y[i] == i32(c)
            hc[i] = above if hit else below
            slope[i] = own if hit else slope[i]


@plain
def _cells(p, y, positive, levels, absent, cell):
    """The cell of each error: its level, counted from `levels` on where the label is positive.

    Cell `absent` is for voxels that do not count. Gives the number of errors that are NaN.
    """
    broken = 0
    for i in range(y.size):
        place = _cell(p[i], y[i] == positive, levels)
        cell[i] = i32(absent) if y[i] < 0 else place
        broken += p[i] != p[i]
    return broken


@plain
def _look_up(table, scale, cell, y, positive, h):
    """The slope by each probability: an error falls with it where the label is positive."""
    for i in range(y.size):
        slope = scale * table[np.uint32(cell[i])]
        h[i] = -slope if y[i] == positive else slope


@plain
def _pull_back(s, n, grid, item, flat, steps):
    """Turn the slopes of a tile into the gradient by its logits, and store it."""
    y, w, slope, mean = s.y[:n], s.rows[W], s.rows[SLOPE], s.rows[FREE]
    mean[:] = f32(0)
    for c in range(grid.classes):
        p, h = s.p[c], s.x[c]
        for i in range(n):
            mean[i] += p[i] * h[i]
    for c in range(grid.classes):
        p, h = s.p[c], s.x[c]
        target, base = _target(grid, item, c, n, flat, steps, s)
        for i in range(n):
            one = f32(1) if y[i] == i32(c) else f32(0)
            value = w[i] * (p[i] * (h[i] - mean[i]) + slope[i] * (p[i] - one))
            target[i] = encode(value, target[i])
        _scatter(target, flat, base, steps[2])


# ---- all tiles ----------------------------------------------------------------------------------


@threaded
def masses(voxels, grid, partial, bad):
    """Masses of each tile, (items, classes, 6): added up in one order whatever the threads."""
    items = grid.rows * grid.tiles
    for k in prange(grid.workers):
        s = _scratch(voxels, grid)
        for item in range(k * items // grid.workers, (k + 1) * items // grid.workers):
            n, more = _load(voxels, grid, item, s)
            bad[k] += more
            y, w, nll = s.y[:n], s.rows[W], s.rows[NLL]
            _losses(s.x, y, s.rows[TOP], s.rows[TOTAL], nll)
            for c in range(grid.classes):
                _sum_masses(s.p[c], y, i32(c), w, nll, partial[item, c])


@threaded
def masses_one(voxels, grid, partial, bad):
    """`masses` of one class."""
    items = grid.rows * grid.tiles
    for k in prange(grid.workers):
        s = _scratch(voxels, grid)
        w, nll = s.rows[W], s.rows[NLL]
        for item in range(k * items // grid.workers, (k + 1) * items // grid.workers):
            x, y, weight, more = _load_one(voxels, grid, item, s)
            bad[k] += more
            _probabilities_one(x, y, weight, w, s.p[0], nll)
            _sum_masses(s.p[0], y, i32(1), w, nll, partial[item, 0])


@threaded
def masses_backward(voxels, grid, grad, flat, steps):
    """The gradient by the logits, into `flat`, given that by the masses of each row."""
    items = grid.rows * grid.tiles
    for k in prange(grid.workers):
        s = _scratch(voxels, grid)
        for item in range(k * items // grid.workers, (k + 1) * items // grid.workers):
            n, _ = _load(voxels, grid, item, s)
            _mass_slopes(grad[item // grid.tiles], s.y[:n], s.x, s.rows[SLOPE])
            _pull_back(s, n, grid, item, flat, steps)


@threaded
def masses_backward_one(voxels, grid, grad, flat, steps):
    """`masses_backward` of one class."""
    items = grid.rows * grid.tiles
    for k in prange(grid.workers):
        s = _scratch(voxels, grid)
        for item in range(k * items // grid.workers, (k + 1) * items // grid.workers):
            x, y, weight, _ = _load_one(voxels, grid, item, s)
            row = item // grid.tiles
            target, base = _target(grid, item, 0, y.size, flat, steps, s)
            _masses_backward_one(x, y, weight, grad[row, 0], target)
            _scatter(target, flat, base, steps[2])


@plain
def _count(voxels, grid, first, last, levels, s, store, broken):
    """Count the items first … last − 1, all of one row, into `store` (classes, 2 levels + 1)."""
    bad = 0
    for item in range(first, last):
        n, more = _load(voxels, grid, item, s)
        bad += more
        for c in range(grid.classes):
            if _cells(s.p[c], s.y[:n], i32(c), levels, 2 * levels, s.cell) > 0:
                broken[item // grid.tiles] = True
            _add(s.cell[:n], s.rows[W], voxels.weighted, store[c])
    return bad


@plain
def _count_one(voxels, grid, first, last, levels, s, store, broken):
    """`_count` of one class."""
    bad = 0
    for item in range(first, last):
        x, y, weight, more = _load_one(voxels, grid, item, s)
        bad += more
        if _cells_one(x, y, levels, 2 * levels, s.p[0], s.cell):
            broken[item // grid.tiles] = True
        _add(s.cell[: y.size], weight, voxels.weighted, store[0])
    return bad


@plain
def _add(cell, w, weighted, counts):
    """Add voxels to their cells."""
    if weighted:
        for i in range(cell.size):
            counts[np.uint32(cell[i])] += counts.dtype.type(w[i])
    else:
        for i in range(cell.size):
            counts[np.uint32(cell[i])] += counts.dtype.type(1)


# A worker takes a range of items and counts them row by row into its private table. Where a row
# starts, it stores it. A row that the worker before has started it counts last and leaves in its
# private table, to be added when all are done.


@plain
def _piece(k, r, grid):
    """The items of piece `r` of worker `k`, and the row that it starts, or −1; none after that."""
    items, tiles = grid.rows * grid.tiles, grid.tiles
    first, last = k * items // grid.workers, (k + 1) * items // grid.workers
    head = min(-(-first // tiles) * tiles, last)
    start = head + r * tiles
    if start < last:
        return start, min(start + tiles, last), start // tiles
    return first, head, -1


@plain
def _move(store, counts):
    for c in range(counts.shape[0]):
        for j in range(counts.shape[1]):
            counts[c, j] = store[c, j]
            store[c, j] = 0


@plain
def _add_heads(private, grid, counts):
    """Add what workers counted of the rows that others had started."""
    items, tiles = grid.rows * grid.tiles, grid.tiles
    for k in range(1, grid.workers):
        first = k * items // grid.workers
        if first % tiles:
            row = counts[first // tiles]
            for c in range(row.shape[0]):
                for j in range(row.shape[1]):
                    row[c, j] += private[k, c, j]


@threaded
def histogram(voxels, grid, levels, private, counts, bad, broken):
    """Voxels by cell, (rows, classes, 2 levels)."""
    for k in prange(grid.workers):
        s, store, row, r = _scratch(voxels, grid), private[k], 0, 0
        store[:] = 0
        while row >= 0:
            start, stop, row = _piece(k, r, grid)
            bad[k] += _count(voxels, grid, start, stop, levels, s, store, broken)
            if row >= 0:
                _move(store, counts[row])
            r += 1
    _add_heads(private, grid, counts)


@threaded
def histogram_one(voxels, grid, levels, private, counts, bad, broken):
    """`histogram` of one class."""
    for k in prange(grid.workers):
        s, store, row, r = _scratch(voxels, grid), private[k], 0, 0
        store[:] = 0
        while row >= 0:
            start, stop, row = _piece(k, r, grid)
            bad[k] += _count_one(voxels, grid, start, stop, levels, s, store, broken)
            if row >= 0:
                _move(store, counts[row])
            r += 1
    _add_heads(private, grid, counts)


@threaded
def histogram_backward(voxels, grid, levels, increments, scale, flat, steps):
    """The gradient by the logits, into `flat`, given the slope by the error of each cell."""
    items = grid.rows * grid.tiles
    for k in prange(grid.workers):
        s = _scratch(voxels, grid)
        for item in range(k * items // grid.workers, (k + 1) * items // grid.workers):
            n, _ = _load(voxels, grid, item, s)
            row, y = item // grid.tiles, s.y[:n]
            for c in range(grid.classes):
                _cells(s.p[c], y, i32(c), levels, 0, s.cell)
                _look_up(increments[row, c], scale[row, c], s.cell, y, i32(c), s.x[c])
            _pull_back(s, n, grid, item, flat, steps)


@threaded
def histogram_backward_one(voxels, grid, levels, increments, scale, flat, steps):
    """`histogram_backward` of one class."""
    items = grid.rows * grid.tiles
    for k in prange(grid.workers):
        s = _scratch(voxels, grid)
        p, cell, h = s.p[0], s.cell, s.x[0]
        for item in range(k * items // grid.workers, (k + 1) * items // grid.workers):
            x, y, weight, _ = _load_one(voxels, grid, item, s)
            row = item // grid.tiles
            target, base = _target(grid, item, 0, y.size, flat, steps, s)
            _cells_one(x, y, levels, 0, p, cell)
            _look_up_one(increments[row, 0], scale[row, 0], cell, y, weight, p, h, target)
            _scatter(target, flat, base, steps[2])
