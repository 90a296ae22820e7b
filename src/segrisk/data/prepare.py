"""Prepared tasks: every case as a network sees it, in plain files that workers map into memory."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
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
    Seen,
    cropped_away,
    preprocess,
)
from segrisk.files import digest, file_digest, write_json
from segrisk.names import some

IGNORED_TARGETS, IGNORED_MASKS = "ignored_targets.bin", "ignored_masks.bin"
FILES = ("images.bin", "targets.bin", "masks.bin", IGNORED_TARGETS, IGNORED_MASKS)
"""What a task is prepared into, beside task.json; the last two only where voxels are ignored."""
TASK = "task.json"


@dataclass(frozen=True)
class Entry:
    """What is known of one prepared case; `offset` is where its own mask begins in `masks.bin`.

    `origin` says how its files hold it; None of phantoms, and of tasks prepared long ago.
    `placed` is where its prepared image lies in it; None where that is the whole of it at the
    task's size. `ignored` is how many of its voxels count for nothing.
    """

    id: str
    group: str
    fraction: float
    shape: tuple[int, ...]
    offset: int
    origin: Origin | None = None
    placed: Placed | None = None
    ignored: int = 0

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

    `size` is what every case was resized to; None where each keeps a grid of its own. Targets are
    soft where they are the share of raters.
    """

    folder: Path
    key: str
    size: tuple[int, ...]
    channels: int
    entries: tuple[Entry, ...]
    soft: bool = False

    @property
    def ignores(self) -> bool:
        """Whether there are voxels that count for nothing."""
        return any(entry.ignored for entry in self.entries)

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
        """(cases, 1, *size), the labels as the network sees them: uint8, or soft in float32."""
        return self._arrays("targets.bin", np.float32 if self.soft else np.uint8, 1)

    @cached_property
    def ignored(self) -> np.ndarray | CaseArrays | None:
        """(cases, 1, *size) bool, the voxels that count for nothing; None where there are none."""
        return self._arrays(IGNORED_TARGETS, np.bool_, 1) if self.ignores else None

    def _arrays(self, name: str, dtype: type[np.generic], channels: int) -> np.ndarray | CaseArrays:
        path = self.folder / name
        if self.size is None:
            return CaseArrays(path, dtype, channels, self.shapes)
        return np.memmap(path, dtype, "r", shape=(len(self.entries), channels, *self.size))

    def mask(self, index: int) -> np.ndarray:
        """The mask of one case at its own resolution, boolean; False where it is ignored."""
        return self._own("masks.bin", index)

    def known(self, index: int) -> np.ndarray | None:
        """Which voxels of that mask count; None where all do."""
        return ~np.asarray(self._own(IGNORED_MASKS, index)) if self.entries[index].ignored else None

    def _own(self, name: str, index: int) -> np.ndarray:
        entry = self.entries[index]
        path = self.folder / name
        return np.memmap(path, np.bool_, "r", offset=entry.offset, shape=entry.shape)


