"""What there is to see of a case with files: its image, the reference and every prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from segrisk.data.errors import DataError
from segrisk.data.images import Grid, is_volume, read_image, read_stored
from segrisk.metrics import Region
from segrisk.report.viewer import CaseView

WINDOW = (1, 99)
"""Percentiles of the image that are shown as black and as white."""


class CaseFiles(Protocol):
    """The files of one case and seed: the reference, and each model's mask, if it has one."""

    @property
    def task(self) -> str: ...
    @property
    def case(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def reference(self) -> Path: ...
    @property
    def predictions(self) -> Mapping[str, Path | None]: ...


@dataclass(frozen=True)
class Views:
    """Makes the view of a case when the page asks for it: of the first seed, where there are more.

    A case without image is shown as outlines on grey.
    """

    cases: Mapping[tuple[str, str], CaseFiles]
    images: Mapping[tuple[str, str], Path]
    regions: Mapping[str, Region]

    @classmethod
    def of(
        cls,
        cases: Sequence[CaseFiles],
        images: Mapping[tuple[str, str], Path],
        regions: Sequence[Region],
    ) -> "Views":
        first = {(case.task, case.case): case for case in reversed(cases)}
        return cls(first, images, {region.name: region for region in regions})

    def __call__(self, task: str, label: str, case: str) -> CaseView | None:
        """The view of one label of a case; None where its files can no longer be read."""
        own = self.cases[task, case]
        region = self.regions[label] if label in self.regions else next(iter(self.regions.values()))
        try:
            reference = read_stored(own.reference)
            masks = {
                model: _shown(read_stored(path), reference, region)
                for model, path in own.predictions.items()
                if path is not None
            }
            return CaseView(
                title=case,
                spacing_mm=_spacing(reference),
                image=self._image(task, case, reference),
                reference=_shown(reference, reference, region),
                predictions=masks,
                seed=own.seed,
            )
        except DataError:
            return None

    def _image(self, task: str, case: str, reference: Grid) -> np.ndarray:
        blank = np.full(upright(reference.values[0], reference).shape, 128, np.uint8)
        path = self.images.get((task, case))
        if path is None:
            return blank
        image = read_image(path)
        if image.space != reference.space:
            return blank
        channels = [upright(channel, reference) for channel in image.values]
        if len(channels) == 3 and not is_volume(path):
            return np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)
        return windowed(channels[0])


def windowed(image: np.ndarray) -> np.ndarray:
    """Intensities as grey values uint8, from a low percentile to a high one of what is not 0."""
    some = image[image != 0]
    low, high = np.percentile(some, WINDOW) if some.size else (0.0, 1.0)
    low = min(low, 0.0) if low > 0 and (image == 0).any() else low
    scaled = (image.astype(np.float32) - low) / max(high - low, 1e-12)
    return (255 * scaled.clip(0, 1)).round().astype(np.uint8)


def upright(values: np.ndarray, grid: Grid) -> np.ndarray:
    """An array (*space) as slices (z, y, x), as they are looked at.

    Where the file knows its place, x runs to the patient's left and y to the back. Without one, an
    array of three axes is taken to be (z, y, x) already.
    """
    if values.ndim == 2:
        return values[None]
    if grid.affine is None:
        return values
    from nibabel import orientations as turn

    here = turn.io_orientation(grid.affine)
    there = turn.axcodes2ornt(("L", "P", "S"))
    return turn.apply_orientation(values, turn.ornt_transform(here, there)).T


def _shown(mask: Grid, reference: Grid, region: Region) -> np.ndarray:
    """Where a mask holds the region, as 0 and 1."""
    values = np.rint(mask.values[0])
    if region.labels is None:
        held = values != 0
    else:
        held = np.isin(values, region.labels)
    return upright(held.astype(np.uint8), reference)


def _spacing(grid: Grid) -> tuple[float, float, float]:
    """The spacing of the slices (z, y, x) that `upright` gives."""
    if len(grid.spacing_mm) == 2:
        return (1.0, *grid.spacing_mm)
    if grid.affine is None:
        return tuple(grid.spacing_mm)  # type: ignore[return-value]
    axes = np.abs(grid.affine[:3, :3]).argmax(axis=0)
    by_axis = dict(zip(axes.tolist(), grid.spacing_mm, strict=True))
    return tuple(by_axis.get(axis, 1.0) for axis in (2, 1, 0))  # type: ignore[return-value]
