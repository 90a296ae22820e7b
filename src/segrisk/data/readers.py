"""Readers: a task's folder of images and masks becomes cases, or the list of what is wrong."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from segrisk.data.case import Case, Origin
from segrisk.data.errors import DataError, DataWarning, shown
from segrisk.data.folder import Colour, Folder
from segrisk.data.foreground import Masks, rule
from segrisk.data.images import (
    Grid,
    is_grey,
    is_volume,
    misplacement,
    orientation,
    read_image,
)
from segrisk.data.layouts.choose import find_cases
from segrisk.data.layouts.found import Files, Found
from segrisk.data.orientation import reordered, turned, usual_axes

T = TypeVar("T")

LUMA = np.array([19595, 38470, 7471])
"""Red, green and blue in grey, in 65536ths: ITU-R BT.601, rounded as Pillow and others do."""


def read_folder(folder: Folder) -> Iterator[Case]:
    """The cases of a task in the order of their ids, one at a time.

    The layout is the one that `folder` names, or else the first of `LAYOUTS` that applies. Pictures
    (PNG, JPEG, TIFF) and NIfTI volumes are read; other files are ignored. Volumes are turned to the
    orientation of most, so that a network sees all of them alike. Without groups every case is
    a group of its own.

    DataError: faults of pairing and index are raised by the call, all together. Faults inside
    files are collected, and raised together at the end, after the good cases: so consume the
    iterator whole before using any of them.
    """
    return read_found(find_cases(folder), folder)


def read_found(found: Found, folder: Folder) -> Iterator[Case]:
    """Like `read_folder`, of files that `find_cases` has found in the folder."""
    return _cases(found, folder, Masks(rule(found, folder)))


def mask_files(folder: Folder) -> dict[str, Path]:
    """The file of each case's mask, by id, of several raters the first; as `read_folder` raises."""
    return {own.id: own.masks[0] for own in find_cases(folder).files}


def image_files(folder: Folder) -> dict[str, Path]:
    """The file of each case's first channel, by id; as `read_folder` raises."""
    return {own.id: own.images[0] for own in find_cases(folder).files}


@dataclass(frozen=True)
class _Taste:
    """What is asked of every image: its colour, its channels, and its axes."""

    grey: Path | None  # a grey picture of the task, if there is one
    colour: Colour | None
    channels: int
    dimensions: int | None
    axes: str | None


def _cases(found: Found, folder: Folder, masks: Masks) -> Iterator[Case]:
    faults: list[str] = []
    taste = _taste(found, folder)
    for own in found.files:
        before = len(faults)
        labels = [_or_fault(faults, masks.label, path) for path in own.masks]
        images = [_or_fault(faults, _channel, path, taste) for path in own.images]
        files = [grid for grid in (*images, *labels) if grid is not None]
        reasons = [misplacement(grid, files[0]) for grid in files[1:]]
        reasons += [_wrong_axes(grid, taste.dimensions) for grid in files[:1]]
        faults += [reason for reason in reasons if reason]
        if len(faults) == before:
            yield _case(own, files[: len(images)], files[len(images) :], taste)
    count = sum(len(own.masks) for own in found.files)
    faults += masks.faults(_where(found, folder), count)
    if faults:
        raise DataError(faults)


def _taste(found: Found, folder: Folder) -> _Taste:
    pictures = (path for own in found.files for path in own.images if not is_volume(path))
    return _Taste(
        grey=next(filter(is_grey, pictures), None) if folder.colour is None else None,
        colour=folder.colour,
        channels=found.channels,
        dimensions=folder.dimensions,
        axes=usual_axes(own.masks[0] for own in found.files),
    )


def _where(found: Found, folder: Folder) -> str:
    """How faults name the place of all masks: their folder, where they share one."""
    root = folder.path.resolve()
    folders = {path.parent.name for own in found.files for path in own.masks}
    inside = all(path.parent.parent == root for own in found.files for path in own.masks)
    return f"{root.name}/{folders.pop()}" if inside and len(folders) == 1 else root.name


