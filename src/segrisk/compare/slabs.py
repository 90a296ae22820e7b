"""Masks read block by block: a file of any size is counted in a few megabytes.

NIfTI and NumPy's files, compressed or not, are streams of numbers in the order of the file; others
are read whole. No number is scaled or turned into float64: what is stored is counted, and the few
values that occur are translated afterwards. Nothing is mapped into memory, since the pages of a
map count as memory of the process.
"""

import gzip
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from segrisk.data.arrays import open_array
from segrisk.data.errors import DataError, shown
from segrisk.data.images import ARRAYS, is_volume, naming, read_mask
from segrisk.metrics import JointCounts, Tally
from segrisk.metrics.counts import narrow, whole_labels

BLOCK = 1 << 20  # voxels; with those of a few models they stay in the processor's cache


@dataclass(frozen=True)
class MaskFile:
    """An open mask: its grid, and `read(count)`, the next numbers as they are stored, flat.

    `order` is F where the first axis runs fastest, as in NIfTI, else C. `relabel` turns stored
    numbers into labels.
    """

    path: Path
    space: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    order: str
    relabel: Callable[[np.ndarray], np.ndarray]
    read: Callable[[int], np.ndarray]

    @property
    def size(self) -> int:
        return math.prod(self.space)


@contextmanager
def opened(path: Path) -> Iterator[MaskFile]:
    """Open a mask; DataError names a file that is no mask or cannot be read."""
    with ExitStack() as stack:
        with naming(path):
            if is_volume(path):
                mask = _volume(path, stack)
            elif path.name.lower().endswith(ARRAYS):
                mask = _array(path, stack)
            else:
                mask = _whole(path)
        yield mask


def count_pairs(
    reference: Path, predictions: Sequence[Path | None]
) -> tuple[MaskFile, list[JointCounts | DataError]]:
    """The joint counts of one reference with each prediction, the reference being read once.

    None stands for an empty prediction. A prediction that cannot be read, or is of another shape,
    has its fault in place of its counts; a reference that cannot be opened or read raises it.
    """
    with ExitStack() as stack:
        truth = stack.enter_context(opened(reference))
        results: list[JointCounts | DataError | None] = [None] * len(predictions)
        running: dict[int, tuple[MaskFile | None, Tally]] = {}
        for index, path in enumerate(predictions):
            try:
                mask = None if path is None else stack.enter_context(_like(truth, path))
            except DataError as fault:
                results[index] = fault
            else:
                running[index] = mask, Tally(truth.relabel, mask.relabel if mask else None)
        for start in range(0, truth.size, BLOCK):
            count = min(BLOCK, truth.size - start)
            with naming(reference):
                block = truth.read(count)
            for index, (mask, tally) in list(running.items()):
                try:
                    with naming(mask.path if mask else reference):
                        tally.add(block, mask.read(count) if mask else np.zeros(count, np.uint8))
                except DataError as fault:
                    results[index] = fault
                    del running[index]
        for index, (_, tally) in running.items():
            try:
                results[index] = tally.result()
            except DataError as fault:
                results[index] = fault
    return truth, [result for result in results if result is not None]


def read_labels(path: Path) -> np.ndarray:
    """All labels of a mask at once, as uint8 where they fit, else int64."""
    with opened(path) as mask, naming(path):
        stored = mask.read(mask.size)
        small = narrow(stored)
        if small is None:
            values, codes = np.unique(stored, return_inverse=True)
        else:
            values, codes = np.flatnonzero(np.bincount(small, minlength=256)), small
        labels = mask.relabel(values)
        if small is not None:
            if np.array_equal(labels, values):
                return small.reshape(mask.space, order=mask.order)
            labels = np.bincount(values, labels, minlength=256).astype(np.int64)
    return labels[codes].reshape(mask.space, order=mask.order)


