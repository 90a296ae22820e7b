"""Distances between the surfaces of two masks, through MONAI.

MONAI is kept by its consortium, runs in two and three dimensions, and studies need it anyway. Of
the others, `surface-distance` needs a NumPy before 2.0 for empty masks, MedPy raises an error on
them and takes the percentile over both directions at once, and SimpleITK has no percentile. What
MONAI says of empty masks is not used: `Convention` decides it. Its surface is that of voxels:
those of the mask with a face outside it, each counted once, whatever their area.

MONAI is imported at the first distance: it takes seconds, and overlaps do not need it.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SurfaceDistances:
    """The distance of each surface voxel of one mask to the surface of the other, in mm.

    >>> d = SurfaceDistances(np.array([0.0, 1.0]), np.array([0.0, 3.0]))
    >>> d.assd_mm, d.nsd(tolerance_mm=1)
    (1.0, 0.75)
    """

    of_prediction: np.ndarray
    of_reference: np.ndarray

    @property
    def hd95_mm(self) -> float:
        """The larger of the 95th percentiles of the two directions."""
        return float(max(np.percentile(d, 95) for d in (self.of_prediction, self.of_reference)))

    @property
    def assd_mm(self) -> float:
        """The mean over all voxels of both surfaces."""
        return float(np.concatenate((self.of_prediction, self.of_reference)).mean(dtype=float))

    def nsd(self, tolerance_mm: float) -> float:
        """The share of both surfaces that lies within the tolerance of the other."""
        both = np.concatenate((self.of_prediction, self.of_reference))
        # In the distances' own precision: a voxel at exactly the tolerance is within it.
        return float(np.mean(both <= both.dtype.type(tolerance_mm)))


def surface_distances(
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: Sequence[float]
) -> SurfaceDistances:
    """The surface distances of two boolean masks of one shape, neither of them empty.

    An axis of one voxel is dropped: a slice has no surface across it.

    >>> y = np.zeros((5, 5), bool)
    >>> y[1:4, 1:4] = True
    >>> surface_distances(y, np.roll(y, 1, axis=1), (2.0, 0.5)).hd95_mm
    0.5
    """
    if reference.shape != prediction.shape or len(spacing_mm) != reference.ndim:
        raise ValueError(
            f"masks of shape {reference.shape} and {prediction.shape} with {len(spacing_mm)} "
            "spacings: they must be of one grid, with one spacing for each axis"
        )
    if not (reference.any() and prediction.any()):
        raise ValueError("a mask is empty and has no surface: a Convention gives its value")
    import torch
    from monai.metrics.utils import get_edge_surface_distance

    box = bounding_box(reference | prediction)
    axes = tuple(axis for axis, size in enumerate(reference.shape) if size == 1)
    y, mask = (
        torch.from_numpy(np.ascontiguousarray(array[box].squeeze(axes)))
        for array in (reference, prediction)
    )
    spacing = [spacing_mm[axis] for axis in range(reference.ndim) if axis not in axes]
    if not spacing:  # one voxel, in both masks
        return SurfaceDistances(np.zeros(1, np.float32), np.zeros(1, np.float32))
    with warnings.catch_warnings():  # about how MONAI calls itself
        warnings.simplefilter("ignore", FutureWarning)
        _, distances, _ = get_edge_surface_distance(mask, y, spacing=spacing, symmetric=True)
    return SurfaceDistances(*(np.asarray(d) for d in distances))


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds a mask that is not empty.

    >>> bounding_box(np.array([[0, 0, 0], [0, 1, 1]], bool))
    (slice(1, 2, None), slice(1, 3, None))
    """
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        found = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(box)
