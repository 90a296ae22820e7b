"""Readers: a task's folder of images and masks becomes cases, or the list of what is wrong."""

import csv
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TypeVar

import numpy as np

from segrisk.data.case import Case
from segrisk.data.errors import DataError, DataWarning, shown
from segrisk.data.images import (
    PICTURES,
    VOLUMES,
    Grid,
    is_grey,
    is_volume,
    misplacement,
    read_image,
    read_mask,
)
from segrisk.metrics.counts import no_label

T = TypeVar("T")

CHANNEL = re.compile(r"(?P<id>.+)_(?P<channel>\d{4})")


@dataclass(frozen=True)
class Folder:
    """A task's folder: `images/` and `labels/`, and `index.csv` with the group of each id.

    The foreground of a mask is the values in `foreground`, merged; or what exceeds `threshold`,
    which admits JPEG masks; or, with neither, the one value besides 0 that all masks share.
    """

    path: Path
    foreground: tuple[int, ...] = ()
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.foreground and self.threshold is not None:
            raise ValueError(
                f"foreground {list(self.foreground)} and threshold {self.threshold} exclude each "
                "other: set the label values or the threshold"
            )
        if 0 in self.foreground:
            raise ValueError(f"foreground {list(self.foreground)} has 0, the background: drop it")
        if self.threshold is not None and not isfinite(self.threshold):
            raise ValueError(f"threshold {self.threshold} is not a finite number: set one")


@dataclass(frozen=True)
class _Pair:
    """The files of one case: an image file per channel, and the mask."""

    id: str
    group: str
    images: tuple[Path, ...]
    mask: Path


def read_folder(folder: Folder) -> Iterator[Case]:
    """The cases of a task in the order of their ids, one at a time.

    Files are paired by id: the name without extension and without the channel `_0000`, `_0001`, …
    of images. Pictures (PNG, JPEG, TIFF) and NIfTI volumes are read; other files are ignored.
    Without `index.csv` every case is a group of its own.

    DataError: faults of pairing and index are raised by the call, all together. Faults inside
    files are collected, and raised together at the end, after the good cases: so consume the
    iterator whole before using any of them.
    """
    return _cases(_pairs(folder), folder)


def mask_files(folder: Folder) -> dict[str, Path]:
    """The file of each case's mask, by id; DataError for the same faults as `read_folder`."""
    return {pair.id: pair.mask for pair in _pairs(folder)}


# Pairing: names of files and the index only, before any pixel is read.


def _pairs(folder: Folder) -> list[_Pair]:
    root = folder.path.resolve()
    if faults := list(_folder_faults(root)):
        raise DataError(faults)
    masks = _by_stem(root / "labels")
    channels = _by_channel(_by_stem(root / "images"), masks)
    faults = [*_pairing_faults(root, channels, masks), *_format_faults(root, folder.threshold)]
    groups = {id: id for id in masks}
    if (root / "index.csv").exists():
        rows, index_faults = _index(root / "index.csv", masks)
        groups.update(rows)
        faults += index_faults
    if faults:
        raise DataError(faults)
    return [
        _Pair(id, groups[id], tuple(files[0] for _, files in sorted(channels[id].items())), mask)
        for id, (mask,) in sorted(masks.items())
    ]


def _by_stem(directory: Path) -> dict[str, list[Path]]:
    """The image files of a directory by their name without extension."""
    found: dict[str, list[Path]] = {}
    for path in _files(directory):
        suffix = next(end for end in VOLUMES + PICTURES if path.name.lower().endswith(end))
        found.setdefault(path.name[: -len(suffix)], []).append(path)
    return found


def _files(directory: Path) -> list[Path]:
    return sorted(
        path
        for path in directory.iterdir()
        if not path.name.startswith(".")
        and path.name.lower().endswith(VOLUMES + PICTURES)
        and not path.is_dir()  # a link that leads nowhere is kept, and reported when it is read
    )


def _folder_faults(root: Path) -> Iterator[str]:
    if not root.is_dir():
        yield f"{root}: there is no such folder: correct the task's folder"
        return
    for name in ("images", "labels"):
        if not (root / name).is_dir():
            yield f"{root.name}: has no folder {name}/: add it, with a file for each case"
        elif not _files(root / name):
            expected = ", ".join(PICTURES + VOLUMES)
            yield f"{root.name}/{name}: is empty: add a file for each case ({expected})"


