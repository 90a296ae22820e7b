"""A folder that was read before is not read again while its files are the same.

What a task was prepared into is found by its files' paths, sizes and times of change. The content
still gives it its name: the memory only says where the same files led.
"""

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from segrisk.data.dataset import read_object
from segrisk.data.errors import DataError
from segrisk.data.folder import Folder
from segrisk.data.layouts.choose import find_cases
from segrisk.data.layouts.found import Found
from segrisk.data.prepare import PreparedTask, is_sound, load_prepared, prepare
from segrisk.data.preprocessing import DEFAULT, Preprocessing
from segrisk.data.readers import read_found
from segrisk.data.twins import apart
from segrisk.files import digest, file_digest, write_json

MEMORY = "read.json"
READERS = ("numpy", "torch", "monai", "nibabel", "pillow")
"""The packages that bring a file's bytes to a network."""


def prepare_folder(
    folder: Folder,
    size: tuple[int, ...] | None,
    root: Path,
    by: Preprocessing = DEFAULT,
    *,
    soft: bool = False,
) -> PreparedTask:
    """Like `prepare`, of a folder's cases; what `root` holds of the same files is taken as it is.

    Names, pairs, groups and dataset.json are checked every time, and the hashes of what was
    prepared: where it is damaged, it is made again.
    """
    found = find_cases(folder)
    key = _fingerprint(found, folder, size, by, soft)
    known = _remembered(root)
    if key in known and is_sound(root / known[key]):
        return load_prepared(root / known[key])
    task = prepare(apart(read_found(found, folder)), size, root, by, soft=soft)
    kept = {own: name for own, name in known.items() if (root / name).exists()}
    write_json(root / MEMORY, {**kept, key: task.folder.name})
    return task


def _remembered(root: Path) -> dict[str, Any]:
    """What was prepared, by fingerprint; nothing where the note is absent or broken."""
    try:
        return read_object(root / MEMORY, "it is made again")
    except DataError:
        return {}


def _fingerprint(
    found: Found,
    folder: Folder,
    size: tuple[int, ...] | None,
    by: Preprocessing,
    soft: bool,
) -> str:
    """The hash of all that preparation depends on, of files without opening them."""
    files = [path for own in found.files for path in (*own.images, *own.masks)]
    return digest(
        {
            "files": [_seen(path) for path in files],
            "found": repr(found),
            "folder": repr(folder),
            "size": size,
            "preprocessing": by.model_dump(mode="json"),
            "soft": soft,
            "code": _code(),
        }
    )


def _seen(path: Path) -> tuple[int, int, int] | None:
    """Size and times of a file; None of one that is not there, which the reader reports.

    A copy may keep the time of writing, and its size be the same: the system's own time tells it.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@cache
def _code() -> str:
    """The hash of what reads and prepares: another version may read the same files otherwise."""
    own = sorted(Path(__file__).parent.rglob("*.py"))
    text = [*(file_digest(path) for path in own), *(version(name) for name in READERS)]
    return digest(text)
