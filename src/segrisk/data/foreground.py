"""Which voxels of a mask are foreground, judged by what all masks of a task hold."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segrisk.data.errors import DataError, shown
from segrisk.data.folder import Folder
from segrisk.data.images import Grid, read_mask
from segrisk.data.layouts.found import Found
from segrisk.metrics.counts import no_label
from segrisk.names import nearest, some


@dataclass(frozen=True)
class Rule:
    """Which values are foreground, which others a mask may hold, and which counts for nothing.

    Every value of `wanted` and `ignored`, which the study itself names, must occur. `advice` and
    `remark` are what a fault adds.
    """

    foreground: tuple[int, ...]
    threshold: float | None
    wanted: tuple[int, ...]
    declared: tuple[int, ...]
    ignore: int | None
    ignored: tuple[int, ...]
    advice: str
    remark: str


def rule(found: Found, folder: Folder) -> Rule:
    """The rule for the masks of a folder.

    DataError where `target` names no region of them, or the foreground holds the ignored label.
    """
    regions = dict(found.labelling.regions)
    name = found.region
    if folder.target and found.target is None:
        if folder.target not in regions:
            known = nearest(folder.target, regions) if regions else ": set `foreground` instead"
            raise DataError([f"{folder.path.name}: has no region '{folder.target}'{known}"])
        name = folder.target
    foreground = folder.foreground or (regions[name] if name else ())
    ignore = found.labelling.ignore if folder.ignore is None else folder.ignore
    if ignore in foreground:
        raise DataError(
            [
                f"{folder.path.name}: {ignore} is both a label of the foreground "
                f"({', '.join(map(str, foreground))}) and the ignored one: correct dataset.json, "
                "or set `foreground` and `ignore`"
            ]
        )
    return Rule(
        foreground=foreground,
        threshold=folder.threshold,
        wanted=folder.foreground,
        declared=folder.labels or found.labelling.values,
        ignore=ignore,
        ignored=() if folder.ignore is None else (folder.ignore,),
        advice=f"`target: {next(iter(regions))}`, " if regions else "",
        remark=f" ({found.remark})" if found.remark else "",
    )


@dataclass
class Masks:
    """What the masks of the whole task hold, by which the rule for each of them is judged."""

    rule: Rule
    first: dict[int, Path] = field(default_factory=dict)  # each value besides 0, where first seen
    read: int = 0
    any_foreground: bool = False

    def label(self, path: Path) -> Grid:
        """The mask with boolean values; DataError where the file gives none.

        Where it holds the ignored label, a second channel says at which voxels.
        """
        mask = read_mask(path)
        label = self._foreground(mask)
        ignored = self._ignored(mask)
        self.read += 1
        self.any_foreground |= bool(label.any())
        values = np.concatenate([label, ignored]) if ignored.any() else label
        return Grid(path, values, mask.spacing_mm, mask.affine)

    def _ignored(self, mask: Grid) -> np.ndarray:
        rule = self.rule
        if rule.ignore is None or rule.threshold is not None:
            return np.zeros(1, np.bool_)
        return np.rint(mask.values) == rule.ignore

    def _foreground(self, mask: Grid) -> np.ndarray:
        if self.rule.threshold is not None:
            return mask.values > self.rule.threshold
        values = _whole(mask)
        present = [int(value) for value in np.unique(values[values != 0]).tolist()]
        for value in present:
            self.first.setdefault(value, mask.path)
        self._check(mask.path, present)
        if self.rule.foreground:
            return np.isin(values, self.rule.foreground)
        return (values != 0) & (values != self.rule.ignore)

    def _check(self, path: Path, present: list[int]) -> None:
        rule = self.rule
        strange = set(present) - {*rule.declared, *rule.foreground, rule.ignore}
        if rule.declared and strange:
            raise DataError(
                [
                    f"{shown(path)}: holds {some(map(str, sorted(strange)))}, where the labels are "
                    f"{', '.join(map(str, rule.declared))}{rule.remark}: mend the mask, declare "
                    "all values in `labels`, or put the case into `exclude`"
                ]
            )

    def faults(self, where: str, count: int) -> Iterator[str]:
        """What is wrong with all masks together, `count` of them, which lie at `where`."""
        rule = self.rule
        found = sorted(self.first.keys() - {rule.ignore})
        if len(found) > 1 and not (rule.foreground or rule.threshold is not None):
            seen = some(f"{value} ({shown(self.first[value])})" for value in found)
            yield (
                f"{where}: the masks have more than one value besides 0: {seen}: set "
                f"{rule.advice}`foreground: [{', '.join(map(str, found[:3]))}]` with those that "
                "you mean, `ignore: ..` with one that stands for unknown, or `threshold: ..`"
            )
        if self.read < count:  # what seems to be missing may be in the masks that were not read
            return
        absent = sorted(set(rule.wanted) - self.first.keys())
        for values, what, key in (
            (absent, "foreground", "foreground"),
            (sorted(set(rule.ignored) - self.first.keys()), "ignored", "ignore"),
        ):
            if values:
                yield (
                    f"{where}: no mask has the {what} value {some(map(str, values))}"
                    f"; found besides 0: {some(map(str, found)) or 'nothing'}: correct `{key}`"
                )
        if absent:
            return
        if not self.any_foreground:
            yield (
                f"{where}: all masks are empty, nothing can be learned or scored: "
                "check the masks, and `threshold` if it is set"
            )


def _whole(mask: Grid) -> np.ndarray:
    if mask.values.dtype.kind != "f":
        return mask.values
    if (value := no_label(mask.values)) is not None:
        raise DataError(
            [
                f"{shown(mask.path)}: holds {value:.4g}, which is no label number: "
                "save whole numbers, or set `threshold: 0.5` if these are probabilities"
            ]
        )
    return np.rint(mask.values)
