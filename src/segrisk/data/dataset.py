"""What a dataset.json says: nnU-Net's and the Decathlon's, whose forms differ."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segrisk.data.errors import DataError, unreadable
from segrisk.files import real

FILE = "dataset.json"


@dataclass(frozen=True)
class Labelling:
    """What is said of labels: the values of each region, and the one to be ignored."""

    regions: tuple[tuple[str, tuple[int, ...]], ...] = ()
    ignore: int | None = None

    @property
    def values(self) -> tuple[int, ...]:
        """All values besides 0 that a mask may hold; none where nothing is declared."""
        ignored = () if self.ignore is None else (self.ignore,)
        own = {value for _, values in self.regions for value in values}
        return tuple(sorted(own.union(ignored) - {0}))


UNLABELLED = Labelling()
"""Where nothing is said."""


def labelling(root: Path) -> Labelling:
    """The labels of a dataset.json, which name values (Decathlon) or have values (nnU-Net 2)."""
    labels = described(root).get("labels")
    regions, ignore = [], None
    for key, value in labels.items() if isinstance(labels, dict) else ():
        name, values = (value, key) if isinstance(value, str) else (key, value)
        try:
            numbers = tuple(int(v) for v in (values if isinstance(values, list) else [values]))
        except (TypeError, ValueError):
            continue
        if name == "ignore":
            ignore = numbers[0]
        elif numbers and numbers != (0,):
            regions.append((name, numbers))
    return Labelling(tuple(regions), ignore)


def listed(root: Path, what: str) -> list[str]:
    """The files, `image` or `label`, of the training cases that a Decathlon set lists."""
    entries = described(root).get("training")
    names = [e.get(what) if isinstance(e, dict) else None for e in _list(entries)]
    return [name for name in names if isinstance(name, str)]


def is_listed(root: Path) -> bool:
    """Whether the set lists its files; nnU-Net 2 gives their number only."""
    return bool(_list(described(root).get("training")))


def channel_names(root: Path) -> list[str]:
    """The names of the channels in their order, as either form has them."""
    content = described(root)
    names = content.get("channel_names", content.get("modality"))
    return [str(name) for name in names.values()] if isinstance(names, dict) else []


def leaves(root: Path, name: str) -> bool:
    """Whether a listed file lies outside of its set."""
    return not real(root / name).is_relative_to(real(root))


def described(root: Path) -> dict[str, Any]:
    """What a folder's dataset.json holds; nothing without one. DataError for a broken one.

    It says which values are a region and which are ignored, so scores without it are others.
    """
    path = root / FILE
    return read_object(path, "mend it") if path.exists() else {}


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """A JSON object; Python's reader takes the bare NaN and Infinity that others write.

    DataError says what is wrong with the file, and `advice`.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error, advice) from error
    if not isinstance(content, dict):
        found = type(content).__name__
        raise DataError([f"{path}: holds a {found}, where an object is expected: {advice}"])
    return content


def _list(content: Any) -> list[Any]:
    return content if isinstance(content, list) else []
