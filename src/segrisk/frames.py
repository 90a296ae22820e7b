"""Rows of one kind held as columns, so that ten million scores are a few arrays.

A frame is read as a sequence of its rows, which are made when they are asked for; whoever has many
of them works on the columns.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from operator import attrgetter
from typing import Any, Generic, TypeVar, overload

import numpy as np

Row = TypeVar("Row")

DENSE = 8
"""Up to so many possible combinations to a row are marked one by one rather than sorted."""

CHUNK = 2**18
"""Rows that are turned into objects, or read from them, at once."""


class Text:
    """A column of text: the distinct names, sorted, and the place of each row's among them.

    Names that no row has any more may be among them.
    """

    def __init__(self, names: Sequence[str], codes: np.ndarray):
        """`names` are distinct, in any order; `codes` (rows,) are places among them."""
        order = sorted(range(len(names)), key=names.__getitem__)
        rank = np.empty(len(names), dtype=np.min_scalar_type(max(0, len(names) - 1)))
        rank[order] = np.arange(len(names))
        self.names = tuple(names[place] for place in order)
        self.codes = rank[codes]

    @classmethod
    def of(cls, values: Iterable[str]) -> "Text":
        """The column of these values.

        >>> column = Text.of(["b", "a", "b"])
        >>> column.names, column.codes.tolist(), column.seen()
        (('a', 'b'), [1, 0, 1], ('b', 'a'))
        """
        place: dict[str, int] = {}
        codes = np.fromiter((place.setdefault(v, len(place)) for v in values), dtype=np.int32)
        return cls(tuple(place), codes)

    @classmethod
    def joined(cls, columns: Sequence["Text"]) -> "Text":
        """The columns below each other."""
        place = {name: index for index, name in enumerate(_every(c.names for c in columns))}
        codes = [
            np.array([place[name] for name in column.names], dtype=np.int32)[column.codes]
            for column in columns
        ]
        return cls(tuple(place), np.concatenate(codes))

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Any) -> "Text":
        """The column of some rows, by a mask or by their places."""
        return self._with(self.codes[rows])

    def _with(self, codes: np.ndarray) -> "Text":
        made = object.__new__(Text)
        made.names, made.codes = self.names, codes
        return made

    def values(self) -> list[str]:
        """The text of each row."""
        return list(map(self.names.__getitem__, self.codes.tolist()))

    def used(self) -> tuple[str, ...]:
        """The names that some row has, sorted."""
        held = np.zeros(len(self.names), dtype=bool)
        held[self.codes] = True
        return tuple(self.names[place] for place in np.flatnonzero(held).tolist())

    def seen(self) -> tuple[str, ...]:
        """The names that some row has, in the order in which they first appear."""
        first = np.full(len(self.names), len(self.codes))
        # Where a place is assigned twice the last one stays.
        first[self.codes[::-1]] = np.arange(len(self.codes))[::-1]
        order = np.argsort(first, kind="stable").tolist()
        return tuple(self.names[place] for place in order if first[place] < len(self.codes))

    def places(self, names: Sequence[str]) -> np.ndarray:
        """Where each row's name stands in `names`; −1 where it does not.

        >>> Text.of(["b", "a", "c"]).places(["a", "b"]).tolist()
        [1, 0, -1]
        """
        if names is self.names:
            return self.codes.astype(np.int32)
        place = dict(zip(names, range(len(names)), strict=True))
        found = np.array([place.get(name, -1) for name in self.names], dtype=np.int32)
        return found[self.codes]

    def equals(self, name: str) -> np.ndarray:
        """Which rows have this name (rows,)."""
        if name not in self.names:
            return np.zeros(len(self.codes), dtype=bool)
        return self.codes == self.names.index(name)


Column = Text | np.ndarray


class Frame(Sequence[Row], Generic[Row]):
    """Rows of one dataclass whose fields are text, integers and floats.

    >>> from segrisk.scores import Score
    >>> frame = Frame.of(Score, [Score("t", "B", "c1", "p", "1", 0, 0, "dice", 0.5)])
    >>> frame.text("model").names, frame.numbers("value"), frame[0].case
    (('B',), array([0.5]), 'c1')
    """

    def __init__(self, kind: Callable[..., Row], columns: Mapping[str, Column]):
        """`columns` by the names of the fields of `kind`."""
        self.kind = kind
        self.columns = dict(columns)

    @classmethod
    def of(cls, kind: type[Row], rows: Iterable[Row]) -> "Frame[Row]":
        """The columns of these rows; a frame stays what it is."""
        if isinstance(rows, Frame):
            return rows
        rows = list(rows)
        return cls(
            kind,
            {
                field.name: column(field.type, map(attrgetter(field.name), rows))
                for field in fields(kind)  # type: ignore[arg-type]
            },
        )

    @classmethod
    def joined(cls, frames: Sequence["Frame[Row]"]) -> "Frame[Row]":
        """Frames of one kind below each other; at least one."""
        held = [frame for frame in frames if len(frame)] or list(frames[:1])
        first = held[0]
        if len(held) == 1:
            return first
        columns = {}
        for name, own in first.columns.items():
            each = [frame.columns[name] for frame in held]
            columns[name] = Text.joined(each) if isinstance(own, Text) else np.concatenate(each)
        return cls(first.kind, columns)

    def text(self, name: str) -> Text:
        """A column of text."""
        found = self.columns[name]
        assert isinstance(found, Text)
        return found

    def numbers(self, name: str) -> np.ndarray:
        """A column of numbers (rows,)."""
        found = self.columns[name]
        assert isinstance(found, np.ndarray)
        return found

    def take(self, rows: Any) -> "Frame[Row]":
        """Some rows, by a mask or by their places."""
        taken = {
            name: own.take(rows) if isinstance(own, Text) else own[rows]
            for name, own in self.columns.items()
        }
        return Frame(self.kind, taken)

    def where(self, **names: str) -> "Frame[Row]":
        """The rows that have these texts."""
        masks = [self.text(column).equals(name) for column, name in names.items()]
        mask = np.logical_and.reduce(masks)
        return self if mask.all() else self.take(mask)

    def among(self, column: str, names: Iterable[str]) -> "Frame[Row]":
        """The rows that have one of these texts."""
        mask = self.text(column).places(sorted(set(names))) >= 0
        return self if mask.all() else self.take(mask)

    def replaced(self, **changes: Any) -> "Frame[Row]":
        """The same rows with other columns; one text or number stands for all rows."""
        count = len(self)
        columns = dict(self.columns)
        for name, value in changes.items():
            if isinstance(value, str):
                value = Text((value,), np.zeros(count, dtype=np.uint8))
            columns[name] = value if isinstance(value, Text) else np.broadcast_to(value, count)
        return Frame(self.kind, columns)

    def keys(self, *names: str) -> np.ndarray:
        """One int64 for each row (rows,), equal and ordered as these columns are, the first first.

        >>> from segrisk.scores import Score
        >>> rows = [Score("t", m, "c", "p", "1", 0, 7, "dice", 0.5) for m in "baa"]
        >>> Frame.of(Score, rows).keys("model", "seed").tolist()
        [1, 0, 0]
        """
        found, size = np.zeros(len(self), dtype=np.int64), 1
        for name in names:
            codes, count = _coded(self.columns[name])
            if size * max(1, count) >= 2**62:
                distinct, found = np.unique(found, return_inverse=True)
                size = len(distinct)
            found *= count
            found += codes
            size *= max(1, count)
        return found

    def distinct(self, *names: str) -> int:
        """How many rows differ in these columns.

        >>> from segrisk.scores import Score
        >>> rows = [Score("t", m, "c", "p", "1", 0, 7, "dice", 0.5) for m in "baa"]
        >>> Frame.of(Score, rows).distinct("model", "seed")
        2
        """
        keys = self.keys(*names)
        if not len(keys):
            return 0
        if (most := int(keys.max())) > DENSE * len(keys):
            return len(np.unique(keys))
        held = np.zeros(most + 1, dtype=bool)
        held[keys] = True
        return int(held.sum())

    def sorted(self) -> "Frame[Row]":
        """The rows in their order, as `sorted` puts them; floats decide where all else is equal."""
        floats = [name for name, own in self.columns.items() if _is_float(own)]
        keys = self.keys(*(name for name in self.columns if name not in floats))
        if (keys[1:] > keys[:-1]).all():
            return self
        order = np.argsort(keys, kind="stable")
        if (np.diff(keys[order]) == 0).any():
            order = np.lexsort([*(self.numbers(name) for name in reversed(floats)), keys])
        return self.take(order)

    def chunks(self, size: int = CHUNK) -> Iterator["Frame[Row]"]:
        """The rows, `size` at a time."""
        return (self.take(slice(at, at + size)) for at in range(0, len(self), size))

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The fields of each row."""
        for chunk in self.chunks():
            yield from zip(*(_plain(own) for own in chunk.columns.values()), strict=True)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __iter__(self) -> Iterator[Row]:
        return (self.kind(*row) for row in self.rows())

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Frame[Row]": ...
    def __getitem__(self, index: int | slice) -> "Row | Frame[Row]":
        if isinstance(index, slice):
            return self.take(index)
        return next(iter(self.take([index])))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Frame of {len(self)} {getattr(self.kind, '__name__', 'row')}s>"


