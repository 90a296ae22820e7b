"""Volumes turned so that their axes point where those of others do: axes swapped and flipped only.

No value is interpolated, so a mask that is turned back is the same to the bit.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

from segrisk.data.errors import DataError
from segrisk.data.images import is_volume, orientation, read_header

T = TypeVar("T")
BODY = {"L": 0, "R": 0, "P": 1, "A": 1, "I": 2, "S": 2}
"""The axis of the body that a letter lies on."""


def turned(values: np.ndarray, axes: str, wanted: str) -> np.ndarray:
    """Values (…, x, y, z), whose axes point to `axes`, with axes that point to `wanted`.

    >>> turned(np.arange(4).reshape(4, 1, 1), "RAS", "LAS").ravel().tolist()
    [3, 2, 1, 0]
    """
    lead = values.ndim - 3
    order = _order(axes, wanted)
    flipped = [lead + new for new, old in enumerate(order) if axes[old] != wanted[new]]
    moved = np.transpose(values, [*range(lead), *(lead + old for old in order)])
    return np.ascontiguousarray(np.flip(moved, flipped))


def reordered(items: tuple[T, ...], axes: str, wanted: str) -> tuple[T, ...]:
    """What belongs to each axis, such as its spacing, in the order of `wanted`.

    >>> reordered((0.5, 0.5, 3.0), "RAS", "SAR")
    (3.0, 0.5, 0.5)
    """
    return tuple(items[old] for old in _order(axes, wanted))


def usual_axes(paths: Iterable[Path]) -> str | None:
    """Where the axes of most volumes point to, of equals the first by name; None of pictures.

    Files whose header cannot be read are passed over: whoever reads them reports it.
    """
    count: Counter[str] = Counter()
    for path in paths:
        if not is_volume(path):
            continue
        try:
            count[orientation(read_header(path).affine)] += 1
        except DataError:
            continue
    return min(count, key=lambda axes: (-count[axes], axes), default=None)


def _order(axes: str, wanted: str) -> list[int]:
    places = [BODY[letter] for letter in axes]
    return [places.index(BODY[letter]) for letter in wanted]
