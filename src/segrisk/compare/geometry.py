"""A prediction and its reference as points of space: whether they agree, and how they are made to.

Nothing is ever broadcast: masks of another shape, spacing, orientation or place are refused by
name, or resampled to the reference's grid where that was asked for.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segrisk.data.errors import LABEL_MAP
from segrisk.data.images import Header, misplacement, read_mask
from segrisk.files import write_bytes


def disagreement(
    prediction: Header, reference: Header, tolerance_mm: float | None = None
) -> str | None:
    """Why a prediction does not lie where its reference does; None where it does.

    Files that do not know their place (NPY, pictures) are compared by shape alone.
    """
    reason = misplacement(prediction, reference, tolerance_mm)
    if reason and prediction.space == reference.space[::-1] and prediction.affine is None:
        reason += "; its axes seem to be in reverse order: transpose it"
    if reason and (who := _with_channels(prediction.space, reference.space)):
        reason += f"; {who} seems to have a channel for each class: {LABEL_MAP}"
    return reason


def _with_channels(prediction: tuple[int, ...], reference: tuple[int, ...]) -> str | None:
    """Which of two masks has one axis more, that of the classes, where one has."""
    own, other = (tuple(n for n in space if n > 1) for space in (prediction, reference))
    for who, more, fewer in (("it", own, other), ("its reference", other, own)):
        if fewer and fewer in (more[1:], more[:-1]):
            return who
    return None


def can_be_resampled(prediction: Header, reference: Header) -> bool:
    """Whether both files say where their voxels lie."""
    return prediction.affine is not None and reference.affine is not None


@dataclass(frozen=True, eq=False)
class Moved:
    """A mask on another grid: its `values`, and how many foreground voxels found no place there."""

    values: np.ndarray
    lost: int


def resample(prediction: Path, reference: Header) -> Moved:
    """The labels of a prediction at the voxels of its reference: of the nearest voxel each.

    A voxel i of the reference lies at the voxel M⁻¹ N i of the prediction, if M and N are the
    affines of prediction and reference; beyond half a voxel outside, it is background.
    """
    from scipy import ndimage

    grid = read_mask(prediction)
    values = _labels(grid.values[0])
    matrix = np.linalg.inv(grid.affine) @ reference.affine
    moved = ndimage.affine_transform(
        values,
        matrix[:3, :3],
        matrix[:3, 3],
        reference.space,
        order=0,
        mode="grid-constant",
        prefilter=False,
    )
    return Moved(moved, _outside(values, np.linalg.inv(matrix), reference.space))


def _labels(values: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest type that holds them, which NIfTI holds, too."""
    low, high = (int(np.rint(extreme)) for extreme in (values.min(), values.max()))
    dtype = np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high))
    return (np.rint(values) if values.dtype.kind == "f" else values).astype(dtype)


def _outside(values: np.ndarray, matrix: np.ndarray, space: tuple[int, ...]) -> int:
    """How many foreground voxels lie beyond a grid to whose indices the matrix leads."""
    places = np.argwhere(values) @ matrix[:3, :3].T + matrix[:3, 3]
    inside = (places >= -0.5) & (places <= np.array(space) - 0.5)
    return int((~inside.all(axis=1)).sum())


def write_moved(path: Path, moved: Moved, reference: Header) -> None:
    """Write a resampled mask as NIfTI with the affine of its reference."""
    import nibabel

    image = nibabel.Nifti1Image(moved.values, reference.affine)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))
