"""Probability maps on disk: NIfTI, nnU-Net's .npz, NumPy and grey PNG, and where each one lies."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segrisk.data.errors import DataError, shown
from segrisk.data.images import VOLUMES, Grid, is_volume, read_image, read_mask
from segrisk.decision.door import probabilities

ENDINGS = (*VOLUMES, ".npz", ".npy", ".png")
KEYS = ("probabilities", "softmax")
"""What nnU-Net calls the array of its .npz files, (C, z, y, x): version 2, version 1."""
ROUNDING = 2e-3  # per class: what float16 may move a sum of probabilities
FULL = {"I;16": 65535, "I;16B": 65535, "I;16L": 65535, "I": 65535}


@dataclass(frozen=True)
class MapFile:
    """One case's file; `grid_of` is the NIfTI file beside an .npz, which knows its place in mm."""

    id: str
    path: Path
    grid_of: Path | None = None


@dataclass(frozen=True, eq=False)
class ProbabilityMap:
    """What one file holds: `values` (C, *space), as stored, or as fractions of a PNG's white.

    Exclusive classes sum to 1, and the first is background; all other channels stand alone.
    `grid` is the NIfTI file's, whose axes are those of `values` reversed if it only lies beside.
    """

    file: MapFile
    values: np.ndarray
    exclusive: bool
    grid: Grid | None

    @property
    def labels(self) -> range:
        """The numbers of what is decided: classes without the background, or channels."""
        return range(1, len(self.values) + (not self.exclusive))

    def channel(self, label: int) -> np.ndarray:
        """The probabilities (*space) of a label."""
        return self.values[label if self.exclusive else label - 1]


def find_maps(folder: Path) -> list[MapFile]:
    """The maps of a folder by id, the name without extension; other files are ignored.

    A NIfTI file beside an .npz of its name, as nnU-Net writes both, is no map but gives its grid.
    """
    if not folder.is_dir():
        raise DataError([f"{folder}: there is no such folder: give the one with the maps"])
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        ending = next((end for end in ENDINGS if path.name.lower().endswith(end)), None)
        if ending and not path.name.startswith(".") and not path.is_dir():
            found.setdefault(path.name[: -len(ending)], {})[ending] = path
    if not found:
        expected = ", ".join(ENDINGS)
        raise DataError([f"{folder}: holds no probability maps: put files there ({expected})"])
    maps, faults = [], []
    for id, files in sorted(found.items()):
        volumes = [path for ending, path in files.items() if ending in VOLUMES]
        if ".npz" in files and len(files) == 1 + len(volumes) <= 2:
            maps.append(MapFile(id, files[".npz"], *volumes))
        elif len(files) == 1:
            maps.append(MapFile(id, *files.values()))
        else:
            names = " and ".join(path.name for path in files.values())
            faults.append(f"{folder.name}: {names} have the same id: remove or rename one")
    if faults:
        raise DataError(faults)
    return maps


def read_map(file: MapFile) -> ProbabilityMap:
    """One map, checked: DataError names the file, what is wrong, and what to do."""
    grid = None
    if file.path.suffix in {".npz", ".npy"}:
        values = _read_array(file.path)
        if file.grid_of:
            grid = read_mask(file.grid_of)
            if grid.space != values.shape[:0:-1]:
                raise _fault(
                    file.path,
                    f"has the axes {values.shape[1:]}, which reversed are not the "
                    f"{grid.space} of {file.grid_of.name} beside it: remove the one that is old",
                )
    else:
        grid = read_image(file.path)
        values = _as_probabilities(grid)
        grid = grid if is_volume(file.path) else None
    try:
        values = probabilities(values, "the map")
    except ValueError as error:
        raise _fault(file.path, str(error)) from error
    return ProbabilityMap(file, values, _is_exclusive(values), grid)


def _as_probabilities(grid: Grid) -> np.ndarray:
    if is_volume(grid.path):
        return grid.values
    if len(grid.values) > 1:
        raise _fault(grid.path, "is coloured: save probabilities as grey values, 8 or 16 bit")
    from PIL import Image

    with Image.open(grid.path) as picture:
        return grid.values / np.float32(FULL.get(picture.mode, 255))


def _read_array(path: Path) -> np.ndarray:
    """The channels (C, *space) of a NumPy file."""
    with _naming(path):
        loaded = np.load(path)
        if isinstance(loaded, np.ndarray):
            return _with_channels(path, loaded)
        with loaded:
            key = next((key for key in KEYS if key in loaded.files), None)
            if key is not None:
                array = loaded[key]
                if array.ndim < 3:
                    raise _fault(path, f"'{key}' has shape {array.shape}, not (C, *space)")
                return array
            if len(loaded.files) == 1:
                return _with_channels(path, loaded[loaded.files[0]])
            raise _fault(
                path,
                f"holds the arrays {', '.join(loaded.files) or 'none'}: name the one with the "
                f"probabilities '{KEYS[0]}'",
            )


def _with_channels(path: Path, array: np.ndarray) -> np.ndarray:
    if array.ndim not in (2, 3, 4):
        raise _fault(
            path,
            f"has shape {array.shape}: give (y, x) or (z, y, x) of one class, or (C, z, y, x)",
        )
    return array if array.ndim == 4 else array[None]


def _is_exclusive(values: np.ndarray) -> bool:
    """Whether several channels sum to 1 everywhere, as after a softmax."""
    if len(values) == 1:
        return False
    total = values.sum(0, dtype=np.float32)
    return bool((np.abs(total - 1) <= ROUNDING * len(values)).all())


def _fault(path: Path, text: str) -> DataError:
    return DataError([f"{shown(path)}: {text}"])


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # NumPy raises everything from EOFError to BadZipFile
        reason = " ".join(str(error).replace(str(path), path.name).split())
        raise _fault(
            path,
            f"cannot be read ({type(error).__name__}: {reason}): copy or export the file again",
        ) from error
