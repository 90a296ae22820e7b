"""Triton kernels over voxels: masses and error histograms of logits, and their gradients.

A program has one tile: `SIZE` voxels of a row, as (1, SIZE), and `CHUNK` classes at a time, as
(CHUNK, SIZE). Each kernel begins with the same arguments: logits, labels and weights with their
steps along rows, classes and voxels in elements, the label that is ignored, how many voxels a row
has and in how many tiles it is cut. Offsets are int64: volumes are large. `weight` and `ignore` are
None at compilation where they are not given.
"""

import triton
import triton.language as tl

# ---- one tile ------------------------------------------------------------------------------------


@triton.jit
def _tile(voxels, tiles, SIZE: tl.constexpr):
    """The row of a program, its voxels (1, SIZE) and which of them exist."""
    item = tl.program_id(0).to(tl.int64)
    v = item % tiles * SIZE + tl.arange(0, SIZE)[None, :]
    return item // tiles, v, v < voxels


@triton.jit
def _stage(labels, weight, place, ignore, inside, C: tl.constexpr):
    """Labels of a tile, below 0 where a voxel does not count, −2 for bad ones; weights, there 0.

    `place` is where the tile's weights are from `weight` on.
    """
    label = tl.load(labels, mask=inside, other=0)
    if label.dtype.primitive_bitwidth < 32:
        label = label.to(tl.int32)  # no wider than needed: comparisons of int64 take two steps
    used = inside
    if ignore is not None:
        used = used & (label != ignore)
    counted = used & (label >= 0) & (label < max(C, 2))
    y = tl.where(counted, label, tl.where(used, -2, -1)).to(tl.int32)
    if weight is None:
        w = counted.to(tl.float32)
    else:
        w = tl.where(counted, tl.load(weight + place, mask=inside, other=0).to(tl.float32), 0.0)
    return y, w


@triton.jit
def _report(y, bad):
    """Add the bad labels of a tile to `bad`."""
    count = tl.sum((y == -2).to(tl.int32)).to(tl.int64)
    tl.atomic_add(bad, count, mask=count > 0, sem="relaxed")


@triton.jit
def _load(logits, logit_class, first, y, inside, C: tl.constexpr, CHUNK: tl.constexpr):
    """Classes from `first` on, (CHUNK, 1), and their logits, 0 where a voxel does not count.

    There they may be anything. They are read all the same, before labels are known.
    """
    c = first + tl.arange(0, CHUNK)[:, None]
    x = tl.load(logits + c.to(tl.int64) * logit_class, mask=inside & (c < C), other=0)
    return c, tl.where(y >= 0, x.to(tl.float32), 0.0)


@triton.jit
def _normalise(
    logits, logit_class, y, inside, C: tl.constexpr, CHUNK: tl.constexpr, SIZE: tl.constexpr
):
    """The largest logit of each voxel, and Σ exp(logit − largest); NaN where one is not finite.

    A sigmoid is the softmax of (0, logit), whose smaller exponential is exp(−|logit|).
    """
    if C == 1:
        c, x = _load(logits, logit_class, 0, y, inside, C, CHUNK)
        return tl.maximum(x, 0.0), 1 + tl.exp(-tl.abs(x)) + x * 0
    else:
        top = tl.full([1, SIZE], float("-inf"), tl.float32)
        total = tl.zeros([1, SIZE], tl.float32)
        for first in range(0, C, CHUNK):
            c, x = _load(logits, logit_class, first, y, inside, C, CHUNK)
            higher = tl.maximum(top, tl.max(tl.where(c < C, x, float("-inf")), 0, keep_dims=True))
            e = tl.where(c < C, tl.exp(x - higher), 0.0)
            total = total * tl.exp(top - higher) + tl.sum(e + x * 0, 0, keep_dims=True)
            top = higher
        return top, total


@triton.jit
def _probabilities(x, top, total, C: tl.constexpr):
    """Probabilities of logits; one division for each voxel, whatever the number of classes."""
    if C == 1:
        e = tl.where(x >= 0, 1.0, tl.exp(-tl.abs(x)))
    else:
        e = tl.exp(x - top)
    return e * (1 / total)


@triton.jit
def _hits(y, c, C: tl.constexpr):
    """Where the label is the class; the one class of a sigmoid stands for label 1."""
    return y == (1 if C == 1 else c)


