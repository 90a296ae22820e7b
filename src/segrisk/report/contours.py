"""Outlines of masks, as SVG paths along the edges of pixels."""

from collections import defaultdict
from itertools import pairwise

import numpy as np

Runs = dict[int, list[tuple[int, int]]]
"""Straight pieces by the vertex where they start: the vertex where they end, the signed length."""


def outline(mask: np.ndarray) -> str:
    """The SVG path around the foreground of `mask` (y, x), exact to the pixel; "" for none.

    Pixel (0, 0) covers the unit square at the origin. Every loop is closed; the foreground lies on
    its right, so that holes turn the other way.

    >>> outline(np.array([[0, 1], [0, 1]]))
    'M1 0h1v2h-1v-2z'
    """
    padded = np.pad(mask.astype(bool), 1).view(np.int8)
    vertices = np.arange(padded.size).reshape(padded.shape)  # the upper left corner of each pixel
    across = _runs(padded[1:] - padded[:-1], vertices[1:])
    down = _runs((padded[:, :-1] - padded[:, 1:]).T, vertices[:, 1:].T)
    return _path(across, down, padded.shape[1])


def _runs(edges: np.ndarray, vertices: np.ndarray) -> Runs:
    """Runs of equal edges (−1, 0, 1) along the rows; edge (i, j) goes from vertex (i, j) on."""
    found: Runs = defaultdict(list)
    changes = np.diff(edges, axis=1, prepend=0) != 0
    for row in np.flatnonzero(changes.any(axis=1)):
        cuts = np.flatnonzero(changes[row]).tolist()
        for first, last in pairwise(cuts):
            sign = int(edges[row, first])
            if sign:
                start, end = (first, last) if sign > 0 else (last, first)
                found[int(vertices[row, start])].append((int(vertices[row, end]), end - start))
    return found


def _path(across: Runs, down: Runs, width: int) -> str:
    """Chains the runs, one across and one down in turn, until each loop is closed."""
    pieces: list[str] = []
    while across:
        first = vertex = next(iter(across))
        # The padding moved every pixel by one.
        pieces.append(f"M{first % width - 1} {first // width - 1}")
        closed = False
        while not closed:
            vertex, length = _take(across, vertex)
            pieces.append(f"h{length}")
            vertex, length = _take(down, vertex)
            pieces.append(f"v{length}")
            closed = vertex == first
        pieces.append("z")
    return "".join(pieces)


def _take(runs: Runs, vertex: int) -> tuple[int, int]:
    run = runs[vertex].pop()
    if not runs[vertex]:
        del runs[vertex]
    return run
