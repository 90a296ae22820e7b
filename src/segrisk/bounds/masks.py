"""The sizes of a folder's masks, read in parallel."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from segrisk.data.errors import DataError, shown
from segrisk.data.images import MASKS, read_mask
from segrisk.data.readers import Folder
from segrisk.metrics.counts import no_label

ALONE = 32
"""Up to this many files are read by this process: starting others would take longer."""


@dataclass(frozen=True)
class MaskSize:
    """One reference: `positives` of its `total` voxels are foreground."""

    name: str
    positives: int
    total: int

    @property
    def fraction(self) -> float:
        """|y| / d."""
        return self.positives / self.total


@dataclass(frozen=True)
class _Counts:
    """What one file holds: how many voxels there are of each value besides 0, or the fault."""

    path: Path
    total: int
    values: dict[int, int]
    fault: str | None = None


def read_sizes(folder: Folder, *, workers: int | None, console: Console) -> list[MaskSize]:
    """The sizes of all masks in a folder, or in its `labels/`, by name.

    The foreground is as in `Folder`. DataError lists every file that cannot be used, and refuses
    a folder without masks, or whose masks are all empty or all full.
    """
    files = _files(folder.path)
    found = list(_progress(files, folder.threshold, workers, console))
    faults = [counts.fault for counts in found if counts.fault]
    if not faults:
        faults = list(_label_faults(found, folder))
    if faults:
        raise DataError(faults)
    sizes = [MaskSize(c.path.name, _positives(c, folder), c.total) for c in found]
    for test, what in ((0, "empty"), (1, "full, without background")):
        if all(size.fraction == test for size in sizes):
            raise DataError(
                [
                    f"{folder.path}: all {len(sizes)} masks are {what}, so there is nothing to "
                    "compare: check the masks, and --foreground or --threshold"
                ]
            )
    return sizes


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        raise DataError([f"{path}: there is no such folder: give the folder of your masks"])
    for directory in (path, path / "labels"):
        if directory.is_dir():
            files = sorted(
                file
                for file in directory.iterdir()
                if file.name.lower().endswith(MASKS)
                and not file.name.startswith(".")
                and not file.is_dir()
            )
            if files:
                return files
    raise DataError(
        [f"{path}: has no masks, here or in labels/: expected files {', '.join(MASKS)}"]
    )


def _progress(
    files: list[Path], threshold: float | None, workers: int | None, console: Console
) -> Iterator[_Counts]:
    bars = Progress(
        TextColumn("reading masks"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bars:
        yield from bars.track(_counted(files, threshold, workers), total=len(files))


def _counted(files: list[Path], threshold: float | None, workers: int | None) -> Iterator[_Counts]:
    workers = min(workers or os.cpu_count() or 1, len(files))
    count = partial(_count, threshold=threshold)
    if workers == 1 or len(files) <= ALONE:
        yield from map(count, files)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(count, files, chunksize=8)


def _count(path: Path, threshold: float | None) -> _Counts:
    try:
        values = read_mask(path).values
        if threshold is not None:
            return _Counts(path, values.size, {1: int(np.count_nonzero(values > threshold))})
        return _Counts(path, values.size, _by_value(path, values))
    except DataError as error:
        return _Counts(path, 0, {}, error.faults[0])


def _by_value(path: Path, values: np.ndarray) -> dict[int, int]:
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise DataError(
            [f"{shown(path)}: JPEG changes label values: save it as PNG, or use --threshold 127"]
        )
    if values.dtype.kind == "f":
        if (value := no_label(values)) is not None:
            raise DataError(
                [
                    f"{shown(path)}: holds {value:.4g}, which is no label number: save "
                    "whole numbers, or use --threshold 0.5 if these are probabilities"
                ]
            )
        values = np.rint(values).astype(np.int64)
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    if values.dtype == np.uint8:
        counts = np.bincount(values.reshape(-1), minlength=256)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts) if value}
    found, counts = np.unique(values, return_counts=True)
    return {int(v): int(c) for v, c in zip(found, counts, strict=True) if v}


def _label_faults(found: list[_Counts], folder: Folder) -> Iterator[str]:
    first: dict[int, Path] = {}
    for counts in found:
        for value in counts.values:
            first.setdefault(value, counts.path)
    values = sorted(first)
    if len(values) > 1 and not folder.foreground:
        seen = ", ".join(f"{value} ({first[value].name})" for value in values[:3])
        more = f" and {len(values) - 3} more" if len(values) > 3 else ""
        yield (
            f"{folder.path}: the masks have more than one value besides 0: {seen}{more}: say which "
            f"are meant, as in --foreground {','.join(map(str, values[:3]))}, or use --threshold"
        )
    absent = sorted(set(folder.foreground) - first.keys())
    if absent:
        there = ", ".join(map(str, values[:5])) or "nothing"
        yield (
            f"{folder.path}: no mask has the value {', '.join(map(str, absent))}; found besides 0: "
            f"{there}: correct --foreground"
        )


def _positives(counts: _Counts, folder: Folder) -> int:
    wanted = folder.foreground or counts.values
    return sum(counts.values.get(value, 0) for value in wanted)
