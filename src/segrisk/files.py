"""Files that are there whole or not at all, and content hashes."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

UNFINISHED = ".unfinished-"
"""How the name of a folder begins that is written aside and then moved; a kill leaves it."""


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which replaces `path` in one step: a crash leaves the old or the new."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` in one step: a crash leaves the old content or the new, never a part."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Like `write_bytes`, for text in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Like `write_text`, for lines that are made one by one; each ends itself."""
    with replacing(path) as file:
        file.writelines(line.encode("utf-8") for line in lines)


def write_json(path: Path, value: Any) -> None:
    """Like `write_text`, for JSON that a person can read."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def real(path: Path) -> Path:
    """Where a path leads, links followed; one that leads round in a circle stays as it is."""
    return Path(os.path.realpath(path))


def digest(value: Any) -> str:
    """The SHA-256 of a JSON-like value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