@triton.jit
def _log1p(z):
    """log(1 + z) for 0 ≤ z ≤ 1, relative error 1e-7: 2 atanh(z / (2 + z)) as a series."""
    u = z / (2 + z)
    v = u * u
    q = 1 / 9 + v * (1 / 11 + v * (1 / 13))
    return 2 * u * (1 + v * (1 / 3 + v * (1 / 5 + v * (1 / 7 + v * q))))


@triton.jit
def _cells(p, hit, LEVELS: tl.constexpr):
    """The cell of each error |y − p|: its level, counted from LEVELS on where it is a hit."""
    error = tl.where(hit, 1 - p, p)
    # NaN compares false: it lands in level 0.
    level = tl.minimum((tl.where(error > 0, error, 0.0) * LEVELS).to(tl.int32), LEVELS - 1)
    return level + LEVELS * hit.to(tl.int32)


@triton.jit
def _add_small(table, cell, hit, counted, LEVELS: tl.constexpr):
    """Adds the errors of the first four levels, counted in the tile, to `table` (CHUNK, 1).

    Most errors of trained networks lie there, and a GPU adds to one address one voxel at a time.
    Four counts fit in an integer: a tile has fewer than 2¹⁶ voxels.
    """
    level = cell - LEVELS * hit.to(tl.int32)
    one = tl.where(counted & (level < 4), tl.full([1, 1], 1, tl.int64) << (16 * level), 0)
    for label in tl.static_range(2):
        packed = tl.sum(tl.where(hit == (label == 1), one, 0), 1, keep_dims=True)
        for k in tl.static_range(4):
            many = ((packed >> (16 * k)) & 0xFFFF).to(tl.int32)
            tl.atomic_add(table + label * LEVELS + k, many, mask=many > 0, sem="relaxed")


# ---- all tiles: forward --------------------------------------------------------------------------


@triton.jit
def masses(
    logits,
    logit_row,
    logit_class,
    logit_step,
    labels,
    label_row,
    label_step,
    weight,
    weight_row,
    weight_step,
    ignore,
    voxels,
    tiles,
    partial,
    bad,
    C: tl.constexpr,
    CHUNK: tl.constexpr,
    SIZE: tl.constexpr,
):
    """Masses of each tile into `partial` (rows, C, 6, tiles); adds its bad labels to `bad`."""
    row, v, inside = _tile(voxels, tiles, SIZE)
    labels += row * label_row + v * label_step
    place = row * weight_row + v * weight_step
    y, w = _stage(labels, weight, place, ignore, inside, C)
    _report(y, bad)
    logits += row * logit_row + v * logit_step
    top, total = _normalise(logits, logit_class, y, inside, C, CHUNK, SIZE)
    for first in range(0, C, CHUNK):
        c, x = _load(logits, logit_class, first, y, inside, C, CHUNK)
        hit = _hits(y, c, C)
        p = _probabilities(x, top, total, C)
        q = 1 - p
        # −log of the probability of the label, from the logits: also where that is 0 or 1.
        if C == 1:
            nll = _log1p(tl.exp(-tl.abs(x))) + tl.maximum(tl.where(hit, -x, x), 0.0) + x * 0
            background = tl.sum(tl.where(hit, 0.0, w * nll), 1, keep_dims=True)
        else:
            nll = tl.log(total) + top - x
            background = tl.zeros([CHUNK, 1], tl.float32)
        own = tl.where(hit, w, 0.0)
        other = w - own
        # Each of the columns of a row and class lies in one piece: summing them is quick.
        out = partial + (row * C + c) * 6 * tiles + tl.program_id(0) % tiles
        tl.store(out, tl.sum(own * p, 1, keep_dims=True), mask=c < C)
        tl.store(out + tiles, tl.sum(other * p, 1, keep_dims=True), mask=c < C)
        tl.store(out + 2 * tiles, tl.sum(own * q, 1, keep_dims=True), mask=c < C)
        tl.store(out + 3 * tiles, tl.sum(other * q, 1, keep_dims=True), mask=c < C)
        nll = tl.where(hit, w * nll, 0.0)
        tl.store(out + 4 * tiles, tl.sum(nll, 1, keep_dims=True), mask=c < C)
        tl.store(out + 5 * tiles, background, mask=c < C)


