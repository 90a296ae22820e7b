"""The sizes of references where no mask is at hand: from tables, or from a file of their own.

Every source must say the same: models that were scored against references of different sizes were
scored against different references.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from segrisk.compare.request import Finding, note, some
from segrisk.compare.rows import Row, read_rows
from segrisk.data.errors import DataError
from segrisk.data.groups import NAMES
from segrisk.parquet import is_parquet, read_frame
from segrisk.report.exports import KnownSize

ROUNDED = 5e-3
"""How much two fractions of one reference may differ, by rounding, relative to the larger."""
NAN = math.nan

Key = tuple[str, str, str]
"""(task, case, label)"""


@dataclass(frozen=True, slots=True)
class Size:
    """What one source, a model's table or a file, says of one reference; NaN where it does not.

    `fraction` is the share of the image that is object, `voxels` and `total` what it was counted
    from; `occupied` says that there is an object, where that is all that is known.
    """

    source: str
    key: Key
    fraction: float = NAN
    voxels: float = NAN
    total: float = NAN
    occupied: bool = False

    @classmethod
    def counted(cls, source: str, key: Key, voxels: int, total: int | None = None) -> "Size":
        """From counts; without that of the image the fraction is known only of an empty mask.

        >>> Size.counted("A", ("t", "c", "1"), 0).fraction
        0.0
        """
        if total:
            return cls(source, key, voxels / total, voxels, total)
        return cls(source, key, NAN if voxels else 0.0, voxels)

    @property
    def is_empty(self) -> bool | None:
        """Whether the reference holds nothing; None where nobody says so."""
        if self.occupied or self.voxels > 0 or self.fraction > 0:
            return False
        return True if self.fraction == 0 else None

    @property
    def knowledge(self) -> int:
        """How much is known, to take the source that says most."""
        return sum(not math.isnan(value) for value in (self.fraction, self.voxels, self.total))

    def __str__(self) -> str:
        if self.occupied:
            return "an object"
        if math.isnan(self.voxels):
            return f"a fraction of {self.fraction:.4g}"
        of = "" if math.isnan(self.total) else f" of {self.total:g}"
        return f"{self.voxels:g}{of} voxels"

    def contradicts(self, other: "Size") -> bool:
        """Whether no reference can be both."""
        counts = (self.voxels, other.voxels), (self.total, other.total)
        if any(a != b for a, b in counts if not math.isnan(a + b)):
            return True
        if {self.is_empty, other.is_empty} == {True, False}:
            return True
        both = self.fraction + other.fraction
        return both == both and not math.isclose(self.fraction, other.fraction, rel_tol=ROUNDED)


def agreed(sizes: Iterable[Size]) -> tuple[dict[Key, Size], list[Finding]]:
    """What is known of the size of every reference, and which sources contradict each other."""
    first: dict[Key, Size] = {}
    against: dict[tuple[str, str], list[tuple[Size, Size]]] = {}
    for size in sizes:
        known = first.setdefault(size.key, size)
        if known.contradicts(size):
            against.setdefault((known.source, size.source), []).append((known, size))
        elif size.knowledge > known.knowledge:
            first[size.key] = size
    return first, [_contradiction(*names, cases) for names, cases in against.items()]


def _contradiction(a: str, b: str, pairs: list[tuple[Size, Size]]) -> Finding:
    cases = tuple(dict.fromkeys(one.key[1] for one, _ in pairs))
    one, other = pairs[0]
    text = (
        f"{a} and {b}: the references of {len(cases)} cases differ in size ({some(cases)}; "
        f"{cases[0]} has {one} in {a}, {other} in {b}): give scores against the same references"
    )
    return Finding("table", text, cases=cases)


def read_sizes(path: Path, keys: Iterable[Key]) -> tuple[list[Size], list[Finding]]:
    """The sizes that a file gives: columns case and fraction; label and task, if wanted.

    Without label or task, a row is of all that the case has. What cannot be read is named by its
    line.
    """
    keys = list(keys)
    columns, rows = _columns_and_rows(path)
    case = next((name for name in NAMES if name in columns), None)
    if missing := [name for name in (case or "case", "fraction") if name not in columns]:
        text = f"{path.name}: has no column {' and '.join(missing)}: add it"
        return [], [Finding("table", text)]
    labels = list(dict.fromkeys(label for *_, label in keys))
    if "label" not in columns and len(labels) > 1:
        text = f"has no column label, where scores are of {some(labels)}: say which each row is of"
        return [], [Finding("table", f"{path.name}: {text}")]
    found: dict[Key, float] = {}
    findings: list[Finding] = []
    for line, row in rows:
        key = row.get("task", ""), row[case], row.get("label", "")
        if fault := _fault(row["fraction"], key, found):
            findings.append(Finding("table", f"{path.name}: line {line}: {fault}"))
        else:
            found[key] = _number(row["fraction"])
    findings += _unused(path, found, keys)
    return list(_sizes(path, found, keys)), findings


def _columns_and_rows(path: Path) -> tuple[list[str], Iterable[tuple[int, Row]]]:
    """A file of sizes, of text or as a report writes it in Parquet."""
    if not is_parquet(path):
        return read_rows(path)
    try:
        frame = read_frame(path, KnownSize)
    except ValueError as error:
        raise DataError([str(error)]) from error
    names = list(frame.columns)
    rows = (dict(zip(names, map(str, row), strict=True)) for row in frame.rows())
    return names, enumerate(rows, start=1)


def _fault(text: str, key: Key, found: Mapping[Key, float]) -> str | None:
    if not key[1]:
        return "has no case: name it"
    if not 0 <= _number(text) <= 1:
        return f"fraction {text!r} is no number from 0 to 1: correct it"
    if key in found:
        return f"{key[1]} has a size already: keep one row"
    return None


def _number(text: str) -> float:
    """A number, NaN for what is none; a decimal comma is read as a point."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return NAN


def _ways(key: Key) -> Iterator[Key]:
    """How a row may name a reference, the exact way first."""
    task, case, label = key
    yield from ((t, case, one) for t in (task, "") for one in (label, ""))


def _sizes(path: Path, found: Mapping[Key, float], keys: Iterable[Key]) -> Iterator[Size]:
    for key in keys:
        fraction = next((found[way] for way in _ways(key) if way in found), None)
        if fraction is not None:
            yield Size(path.name, key, fraction, NAN if fraction else 0)


def _unused(path: Path, found: Mapping[Key, float], keys: Iterable[Key]) -> Iterator[Finding]:
    used = {way for key in keys for way in _ways(key)}
    if others := list(dict.fromkeys(key[1] for key in found if key not in used)):
        text = f"{path.name}: has {len(others)} cases without scores ({some(others)}): left out"
        yield note("table", text, others)


def lacking(path: Path, keys: Iterable[Key], sizes: Mapping[Key, Size]) -> Iterator[Finding]:
    """What nobody gives a size of, where a file was meant to."""
    cases = [key[1] for key in keys if key not in sizes or math.isnan(sizes[key].fraction)]
    if cases := list(dict.fromkeys(cases)):
        text = f"{path.name}: has no size for {len(cases)} cases ({some(cases)}): add their rows"
        yield Finding("table", text, cases=tuple(cases))
