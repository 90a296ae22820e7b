"""The sizes of references where no mask is at hand: from tables, or from a file of their own.

Every source must say the same: models that were scored against references of different sizes were
scored against different references.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path

import numpy as np

from segrisk.compare.request import Finding, note, some
from segrisk.compare.rows import read_rows
from segrisk.data.groups import NAMES
from segrisk.frames import Frame, Text
from segrisk.parquet import is_parquet, read_frame
from segrisk.report.complete import CaseInfo, Cases
from segrisk.report.exports import KnownSize
from segrisk.scores import ScoreFrame

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


def agreed(
    sizes: Sequence[Size], files: Sequence[tuple[str, np.ndarray]], scored: ScoreFrame
) -> tuple[Cases, list[Finding]]:
    """Every reference with what is known of its size, and which sources contradict each other.

    `files` are names, and what each says of every reference (references,), NaN where it says
    nothing; `scored` has one row for each reference.
    """
    if not sizes and len(files) < 2:
        fractions = files[0][1] if files else np.full(len(scored), NAN)
        return _cases(scored, fractions, fractions > 0), []
    columns = (scored.text(name).values() for name in ("task", "case", "label"))
    keys: list[Key] = list(zip(*columns, strict=True))
    first: dict[Key, Size] = {}
    against: dict[tuple[str, str], list[tuple[Size, Size]]] = {}
    of_files = (
        Size(name, key, fraction, NAN if fraction else 0)
        for name, fractions in files
        for key, fraction in zip(keys, fractions.tolist(), strict=True)
        if not math.isnan(fraction)
    )
    for size in chain(sizes, of_files):
        known = first.setdefault(size.key, size)
        if known.contradicts(size):
            against.setdefault((known.source, size.source), []).append((known, size))
        elif size.knowledge > known.knowledge:
            first[size.key] = size
    known = [first.get(key) or Size("", key) for key in keys]
    fractions = np.array([size.fraction for size in known])
    occupied = np.array([size.is_empty is False for size in known])
    contradictions = [_contradiction(*names, cases) for names, cases in against.items()]
    return _cases(scored, fractions, occupied), contradictions


def _cases(scored: ScoreFrame, fractions: np.ndarray, occupied: np.ndarray) -> Cases:
    own = {name: scored.text(name) for name in ("task", "case", "group", "label")}
    own |= {"fraction": fractions, "occupied": occupied}
    return Frame(CaseInfo, {field.name: own[field.name] for field in fields(CaseInfo)})


def _contradiction(a: str, b: str, pairs: list[tuple[Size, Size]]) -> Finding:
    cases = tuple(dict.fromkeys(one.key[1] for one, _ in pairs))
    one, other = pairs[0]
    text = (
        f"{a} and {b}: the references of {len(cases)} cases differ in size ({some(cases)}; "
        f"{cases[0]} has {one} in {a}, {other} in {b}): give scores against the same references"
    )
    return Finding("table", text, cases=cases)


def read_sizes(path: Path, scored: ScoreFrame) -> tuple[np.ndarray, list[Finding]]:
    """What a file says of each reference (references,), NaN where it says nothing.

    It has the columns case and fraction; label and task, if wanted. Without label or task, a row is
    of all that the case has. What cannot be read is named by its line. `scored` has one row for
    each reference.
    """
    given = _of_parquet(path) if is_parquet(path) else _of_text(path, scored)
    if isinstance(given, Finding):
        return np.full(len(scored), np.nan), [given]
    kept, findings = given.checked(path)
    own = given.rows.take(kept)
    fractions, used = _matched(own, scored)
    if others := own.take(~used).text("case").seen():
        text = f"{path.name}: has {len(others)} cases without scores ({some(others)}): left out"
        findings.append(note("table", text, others))
    return fractions, findings


@dataclass(frozen=True)
class _Given:
    """The rows of a file, the line of each and what it writes for a fraction."""

    rows: Frame[KnownSize]
    lines: Sequence[int]
    texts: Sequence[str] | np.ndarray

    def checked(self, path: Path) -> tuple[np.ndarray, list[Finding]]:
        """Which rows can be used (rows,), and what is wrong with the others."""
        fractions = self.rows.numbers("fraction")
        kept = ~self.rows.text("case").equals("") & (fractions >= 0) & (fractions <= 1)
        sound = np.flatnonzero(kept)
        own, names = self.rows.take(sound), ("task", "case", "label")
        if own.distinct(*names) < len(own):
            _, first = np.unique(own.keys(*names), return_index=True)
            kept = np.isin(np.arange(len(kept)), sound[first])
        findings = []
        for row in np.flatnonzero(~kept).tolist():
            case = self.rows[row].case
            if not case:
                text = "has no case: name it"
            elif not 0 <= fractions[row] <= 1:
                text = f"fraction {str(self.texts[row])!r} is no number from 0 to 1: correct it"
            else:
                text = f"{case} has a size already: keep one row"
            findings.append(Finding("table", f"{path.name}: line {self.lines[row]}: {text}"))
        return kept, findings


def _of_parquet(path: Path) -> _Given | Finding:
    try:
        own = read_frame(path, KnownSize)
    except ValueError as error:
        return Finding("table", str(error))
    return _Given(own, range(1, len(own) + 1), own.numbers("fraction"))


def _of_text(path: Path, scored: ScoreFrame) -> _Given | Finding:
    columns, rows = read_rows(path)
    case = next((name for name in NAMES if name in columns), None)
    if missing := [name for name in (case or "case", "fraction") if name not in columns]:
        return Finding("table", f"{path.name}: has no column {' and '.join(missing)}: add it")
    labels = scored.text("label").seen()
    if "label" not in columns and len(labels) > 1:
        text = f"has no column label, where scores are of {some(labels)}: say which each row is of"
        return Finding("table", f"{path.name}: {text}")
    texts = [row["fraction"] for _, row in rows]
    own = {
        "task": Text.of(row.get("task", "") for _, row in rows),
        "case": Text.of(row[case] for _, row in rows),
        "label": Text.of(row.get("label", "") for _, row in rows),
        "fraction": np.array([_number(text) for text in texts], dtype=float),
    }
    return _Given(Frame(KnownSize, own), [line for line, _ in rows], texts)


def _number(text: str) -> float:
    """A number, NaN for what is none; a decimal comma is read as a point."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return NAN


