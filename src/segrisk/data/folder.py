"""What a study says of a task's folder."""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

Colour = Literal["grey", "rgb"]


@dataclass(frozen=True)
class Folder:
    """A task's folder, in a layout that is named or found by itself.

    The foreground of a mask is the values in `foreground`, merged; or what exceeds `threshold`,
    which admits JPEG masks; or the region that `target` names; or what the layout means by itself;
    or, with none of these, the one value besides 0 that all masks share.

    `ignore` is the value of voxels that count for nothing; where it is not set, what dataset.json
    calls `ignore`. `labels` are the values that masks may hold, where the layout does not say.
    Cases in `exclude` are not read. `colour` makes all pictures grey or all RGB. `groups` is a CSV
    file with the group of each case. `dimensions` is 2 or 3 where only such cases are expected;
    NIfTI files of one slice are then 2D.
    """

    path: Path
    foreground: tuple[int, ...] = ()
    threshold: float | None = None
    layout: str | None = None
    target: str | None = None
    labels: tuple[int, ...] = ()
    exclude: tuple[str, ...] = ()
    colour: Colour | None = None
    groups: Path | None = None
    ignore: int | None = None
    dimensions: int | None = None

    def __post_init__(self) -> None:
        if self.foreground and self.threshold is not None:
            raise ValueError(
                f"foreground {list(self.foreground)} and threshold {self.threshold} exclude each "
                "other: set the label values or the threshold"
            )
        if 0 in self.foreground:
            raise ValueError(f"foreground {list(self.foreground)} has 0, the background: drop it")
        if self.ignore == 0:
            raise ValueError("ignore 0 is the background: give the value of voxels nobody knows")
        if self.ignore in self.foreground:
            raise ValueError(
                f"foreground {list(self.foreground)} has {self.ignore}, which `ignore` leaves out: "
                "drop it from one of them"
            )
        if self.ignore is not None and self.threshold is not None:
            raise ValueError(
                f"ignore {self.ignore} and threshold {self.threshold} exclude each other: a "
                "threshold cuts grey values, an ignored value is a label: set `foreground` instead"
            )
        if self.threshold is not None and not isfinite(self.threshold):
            raise ValueError(f"threshold {self.threshold} is not a finite number: set one")
