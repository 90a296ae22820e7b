"""Which values a mask holds, read block by block, so that no mask needs to fit into memory.

Only the values of NRRD, MetaImage and picture files are read whole.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from segrisk.data.arrays import open_array
from segrisk.data.errors import UnreadableError, shown
from segrisk.data.images import ARRAYS, VOLUMES, naming, read_stored, volume_header

BLOCK = 1 << 20
WHOLE = 1e-3  # how far from a whole number a scaled label of a float NIfTI may lie
FEW = 8  # up to this label a comparison for each is faster than a table
MANY = 1000  # no mask has so many labels


@dataclass(frozen=True)
class Content:
    """What a mask holds: `labels`, its values besides 0; `wrong`, how many are NaN or infinite.

    `fraction` is a value that is no whole number, None where there is none; then, or beyond 1000
    labels, the rest of the file was not read.
    """

    labels: tuple[int, ...]
    wrong: int
    fraction: float | None


def mask_content(path: Path) -> Content:
    """The values of a mask; DataError names a file that cannot be read or is coloured."""
    labels: set[int] = set()
    wrong = 0
    with naming(path):
        for block in value_blocks(path):
            if block.dtype.kind == "f":
                bad = block.size - int(np.count_nonzero(np.isfinite(block)))
                if bad:
                    wrong += bad
                    block = block[np.isfinite(block)]
                whole = np.rint(block)
                far = np.abs(block - whole) > WHOLE
                if far.any():
                    return Content(tuple(sorted(labels)), wrong, float(block[far.argmax()]))
                block = whole.astype(np.int64)
            labels |= _present(block)
            if len(labels) > MANY:
                break
    return Content(tuple(sorted(labels - {0})), wrong, None)


def _present(block: np.ndarray) -> set[int]:
    if not block.size:
        return set()
    low, high = int(block.min()), int(block.max())
    if low == high:
        return {low}
    if block.dtype.kind == "b":
        return {0, 1}
    if low >= 0 and high <= FEW:
        return {value for value in range(low, high + 1) if (block == value).any()}
    if low >= 0 and high < 1 << 16:
        seen = np.zeros(high + 1, bool)
        seen[block] = True
        return set(np.flatnonzero(seen).tolist())
    return set(np.unique(block).tolist())


def value_blocks(path: Path) -> Iterator[np.ndarray]:
    """The values of a mask's file, flat, in the order and the type they are stored in."""
    name = path.name.lower()
    if name.endswith(VOLUMES):
        yield from _volume_blocks(path)
    elif name.endswith(ARRAYS):
        with open_array(path) as (stream, (shape, _, dtype)):
            yield from _stream(path, stream, int(np.prod(shape)), dtype)
    else:
        yield read_stored(path).values.reshape(-1)


def _volume_blocks(path: Path) -> Iterator[np.ndarray]:
    import nibabel

    volume = nibabel.load(path)
    header = volume_header(path, volume)
    stored = volume.dataobj
    scaled = (stored.slope, stored.inter) != (1, 0)
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if packed else file
        stream.seek(stored.offset)
        for block in _stream(path, stream, int(np.prod(header.space)), stored.dtype):
            yield block * stored.slope + stored.inter if scaled else block
        stream.read(1)  # at its end a packed file's checksum is compared


def _stream(path: Path, stream: IO[bytes], count: int, dtype: np.dtype) -> Iterator[np.ndarray]:
    while count:
        data = stream.read(min(count, BLOCK) * dtype.itemsize)
        block = np.frombuffer(data, dtype, count=len(data) // dtype.itemsize)
        if not block.size:
            raise UnreadableError(
                [f"{shown(path)}: ends {count} values too early: copy or export the file again"]
            )
        count -= block.size
        yield block
