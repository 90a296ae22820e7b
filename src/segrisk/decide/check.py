"""What `segrisk decide` is asked for, and all that can be wrong with it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from segrisk.data.errors import DataError
from segrisk.data.groups import read_groups
from segrisk.decide.maps import MapFile, ProbabilityMap, find_maps, read_map
from segrisk.decide.masks import find_references, mask_names, read_reference
from segrisk.decision import named_rules
from segrisk.metrics import METRICS
from segrisk.similarity import Similarity

RULE_FILE, TABLE_FILE = "rule.json", "scores.csv"
FIXED = ("half", "exact")
"""Rules that need no reference."""


@dataclass(frozen=True)
class Request:
    """What a person asks for; `rule` is a name, a file that stores one, or None for the default."""

    folder: Path
    out: Path
    metric: str = "dice"
    rule: str | None = None
    reference: Path | None = None
    folds: int = 5
    groups: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, eq=False)
class Job:
    """A checked request: every file is readable, and there is a rule for each label."""

    request: Request
    maps: list[MapFile]
    references: list[Path] | None
    groups: list[str]
    labels: range
    names: list[str]
    """Of the files to be written."""

    @property
    def similarity(self) -> Similarity:
        return METRICS[self.request.metric]


def check(request: Request, console: Console) -> Job:
    """Everything that can be wrong, found before anything is written."""
    maps = find_maps(request.folder)
    _check_rule(request)
    references = find_references(request.reference, maps) if request.reference else None
    groups = [file.id for file in maps]
    if request.groups:
        groups = read_groups(request.groups, groups)
    faults: list[str] = []
    first: ProbabilityMap | None = None
    names: list[str] = []
    seen: set[int] = set()
    for index in track(range(len(maps)), "checking", console=console, transient=True):
        try:
            own = read_map(maps[index])
            first = first or own
            if (own.labels, own.exclusive) != (first.labels, first.exclusive):
                raise DataError([_unlike(own, first)])
            names += mask_names(own)
            if references:
                if len(own.labels) > 1 and not own.exclusive:
                    raise DataError([_overlapping(own)])
                seen.update(np.unique(read_reference(references[index], own)).tolist())
        except DataError as error:
            faults += error.faults
    if faults or first is None:
        raise DataError(faults)
    if references:
        _check_labels(request, first.labels, seen)
    _check_targets(request, names, console)
    return Job(request, maps, references, groups, first.labels, names)


def _unlike(own: ProbabilityMap, first: ProbabilityMap) -> str:
    def kind(of: ProbabilityMap) -> str:
        sums = "summing to 1" if of.exclusive else "not summing to 1"
        return f"{len(of.values)} channels {sums}" if len(of.values) > 1 else "1 channel"

    return (
        f"{own.file.path.name}: has {kind(own)}, where {first.file.path.name} has {kind(first)}: "
        "put maps of one kind into a folder"
    )


def _overlapping(own: ProbabilityMap) -> str:
    return (
        f"{own.file.path.name}: its {len(own.values)} channels overlap, so labels do not say which "
        "is which: save a folder of maps for each region to use --reference"
    )


def _check_labels(request: Request, labels: range, seen: set[int]) -> None:
    folder = request.reference
    faults = [
        f"{folder}: no reference has the label {label}, so no rule can be judged on it: "
        "check the references"
        for label in labels
        if label not in seen
    ]
    if seen and 0 not in seen:
        faults.append(f"{folder}: the references are foreground everywhere: check them")
    if faults:
        raise DataError(faults)


def _check_rule(request: Request) -> None:
    known = named_rules(METRICS[request.metric])
    name = request.rule
    if name is None or name.endswith(".json"):
        return
    if name not in known:
        raise DataError([f"unknown rule '{name}': give {', '.join(known)}, or a stored FILE.json"])
    if name not in FIXED and request.reference is None:
        raise DataError(
            [f"rule '{name}' is fitted on references: give --reference FOLDER, or a stored rule"]
        )


def _check_targets(request: Request, names: list[str], console: Console) -> None:
    """Nothing is written over without having been asked for, and no map ever."""
    out = request.out
    if out.exists() and not out.is_dir():
        raise DataError([f"{out}: is a file: give --out another name"])
    for given in (request.folder, request.reference):
        if given and out.resolve() == given.resolve():
            raise DataError([f"{out}: holds what is read: give --out another folder"])
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError([f"two maps would write {twice[0]}: rename one of them"])
    there = [name for name in (*names, TABLE_FILE, RULE_FILE) if (out / name).exists()]
    if there and not request.overwrite:
        raise DataError(
            [
                f"{out}: holds {len(there)} of the files to be written, such as {there[0]}: "
                "give --overwrite to replace them, or --out another folder"
            ]
        )
    if there:
        console.print(f"replacing {len(there)} files in {out}", highlight=False, markup=False)
