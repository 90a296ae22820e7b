"""Prepared tasks: every case as a network sees it, in plain files that workers map into memory."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from segrisk.data.case import Case, Origin
from segrisk.data.errors import DataError, DataWarning
from segrisk.data.preprocessing import (
    DEFAULT,
    VERSION,
    Box,
    Placed,
    Preprocessing,
    cropped_away,
    preprocess,
)
from segrisk.files import digest, file_digest, write_json

TASK = "task.json"
BINARIES = ("images.bin", "targets.bin", "masks.bin")


@dataclass(frozen=True)
class Entry:
    """What is known of one prepared case; `offset` is where its own mask begins in `masks.bin`.

    `origin` says how its files hold it; None of phantoms, and of tasks prepared long ago.
    `placed` is where its prepared image lies in it; None where that is the whole of it at the
    task's size.
    """

    id: str
    group: str
    fraction: float
    shape: tuple[int, ...]
    offset: int
    origin: Origin | None = None
    placed: Placed | None = None

    @property
    def box(self) -> Box | None:
        """The part of the case that its prepared image shows; None of the whole."""
        return self.placed.box if self.placed else None


@dataclass(frozen=True)
class CaseArrays(Sequence[np.ndarray]):
    """Arrays (channels, *shape) of cases that differ in shape, one after the other in a file."""

    path: Path
    dtype: type[np.generic]
    channels: int
    shapes: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: Any) -> Any:
        """The array of one case, mapped into memory: what is not used of it is not read."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"case {index} of {len(self)}")
        before = self.shapes[: range(len(self))[index]]
        voxels = sum(prod(shape) for shape in before)
        offset = voxels * self.channels * np.dtype(self.dtype).itemsize
        shape = (self.channels, *self.shapes[index])
        return np.memmap(self.path, self.dtype, "r", offset=offset, shape=shape)


