"""A case: what one subject's examination gives to a study."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Origin:
    """How the files of a case hold it, so that a mask of it can go back to their grid.

    `axes` is where the axes of the files point to, such as LPS, and `prepared` where those of the
    case do, which is alike in all cases of a task; None for pictures. `spacing_mm` is the files'.
    `scaling` has the slope and intercept of each image file, by which its numbers were read.
    """

    axes: str | None
    prepared: str | None
    spacing_mm: tuple[float, ...]
    scaling: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Case:
    """One image with its mask.

    `image` is (channels, *space) float32, `label` is (*space) bool, `spacing_mm` the distance of
    neighbouring voxels along each axis (1.0 where the file does not know). `group` is the unit
    that folds never split: the patient, or the cluster of near-duplicates.

    Where several raters drew a mask, `label` is what more than half of them marked, and `raters`
    (*space) float32 the share that marked each voxel.

    `ignored` (*space) bool is where nobody knows the label: those voxels count for nothing, and
    whatever stands under them is dropped. None where every voxel is known.

    >>> where = np.array([False, True, False, True])
    >>> case = Case("a", "a", np.zeros((1, 4), np.float32), ~where | where, (1.0,), ignored=where)
    >>> case.label, case.fraction
    (array([ True, False,  True, False]), 1.0)
    """

    id: str
    group: str
    image: np.ndarray
    label: np.ndarray
    spacing_mm: tuple[float, ...]
    origin: Origin | None = None
    raters: np.ndarray | None = None
    ignored: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.ignored is None:
            return
        known = ~self.ignored
        object.__setattr__(self, "label", self.label & known)
        if self.raters is not None:
            object.__setattr__(self, "raters", self.raters * known)
        if known.all():
            object.__setattr__(self, "ignored", None)

    @property
    def fraction(self) -> float:
        """The foreground fraction |y| / d of what is known, which orders the bins of Figure 1."""
        if self.ignored is None:
            return float(self.label.mean())
        return np.count_nonzero(self.label) / max(1, np.count_nonzero(~self.ignored))
