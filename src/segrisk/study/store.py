"""The store: one folder per cell, named by its key, there whole or not at all."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from filelock import FileLock, Timeout

from segrisk.files import UNFINISHED, file_digest, write_json, write_text
from segrisk.study.cell import Cell

if TYPE_CHECKING:
    from segrisk.study.config import Study

MANIFEST = "manifest.json"
WEIGHTS = "weights.pt"
CELL = "cell.json"
CURVE = "curve.csv"
SCORES = "scores.csv"
CHECKPOINT = "checkpoint.pt"
PROGRESS = "progress.json"
LOCK = ".lock"
STOP = ".stop"


class StoreError(Exception):
    """A results folder that cannot be used; the text says why and what to do."""


class Elsewhere(Protocol):
    """What a results folder that mirrors one in object storage asks of it."""

    @property
    def url(self) -> str: ...
    def fetch(self, key: str) -> bool: ...
    def remove(self, key: str) -> None: ...
    def attend(self, running: Sequence[str]) -> None: ...
    def publish(self, name: str) -> None: ...
    def withdraw(self, name: str) -> None: ...
    def send(self) -> None: ...
    def is_held(self) -> bool: ...


@dataclass(frozen=True)
class Store:
    """A results folder.

    `cells/KEY` holds a finished cell with a manifest of its files' hashes, `cells/KEY.partial` one
    that is being run, `failed/KEY.txt` why one failed, `data/` the prepared tasks, `study.json`
    the study and what was declared before the first score.
    """

    root: Path
    mirror: Elsewhere | None = None

    @property
    def url(self) -> str | None:
        """Where in object storage the results lie that this folder mirrors."""
        return self.mirror.url if self.mirror else None

    @property
    def place(self) -> str:
        """The results folder as a person named it."""
        return self.url or str(self.root)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def report(self) -> Path:
        return self.root / "report"

    def finished(self, key: str) -> Path:
        return self.root / "cells" / key

    def partial(self, key: str) -> Path:
        return self.root / "cells" / f"{key}.partial"

    def is_finished(self, key: str) -> bool:
        return (self.finished(key) / MANIFEST).exists()

    def has_weights(self, key: str) -> bool:
        """Whether other cells can begin from this one; exported cells come without weights."""
        return self.is_finished(key) and (self.finished(key) / WEIGHTS).exists()

    def weights_digest(self, key: str | None) -> str | None:
        """The hash of the weights that a cell came to: an export without them still tells it."""
        path = self.finished(key or "") / MANIFEST
        return _read(path).get(WEIGHTS) if key and path.exists() else None

    def missing(self, cells: Sequence[Cell]) -> list[Cell]:
        """The cells to run: those without scores, and what they begin from, back to its start."""
        begins_from = {cell.key: cell.start for cell in cells}
        wanted = {c.key for c in cells if c.kind != "start" and not self.is_finished(c.key)}
        needed = wanted
        while needed:
            starts = {begins_from[key] for key in needed} - {None}
            needed = {key for key in starts if not self.has_weights(key)} - wanted
            wanted = wanted | needed
        # Tasks that differ in the second phase alone share their starts: each is run once.
        once: dict[str, Cell] = {}
        for cell in cells:
            if cell.key in wanted:
                once.setdefault(cell.key, cell)
        return list(once.values())

    def begin(self, key: str) -> Path:
        """The folder in which a cell is run; what an interrupted run left there is kept."""
        folder = self.partial(key)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def is_complete(self, cell: Cell) -> bool:
        """Whether a cell was run to its end, and only its name is missing."""
        folder = self.partial(cell.key)
        if not (folder / MANIFEST).exists():
            return False
        if self._sound(folder) and not self._is_stale(cell, folder):
            return True
        (folder / MANIFEST).unlink()
        return False

    def commit(self, key: str) -> None:
        """Make a cell finished: its manifest, which ends the work, then its name, in one step.

        A kill in between loses nothing: what is complete here is committed again, not run again.
        """
        folder = self.partial(key)
        if not (folder / MANIFEST).exists():
            files = sorted(path for path in folder.iterdir() if not _is_passing(path.name))
            write_json(folder / MANIFEST, {path.name: file_digest(path) for path in files})
        for path in [path for path in folder.iterdir() if _is_passing(path.name)]:
            path.unlink()
        shutil.rmtree(self.finished(key), ignore_errors=True)
        folder.rename(self.finished(key))

    def discard_damaged(self, cells: Sequence[Cell]) -> list[str]:
        """Remove what is not as it was written, finished cells and checkpoints; name them."""
        from segrisk.training import checkpoint  # PyTorch, which a look does without

        damaged = []
        for cell in cells:
            saved = self.partial(cell.key) / CHECKPOINT
            if not self._sound(self.finished(cell.key)):
                shutil.rmtree(self.finished(cell.key))
                if self.mirror is None or not self.fetch(cell.key):
                    damaged.append(cell.title)
            if saved.exists() and checkpoint.is_damaged(saved):
                saved.unlink()
                damaged.append(f"{cell.title}, its checkpoint")
        return damaged

    def discard_stale(self, cells: Sequence[Cell]) -> list[Cell]:
        """Remove finished cells that began from weights which their start no longer has.

        A start that is trained again for its weights comes out otherwise on another type of
        processor; the losses of one fold and seed must share one start.
        """
        stale = [cell for cell in cells if self._is_stale(cell, self.finished(cell.key))]
        for cell in stale:
            shutil.rmtree(self.finished(cell.key))
            if self.mirror:
                self.mirror.remove(cell.key)
        return stale

    def _is_stale(self, cell: Cell, folder: Path) -> bool:
        now, path = self.weights_digest(cell.start), folder / CELL
        # Cells of old versions do not tell.
        began = _read(path).get("began_from") if path.exists() else None
        return None not in {now, began} and now != began

    def _sound(self, folder: Path) -> bool:
        if not folder.exists():
            return True
        try:
            manifest = _read(folder / MANIFEST)
            # Exported cells come without their weights.
            return all(
                (name == WEIGHTS and not (folder / name).exists())
                or file_digest(folder / name) == expected
                for name, expected in manifest.items()
            )
        except (OSError, ValueError):
            return False

    def fail(self, key: str, text: str) -> None:
        (self.root / "failed").mkdir(exist_ok=True)
        write_text(self.root / "failed" / f"{key}.txt", text)
        self.publish(f"failed/{key}.txt")

    def failure(self, key: str) -> str | None:
        path = self.root / "failed" / f"{key}.txt"
        return path.read_text(encoding="utf-8") if path.exists() else None

    def is_busy(self) -> bool:
        """Whether a run is working here now."""
        if self.mirror and self.mirror.is_held():
            return True
        if not (self.root / LOCK).exists():
            return False
        lock = FileLock(self.root / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        except OSError:  # a folder that may only be read: no run can work in it
            return False
        lock.release()
        return False

    def ask_to_stop(self) -> None:
        """Let every training of this run save after its step, wherever it sees this folder."""
        (self.root / STOP).touch()

    def is_to_stop(self) -> bool:
        """Whether `ask_to_stop` was called in this run."""
        return (self.root / STOP).exists()

    def forget_failures(self) -> None:
        shutil.rmtree(self.root / "failed", ignore_errors=True)
        if self.mirror:
            self.mirror.withdraw("failed")

    def fetch(self, key: str) -> bool:
        """Have a finished cell here that may have been run elsewhere; False if it came to harm."""
        if not (self.mirror.fetch(key) if self.mirror else self.is_finished(key)):
            return False
        shutil.rmtree(self.partial(key), ignore_errors=True)
        return True

    def attend(self, running: Sequence[str]) -> None:
        """What is due now and then while cells run; StoreError where this run lost its place."""
        if self.mirror:
            self.mirror.attend(running)

    def send(self) -> None:
        """Have every finished cell where the results lie; an interrupted upload is redone."""
        if self.mirror:
            self.mirror.send()

    def publish(self, name: str) -> None:
        """Have a file or folder of this store where its results lie."""
        if self.mirror:
            self.mirror.publish(name)

    def read(self) -> dict[str, Any]:
        """What `study.json` holds."""
        path = self.root / "study.json"
        if not path.exists():
            raise StoreError(f"{self.place}: holds no study; 'segrisk study run' makes one")
        try:
            return _read(path)
        except ValueError as error:
            raise StoreError(
                f"{path}: is damaged ({error}): restore a copy, or give --out another folder"
            ) from error

    def declare(self, study: "Study", cells: Sequence[Cell]) -> None:
        """Record the study. What is tested stays as declared once the first score is there."""
        from segrisk.study.config import statistics_digest  # PyTorch, which a look does without
        from segrisk.study.plan import describe

        declared = statistics_digest(study)
        if (self.root / "study.json").exists() and self._has_scores():
            declared = self.read()["declared_statistics"]
        write_json(
            self.root / "study.json",
            {
                "name": study.name,
                "declared_statistics": declared,
                "study": study.model_dump(mode="json"),
                **describe(cells),
            },
        )
        self.publish("study.json")

    def _has_scores(self) -> bool:
        return any((self.root / "cells").glob(f"*/{SCORES}"))


def _is_passing(name: str) -> bool:
    """Whether a file of a running cell goes when the cell is finished."""
    return name in {CHECKPOINT, PROGRESS} or _is_half_written(name)


def _is_half_written(name: str) -> bool:
    """Whether a file is what a kill left in the midst of a write."""
    return name.startswith(".") and name.endswith(".tmp")


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def opened(root: Path, name: str) -> Iterator[Store]:
    """Open the store of study `name` at `root` for one run, made where it is not there yet."""
    store = Store(root)
    study = root / "study.json"
    if root.exists() and not root.is_dir():
        raise StoreError(f"{root}: is a file; give --out a folder")
    foreign = root.exists() and not study.exists() and _holds_more(root)
    if foreign:
        raise StoreError(
            f"{root}: is not empty and holds no study; give --out a new or empty folder"
        )
    if study.exists() and (found := store.read()["name"]) != name:
        raise StoreError(
            f"{root}: belongs to study '{found}', not to '{name}'; give --out another folder"
        )
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / LOCK)
    try:
        # The operating system drops this lock when its process ends, however it ends.
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(
            f"{root}: another run is working here; wait for it, or give --out another folder"
        ) from None
    try:
        _sweep(root)
        (root / "cells").mkdir(exist_ok=True)
        (root / STOP).unlink(missing_ok=True)
        yield store
    finally:
        lock.release()


def _sweep(root: Path) -> None:
    """Remove what a kill left of the record or of a report; cells see to their own."""
    for path in [path for path in root.iterdir() if _is_half_written(path.name)]:
        path.unlink()
    for path in root.glob(f"report/{UNFINISHED}*"):
        shutil.rmtree(path, ignore_errors=True)


def _holds_more(root: Path) -> bool:
    """Whether there is what a run that was stopped before its first record cannot have left."""
    ours = {LOCK, STOP, "cells", "data"}
    names = (path.name for path in root.iterdir())
    return any(name not in ours and not _is_half_written(name) for name in names)


def adopt(store: Store, source: Path, name: str) -> int:
    """Copy finished cells from `source`; return how many were new here.

    Of the same study all are taken, and what it declared to test. Of another study only what has
    no scores, the shared starts: nobody can declare a test for scores that were seen elsewhere.
    """
    record = Store(source).read()
    same = record["name"] == name
    if same and not (store.root / "study.json").exists():
        write_json(store.root / "study.json", record)
    copied = 0
    for manifest in sorted((source / "cells").glob(f"*/{MANIFEST}")):
        key = manifest.parent.name
        if not same and (manifest.parent / SCORES).exists():
            continue
        if not store.finished(key).exists():
            shutil.rmtree(store.partial(key), ignore_errors=True)
            shutil.copytree(manifest.parent, store.partial(key))
            store.commit(key)
            copied += 1
    return copied


def export(store: Store, target: Path) -> int:
    """Copy to `target` what a report needs: the record, the cells without weights, the cases."""
    record = store.read()
    tasks = record["study"]["tasks"].values()
    # Where this machine keeps its data and weights is nobody else's business.
    for task in tasks:
        for key in ("folder", "groups"):
            if task.get(key):
                task[key] = Path(task[key]).name
    for network in (record["study"]["network"], *(task["network"] for task in tasks)):
        if "weights" in network:
            network["weights"] = Path(network["weights"]).name
    target.mkdir(parents=True, exist_ok=True)
    write_json(target / "study.json", record)
    keys = [cell["key"] for cell in record["cells"]]
    done = [key for key in keys if (store.finished(key) / MANIFEST).exists()]
    for key in done:
        shutil.copytree(
            store.finished(key),
            target / "cells" / key,
            ignore=shutil.ignore_patterns(WEIGHTS),
            dirs_exist_ok=True,
        )
    for data in {cell["data"] for cell in record["cells"]}:
        (target / "data" / data).mkdir(parents=True, exist_ok=True)
        shutil.copy(store.data / data / "task.json", target / "data" / data)
    return len(done)
