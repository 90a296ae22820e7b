"""What a comparison is asked for, and how what is wrong with it is said."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from segrisk import names
from segrisk.data.errors import DataError
from segrisk.names import printable

RESERVED = ("task", "case", "group", "fold", "seed", "reference", "image")
"""Columns of a manifest that are no model."""


@dataclass(frozen=True)
class Request:
    """Where masks or scores are, and the policies that hold for every model alike.

    Give a `reference` folder and `models`; or a `manifest`; or tables of scores, as `models` (a
    file of one model) or as `scores` (a file of several).

    `missing`: a prediction that is missing, unreadable or holds NaN is scored as the worst value,
    or refused. `unpredicted`: a reference that no model predicted is refused, scored as the worst
    value of all, or left out. `extra`: a prediction without reference is refused or left out.
    `check_age`: a prediction that is older than its reference is refused. Whatever is not refused
    is named. `resample_to` is the folder for predictions that are moved to their reference's grid;
    without it, another grid is refused.
    """

    reference: Path | None = None
    models: tuple[tuple[str, Path], ...] = ()
    manifest: Path | None = None
    scores: tuple[Path, ...] = ()
    task: str = ""
    groups: Path | None = None
    root: Path | None = None
    """What no path of a manifest may leave; its own folder, unless another is declared."""
    labels: tuple[int, ...] = ()
    """Values besides 0 that masks may hold; those of the references, if none are given."""
    missing: Literal["worst", "refuse"] = "worst"
    unpredicted: Literal["refuse", "worst", "leave-out"] = "refuse"
    extra: Literal["refuse", "leave-out"] = "refuse"
    check_age: bool = False
    tolerance_mm: float | None = None
    resample_to: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    """Of a long table of scores: which column is the task, algorithm, case and value."""
    metric: str = "dice"
    """What the values are, of a table that does not say."""
    empty: float = 1.0
    """The overlap of two empty masks, where a table leaves it open."""
    sizes: Path | None = None
    """The sizes of the references, for tables of scores that do not say them."""
    workers: int = 2


@dataclass(frozen=True)
class Finding:
    """Something about the input, in a sentence; `stops` if nothing can be computed before.

    `kind` is one of: input, missing, unpredicted, extra, duplicate, stale, unreadable, nan, labels,
    geometry, table, software. `one` is the part of the text that names what it is about, where
    many may be alike; `many` is what those are called.
    """

    kind: str
    text: str
    stops: bool = True
    cases: tuple[str, ...] = ()
    one: str = ""
    many: str = "files"

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", printable(self.text))
        object.__setattr__(self, "one", printable(self.one))
        if self.one not in self.text:
            object.__setattr__(self, "one", "")
        if not self.one and (line := LINE.search(self.text)):
            object.__setattr__(self, "one", line[0])
            object.__setattr__(self, "many", "lines")

    @property
    def name(self) -> str:
        """What it is about, without the word for it: `7` of `line 7`."""
        return self.one.removeprefix(f"{self.many.removesuffix('s')} ")

    @property
    def alike(self) -> tuple[object, ...]:
        """What findings share that differ in names and numbers alone."""
        if not self.one:
            return (self.text,)
        of, _, fault = self.text.partition(self.one)
        fault = REPEATED.sub("#", VARYING.sub("#", fault))
        return self.kind, self.stops, self.many, of, fault


LINE = re.compile(r"\bline \d+\b")
VARYING = re.compile(r"'[^']*'|\S*[\d/]\S*")
"""Quoted text, paths and numbers."""
REPEATED = re.compile(r"#(,? #)+")


def note(kind: str, text: str, cases: Iterable[str] = (), **named: str) -> Finding:
    """A finding that stops nothing."""
    return Finding(kind, text, False, tuple(cases), **named)


some = partial(names.some, shown=5)
"""The first names of many."""
SINGLY = 3
"""Up to so many findings that are alike are said one by one."""


def together(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, of many that are alike the first alone, which says so.

    >>> faults = [Finding("nan", f"B: b/{n}.npy: holds {n} NaN", one=f"b/{n}.npy") for n in "1234"]
    >>> [finding.text for finding in together(faults)]
    ['B: 4 files, such as b/1.npy: holds 1 NaN (also 2.npy, 3.npy, 4.npy)']
    """
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.alike, []).append(finding)
    return [
        finding
        for group in groups.values()
        for finding in (group if len(group) <= SINGLY else [_as_one(group)])
    ]


def _as_one(group: list[Finding]) -> Finding:
    first = group[0]
    if not first.one:  # the same text, several times
        return first
    such = f"{len(group)} {first.many}, such as {first.name}"
    others = [finding.name.rpartition("/")[2] for finding in group[1:]]
    text = f"{first.text.replace(first.one, such, 1)} (also {some(others)})"
    cases = dict.fromkeys(case for finding in group for case in finding.cases)
    return replace(first, text=text, cases=tuple(cases))


def refuse_if(findings: Iterable[Finding]) -> None:
    """DataError with every finding that stops, if any does; those that are alike are one."""
    stopping = [finding for finding in findings if finding.stops]
    if not stopping:
        return
    told = [finding.text for finding in together(stopping)]
    if len(told) < len(stopping):
        told.append(f"{len(stopping)} faults in all: segrisk doctor --all names each")
    raise DataError(told)


def nothing_shared(a: str, b: str) -> str:
    """That two models cannot be compared."""
    return f"{a} and {b} have no case in common: give both on the same cases, as of the same folds"


EXAMPLES = {"--model": "A=runs/a", "--column": "algorithm=NAME", "--region": "core=1,2"}


def pairs(option: str, given: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """What a repeated option names.

    >>> pairs("--model", ["A=runs/a", "B=runs/b"])
    (('A', 'runs/a'), ('B', 'runs/b'))
    """
    found: dict[str, str] = {}
    faults = []
    for text in given:
        name, _, value = (part.strip() for part in text.partition("="))
        if not (name and value):
            faults.append(
                f"{option} {text!r}: expected NAME=VALUE, as in {option} {EXAMPLES[option]}"
            )
        elif name in found:
            faults.append(f"{option} {name}: is given twice: give each a name of its own")
        found[name] = value
    if faults:
        raise DataError(faults)
    return tuple(found.items())


def numbers(text: str, option: str = "--labels") -> tuple[int, ...]:
    """Label values as a command line lists them.

    >>> numbers("1,2,4")
    (1, 2, 4)
    """
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise DataError([f"{option} {text!r} is no list of numbers: give it as 1,2,4"]) from None