def column(kind: Any, values: Iterable[Any]) -> Column:
    """A column of values of one type: str, int or float."""
    return Text.of(values) if kind is str else compact(np.array(list(values), dtype=kind))


def compact(numbers: np.ndarray) -> np.ndarray:
    """Integers in the smallest type that holds them; floats as they are."""
    if numbers.dtype.kind != "i" or not len(numbers):
        return numbers
    most = max(int(numbers.max()), -1 - int(numbers.min()))
    return numbers.astype(np.min_scalar_type(-1 - most))


def _every(names: Iterable[Iterable[str]]) -> Iterator[str]:
    """Each name once."""
    return iter(dict.fromkeys(chain.from_iterable(names)))


def _is_float(own: Column) -> bool:
    return isinstance(own, np.ndarray) and own.dtype.kind == "f"


def _coded(own: Column) -> tuple[np.ndarray, int]:
    """A column as places in its order, and of how many."""
    if isinstance(own, Text):
        return own.codes, len(own.names)
    low, high = (int(own.min()), int(own.max())) if len(own) else (0, 0)
    if high - low < 2**16 and own.dtype.kind != "f":
        return own.astype(np.int64) - low, high - low + 1
    distinct, codes = np.unique(own, return_inverse=True)
    return codes, len(distinct)


def _plain(own: Column) -> list[Any]:
    return own.values() if isinstance(own, Text) else own.tolist()