def _or_fault(faults: list[str], read: Callable[..., T], *arguments: object) -> T | None:
    try:
        return read(*arguments)
    except DataError as error:
        faults.extend(error.faults)
        return None


def _case(own: Files, images: list[Grid], labels: list[Grid], taste: _Taste) -> Case:
    first = images[0]
    image = _joined([grid.values for grid in images])
    arrays = [image, *_agreed(labels)]
    spacing = first.spacing_mm
    axes = wanted = None
    if first.affine is not None and taste.dimensions == 2:
        arrays, spacing = [array[..., 0] for array in arrays], spacing[:2]
    elif first.affine is not None and taste.axes is not None:
        axes, wanted = orientation(first.affine), taste.axes
        if axes != wanted:
            arrays = [turned(array, axes, wanted) for array in arrays]
            spacing = reordered(spacing, axes, wanted)
    image, share, *ignored = arrays
    origin = Origin(axes, wanted, first.spacing_mm, tuple(grid.scaling for grid in images))
    raters = share if len(labels) > 1 else None
    return Case(own.id, own.group, image, share > 0.5, spacing, origin, raters, *ignored)


def _agreed(labels: list[Grid]) -> list[np.ndarray]:
    """The share of those raters who know a voxel that marked it; and, if any, where nobody does."""
    if len(labels) == 1:
        return list(labels[0].values)
    marked = np.sum([grid.values[0] for grid in labels], axis=0, dtype=np.float32)
    unknown = [grid.values[1] for grid in labels if len(grid.values) > 1]
    if not unknown:
        return [marked / np.float32(len(labels))]
    know = len(labels) - np.sum(unknown, axis=0, dtype=np.float32)
    return [marked / np.maximum(know, 1), know == 0]


def _wrong_axes(grid: Grid, dimensions: int | None) -> str | None:
    axes = len(grid.space)
    is_slice = axes == 3 and grid.space[-1] == 1 and dimensions == 2
    if dimensions in (None, axes) or is_slice:
        return None
    return (
        f"{shown(grid.path)}: has shape {grid.space}, and the `size` or `patch` of its task "
        f"has {dimensions} sides: give it {axes}"
    )


def _channel(path: Path, taste: _Taste) -> Grid:
    """One file's image; among grey files an RGB file must hold grey values, or be made grey."""
    grid = read_image(path, taste.channels if is_volume(path) else 1)
    low, high = grid.values.min(), grid.values.max()
    if low == high:
        warnings.warn(
            f"{shown(path)}: is constant (every value is {low:g}): check that it is the right file",
            DataWarning,
            stacklevel=2,
        )
    if is_volume(path):
        return grid
    if taste.colour is not None:
        return replace(grid, values=_coloured(grid.values, taste.colour))
    if taste.grey is None or len(grid.values) == 1:
        return grid
    if (grid.values != grid.values[:1]).any():
        raise DataError(
            [
                f"{shown(path)}: has {len(grid.values)} channels (colour) where "
                f"{shown(taste.grey)} has 1 (grey): set `colour: grey` or `colour: rgb`, or "
                "convert all images to one kind"
            ]
        )
    return replace(grid, values=grid.values[:1])


def _coloured(values: np.ndarray, colour: Colour) -> np.ndarray:
    """Grey or RGB from either; what is grey already keeps its values to the bit."""
    if colour == "rgb":
        return values if len(values) == 3 else np.repeat(values, 3, axis=0)
    if len(values) == 1:
        return values
    grey = np.tensordot(LUMA, values.astype(np.int64), axes=1) + (1 << 15) >> 16
    return grey.astype(np.float32)[None]


def _joined(channels: list[np.ndarray]) -> np.ndarray:
    return channels[0] if len(channels) == 1 else np.concatenate(channels)
