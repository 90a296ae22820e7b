"""Tables as Parquet: read column by column and written piece by piece, with pyarrow alone.

pyarrow is the package that reads and writes the format for Polars and pandas too; nothing here asks
for more than that, so no query engine stands beside it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from segrisk.files import replacing
from segrisk.frames import Column, Frame, Text, compact

Row = TypeVar("Row")

NEEDED = "they need `pip install 'segrisk[parquet]'`"
"""What is said of Parquet files without pyarrow."""


def is_parquet(path: Path) -> bool:
    """Whether a file is one by its name."""
    return path.suffix.lower() in (".parquet", ".pq")


def has_pyarrow() -> bool:
    """Whether Parquet can be read and written here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True


def write_columns(path: Path, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> bool:
    """Write a small table, text as it is; False without pyarrow."""
    if not has_pyarrow():
        return False
    import pyarrow
    import pyarrow.parquet

    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    table = pyarrow.table({name: list(own) for name, own in zip(columns, values, strict=True)})
    with replacing(path) as file:
        pyarrow.parquet.write_table(table, file)
    return True


def write_frame(path: Path, frame: Frame[Any]) -> bool:
    """Write a frame, a quarter of a million rows at a time; False without pyarrow."""
    if not has_pyarrow():
        return False
    import pyarrow
    import pyarrow.parquet

    names = {
        name: pyarrow.array(own.names, pyarrow.string())
        for name, own in frame.columns.items()
        if isinstance(own, Text)
    }

    def array(name: str, own: Column) -> Any:
        if not isinstance(own, Text):
            return pyarrow.array(own.astype(np.int64) if own.dtype.kind == "i" else own)
        return names[name].take(pyarrow.array(own.codes))

    def batch(part: Frame[Any]) -> Any:
        arrays = {name: array(name, own) for name, own in part.columns.items()}
        return pyarrow.record_batch(arrays)

    schema = batch(frame.take(slice(0, 0))).schema
    with replacing(path) as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for part in frame.chunks():
            writer.write_batch(batch(part))
    return True


def parquet_columns(path: Path) -> tuple[str, ...]:
    """The names of the columns; ValueError for what is no Parquet, or without pyarrow."""
    return tuple(_opened(path).schema_arrow.names)


def read_frame(path: Path, kind: type[Row]) -> Frame[Row]:
    """Read the fields of `kind`, one column at a time; numbers that are missing become NaN.

    Raises ValueError for a column that is absent, of another type, or text that is missing.
    """
    file = _opened(path)
    wanted = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    if absent := [name for name in wanted if name not in file.schema_arrow.names]:
        raise ValueError(
            f"{path}: the columns are {file.schema_arrow.names}; {', '.join(absent)} are missing"
        )
    return Frame(kind, {name: _column(file, path, name, type) for name, type in wanted.items()})


def _opened(path: Path) -> Any:
    if not has_pyarrow():
        raise ValueError(f"{path}: Parquet files cannot be read here: {NEEDED}")
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path}: is no Parquet file ({error})") from error


def _column(file: Any, path: Path, name: str, kind: Any) -> Column:
    import pyarrow

    try:
        own = file.read(columns=[name]).column(0)
        if kind is str:
            return _text(own, path, name)
        if own.null_count and kind is not float:
            raise ValueError(f"{path}: {own.null_count} rows have no {name}: fill them in")
        own = own.cast(pyarrow.float64() if kind is float else pyarrow.int64())
        return compact(own.to_numpy())
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path}: the column {name} cannot be read ({error})") from error


def _text(own: Any, path: Path, name: str) -> Text:
    import pyarrow

    if own.null_count:
        raise ValueError(f"{path}: {own.null_count} rows have no {name}: fill them in")
    if not pyarrow.types.is_dictionary(own.type):
        own = own.cast(pyarrow.string()).dictionary_encode()
    own = own.unify_dictionaries().combine_chunks()
    if isinstance(own, pyarrow.ChunkedArray):
        # Of no rows, or of so many that Arrow keeps them apart.
        parts = [_coded(part) for part in own.chunks]
        return Text.joined(parts) if parts else Text((), np.zeros(0, dtype=np.uint8))
    return _coded(own)


def _coded(own: Any) -> Text:
    return Text(own.dictionary.to_pylist(), own.indices.to_numpy(zero_copy_only=False))