@triton.jit
def histogram(
    logits,
    logit_row,
    logit_class,
    logit_step,
    labels,
    label_row,
    label_step,
    weight,
    weight_row,
    weight_step,
    ignore,
    voxels,
    tiles,
    private,
    copies,
    rows,
    broken,
    bad,
    C: tl.constexpr,
    CHUNK: tl.constexpr,
    SIZE: tl.constexpr,
    LEVELS: tl.constexpr,
):
    """Adds each error to its cell of one of the `copies` of `private` (copies, rows, C, 2 LEVELS).

    Marks in `broken` the rows where an error is not a number, and adds bad labels to `bad`.
    """
    row, v, inside = _tile(voxels, tiles, SIZE)
    labels += row * label_row + v * label_step
    place = row * weight_row + v * weight_step
    y, w = _stage(labels, weight, place, ignore, inside, C)
    logits += row * logit_row + v * logit_step
    top, total = _normalise(logits, logit_class, y, inside, C, CHUNK, SIZE)
    # Neighbouring programs run at one time: they take different copies.
    copy = tl.program_id(0) % tiles % copies
    for first in range(0, C, CHUNK):
        c, x = _load(logits, logit_class, first, y, inside, C, CHUNK)
        hit = _hits(y, c, C)
        cell = _cells(_probabilities(x, top, total, C), hit, LEVELS)
        table = private + ((copy * rows + row) * C + c) * (2 * LEVELS)
        counted = (y >= 0) & (c < C)
        if weight is None:
            _add_small(table, cell, hit, counted, LEVELS)
            alone = counted & (cell - LEVELS * hit.to(tl.int32) >= 4)
            tl.atomic_add(table + cell, 1, mask=alone, sem="relaxed")
        else:
            many = tl.broadcast_to(w.to(tl.float64), [CHUNK, SIZE])
            tl.atomic_add(table + cell, many, mask=counted & (w != 0), sem="relaxed")
    _report(y, bad)
    spoiled = tl.max((total != total).to(tl.int32))
    tl.store(broken + row, 1, mask=spoiled > 0)


