"""A manifest: a CSV file that says which files belong together.

Columns: case and reference; task, group, fold, seed and image, if wanted; every other column is a
model, its cells the files of its predictions. An empty cell is a missing prediction. Paths are
relative to the manifest's folder, or to the root that is declared, and never leave it, not by an
absolute path, nor by `..`, nor by a link: a manifest from elsewhere reads no other file.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from segrisk.compare.cases import ComparedCase
from segrisk.compare.request import RESERVED, Finding, some
from segrisk.compare.rows import Row, read_rows
from segrisk.files import real
from segrisk.names import UNPRINTABLE

LONGEST = 255
"""No file's name is longer."""
DIGITS = 9


@dataclass(frozen=True)
class Manifest:
    """What a manifest says: its models in the order of the columns, and what is wrong with it.

    `images` has the image of a (task, case) where one is given.
    """

    cases: tuple[ComparedCase, ...]
    models: tuple[str, ...]
    images: dict[tuple[str, str], Path]
    grouped: bool
    findings: tuple[Finding, ...]


@dataclass
class _Reader:
    """Reads rows, and keeps what is wrong with them."""

    path: Path
    root: Path
    task: str
    models: tuple[str, ...]
    images: dict[tuple[str, str], Path] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def fault(self, kind: str, text: str, one: str = "") -> None:
        many = "cases" if one else "lines"
        self.findings.append(Finding(kind, f"{self.path.name}: {text}", one=one, many=many))

    def case(self, line: int, row: Row) -> ComparedCase | None:
        before = len(self.findings)
        case = unicodedata.normalize("NFC", row.get("case", ""))
        if not case:
            self.fault("input", f"line {line}: has no case: name it")
        if not row.get("reference"):
            self.fault("input", f"line {line}: has no reference: give its file")
        for name in ("task", "case"):
            if (own := row.get(name, "")).startswith(".") or set(own) & set("/\\"):
                text = f"line {line}: {name} {own!r} has a slash or begins with a point: rename it"
                self.fault("input", text)
        fold, seed = (self.number(line, row, name) for name in ("fold", "seed"))
        reference = self.file(line, row.get("reference", ""))
        predictions = {model: self.file(line, row[model]) for model in self.models}
        if len(self.findings) > before or reference is None:
            return None
        task = row.get("task") or self.task
        group = row.get("group") or case
        if image := self.file(line, row.get("image", "")):
            self.images[task, case] = image
        return ComparedCase(task, case, group, fold, seed, reference, predictions)

    def number(self, line: int, row: Row, name: str) -> int:
        text = row.get(name) or "0"
        if not text.isdecimal() or len(text) > DIGITS:
            self.fault("input", f"line {line}: {name} {text[:20]!r} is no whole number: correct it")
            return 0
        return int(text)

    def file(self, line: int, text: str) -> Path | None:
        """The file that a cell names, inside the root; None for an empty cell."""
        if not text:
            return None
        path = self.root / text
        if UNPRINTABLE.search(text) or any(len(part) > LONGEST for part in path.parts):
            self.fault("input", f"line {line}: {text[:60]!r} can be no file: correct it")
            return None
        if not real(path).is_relative_to(real(self.root)):
            self.fault(
                "input",
                f"line {line}: {text} leaves {self.root}: move the file there, or declare the "
                "folder above both as the root (--root)",
            )
            return None
        return path


def read_manifest(path: Path, *, root: Path | None = None, task: str = "") -> Manifest:
    """Read a manifest; `task` names the rows that name none.

    DataError for a file that cannot be read as a table at all.
    """
    columns, rows = read_rows(path)
    models = tuple(name for name in columns if name not in RESERVED)
    reader = _Reader(path, root or path.parent, task or path.stem, models)
    for name in ("case", "reference"):
        if name not in columns:
            reader.fault("input", f"has no column {name} (columns: {', '.join(columns)}): add it")
    if not models:
        reader.fault("input", "has no column of a model's predictions: add one for each model")
    if not rows:
        reader.fault("input", "has no rows: add one for each case")
    if reader.findings:
        return Manifest((), models, {}, False, tuple(reader.findings))
    read = [reader.case(line, row) for line, row in rows]
    cases = tuple(case for case in read if case is not None)
    _check_rows(reader, cases)
    grouped = "group" in columns
    return Manifest(cases, models, reader.images, grouped, tuple(reader.findings))


def _check_rows(reader: _Reader, cases: tuple[ComparedCase, ...]) -> None:
    """A case stands once for each seed, has one reference and group, and all seeds."""
    rows = Counter((case.task, case.case, case.seed) for case in cases)
    for (task, name, seed), count in rows.items():
        if count > 1:
            text = f"case {name}: has {count} rows in {task}, seed {seed}: keep one"
            reader.fault("duplicate", text, f"case {name}")
    _check_one(reader, cases, "groups", lambda case: case.group)
    _check_one(reader, cases, "references", lambda case: case.reference)
    shared = Counter((t, real(r)) for t, _, r in {(c.task, c.case, c.reference) for c in cases})
    for (task, file), count in shared.items():
        if count > 1:
            text = f"{file.name} is the reference of {count} cases of {task}: correct it"
            reader.fault("duplicate", text)
    for model in reader.models:
        files = Counter(real(file) for case in cases if (file := case.predictions[model]))
        for file, count in files.items():
            if count > 1:
                text = f"{model}: {file.name} stands in {count} rows: give each its own prediction"
                reader.fault("duplicate", text)
    seeds: dict[str, set[int]] = {}
    own: dict[tuple[str, str], set[int]] = {}
    for task, name, seed in rows:
        seeds.setdefault(task, set()).add(seed)
        own.setdefault((task, name), set()).add(seed)
    for (task, name), has in own.items():
        if lacks := sorted(seeds[task] - has):
            text = f"case {name}: has no row for seed {some(map(str, lacks))} of {task}: add it"
            reader.fault("missing", text, f"case {name}")


def _check_one(
    reader: _Reader,
    cases: tuple[ComparedCase, ...],
    what: str,
    get: Callable[[ComparedCase], object],
) -> None:
    first: dict[tuple[str, str], object] = {}
    for case in cases:
        if first.setdefault((case.task, case.case), get(case)) != get(case):
            one = f"case {case.case}"
            text = f"{one}: has two {what} in {case.task}: give one, the same in each row"
            reader.fault("duplicate", text, one)
