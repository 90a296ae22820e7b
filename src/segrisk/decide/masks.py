"""Masks on disk: references of probability maps, and the masks that are written."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segrisk.data.errors import DataError, shown
from segrisk.data.images import VOLUMES, misplacement, read_mask
from segrisk.data.saving import nifti, png
from segrisk.decide.maps import MapFile, ProbabilityMap
from segrisk.files import write_bytes

REFERENCES = (*VOLUMES, ".png", ".npy")


def find_references(folder: Path, maps: Sequence[MapFile]) -> list[Path]:
    """The reference of each map, by id; DataError names those that have none."""
    if not folder.is_dir():
        raise DataError([f"{folder}: there is no such folder: give the one with the references"])
    found = [
        next((p for end in REFERENCES if (p := folder / (file.id + end)).exists()), None)
        for file in maps
    ]
    faults = [
        f"{shown(file.path)}: has no reference in {folder.name}/: add {file.id} with one of "
        f"{', '.join(REFERENCES)}, or remove the map"
        for file, path in zip(maps, found, strict=True)
        if path is None
    ]
    if faults:
        raise DataError(faults)
    return [path for path in found if path is not None]


def read_reference(path: Path, own: ProbabilityMap) -> np.ndarray:
    """The labels (*space) on the map's axes; whatever is not 0 becomes 1 for a single channel."""
    if path.suffix == ".npy":
        try:
            values = np.load(path)
        except Exception as error:
            raise DataError([f"{shown(path)}: cannot be read ({error}): save it again"]) from error
    else:
        mask = read_mask(path)
        if own.grid and own.grid.affine is not None and mask.affine is not None:
            if reason := misplacement(mask, own.grid):
                raise DataError([reason])
        values = mask.values[0]
        if own.file.grid_of:
            values = values.T
    space = own.values.shape[1:]
    if values.shape != space:
        raise DataError(
            [
                f"{shown(path)}: shape {values.shape} differs from {space} of "
                f"{shown(own.file.path)}: check that they belong together"
            ]
        )
    return _labels(path, values, own)


def _labels(path: Path, values: np.ndarray, own: ProbabilityMap) -> np.ndarray:
    found = np.unique(values)
    others = found[found != 0]
    if not own.exclusive:
        if len(others) > 1:
            raise DataError(
                [
                    f"{shown(path)}: holds the labels {_some(others)}, where the map knows one: "
                    "save a mask of 0 and one other value"
                ]
            )
        return (values != 0).astype(np.int64)
    if not np.isin(found, np.arange(len(own.values))).all():
        raise DataError(
            [
                f"{shown(path)}: holds the labels {_some(others)}, where the map has the classes "
                f"0 to {len(own.values) - 1}: number labels as the channels of the map"
            ]
        )
    return values.astype(np.int64)


def _some(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values[:5]) + (" …" if len(values) > 5 else "")


def mask_names(own: ProbabilityMap) -> list[str]:
    """The names of the files that `write_masks` writes: channels that may overlap have one each."""
    ending = ".nii.gz" if own.grid else ".png" if own.file.path.suffix.lower() == ".png" else ".npy"
    if own.exclusive or len(own.labels) == 1:
        return [own.file.id + ending]
    return [f"{own.file.id}_{label}{ending}" for label in own.labels]


def write_masks(folder: Path, own: ProbabilityMap, masks: Sequence[np.ndarray]) -> None:
    """Write masks (*space): labels of exclusive classes, or 0 and 1 (in PNG, 255) of a channel.

    A NIfTI mask takes over the header of the map's grid, so its affine is the same.
    """
    for name, mask in zip(mask_names(own), masks, strict=True):
        values = mask.astype(np.uint8)
        if name.endswith(".nii.gz"):
            data = nifti(values.T if own.file.grid_of else values, like=own.grid.path)
        elif name.endswith(".png"):
            data = png(values * 255)
        else:
            buffer = io.BytesIO()
            np.save(buffer, values)
            data = buffer.getvalue()
        write_bytes(folder / name, data)