def _matched(own: Frame[KnownSize], scored: ScoreFrame) -> tuple[np.ndarray, np.ndarray]:
    """The fraction of each reference, by the row that names it most exactly; which rows name any.

    A row that names no task, or no label, is of all.
    """
    tasks, labels = (("", *sorted({*own.text(n).names} - {""})) for n in ("task", "label"))
    cases = own.text("case").names
    # What is not found is −1, the last place, where no row is.
    row_at = np.full((len(tasks) + 1, len(cases) + 1, len(labels) + 1), -1, dtype=np.int32)
    at = own.text("task").places(tasks), own.text("case").codes, own.text("label").places(labels)
    row_at[at] = np.arange(len(own))
    case = scored.text("case").places(cases)
    row, used = np.full(len(scored), -1), np.zeros(len(own) + 1, dtype=bool)
    for task in (scored.text("task").places(tasks), 0):
        for label in (scored.text("label").places(labels), 0):
            named = row_at[task, case, label]
            used[named] = True
            row = np.where(row < 0, named, row)
    return np.append(own.numbers("fraction"), np.nan)[row], used[:-1]


def lacking(path: Path, references: Cases) -> Iterator[Finding]:
    """What nobody gives a size of, where a file was meant to."""
    unknown = np.isnan(references.numbers("fraction"))
    if cases := references.take(unknown).text("case").seen():
        text = f"{path.name}: has no size for {len(cases)} cases ({some(cases)}): add their rows"
        yield Finding("table", text, cases=tuple(cases))
