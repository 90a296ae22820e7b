"""Scores of each component of the reference, in the part of space that is nearest to it.

A mean over cases hides small objects behind large ones. Here every component of the reference owns
the voxels that are nearer to it than to any other (its Voronoi region), and the prediction is
scored there against this component alone: a missed lesion of ten voxels costs as much as a missed
one of ten thousand (Jaus et al., "Every Component Counts", 2024).
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from segrisk.metrics.surface import bounding_box
from segrisk.similarity import Confusion


def component_confusions(
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: Sequence[float]
) -> Confusion:
    """The confusion of each component of a boolean reference that is not empty.

    Components touch by a face, an edge or a corner. The members are arrays, one number for each
    component; `tn` is 0, since what lies outside both masks belongs to no component. A voxel as
    near to two components is given to one of them.

    >>> y = np.array([1, 1, 0, 0, 0, 0, 0, 1], bool)
    >>> p = np.array([1, 0, 0, 0, 0, 1, 0, 0], bool)
    >>> component_confusions(y, p, (1.0,))
    Confusion(tp=array([1, 0]), fp=array([0, 1]), fn=array([1, 1]), tn=array([0, 0]))
    """
    if reference.shape != prediction.shape:
        raise ValueError(
            f"masks of shape {reference.shape} and {prediction.shape}: they must be of one grid "
            "(nothing is broadcast)"
        )
    if not reference.any():
        raise ValueError("an empty reference has no components: a Convention gives its value")
    box = bounding_box(reference | prediction)
    y, mask = reference[box], prediction[box]
    components, count = ndimage.label(y, ndimage.generate_binary_structure(y.ndim, y.ndim))
    # What is nearest to a voxel outside is on a border; there are few of either kind.
    border, outside = np.nonzero(y & ~ndimage.binary_erosion(y)), np.nonzero(mask & ~y)
    tree = KDTree(np.transpose(border) * np.asarray(spacing_mm))
    _, nearest = tree.query(np.transpose(outside) * np.asarray(spacing_mm))
    owner = np.concatenate((components[mask & y], components[border][nearest]))
    predicted = np.bincount(owner, minlength=count + 1)[1:]
    tp = np.bincount(components[mask & y], minlength=count + 1)[1:]
    size = np.bincount(components[y], minlength=count + 1)[1:]
    return Confusion(tp, predicted - tp, size - tp, np.zeros_like(tp))
