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
    """A case as a network sees it: `image` (channels, *shape) float32, `target` (1, *shape).

    The target is uint8, or the share of raters in float32. `ignored` (1, *shape) bool is where
    voxels count for nothing; None where all count.
    """

    image: np.ndarray
    target: np.ndarray
    placed: Placed
    ignored: np.ndarray | None = None


def preprocess(
    case: Case, size: tuple[int, ...] | None, by: Preprocessing, *, soft: bool = False
) -> Seen:
    """Crop, resample (to `size`, or to the spacing) and normalise a case.

    Images are resampled linearly over the same extent, smoothed first where they shrink; masks
    alike, and cut at one half, or with `soft` the share of raters, which is not cut. A voxel is
    ignored where most of it is; else its label is that of the part of it that is known.
    """
    box = CROPS[by.crop](case.image)
    inside = tuple(slice(*sides) for sides in box)
    image = case.image[:, *inside]
    shape = size or _at_spacing(image.shape[1:], case.spacing_mm, by.spacing_mm)
    share, ignored = _labels(case, inside, shape, soft)
    target = share.clip(0, 1) if soft else (share >= 0.5).astype(np.uint8)
    seen = NORMALISATIONS[by.normalise](resized(image, shape)).astype(np.float32)
    return Seen(seen, target, Placed(box, shape), ignored)


def _labels(
    case: Case, inside: tuple[slice, ...], shape: tuple[int, ...], soft: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """How much of the known part of each voxel is foreground, and which voxels are ignored."""
    label = case.raters if soft else case.label
    assert label is not None
    share = resized(label[inside][None].astype(np.float32), shape)
    if case.ignored is None:
        return share, None
    unknown = resized(case.ignored[inside][None].astype(np.float32), shape)
    ignored = unknown > 0.5
    return np.where(ignored, 0, share / np.where(ignored, 1, 1 - unknown)), ignored


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