@contextmanager
def _like(truth: MaskFile, path: Path) -> Iterator[MaskFile]:
    """A prediction as a stream in the order of its reference, and of the same shape."""
    with opened(path) as mask:
        if mask.space != truth.space:
            raise DataError(
                [
                    f"{shown(path)}: shape {mask.space} differs from {truth.space} of "
                    f"{shown(truth.path)}: check that they belong together, or resample one to the "
                    "grid of the other"
                ]
            )
        if mask.order != truth.order:
            with naming(path):
                values = mask.read(mask.size).reshape(mask.space, order=mask.order)
            yield _from_memory(
                path, values, truth.order, spacing_mm=mask.spacing_mm, relabel=mask.relabel
            )
        else:
            yield mask


def _volume(path: Path, stack: ExitStack) -> MaskFile:
    import nibabel
    from nibabel.affines import voxel_sizes

    proxy = (image := nibabel.load(path)).dataobj
    shape = proxy.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape or proxy.dtype.kind not in "biuf":
        raise DataError(
            [
                f"{shown(path)}: has shape {proxy.shape} of {proxy.dtype}, where a mask of 3 axes "
                "is expected: save each channel or time point as a 3D file of real numbers"
            ]
        )
    compressed = path.name.lower().endswith(".gz")
    stream = stack.enter_context(_inflated(path) if compressed else path.open("rb"))
    _skip(stream, proxy.offset)
    slope, intercept = proxy.slope, proxy.inter
    return MaskFile(
        path,
        shape,
        tuple(float(size) for size in voxel_sizes(image.affine)),
        "F",
        _labels(path, slope, intercept),
        _reader(stream, proxy.dtype, math.prod(shape)),
    )


def _array(path: Path, stack: ExitStack) -> MaskFile:
    stream, (shape, fortran, dtype) = stack.enter_context(open_array(path))
    return MaskFile(
        path,
        shape,
        (1.0,) * len(shape),
        "F" if fortran else "C",
        _labels(path),
        _reader(stream, dtype, math.prod(shape)),
    )


def _whole(path: Path) -> MaskFile:
    grid = read_mask(path)
    values = grid.values[0]
    spacing = grid.spacing_mm
    if grid.affine is not None:
        spacing = tuple(np.linalg.norm(grid.affine[:3, :3], axis=0).tolist())
    order = "F" if values.flags.f_contiguous and values.ndim > 1 else "C"
    return _from_memory(path, values, order, spacing_mm=spacing, relabel=_labels(path))


def _from_memory(
    path: Path,
    values: np.ndarray,
    order: str,
    *,
    spacing_mm: tuple[float, ...],
    relabel: Callable[[np.ndarray], np.ndarray],
) -> MaskFile:
    flat = values.ravel(order)
    position = 0

    def read(count: int) -> np.ndarray:
        nonlocal position
        position += count
        return flat[position - count : position]

    return MaskFile(path, values.shape, spacing_mm, order, relabel, read)


def _labels(
    path: Path, slope: float = 1, intercept: float = 0
) -> Callable[[np.ndarray], np.ndarray]:
    """What stored numbers mean; DataError names the file where one is no label."""

    def relabel(stored: np.ndarray) -> np.ndarray:
        try:
            return whole_labels(stored * slope + intercept)
        except ValueError as error:
            raise DataError([f"{shown(path)}: {error}"]) from error

    return relabel


def _inflated(path: Path) -> IO[bytes]:
    """A gzip file as the bytes in it, through isal where it is installed: 5 × faster."""
    try:
        from isal import igzip
    except ImportError:
        return gzip.open(path, "rb")
    return igzip.open(path, "rb")


def _skip(stream: IO[bytes], count: int) -> None:
    _fill(stream, memoryview(bytearray(count)))


def _reader(stream: IO[bytes], dtype: np.dtype, size: int) -> Callable[[int], np.ndarray]:
    left = size

    def read(count: int) -> np.ndarray:
        nonlocal left
        block = np.empty(count, dtype)
        _fill(stream, memoryview(block.view(np.uint8)))
        left -= count
        if not left:
            stream.read(1)  # past the last voxel, where gzip compares its checksum
        return block

    return read


def _fill(stream: IO[bytes], view: memoryview) -> None:
    filled = 0
    while filled < len(view):
        got = stream.readinto(view[filled:])
        if not got:
            raise EOFError("it ends before its last voxel")
        filled += got
