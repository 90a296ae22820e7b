"""What is measured once of each pair of files, before any region or convention gives it a value."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from segrisk.compare.slabs import count_pairs, read_labels
from segrisk.data.errors import DataError, shown
from segrisk.data.streams import MaskFile
from segrisk.files import digest, file_digest, write_json
from segrisk.metrics import JointCounts, Region, component_confusions, surface_distances
from segrisk.similarity import Confusion

VERSION = 1
"""Part of every key: to be raised when the same files would be measured differently."""


@dataclass(frozen=True)
class Shapes:
    """What counts do not say of one region; only where neither mask is empty.

    `surface` has hd95_mm, assd_mm and nsd, and may be empty; `components` is the confusion of each
    component of the reference as arrays, or None where it was not asked for.
    """

    surface: Mapping[str, float] = field(default_factory=dict)
    components: Confusion | None = None


@dataclass(frozen=True)
class Measured:
    """One prediction against its reference: counts, the grid of the reference, shapes by region."""

    counts: JointCounts
    space: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    shapes: Mapping[str, Shapes] = field(default_factory=dict)

    @property
    def diagonal_mm(self) -> float:
        """From corner to corner of the image, which no distance in it exceeds."""
        return float(np.linalg.norm(np.multiply(self.space, self.spacing_mm)))

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a pair beyond its counts. Counts need none of it, and are kept without."""

    regions: tuple[Region, ...]
    ignore: int | None = None
    tolerance_mm: float | None = None  # None: no surfaces
    components: bool = False

    @property
    def key(self) -> Any:
        """What the shapes depend on, as JSON; None where only counts are wanted."""
        if self.tolerance_mm is None and not self.components:
            return None
        return {
            "regions": [[region.name, region.labels] for region in self.regions],
            "ignore": self.ignore,
            "tolerance_mm": self.tolerance_mm,
            "components": self.components,
            "monai": None if self.tolerance_mm is None else version("monai"),
        }


@dataclass(frozen=True)
class Unit:
    """One reference with every prediction of it, None being an empty one: work for a process."""

    reference: Path
    predictions: tuple[Path | None, ...]
    wanted: Wanted
    cache: Path | None


@dataclass(frozen=True)
class Outcome:
    """What came of a unit: for each prediction what was measured, or None; and the faults."""

    measured: tuple[Measured | None, ...]
    digests: tuple[str, ...]  # of the reference's contents, then of each prediction's
    faults: tuple[str, ...]


def measure(unit: Unit) -> Outcome:
    """Measure a unit, as far as the cache does not have it; faults are named, never raised."""
    try:
        return _measure(unit)
    except DataError as error:
        faults = error.faults
    except Exception as error:  # whatever it is, it must not lose the other cases
        faults = (f"{shown(unit.reference)}: cannot be scored ({type(error).__name__}: {error})",)
    return Outcome((None,) * len(unit.predictions), (), faults)


def _measure(unit: Unit) -> Outcome:
    digests = _digests([unit.reference, *unit.predictions])
    key = unit.wanted.key
    keys = [digest([VERSION, digests[0], own, key]) for own in digests[1:]]
    found = [_load(unit.cache, key) for key in keys]
    missing = [index for index, one in enumerate(found) if one is None]
    faults: list[str] = []
    if missing:
        grid, counts = count_pairs(unit.reference, [unit.predictions[index] for index in missing])
        truth = None if key is None else read_labels(unit.reference)
        for index, own in zip(missing, counts, strict=True):
            try:
                if isinstance(own, DataError):
                    raise own
                found[index] = _complete(unit, unit.predictions[index], grid, own, truth)
            except DataError as error:
                faults.extend(error.faults)
            else:
                _save(unit.cache, keys[index], found[index])
    return Outcome(tuple(found), digests, tuple(dict.fromkeys(faults)))


def _digests(paths: Sequence[Path | None]) -> tuple[str, ...]:
    """The digest of each file's contents, none for None; one error for all that are unreadable."""
    digests, faults = [], []
    for path in paths:
        try:
            digests.append("" if path is None else file_digest(path))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            faults.append(f"{shown(path)}: cannot be read ({reason}): copy it again")
    if faults:
        raise DataError(faults)
    return tuple(digests)


def _complete(
    unit: Unit, path: Path | None, grid: MaskFile, counts: JointCounts, truth: np.ndarray | None
) -> Measured:
    shapes: dict[str, Shapes] = {}
    if truth is not None and path is not None:
        prediction = read_labels(path)
        for region in unit.wanted.regions:
            masses = counts.confusion(region, unit.wanted.ignore)
            if masses.positives and masses.tp + masses.fp:
                shapes[region.name] = _shapes(unit.wanted, region, truth, prediction, grid)
    return Measured(counts, grid.space, grid.spacing_mm, shapes)


def _shapes(
    wanted: Wanted, region: Region, truth: np.ndarray, prediction: np.ndarray, grid: MaskFile
) -> Shapes:
    y, mask = _mask(region, truth), _mask(region, prediction)
    if wanted.ignore is not None:  # what is not known belongs to neither
        known = truth != wanted.ignore
        y, mask = y & known, mask & known & (prediction != wanted.ignore)
    surface: dict[str, float] = {}
    if wanted.tolerance_mm is not None:
        distances = surface_distances(y, mask, grid.spacing_mm)
        surface = {
            "hd95_mm": distances.hd95_mm,
            "assd_mm": distances.assd_mm,
            "nsd": distances.nsd(wanted.tolerance_mm),
        }
    components = component_confusions(y, mask, grid.spacing_mm) if wanted.components else None
    return Shapes(surface, components)


def _mask(region: Region, labels: np.ndarray) -> np.ndarray:
    return labels != 0 if region.labels is None else np.isin(labels, region.labels)


# The cache: one file for each pair, named by the contents of both and what was asked of them.


def _path(cache: Path, key: str) -> Path:
    return cache / key[:2] / f"{key}.json"


def _save(cache: Path | None, key: str, measured: Measured | None) -> None:
    if cache is None or measured is None:
        return
    path = _path(cache, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = {
        name: {
            "surface": dict(own.surface),
            "components": own.components and [array.tolist() for array in own.components],
        }
        for name, own in measured.shapes.items()
    }
    content = {
        "pairs": [[*pair, count] for pair, count in measured.counts.pairs.items()],
        "space": measured.space,
        "spacing_mm": measured.spacing_mm,
        "shapes": shapes,
    }
    write_json(path, {"content": content, "digest": digest(content)})


def _load(cache: Path | None, key: str) -> Measured | None:
    """What was kept under this key; None where nothing was, or it is damaged."""
    if cache is None:
        return None
    try:
        entry = json.loads(_path(cache, key).read_text(encoding="utf-8"))
        content = entry["content"]
        if digest(content) != entry["digest"]:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Measured(
        JointCounts({(r, p): count for r, p, count in content["pairs"]}),
        tuple(content["space"]),
        tuple(content["spacing_mm"]),
        {name: _shape(own) for name, own in content["shapes"].items()},
    )


def _shape(entry: Mapping[str, Any]) -> Shapes:
    columns: Sequence[Sequence[int]] | None = entry["components"]
    components = columns and Confusion(*(np.array(column) for column in columns))
    return Shapes(entry["surface"], components or None)
