"""What is done to a case before a network sees it: crop, resampling, normalisation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from monai.transforms import (
    ClipIntensityPercentiles,
    CropForeground,
    NormalizeIntensity,
    Resize,
)
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from segrisk.configuration import Strict
from segrisk.data.case import Case

VERSION = 1
"""Raise it when a pipeline other than the default computes something else: it is prepared anew."""

Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Box = tuple[tuple[int, int], ...]
"""The first voxel along each axis, and the one after the last."""


class Preprocessing(Strict):
    """The pipeline, in this order: crop, resampling, normalisation.

    `crop`: `nonzero` keeps the bounding box of the voxels where any channel is not 0.
    `spacing_mm` is the grid's spacing after resampling, where a task has no `size`.
    `normalise`, per case and channel: `zscore` gives mean 0 and standard deviation 1, `nonzero`
    does so for the voxels that are not 0, which stay 0, `percentile` clips at the percentiles 0.5
    and 99.5 before `zscore`, `none` leaves the values as they are read.
    """

    crop: Literal["none", "nonzero"] = "none"
    spacing_mm: Annotated[tuple[Length, ...], Field(min_length=2, max_length=3)] | None = None
    normalise: Literal["zscore", "nonzero", "percentile", "none"] = "zscore"

    @model_serializer(mode="wrap")
    def _declared(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what was declared: the default is nothing, and studies of before keep their hash."""
        default = {name: field.default for name, field in type(self).model_fields.items()}
        return {k: value for k, value in dump(self).items() if value != default[k]}


DEFAULT = Preprocessing()


@dataclass(frozen=True)
class Placed:
    """Where the prepared image of a case lies: in `box` of the case, at `shape` voxels."""

    box: Box
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Seen:
    """A case as a network sees it: `image` (channels, *shape) float32, `target` (1, *shape)."""

    image: np.ndarray
    target: np.ndarray
    placed: Placed


def preprocess(case: Case, size: tuple[int, ...] | None, by: Preprocessing) -> Seen:
    """Crop, resample (to `size`, or to the spacing) and normalise a case.

    Images are resampled linearly over the same extent, smoothed first where they shrink; masks
    alike, and cut at one half.
    """
    box = CROPS[by.crop](case.image)
    inside = tuple(slice(*sides) for sides in box)
    image, label = case.image[:, *inside], case.label[inside]
    shape = size or _at_spacing(label.shape, case.spacing_mm, by.spacing_mm)
    target = resized(label[None].astype(np.float32), shape) >= 0.5
    seen = NORMALISATIONS[by.normalise](resized(image, shape)).astype(np.float32)
    return Seen(seen, target.astype(np.uint8), Placed(box, shape))


def cropped_away(case: Case, box: Box) -> int:
    """How many foreground voxels of the case lie outside of `box`."""
    inside = case.label[tuple(slice(*sides) for sides in box)]
    return int(np.count_nonzero(case.label)) - int(np.count_nonzero(inside))


def resized(array: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """`array` (channels, *space) on a grid of `size` voxels over the same extent."""
    if array.shape[1:] == size:
        return array
    mode = "bilinear" if len(size) == 2 else "trilinear"
    shrinks = any(new < old for new, old in zip(size, array.shape[1:], strict=True))
    resize = Resize(size, mode=mode, anti_aliasing=shrinks)
    return np.asarray(resize(torch.from_numpy(np.ascontiguousarray(array))))


def _at_spacing(
    shape: tuple[int, ...], spacing_mm: tuple[float, ...], wanted_mm: tuple[float, ...] | None
) -> tuple[int, ...]:
    """The grid over the same extent whose spacing is the nearest to what is wanted."""
    sides = zip(shape, spacing_mm, wanted_mm or spacing_mm, strict=True)
    return tuple(max(1, round(side * own / wanted)) for side, own, wanted in sides)


def _everything(image: np.ndarray) -> Box:
    return tuple((0, side) for side in image.shape[1:])


def _nonzero(image: np.ndarray) -> Box:
    """An image of zeros alone has no such box, and is kept whole."""
    if not image.any():
        return _everything(image)
    crop = CropForeground(select_fn=lambda values: values != 0, allow_smaller=True)
    start, stop = crop.compute_bounding_box(torch.from_numpy(np.ascontiguousarray(image)))
    return tuple((int(first), int(last)) for first, last in zip(start, stop, strict=True))


def _zscore(image: np.ndarray) -> np.ndarray:
    """Each channel with mean 0 and standard deviation 1; a constant channel becomes 0."""
    space = tuple(range(1, image.ndim))
    mean = image.mean(space, keepdims=True, dtype=np.float64)
    deviation = image.std(space, keepdims=True, dtype=np.float64)
    return (image - mean) / np.where(deviation > 0, deviation, 1)


def _zscore_nonzero(image: np.ndarray) -> np.ndarray:
    # MONAI's class writes into what it is given.
    return np.asarray(NormalizeIntensity(nonzero=True, channel_wise=True)(image.copy()))


def _percentile(image: np.ndarray) -> np.ndarray:
    return _zscore(np.asarray(ClipIntensityPercentiles(0.5, 99.5, channel_wise=True)(image.copy())))


CROPS: dict[str, Callable[[np.ndarray], Box]] = {"none": _everything, "nonzero": _nonzero}

NORMALISATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "zscore": _zscore,
    "nonzero": _zscore_nonzero,
    "percentile": _percentile,
    "none": lambda image: image,
}