@triton.jit
def collect(
    private, copies, cells, broken, counts, classes, LEVELS: tl.constexpr, SIZE: tl.constexpr
):
    """The sum of the copies, float64; NaN in the first cell of each class of a broken row."""
    cell = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    total = tl.zeros([SIZE], tl.float64)
    for copy in range(copies):
        part = tl.load(private + copy * cells + cell, mask=cell < cells, other=0)
        total += part.to(tl.float64)
    first = (cell < cells) & (cell % (2 * LEVELS) == 0)
    spoiled = tl.load(broken + cell // (2 * LEVELS) // classes, mask=first, other=0)
    tl.store(counts + cell, tl.where(spoiled > 0, float("nan"), total), mask=cell < cells)


# ---- all tiles: backward -------------------------------------------------------------------------


@triton.jit
def _slopes(table, row, first, c, y, p, C: tl.constexpr, CHUNK: tl.constexpr, LEVELS: tl.constexpr):
    """The slopes of the loss by each probability, and by each −log p of the label.

    From the gradient by the masses (rows, C, 6), or, with LEVELS, from the slopes by the errors.
    """
    hit = _hits(y, c, C)
    if LEVELS is None:
        k = first + tl.arange(0, CHUNK)
        table += (row * C + k) * 6
        tp, fp = tl.load(table, mask=k < C, other=0), tl.load(table + 1, mask=k < C, other=0)
        fn, tn = tl.load(table + 2, mask=k < C, other=0), tl.load(table + 3, mask=k < C, other=0)
        own = tl.load(table + 4, mask=k < C, other=0).to(tl.float32)[:, None]
        other = tl.load(table + 5).to(tl.float32)[:, None] if C == 1 else 0.0
        foreground, background = (tp - fn).to(tl.float32), (fp - tn).to(tl.float32)
        return tl.where(hit, foreground[:, None], background[:, None]), tl.where(hit, own, other)
    else:
        cell = _cells(p, hit, LEVELS)
        table += (row * C + c) * (2 * LEVELS)
        slope = tl.load(table + cell, mask=(y >= 0) & (c < C), other=0)
        # An error falls with the probability where the label is the class.
        return tl.where(hit, -slope, slope), tl.zeros_like(p)


@triton.jit
def gradient(
    logits,
    logit_row,
    logit_class,
    logit_step,
    labels,
    label_row,
    label_step,
    weight,
    weight_row,
    weight_step,
    ignore,
    voxels,
    tiles,
    table,
    target,
    target_row,
    target_class,
    target_step,
    C: tl.constexpr,
    CHUNK: tl.constexpr,
    SIZE: tl.constexpr,
    LEVELS: tl.constexpr,
):
    """The gradient by the logits, into `target`: see `_slopes` for `table`."""
    row, v, inside = _tile(voxels, tiles, SIZE)
    labels += row * label_row + v * label_step
    place = row * weight_row + v * weight_step
    y, w = _stage(labels, weight, place, ignore, inside, C)
    logits += row * logit_row + v * logit_step
    target += row * target_row + v * target_step
    top, total = _normalise(logits, logit_class, y, inside, C, CHUNK, SIZE)
    # A sigmoid is the softmax of (0, logit), its first class of slope 0.
    mean = tl.zeros([1, SIZE], tl.float32)
    own = tl.zeros([1, SIZE], tl.float32)
    for first in range(0, C, CHUNK):
        c, x = _load(logits, logit_class, first, y, inside, C, CHUNK)
        p = tl.where(c < C, _probabilities(x, top, total, C), 0.0)
        by_p, by_nll = _slopes(table, row, first, c, y, p, C, CHUNK, LEVELS)
        mean += tl.sum(p * by_p, 0, keep_dims=True)
        own += tl.sum(by_nll, 0, keep_dims=True)
    for first in range(0, C, CHUNK):
        c, x = _load(logits, logit_class, first, y, inside, C, CHUNK)
        p = tl.where(c < C, _probabilities(x, top, total, C), 0.0)
        by_p, by_nll = _slopes(table, row, first, c, y, p, C, CHUNK, LEVELS)
        one = _hits(y, c, C).to(tl.float32)
        value = w * (p * (by_p - mean) + own * (p - one))
        tl.store(
            target + c.to(tl.int64) * target_class,
            value.to(target.dtype.element_ty),
            mask=inside & (c < C),
        )


# ---- the Jaccard loss on levels ------------------------------------------------------------------


@triton.jit
def jaccard_tables(
    counts,
    sums,
    value,
    increments,
    PARTS: tl.constexpr,
    ALL: tl.constexpr,
    SIZE: tl.constexpr,
):
    """Increments of SIZE levels of a table (2, PARTS · SIZE), and their part of the value.

    `sums` (tables, 2, PARTS) are those of `counts`. Formulas as in `segrisk.kernels.cpu`.
    """
    item = tl.program_id(0).to(tl.int64)
    table, part = item // PARTS, item % PARTS
    parts, level = tl.arange(0, ALL), tl.arange(0, SIZE)
    sums += table * 2 * PARTS + parts
    backgrounds = tl.load(sums, mask=parts < PARTS, other=0)
    foregrounds = tl.load(sums + PARTS, mask=parts < PARTS, other=0)
    n = tl.sum(foregrounds)
    d = n + tl.sum(backgrounds)
    cell = table * 2 * PARTS * SIZE + part * SIZE + level
    down, up = tl.load(counts + cell), tl.load(counts + cell + PARTS * SIZE)
    # Wrong before and after each level, from the largest errors on.
    b1 = tl.sum(tl.where(parts > part, backgrounds, 0)) + tl.cumsum(down, 0, reverse=True)
    f1 = tl.sum(tl.where(parts > part, foregrounds, 0)) + tl.cumsum(up, 0, reverse=True)
    b0, f0 = b1 - down, f1 - up
    present = n != 0
    share = tl.where(d != 0, 1 / tl.where(d != 0, d, 1), 0)
    before, after = tl.where(present, n + b0, 1), tl.where(present, n + b1, 1)
    background = (n - (f0 + f1) / 2) / (before * after)
    t = (after - before) / before
    ratio = tl.where(t > 1e-6, tl.log(1 + t) / tl.where(t > 1e-6, t, 1), 1 - t / 2)
    tl.store(increments + cell, tl.where(present, background, share).to(tl.float32))
    tl.store(increments + cell + PARTS * SIZE, tl.where(present, ratio / before, 0).to(tl.float32))
    delta = tl.where(present, (b1 + f1) / after, b1 * share)
    # By parts, Σ error · step of Δ is the mean of Δ after each level, with level 0 halved.
    halved = tl.where((level == 0) & (part == 0), delta / 2, delta)
    tl.store(value + item, tl.sum(halved))
