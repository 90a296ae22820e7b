"""Which values a mask holds, read block by block, so that no mask needs to fit into memory.

Only the values of NRRD, MetaImage and picture files are read whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segrisk.data.images import naming
from segrisk.data.streams import opened
from segrisk.metrics.counts import no_label

BLOCK = 1 << 20
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
                if (value := no_label(block)) is not None:
                    return Content(tuple(sorted(labels)), wrong, value)
                block = np.rint(block).astype(np.int64)
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
    """The values of a mask's file, flat, in the order that they are stored in."""
    with opened(path) as mask:
        for block in mask.blocks(BLOCK):
            yield mask.values(block)