def prepare(
    cases: Iterable[Case],
    size: tuple[int, ...] | None,
    root: Path,
    by: Preprocessing = DEFAULT,
    *,
    soft: bool = False,
) -> PreparedTask:
    """Preprocess `cases`, one at a time, into a folder under `root` named by content.

    Each is resized to `size`; without it each keeps its own grid, or has the pipeline's spacing.
    With `soft`, targets are the share of raters. Whatever faults the cases have are raised by their
    iterator, DataError names those that cannot be prepared so, and then nothing stays behind. A
    folder that is there already is kept, unless its files are not what was written: DataWarning,
    and they are written anew.
    """
    root.mkdir(parents=True, exist_ok=True)
    temporary = root / ".preparing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        with ExitStack() as stack:
            writer = _Writer(size, by, soft, *(_opened(stack, temporary / name) for name in FILES))
            for case in cases:
                writer.add(case)
            writer.end()
        if faults := writer.all_faults():
            raise DataError(faults)
        for name in (IGNORED_TARGETS, IGNORED_MASKS):
            if not any(entry.ignored for entry in writer.entries):
                (temporary / name).unlink()
        key = writer.key()
        described = {
            "key": key,
            "size": size,
            "channels": writer.channels,
            **({"soft": True} if soft else {}),
            "entries": [_described(entry) for entry in writer.entries],
            "files": {path.name: file_digest(path) for path in sorted(temporary.iterdir())},
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


def _opened(stack: ExitStack, path: Path) -> BinaryIO:
    return stack.enter_context(path.open("wb"))


def load_prepared(folder: Path) -> PreparedTask:
    """The task that `prepare` left in `folder`."""
    task = _read(folder)
    entries = tuple(_entry(**entry) for entry in task["entries"])
    size = task["size"] and tuple(task["size"])
    soft = task.get("soft", False)
    return PreparedTask(folder, task["key"], size, task["channels"], entries, soft)


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


def _described(entry: Entry) -> dict[str, Any]:
    described = asdict(entry)
    if entry.placed is None:
        del described["placed"]
    if not entry.ignored:
        del described["ignored"]
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


@dataclass
class _Writer:
    """Cases as they are prepared, one after the other, into open files."""

    size: tuple[int, ...] | None
    by: Preprocessing
    soft: bool
    images: BinaryIO
    targets: BinaryIO
    masks: BinaryIO
    ignored_targets: BinaryIO
    ignored_masks: BinaryIO
    content: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    entries: list[Entry] = field(default_factory=list)
    channels: int = 0
    faults: list[str] = field(default_factory=list)
    of_one_rater: list[str] = field(default_factory=list)

    def add(self, case: Case) -> None:
        """Write a case, or note why it cannot be prepared."""
        if self.soft and case.raters is None:
            self.of_one_rater.append(case.id)
            return
        self._read(case)
        seen = preprocess(case, self.size, self.by, soft=self.soft)
        self.faults += _faults(case, seen)
        self.images.write(seen.image.tobytes())
        offset = self.masks.tell()
        if seen.ignored is not None and case.ignored is not None:
            # Both are as long as what they lie beside, with zeros for cases that ignore nothing.
            self.ignored_targets.seek(self.targets.tell() // seen.target.itemsize)
            self.ignored_targets.write(seen.ignored.tobytes())
            self.ignored_masks.seek(offset)
            self.ignored_masks.write(np.ascontiguousarray(case.ignored).tobytes())
        self.targets.write(seen.target.tobytes())
        self.masks.write(np.ascontiguousarray(case.label).tobytes())
        placed = seen.placed if _identity(self.size, self.by) else None
        ignored = 0 if case.ignored is None else int(np.count_nonzero(case.ignored))
        known = (case.id, case.group, case.fraction, case.label.shape, offset, case.origin)
        self.entries.append(Entry(*known, placed, ignored))
        self.channels = len(case.image)

    def _read(self, case: Case) -> None:
        """Make the content of a case part of the key."""
        header = (case.id, case.group, case.image.shape, case.label.shape, case.spacing_mm)
        self.content.update(repr(header).encode("utf-8"))
        self.content.update(np.ascontiguousarray(case.image).data)
        self.content.update(np.ascontiguousarray(case.label).data)
        # Tasks that have neither keep the key of before there were any.
        for name, array in (("ignored", case.ignored), ("raters", case.raters)):
            if array is not None and (name == "ignored" or self.soft):
                self.content.update(name.encode("utf-8"))
                self.content.update(np.ascontiguousarray(array).data)

    def end(self) -> None:
        """Give the files of ignored voxels their whole length."""
        itemsize = np.dtype(np.float32 if self.soft else np.uint8).itemsize
        self.ignored_targets.truncate(self.targets.tell() // itemsize)
        self.ignored_masks.truncate(self.masks.tell())

    def key(self) -> str:
        """The hash of the data and its preparation."""
        own = {"targets": "raters"} if self.soft else {}
        identity = {**_identity(self.size, self.by), **own}
        return digest({"content": self.content.hexdigest(), "size": self.size, **identity})

    def all_faults(self) -> list[str]:
        """What is wrong with the cases, those of one rater together."""
        if not self.of_one_rater:
            return self.faults
        if not self.entries:
            alone = "no case has masks of several raters: leave out `train_on: raters`"
        else:
            alone = (
                f"{some(self.of_one_rater)}: has the mask of one rater, and `train_on: raters` "
                "needs two or more: add those of the others, or put the case into `exclude`"
            )
        return [*self.faults, alone]


def _faults(case: Case, seen: Seen) -> list[str]:
    faults = []
    if lost := cropped_away(case, seen.placed.box):
        faults.append(
            f"case {case.id}: {lost} of its {np.count_nonzero(case.label)} foreground voxels lie "
            "outside of the box of nonzero voxels: leave out `crop: nonzero`, or correct its mask"
        )
    if seen.ignored is not None and seen.ignored.all():
        faults.append(
            f"case {case.id}: every voxel that a network would see is ignored: there is nothing "
            "to learn or score: label some, or put the case into `exclude`"
        )
    return faults
