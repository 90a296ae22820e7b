"""A case to look at: image, reference and every model's outline, small enough for a page."""

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from segrisk.report.contours import outline

SIDE = 256
"""Pixels along the longer side of a slice; larger ones are shrunk by a whole factor."""

SLICES = 40
"""Slices of a case; of more, evenly spaced ones are taken."""

BUDGET_MB = 12.0
"""What all views of a page may weigh together."""

MARGIN, SMALLEST = 0.5, 96
"""What is shown around the masks, as a share of their extent, and at least so many pixels."""


@dataclass(frozen=True)
class CaseView:
    """One case as arrays of one shape (z, y, x); a 2D case has one slice.

    `image` is uint8, windowed for the eye, grey or with a last axis of 3 for colour. The masks are
    uint8, not 0 where foreground. A model without a mask here has predicted none. `spacing_mm` is
    that of (z, y, x). `seed` says of which training the masks are, where there may be several.

    Raises ValueError for shapes that differ and for other types of numbers.
    """

    title: str
    spacing_mm: tuple[float, float, float]
    image: np.ndarray
    reference: np.ndarray
    predictions: Mapping[str, np.ndarray]
    seed: int | None = None

    def __post_init__(self) -> None:
        shape = self.reference.shape
        if len(shape) != 3 or self.image.shape not in {shape, (*shape, 3)}:
            raise ValueError(
                f"view '{self.title}': an image of shape {self.image.shape} and a reference of "
                f"{shape}; give both as (z, y, x), the image perhaps with a last axis of 3"
            )
        if min(shape) < 1 or min(self.spacing_mm) <= 0:
            raise ValueError(
                f"view '{self.title}': shape {shape}, spacing {self.spacing_mm}; "
                "both must be positive"
            )
        for name, mask in self.predictions.items():
            if mask.shape != shape:
                raise ValueError(
                    f"view '{self.title}': the mask of '{name}' has shape {mask.shape}, the "
                    f"reference {shape}; give every mask on the grid of the reference"
                )
        for array in (self.image, self.reference, *self.predictions.values()):
            if array.dtype != np.uint8:
                raise ValueError(
                    f"view '{self.title}': an array of {array.dtype}; give images and masks as "
                    "uint8"
                )


MakeView = Callable[[str, str, str], CaseView | None]
"""From (task, label, case) to what there is to look at, or None."""


@dataclass(frozen=True)
class Drawing:
    """A view as the page holds it: slices below each other in one JPEG, outlines as SVG paths."""

    title: str
    width: int
    height: int
    ratio: float
    """Height of a slice over its width in mm."""
    slices: tuple[int, ...]
    """The numbers of the slices in the volume."""
    depth: int
    first: int
    """The place in `slices` to begin with: where the reference is largest."""
    shrunk: int
    image: str
    """A data URI."""
    reference: tuple[str, ...]
    outlines: Mapping[str, tuple[str, ...]]

    @property
    def megabytes(self) -> float:
        paths = [self.reference, *self.outlines.values()]
        return (len(self.image) + sum(len(path) for slices in paths for path in slices)) / 2**20


def draw(view: CaseView, slices: int = SLICES) -> Drawing:
    """Crop a view around its masks, shrink it to the page's size and outline every mask."""
    union = np.any([view.reference, *view.predictions.values()], axis=0)
    chosen = _slices(union, slices)
    rows, columns = (_extent(union.any(axis=(0, axis))) for axis in (2, 1))
    step = -(-max(rows.stop - rows.start, columns.stop - columns.start) // SIDE)

    def cut(array: np.ndarray) -> np.ndarray:
        return array[chosen][:, rows, columns]

    def paths(mask: np.ndarray) -> tuple[str, ...]:
        return tuple(outline(piece) for piece in cut(mask)[:, ::step, ::step])

    image = _shrunk(cut(view.image), step)
    height, width = image.shape[1:3]
    shown = view.reference if view.reference.any() else union
    area = (shown[chosen] != 0).sum(axis=(1, 2))
    return Drawing(
        title=view.title,
        width=width,
        height=height,
        ratio=height * view.spacing_mm[1] / (width * view.spacing_mm[2]),
        slices=tuple(chosen.tolist()),
        depth=len(view.reference),
        first=int(area.argmax()) if area.any() else len(chosen) // 2,
        shrunk=step,
        image=_jpeg(image.reshape(-1, *image.shape[2:])),
        reference=paths(view.reference),
        outlines={name: paths(mask) for name, mask in view.predictions.items()},
    )


def draw_within(view: CaseView, megabytes: float) -> Drawing | None:
    """The view with as many slices as fit into `megabytes`; None when not even one fits."""
    slices = SLICES
    while slices:
        drawing = draw(view, slices)
        if drawing.megabytes <= megabytes:
            return drawing
        slices = len(drawing.slices) // 2
    return None


def _slices(union: np.ndarray, most: int) -> np.ndarray:
    """Slices that hold a mask and two beyond, or all where there is none."""
    held = np.flatnonzero(union.any(axis=(1, 2)))
    first, last = (held[0] - 2, held[-1] + 2) if len(held) else (0, len(union) - 1)
    found = np.arange(max(first, 0), min(last, len(union) - 1) + 1)
    return found[np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)]


def _extent(held: np.ndarray) -> slice:
    """Where a mask lies along one axis, with some room around it."""
    places = np.flatnonzero(held)
    if not len(places):
        return slice(0, len(held))
    size = places[-1] + 1 - places[0]
    room = max(round(MARGIN * size), (SMALLEST - size + 1) // 2)
    return slice(max(0, places[0] - room), min(len(held), places[-1] + 1 + room))


def _shrunk(image: np.ndarray, step: int) -> np.ndarray:
    """Means over blocks of step × step pixels; the last rows and columns repeat to fill theirs."""
    if step == 1:
        return image
    pad = [(0, 0), (0, -image.shape[1] % step), (0, -image.shape[2] % step), (0, 0)]
    full = np.pad(image, pad[: image.ndim], mode="edge")
    z, y, x = full.shape[:3]
    blocks = full.reshape(z, y // step, step, x // step, step, *full.shape[3:])
    return blocks.mean(axis=(2, 4)).round().astype(np.uint8)


def _jpeg(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
