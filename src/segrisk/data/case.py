"""A case: what one subject's examination gives to a study."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """One image with its mask.

    `image` is (channels, *space) float32, `label` is (*space) bool, `spacing_mm` the distance of
    neighbouring voxels along each axis (1.0 where the file does not know). `group` is the unit
    that folds never split: the patient, or the cluster of near-duplicates.
    """

    id: str
    group: str
    image: np.ndarray
    label: np.ndarray
    spacing_mm: tuple[float, ...]

    @property
    def fraction(self) -> float:
        """The foreground fraction |y| / d, which orders the bins of Figure 1."""
        return float(self.label.mean())