@dataclass(frozen=True)
class PreparedTask:
    """A task as training and scoring read it. `key` is the hash of the data and its preparation.

    `size` is what every case was resized to; None where each keeps a grid of its own.
    """

    folder: Path
    key: str
    size: tuple[int, ...]
    channels: int
    entries: tuple[Entry, ...]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The grid on which a network sees each case."""
        if self.size is not None:
            return (self.size,) * len(self.entries)
        return tuple(entry.placed.shape for entry in self.entries if entry.placed)

    @cached_property
    def images(self) -> np.ndarray | CaseArrays:
        """(cases, channels, *size) float32, normalised."""
        return self._arrays("images.bin", np.float32, self.channels)

    @cached_property
    def targets(self) -> np.ndarray | CaseArrays:
        """(cases, 1, *size) uint8, the masks as the network sees them."""
        return self._arrays("targets.bin", np.uint8, 1)

    def _arrays(self, name: str, dtype: type[np.generic], channels: int) -> np.ndarray | CaseArrays:
        path = self.folder / name
        if self.size is None:
            return CaseArrays(path, dtype, channels, self.shapes)
        return np.memmap(path, dtype, "r", shape=(len(self.entries), channels, *self.size))

    def mask(self, index: int) -> np.ndarray:
        """The mask of one case at its own resolution, boolean."""
        entry = self.entries[index]
        path = self.folder / "masks.bin"
        return np.memmap(path, np.bool_, "r", offset=entry.offset, shape=entry.shape)


def prepare(
    cases: Iterable[Case],
    size: tuple[int, ...] | None,
    root: Path,
    by: Preprocessing = DEFAULT,
) -> PreparedTask:
    """Preprocess `cases`, one at a time, into a folder under `root` named by content.

    Each is resized to `size`; without it each keeps its own grid, or has the pipeline's spacing.
    Whatever faults the cases have are raised by their iterator, DataError names those from which
    the crop would take foreground, and then nothing stays behind. A folder that is there already
    is kept, unless its files are not what was written: DataWarning, and they are written anew.
    """
    root.mkdir(parents=True, exist_ok=True)
    temporary = root / ".preparing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        content = hashlib.sha256()
        with ExitStack() as stack:
            images, targets, masks = (
                stack.enter_context((temporary / name).open("wb")) for name in BINARIES
            )
            entries, channels, faults = [], 0, []
            for case in cases:
                entry = _write(case, size, by, content, images, targets, masks)
                faults += _faults(case, entry)
                entries.append(entry)
                channels = case.image.shape[0]
        if faults:
            raise DataError(faults)
        key = digest({"content": content.hexdigest(), "size": size, **_identity(size, by)})
        described = {
            "key": key,
            "size": size,
            "channels": channels,
            "entries": [_described(entry) for entry in entries],
            "files": {name: file_digest(temporary / name) for name in BINARIES},
        }
        write_json(temporary / TASK, {**described, "digest": digest(described)})
        folder = root / key[:16]
        if folder.exists() and not _is_sound(folder):
            text = f"{folder}: the prepared cases were damaged, and are made again"
            warnings.warn(text, DataWarning, stacklevel=2)
            shutil.rmtree(folder)
        if not folder.exists():
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return load_prepared(folder)


def load_prepared(folder: Path) -> PreparedTask:
    """The task that `prepare` left in `folder`."""
    task = _read(folder)
    entries = tuple(_entry(**entry) for entry in task["entries"])
    size = task["size"] and tuple(task["size"])
    return PreparedTask(folder, task["key"], size, task["channels"], entries)


def _read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / TASK).read_text(encoding="utf-8"))


def _is_sound(folder: Path) -> bool:
    """Whether all is as it was written; what older versions prepared has no checksums to tell."""
    try:
        described = _read(folder)
        written = described.pop("digest", None)
        if written is None:
            return True
        files = described["files"].items()
        return written == digest(described) and all(
            file_digest(folder / name) == expected for name, expected in files
        )
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def _identity(size: tuple[int, ...] | None, by: Preprocessing) -> dict[str, Any]:
    """What names the pipeline; nothing where it is the first one that there was."""
    if size is not None and by == DEFAULT:
        return {}
    return {"preprocessing": by.model_dump(mode="json"), "version": VERSION}


def _faults(case: Case, entry: Entry) -> list[str]:
    lost = cropped_away(case, entry.box) if entry.box else 0
    if not lost:
        return []
    return [
        f"case {case.id}: {lost} of its {np.count_nonzero(case.label)} foreground voxels lie "
        "outside of the box of nonzero voxels: leave out `crop: nonzero`, or correct its mask"
    ]


def _described(entry: Entry) -> dict[str, Any]:
    described = asdict(entry)
    if entry.placed is None:
        del described["placed"]
    return described


def _entry(
    *, shape: list[int], origin: dict | None = None, placed: dict | None = None, **rest: Any
) -> Entry:
    if origin is not None:
        scaling = tuple((slope, intercept) for slope, intercept in origin.pop("scaling"))
        spacing = tuple(origin.pop("spacing_mm"))
        origin = Origin(spacing_mm=spacing, scaling=scaling, **origin)
    where = None
    if placed is not None:
        box = tuple((start, stop) for start, stop in placed["box"])
        where = Placed(box, tuple(placed["shape"]))
    return Entry(shape=tuple(shape), origin=origin, placed=where, **rest)


def _write(
    case: Case,
    size: tuple[int, ...] | None,
    by: Preprocessing,
    content: "hashlib._Hash",
    images: BinaryIO,
    targets: BinaryIO,
    masks: BinaryIO,
) -> Entry:
    header = (case.id, case.group, case.image.shape, case.label.shape, case.spacing_mm)
    content.update(repr(header).encode("utf-8"))
    content.update(np.ascontiguousarray(case.image).data)
    content.update(np.ascontiguousarray(case.label).data)
    seen = preprocess(case, size, by)
    images.write(seen.image.tobytes())
    targets.write(seen.target.tobytes())
    offset = masks.tell()
    masks.write(np.ascontiguousarray(case.label).tobytes())
    placed = seen.placed if _identity(size, by) else None
    return Entry(case.id, case.group, case.fraction, case.label.shape, offset, case.origin, placed)
