"""Prepared tasks: every case at the network's size, in plain files that workers map into memory."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from monai.transforms import Resize

from segrisk.data.case import Case, Origin
from segrisk.files import digest, write_json


@dataclass(frozen=True)
class Entry:
    """What is known of one prepared case; `offset` is where its own mask begins in `masks.bin`.

    `origin` says how its files hold it; None of phantoms, and of tasks prepared long ago.
    """

    id: str
    group: str
    fraction: float
    shape: tuple[int, ...]
    offset: int
    origin: Origin | None = None


@dataclass(frozen=True)
class PreparedTask:
    """A task as training and scoring read it. `key` is the hash of the data and the size."""

    folder: Path
    key: str
    size: tuple[int, ...]
    channels: int
    entries: tuple[Entry, ...]

    @cached_property
    def images(self) -> np.ndarray:
        """(cases, channels, *size) float32; each channel has mean 0 and standard deviation 1."""
        shape = (len(self.entries), self.channels, *self.size)
        return np.memmap(self.folder / "images.bin", np.float32, "r", shape=shape)

    @cached_property
    def targets(self) -> np.ndarray:
        """(cases, 1, *size) uint8, the masks at the network's size."""
        shape = (len(self.entries), 1, *self.size)
        return np.memmap(self.folder / "targets.bin", np.uint8, "r", shape=shape)

    def mask(self, index: int) -> np.ndarray:
        """The mask of one case at its own resolution, boolean."""
        entry = self.entries[index]
        path = self.folder / "masks.bin"
        return np.memmap(path, np.bool_, "r", offset=entry.offset, shape=entry.shape)


def prepare(cases: Iterable[Case], size: tuple[int, ...], root: Path) -> PreparedTask:
    """Resize and normalise `cases`, one at a time, into a folder under `root` named by content.

    Images are resized linearly (smoothed first where they shrink) and normalised per case and
    channel; masks are resized alike and cut at one half. Whatever faults the cases have are
    raised by their iterator, and then nothing stays behind.
    """
    root.mkdir(parents=True, exist_ok=True)
    temporary = root / ".preparing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        content = hashlib.sha256()
        with (
            (temporary / "images.bin").open("wb") as images,
            (temporary / "targets.bin").open("wb") as targets,
            (temporary / "masks.bin").open("wb") as masks,
        ):
            entries, channels = [], 0
            for case in cases:
                entries.append(_write(case, size, content, images, targets, masks))
                channels = case.image.shape[0]
        key = digest({"content": content.hexdigest(), "size": size})
        write_json(
            temporary / "task.json",
            {
                "key": key,
                "size": size,
                "channels": channels,
                "entries": [asdict(entry) for entry in entries],
            },
        )
        folder = root / key[:16]
        if not folder.exists():
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return load_prepared(folder)


def load_prepared(folder: Path) -> PreparedTask:
    """The task that `prepare` left in `folder`."""
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    entries = tuple(_entry(**entry) for entry in task["entries"])
    return PreparedTask(folder, task["key"], tuple(task["size"]), task["channels"], entries)


def _entry(*, shape: list[int], origin: dict | None = None, **rest: Any) -> Entry:
    if origin is not None:
        scaling = tuple((slope, intercept) for slope, intercept in origin.pop("scaling"))
        spacing = tuple(origin.pop("spacing_mm"))
        origin = Origin(spacing_mm=spacing, scaling=scaling, **origin)
    return Entry(shape=tuple(shape), origin=origin, **rest)


def _write(
    case: Case,
    size: tuple[int, ...],
    content: "hashlib._Hash",
    images: BinaryIO,
    targets: BinaryIO,
    masks: BinaryIO,
) -> Entry:
    header = (case.id, case.group, case.image.shape, case.label.shape, case.spacing_mm)
    content.update(repr(header).encode("utf-8"))
    content.update(np.ascontiguousarray(case.image).data)
    content.update(np.ascontiguousarray(case.label).data)
    images.write(normalised(resized(case.image, size)).astype(np.float32).tobytes())
    target = resized(case.label[None].astype(np.float32), size) >= 0.5
    targets.write(target.astype(np.uint8).tobytes())
    offset = masks.tell()
    masks.write(np.ascontiguousarray(case.label).tobytes())
    return Entry(case.id, case.group, case.fraction, case.label.shape, offset, case.origin)


def resized(array: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """`array` (channels, *space) on a grid of `size` voxels over the same extent."""
    if array.shape[1:] == size:
        return array
    mode = "bilinear" if len(size) == 2 else "trilinear"
    shrinks = any(new < old for new, old in zip(size, array.shape[1:], strict=True))
    resize = Resize(size, mode=mode, anti_aliasing=shrinks)
    return np.asarray(resize(torch.from_numpy(np.ascontiguousarray(array))))


def normalised(image: np.ndarray) -> np.ndarray:
    """Each channel with mean 0 and standard deviation 1; a constant channel becomes 0."""
    space = tuple(range(1, image.ndim))
    mean = image.mean(space, keepdims=True, dtype=np.float64)
    deviation = image.std(space, keepdims=True, dtype=np.float64)
    return (image - mean) / np.where(deviation > 0, deviation, 1)
