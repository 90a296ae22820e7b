"""Object storage: a results folder's own layout under a URL, by fsspec."""

import json
import shutil
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import fsspec
from filelock import FileLock

from segrisk.files import file_digest, write_bytes, write_json
from segrisk.study.store import MANIFEST, PROGRESS, WEIGHTS, StoreError

PROGRESS_SECONDS = 15.0
"""Between two times that a worker tells the storage how far it is."""


class Remote:
    """Whole folders in object storage.

    A folder is uploaded file by file, its manifest of checksums last: without the manifest, or
    where a file is not what the manifest says, it does not count. What is whole is not overwritten,
    so of two workers that ran the same cell the first counts.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        is_local = url.startswith(("file:", "local:"))
        options = {"auto_mkdir": True} if is_local else {"use_listings_cache": False}
        try:
            self._fs, root = fsspec.core.url_to_fs(url, **options)
            self._root = root.rstrip("/")
            if is_local:
                self._fs.makedirs(self._root, exist_ok=True)
            self._fs.find(self._path("lease.json"))
        except ImportError as error:
            raise StoreError(f"{url}: {error} (for S3: pip install 'segrisk[s3]')") from error
        except Exception as error:  # each kind of storage has errors of its own
            raise StoreError(
                f"{url}: cannot be reached ({type(error).__name__}: {error}): check the URL and "
                "the credentials of this machine, or give --out a folder"
            ) from error

    @staticmethod
    @lru_cache(maxsize=8)
    def at(url: str) -> "Remote":
        """The storage at `url`, opened once in a process."""
        return Remote(url)

    def read(self, name: str) -> dict[str, Any] | None:
        """The JSON in a file; None where there is none, or only a part of it."""
        try:
            return json.loads(self._fs.cat_file(self._path(name)))
        except (FileNotFoundError, ValueError):
            return None

    def write(self, name: str, value: Any) -> None:
        """Replace a file by `value` as JSON."""
        self._fs.pipe_file(self._path(name), _json(value))

    def create(self, name: str, value: Any) -> bool:
        """Write a file that is not there yet, in one step; False where there is one."""
        try:
            self._fs.pipe_file(self._path(name), _json(value), mode="create")
        except FileExistsError:
            return False
        except FileNotFoundError as error:
            raise StoreError(f"{self.url}: its bucket is not there ({error}): make it") from error
        return True

    def put(self, path: Path, name: str) -> None:
        """Upload a file."""
        self._fs.put_file(str(path), self._path(name))

    def delete(self, name: str) -> None:
        """Remove a file that may be there."""
        try:
            self._fs.rm_file(self._path(name))
        except FileNotFoundError:
            pass

    def names(self, folder: str = "") -> list[str]:
        """The files under a folder, by their names in it."""
        top = self._path(folder).rstrip("/")
        return sorted(path[len(top) + 1 :] for path in self._fs.find(top))

    def contents(self, names: list[str]) -> dict[str, bytes]:
        """The bytes of those files that are there, fetched together."""
        paths = {self._path(name): name for name in names}
        found = self._fs.cat(list(paths), on_error="omit") if paths else {}
        return {paths[path]: data for path, data in found.items()}

    def manifests(self) -> dict[str, dict[str, str]]:
        """The manifest of every cell that has one."""
        names = [f"cells/{name}" for name in self.names("cells") if name.endswith(f"/{MANIFEST}")]
        found = {}
        for name, data in self.contents(names).items():
            try:
                found[name.split("/")[1]] = json.loads(data)
            except ValueError:  # cut off: the cell does not count
                continue
        return found

    def push(self, folder: Path, name: str, manifest: dict[str, str] | None = None) -> None:
        """Upload a folder, its manifest last; what is whole there stays as it is.

        `manifest` is what it has here, where that is known.
        """
        there = self.read(f"{name}/{MANIFEST}")
        if there is not None and there.keys() <= set(self.names(name)):
            return
        # Whatever else lies there must not count while it is replaced.
        self.delete(f"{name}/{MANIFEST}")
        manifest = manifest or manifest_of(folder)
        for file in manifest:
            if (folder / file).exists():  # exported cells come without their weights
                self.put(folder / file, f"{name}/{file}")
        self.write(f"{name}/{MANIFEST}", manifest)

    def pull(
        self,
        name: str,
        folder: Path,
        manifest: dict[str, str] | None = None,
        weights: bool = True,
    ) -> bool:
        """Bring a folder here, if it counts; what is damaged there is removed, so that it does not.

        `manifest` is what it has there, where that is known. Without `weights` they stay there.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / ".pull.lock"):  # several workers of a node begin alike
            manifest = manifest or self.read(f"{name}/{MANIFEST}")
            if manifest is None:
                return False
            wanted = [file for file in manifest if weights or file != WEIGHTS]
            if _same(folder, manifest, wanted):
                return True
            temporary = folder.with_name(f".{folder.name}.pulled")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            if not self._download(name, {file: manifest[file] for file in wanted}, temporary):
                shutil.rmtree(temporary)
                self.remove(name)
                return False
            write_json(temporary / MANIFEST, manifest)
            shutil.rmtree(folder, ignore_errors=True)
            temporary.rename(folder)
        return True

    def _download(self, name: str, manifest: dict[str, str], folder: Path) -> bool:
        for file, digest in manifest.items():
            try:
                self._fs.get_file(self._path(f"{name}/{file}"), str(folder / file))
            except FileNotFoundError:
                if file != WEIGHTS:
                    return False
                continue
            if file_digest(folder / file) != digest:
                return False
        return True

    def remove(self, name: str) -> None:
        """Remove a folder, its manifest first."""
        self.delete(f"{name}/{MANIFEST}")
        for file in self.names(name):
            self.delete(f"{name}/{file}")

    def provide(self, start: str | None, data: Path, root: Path) -> None:
        """Bring to `root` what a cell needs: prepared data, and the cell that it begins from."""
        # Prepared data is named by its content, and there whole or not at all.
        if not data.exists() and not self.pull(f"data/{data.name}", data):
            raise StoreError(f"{self.url}: the prepared data {data.name} is not there, or damaged")
        if start is not None and not self.pull(f"cells/{start}", root / "cells" / start):
            raise StoreError(f"{self.url}: the cell {start} to begin from is not there, or damaged")

    def push_cell(self, folder: Path, key: str) -> None:
        """Upload a finished cell."""
        self.push(folder, f"cells/{key}")
        self.delete(f"cells/{key}.partial/{PROGRESS}")

    def pull_files(self, names: list[str], root: Path) -> None:
        """Bring those files to `root` that are there."""
        for name, content in self.contents(names).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(root / name, content)

    def pull_progress(self, keys: Iterable[str], root: Path) -> None:
        """Bring here how far cells are that are run elsewhere."""
        self.pull_files([f"cells/{key}.partial/{PROGRESS}" for key in keys], root)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def manifest_of(folder: Path) -> dict[str, str]:
    """The checksums of a folder's files: those it came with, else as they are now."""
    if (folder / MANIFEST).exists():
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return {name: file_digest(folder / name) for name in names}


def _same(folder: Path, manifest: dict[str, str], wanted: list[str]) -> bool:
    """Whether a folder here is the one of that manifest, and has the files that are wanted."""
    path = folder / MANIFEST
    if not path.exists() or not all((folder / name).exists() for name in wanted):
        return False
    return json.loads(path.read_text(encoding="utf-8")) == manifest


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