def _by_channel(
    images: dict[str, list[Path]], ids: Collection[str]
) -> dict[str, dict[int, list[Path]]]:
    """The image files by id and channel; a name that a mask has exactly is an id itself."""
    channels: dict[str, dict[int, list[Path]]] = {}
    for stem, files in images.items():
        parts = CHANNEL.fullmatch(stem)
        if stem not in ids and parts and parts["id"] in ids:
            id, channel = parts["id"], int(parts["channel"])
        else:
            id, channel = stem, 0
        channels.setdefault(id, {}).setdefault(channel, []).extend(files)
    return channels


def _pairing_faults(
    root: Path, channels: dict[str, dict[int, list[Path]]], masks: dict[str, list[Path]]
) -> Iterator[str]:
    for id in sorted(channels.keys() - masks.keys()):
        path = next(iter(channels[id].values()))[0]
        yield f"{shown(path)}: has no mask in labels/: add the mask, or remove the image"
    for id in sorted(masks.keys() - channels.keys()):
        yield f"{shown(masks[id][0])}: has no image in images/: add the image, or remove the mask"
    every = [*masks.values(), *(files for by in channels.values() for files in by.values())]
    for first, *others in every:
        for other in others:
            yield f"{shown(first)} and {other.name} have the same id: remove or rename one"
    paired = sorted(channels.keys() & masks.keys())
    kinds = Counter(tuple(sorted(channels[id])) for id in paired)
    usual = max(kinds, key=kinds.__getitem__, default=())
    for id in paired:
        own = tuple(sorted(channels[id]))
        if own != usual:
            yield (
                f"{root.name}/images/{id}: has the channels {_numbers(own)}, other cases have "
                f"{_numbers(usual)}: every case needs a file for each of the same channels"
            )


def _numbers(channels: tuple[int, ...]) -> str:
    return ", ".join(f"{channel:04d}" for channel in channels)


def _format_faults(root: Path, threshold: float | None) -> Iterator[str]:
    masks = _files(root / "labels")
    files = [*_files(root / "images"), *masks]
    volumes = [path for path in files if is_volume(path)]
    if volumes and len(volumes) < len(files):
        picture = next(path for path in files if not is_volume(path))
        yield (
            f"{root.name}: mixes 3D files ({shown(volumes[0])}) and 2D files ({shown(picture)}): "
            "make a task of each"
        )
    lossy = [path for path in masks if path.suffix.lower() in (".jpg", ".jpeg")]
    if lossy and threshold is None:
        yield (
            f"{_some([shown(path) for path in lossy])}: JPEG changes label values: "
            "save masks as PNG, or set `threshold: 127`"
        )


