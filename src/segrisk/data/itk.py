"""NRRD and MetaImage files through SimpleITK, on the axes and in the space of NIfTI.

ITK counts the axes of an array backwards and points to left and posterior where NIfTI points to
right and anterior; what comes out here is (x, y, z) with an affine to RAS+.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segrisk.data.errors import LABEL_MAP, DataError, shown

if TYPE_CHECKING:
    from SimpleITK import ImageFileReader

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
Placed = tuple[tuple[float, ...], np.ndarray | None]
"""Spacing and affine; a picture of two axes has no place in the body."""


def read_itk(path: Path) -> tuple[np.ndarray, tuple[float, ...], np.ndarray | None]:
    """The values (1, *space), spacing and affine of a file."""
    import SimpleITK

    reader = _opened(path)
    values = np.asarray(SimpleITK.GetArrayFromImage(reader.Execute())).T
    spacing, affine = _placed(reader)
    space = _space(path, reader)
    return values.reshape(space, order="F")[None], spacing, affine


def itk_header(
    path: Path,
) -> tuple[tuple[int, ...], tuple[float, ...], np.ndarray | None, np.dtype]:
    """Shape, spacing, affine and type of a file, without its values."""
    import SimpleITK

    reader = _opened(path)
    space = _space(path, reader)
    integer = "float" not in SimpleITK.GetPixelIDValueAsString(reader.GetPixelID())
    return space, *_placed(reader), np.dtype(np.int64 if integer else np.float64)


def _opened(path: Path) -> "ImageFileReader":
    import SimpleITK

    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _space(path: Path, reader: "ImageFileReader") -> tuple[int, ...]:
    size = reader.GetSize()
    while len(size) > 3 and size[-1] == 1:
        size = size[:-1]
    channels = reader.GetNumberOfComponents()
    if len(size) > 3 or channels > 1:
        layers = f" of {channels} layers" if channels > 1 else ""
        raise DataError(
            [
                f"{shown(path)}: has shape {size}{layers}, where one mask of 2 or 3 axes is "
                f"expected: {LABEL_MAP} (in Slicer: Export to labelmap)"
            ]
        )
    return size


def _placed(reader: "ImageFileReader") -> Placed:
    axes = reader.GetDimension()
    spacing = reader.GetSpacing()[:3]
    if axes < 3:
        return spacing, None
    direction = np.reshape(reader.GetDirection(), (axes, axes))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * spacing
    affine[:3, 3] = reader.GetOrigin()[:3]
    return spacing, LPS_TO_RAS @ affine
