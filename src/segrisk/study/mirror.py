"""Results that lie in object storage, worked on in a folder of this machine that mirrors them."""

import hashlib
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from segrisk.files import write_text
from segrisk.study.lease import Lease, is_held
from segrisk.study.remote import PROGRESS_SECONDS, Remote, manifest_of
from segrisk.study.store import MANIFEST, PROGRESS, Store, StoreError, opened

OWNER = ".owner"


def is_url(out: Path | str) -> bool:
    """Whether results go to object storage, not to a folder."""
    return "://" in str(out)


def working_folder(url: str) -> Path:
    """Where this machine keeps its copy of what lies at `url`: $SEGRISK_CACHE says under which."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "segrisk"
    name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    return Path(os.environ.get("SEGRISK_CACHE", default)).expanduser() / name


class Mirror:
    """Keeps a results folder and its place in object storage alike."""

    def __init__(self, remote: Remote, root: Path, lease: Lease | None = None) -> None:
        self.remote, self._root, self._lease = remote, root, lease
        self._looked = 0.0

    @property
    def url(self) -> str:
        """The place in object storage."""
        return self.remote.url

    def fetch(self, key: str) -> bool:
        """Bring a finished cell here; False where it is not whole there."""
        return self.remote.pull(f"cells/{key}", self._root / "cells" / key)

    def remove(self, key: str) -> None:
        """Remove a cell there."""
        self.remote.remove(f"cells/{key}")

    def attend(self, running: Sequence[str]) -> None:
        """Make sure of the lease, and see now and then how far cells are that run elsewhere."""
        if self._lease is not None:
            self._lease.check()
        if time.monotonic() - self._looked > PROGRESS_SECONDS:
            self._looked = time.monotonic()
            self.remote.pull_progress(filter(self._is_silent, running), self._root)

    def _is_silent(self, key: str) -> bool:
        """Whether no worker of this machine said lately how far a cell is."""
        path = self._root / f"cells/{key}.partial" / PROGRESS
        return not path.exists() or time.time() - path.stat().st_mtime > PROGRESS_SECONDS / 2

    def publish(self, name: str) -> None:
        """Upload a file, or a folder whole unless it is there already."""
        path = self._root / name
        if not path.is_dir():
            self.remote.put(path, name)
        elif self.remote.read(f"{name}/{MANIFEST}") != (manifest := manifest_of(path)):
            self.remote.remove(name)
            self.remote.push(path, name, manifest)

    def withdraw(self, name: str) -> None:
        """Remove a folder there."""
        self.remote.remove(name)

    def is_held(self) -> bool:
        """Whether a run works there."""
        return is_held(self.remote)

    def gather(self, whole: bool) -> None:
        """Bring here what is there: the record, finished cells, why others failed.

        A `whole` copy has weights and prepared data; the other is enough to look at.
        """
        shutil.rmtree(self._root / "failed", ignore_errors=True)
        self.remote.pull_files([n for n in self.remote.names() if _is_small(n)], self._root)
        for key, manifest in self.remote.manifests().items():
            self.remote.pull(f"cells/{key}", self._root / "cells" / key, manifest, weights=whole)

    def send(self) -> None:
        """Upload the finished cells that are here alone."""
        there = self.remote.manifests()
        for path in sorted((self._root / "cells").glob(f"*/{MANIFEST}")):
            key = path.parent.name
            if key not in there and "." not in key:  # a commit that was cut off has no name yet
                self.remote.push_cell(path.parent, key)


def _is_small(name: str) -> bool:
    """The record and why cells failed."""
    return name == "study.json" or name.startswith("failed/")


@contextmanager
def opened_at(out: Path | str, name: str, tell: Callable[[str], None]) -> Iterator[Store]:
    """Open the store of study `name` in a folder or at a URL, for one run."""
    if not is_url(out):
        with opened(Path(out), name) as store:
            yield store
        return
    remote, root = Remote.at(str(out)), working_folder(str(out))
    _refuse_foreign(remote, name)
    with opened(root, name) as store:
        lease = Lease(remote, _owner(root))
        lease.take(tell)
        try:
            mirror = Mirror(remote, root, lease)
            mirror.gather(whole=True)
            yield replace(store, mirror=mirror)
        finally:
            lease.release()


def looked_at(out: Path | str, whole: bool = False) -> Store:
    """The store in a folder or at a URL, for whoever only looks; `whole`, for whoever predicts.

    A URL gets a copy of its own, without what is no longer there: a run on this machine may have
    cells in its folder that it has not sent yet.
    """
    if not is_url(out):
        return Store(Path(out))
    remote, run = Remote.at(str(out)), working_folder(str(out))
    if remote.read("study.json") is None:
        raise StoreError(f"{out}: holds no study; 'segrisk study run' makes one")
    root = run.with_name(f"{run.name}-seen")
    root.mkdir(parents=True, exist_ok=True)
    mirror = Mirror(remote, root)
    mirror.gather(whole)
    names, manifests = remote.names(), remote.manifests()
    for path in (root / "cells").glob("*"):
        if path.is_dir() and path.name not in manifests:
            shutil.rmtree(path)
    remote.pull_files([name for name in names if _is_progress(name)], root)
    for key in {name.split("/")[1] for name in names if name.startswith("data/")}:
        if whole:
            remote.pull(f"data/{key}", root / "data" / key)
        else:
            remote.pull_files([f"data/{key}/task.json"], root)
    return Store(root, mirror)


def _is_progress(name: str) -> bool:
    return name.startswith("cells/") and name.endswith(f".partial/{PROGRESS}")


def _refuse_foreign(remote: Remote, name: str) -> None:
    record = remote.read("study.json")
    if record is not None and record["name"] != name:
        raise StoreError(
            f"{remote.url}: belongs to study '{record['name']}', not to '{name}'; give --out "
            "another place"
        )
    left = ("lease.json", "cells/", "data/")  # what a run leaves before its first record
    if record is None and any(not file.startswith(left) for file in remote.names()):
        raise StoreError(
            f"{remote.url}: is not empty and holds no study; give --out a new or empty place"
        )


def _owner(root: Path) -> str:
    """This machine and folder, by a name that no other has, also not one of the same names."""
    path = root / OWNER
    if not path.exists():
        write_text(path, uuid4().hex[:12])
    return f"{socket.gethostname()} {path.read_text(encoding='utf-8')}"