def _index(path: Path, ids: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The group of each id in `index.csv`, and what is wrong with it."""
    name = f"{path.parent.name}/{path.name}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns, rows = table.fieldnames or [], list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return {}, [f"{name}: cannot be read ({error}): save it as CSV in UTF-8"]
    missing = [column for column in ("id", "group") if column not in columns]
    if missing:
        found = ", ".join(map(str, columns)) or "none"
        return {}, [
            f"{name}: has no column {' and '.join(missing)} (columns: {found}): add it, "
            "or remove index.csv if every case is a group of its own"
        ]
    pairs = [((row["id"] or "").strip(), (row["group"] or "").strip()) for row in rows]
    groups = dict(pairs)
    faulty = {
        "has no row for {}: add the group of each case": sorted(ids - groups.keys()),
        "has {}, of which there is no file: remove the row, or add image and mask": sorted(
            groups.keys() - ids
        ),
        "has more than one row for {}: keep one": sorted(
            id for id, count in Counter(id for id, _ in pairs).items() if count > 1
        ),
        "has no group for {}: give its patient, or its own id": sorted(
            {id for id, group in pairs if not group}
        ),
    }
    return groups, [f"{name}: {text.format(_some(who))}" for text, who in faulty.items() if who]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(repr(name) if not name.strip() else name for name in names[:3]) + more


# Reading: one case at a time.


@dataclass
class _Masks:
    """What the masks of the whole task hold, by which the rule for each of them is judged."""

    folder: Folder
    first: dict[int, Path] = field(default_factory=dict)  # each value besides 0, where first seen
    read: int = 0
    any_foreground: bool = False

    def label(self, path: Path) -> Grid:
        """The mask with boolean values; DataError where the file gives none."""
        mask = read_mask(path)
        label = self._foreground(mask)
        self.read += 1
        self.any_foreground |= bool(label.any())
        return Grid(path, label, mask.spacing_mm, mask.affine)

    def _foreground(self, mask: Grid) -> np.ndarray:
        if self.folder.threshold is not None:
            return mask.values > self.folder.threshold
        values = _whole(mask)
        for value in np.unique(values[values != 0]).tolist():
            self.first.setdefault(int(value), mask.path)
        return np.isin(values, self.folder.foreground) if self.folder.foreground else values != 0

    def faults(self, root: Path, cases: int) -> Iterator[str]:
        found = sorted(self.first)
        if len(found) > 1 and not (self.folder.foreground or self.folder.threshold is not None):
            seen = _some([f"{value} ({shown(self.first[value])})" for value in found])
            yield (
                f"{root.name}/labels: the masks have more than one value besides 0: {seen}: set "
                f"`foreground: [{', '.join(map(str, found[:3]))}]` with those that you mean, or "
                "`threshold: ..`"
            )
        if self.read < cases:  # what seems to be missing may be in the masks that were not read
            return
        absent = sorted(set(self.folder.foreground) - self.first.keys())
        if absent:
            yield (
                f"{root.name}/labels: no mask has the foreground value {_some([*map(str, absent)])}"
                f"; found besides 0: {_some([*map(str, found)]) or 'nothing'}: correct `foreground`"
            )
        elif not self.any_foreground:
            yield (
                f"{root.name}/labels: all masks are empty, nothing can be learned or scored: "
                "check the masks, and `threshold` if it is set"
            )


def _whole(mask: Grid) -> np.ndarray:
    if mask.values.dtype.kind != "f":
        return mask.values
    if (value := no_label(mask.values)) is not None:
        raise DataError(
            [
                f"{shown(mask.path)}: holds {value:.4g}, which is no label number: "
                "save whole numbers, or set `threshold: 0.5` if these are probabilities"
            ]
        )
    return np.rint(mask.values)


def _cases(pairs: list[_Pair], folder: Folder) -> Iterator[Case]:
    faults: list[str] = []
    masks = _Masks(folder)
    pictures = (path for pair in pairs for path in pair.images if not is_volume(path))
    grey = next(filter(is_grey, pictures), None)
    for pair in pairs:
        before = len(faults)
        label = _or_fault(faults, masks.label, pair.mask)
        channels = [_or_fault(faults, _channel, path, grey) for path in pair.images]
        files = [grid for grid in (*channels, label) if grid is not None]
        reasons = (misplacement(grid, files[0]) for grid in files[1:])
        faults += [reason for reason in reasons if reason]
        if len(faults) == before and label is not None:
            image = _joined([grid.values for grid in files[:-1]])
            yield Case(pair.id, pair.group, image, label.values[0], files[0].spacing_mm)
    faults += masks.faults(folder.path.resolve(), len(pairs))
    if faults:
        raise DataError(faults)


def _or_fault(faults: list[str], read: Callable[..., T], *arguments: object) -> T | None:
    try:
        return read(*arguments)
    except DataError as error:
        faults.extend(error.faults)
        return None


def _channel(path: Path, grey: Path | None) -> Grid:
    """One file's image; among grey files (`grey` is one) an RGB file must hold grey values."""
    grid = read_image(path)
    low, high = grid.values.min(), grid.values.max()
    if low == high:
        warnings.warn(
            f"{shown(path)}: is constant (every value is {low:g}): check that it is the right file",
            DataWarning,
            stacklevel=2,
        )
    if grey is None or len(grid.values) == 1:
        return grid
    if (grid.values != grid.values[:1]).any():
        raise DataError(
            [
                f"{shown(path)}: has {len(grid.values)} channels (colour) where {shown(grey)} has "
                "1 (grey): convert all images to one kind"
            ]
        )
    return Grid(path, grid.values[:1], grid.spacing_mm, grid.affine)


def _joined(channels: Iterable[np.ndarray]) -> np.ndarray:
    arrays = list(channels)
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
