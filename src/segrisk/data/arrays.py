"""Masks in NumPy's files: .npy, and .npz that hold one array. Nothing is ever unpickled."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from segrisk.data.errors import LABEL_MAP, DataError, shown


def read_array(path: Path) -> np.ndarray:
    """The array of a file; DataError where there are several, or none of numbers."""
    with open_array(path) as (stream, (shape, fortran, dtype)):
        data = _exactly(stream, int(np.prod(shape)) * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def array_header(path: Path) -> tuple[tuple[int, ...], None, None, np.dtype]:
    """Shape and type of the array; it has no spacing and no affine."""
    with open_array(path) as (_, (shape, _, dtype)):
        return shape, None, None, dtype


@contextmanager
def open_array(path: Path) -> Iterator[tuple[IO[bytes], tuple[tuple[int, ...], bool, np.dtype]]]:
    """The file at its first value; shape, whether the first axis runs fastest, and type."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            file.seek(0)
            yield file, _header(path, file)
            return
        with zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if len(names) != 1:
                raise DataError(
                    [
                        f"{shown(path)}: holds {len(names)} arrays ({', '.join(names[:4])}), "
                        "where one mask is expected: save the mask alone"
                    ]
                )
            with archive.open(archive.namelist()[0]) as member:
                yield member, _header(path, member)


def array_names(path: Path) -> list[str]:
    """The names of the arrays in an .npz file; none where it is no such file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile):
        return []


def _header(path: Path, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.kind not in "biuf":
        raise DataError([f"{shown(path)}: holds {dtype} values: save numbers"])
    if not shape or 0 in shape:
        raise DataError([f"{shown(path)}: has shape {shape}, no voxels: remove it"])
    if len(shape) > 3:
        advice = "save it without axes of length 1 (np.squeeze)" if 1 in shape else LABEL_MAP
        raise DataError(
            [f"{shown(path)}: has shape {shape}, where at most 3 axes are expected: {advice}"]
        )
    return shape, fortran, dtype


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError(f"it ends after {len(data)} of {size} bytes of values")
    return data
