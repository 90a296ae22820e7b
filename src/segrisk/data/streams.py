"""Masks as streams of the numbers that are stored: a file of any size takes a few megabytes.

NIfTI and NumPy's files, compressed or not, are streams in the order of the file; others are read
whole. No number is scaled or turned into float64 on the way: what is stored is passed on, and who
reads it translates the few values that occur. Nothing is mapped into memory, since the pages of a
map count as memory of the process.
"""

import gzip
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np

from segrisk.data.arrays import open_array
from segrisk.data.errors import DataError, shown
from segrisk.data.images import ARRAYS, is_volume, naming, read_stored, volume_header
from segrisk.metrics.counts import whole_labels


@dataclass(frozen=True)
class MaskFile:
    """An open mask: its grid, and `read(count)`, the next numbers as they are stored, flat.

    `order` is F where the first axis runs fastest, as in NIfTI, else C. What is stored stands for
    `slope` times itself plus `intercept`.
    """

    path: Path
    space: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    order: str
    read: Callable[[int], np.ndarray]
    slope: float = 1
    intercept: float = 0

    @property
    def size(self) -> int:
        return math.prod(self.space)

    def values(self, stored: np.ndarray) -> np.ndarray:
        """What stored numbers stand for."""
        is_plain = (self.slope, self.intercept) == (1, 0)
        return stored if is_plain else stored * self.slope + self.intercept

    def labels(self, stored: np.ndarray) -> np.ndarray:
        """What stored numbers stand for, as labels; DataError where one is none."""
        try:
            return whole_labels(self.values(stored))
        except ValueError as error:
            raise DataError([f"{shown(self.path)}: {error}"]) from error

    def blocks(self, count: int) -> Iterator[np.ndarray]:
        """All stored numbers, at most `count` at a time."""
        for start in range(0, self.size, count):
            yield self.read(min(count, self.size - start))

    def in_order(self, order: str) -> "MaskFile":
        """The same mask as a stream in this order, which reads it whole if it is in the other."""
        if order == self.order:
            return self
        values = self.read(self.size).reshape(self.space, order=self.order)
        return replace(self, order=order, read=_from_memory(values, order))


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


def _volume(path: Path, stack: ExitStack) -> MaskFile:
    import nibabel

    volume = nibabel.load(path)
    header, stored = volume_header(path, volume), volume.dataobj
    compressed = path.name.lower().endswith(".gz")
    stream = stack.enter_context(_inflated(path) if compressed else path.open("rb"))
    _skip(stream, stored.offset)
    read = _reader(stream, stored.dtype, math.prod(header.space))
    spacing = _spacing(header.affine)
    return MaskFile(path, header.space, spacing, "F", read, stored.slope, stored.inter)


def _array(path: Path, stack: ExitStack) -> MaskFile:
    stream, (shape, fortran, dtype) = stack.enter_context(open_array(path))
    read = _reader(stream, dtype, math.prod(shape))
    return MaskFile(path, shape, (1.0,) * len(shape), "F" if fortran else "C", read)


def _whole(path: Path) -> MaskFile:
    grid = read_stored(path)
    values = grid.values[0]
    spacing = grid.spacing_mm if grid.affine is None else _spacing(grid.affine)
    order = "F" if values.flags.f_contiguous and values.ndim > 1 else "C"
    return MaskFile(path, values.shape, spacing, order, _from_memory(values, order))


def _spacing(affine: np.ndarray) -> tuple[float, ...]:
    return tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist())


def _from_memory(values: np.ndarray, order: str) -> Callable[[int], np.ndarray]:
    flat = values.ravel(order)
    position = 0

    def read(count: int) -> np.ndarray:
        nonlocal position
        position += count
        return flat[position - count : position]

    return read


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
