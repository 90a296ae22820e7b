"""A task of a study: which cases, as what a network sees them, and how it learns from them."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from segrisk.configuration import Strict
from segrisk.data.folder import Colour, Folder
from segrisk.data.layouts.choose import LAYOUTS
from segrisk.data.phantoms import PHANTOMS, SMALLEST
from segrisk.data.preprocessing import DEFAULT, Preprocessing
from segrisk.names import nearest
from segrisk.networks import AnyNetwork, UNet
from segrisk.report.paper.table1 import PaperTask
from segrisk.training.config import Augmentation, Patches, Positive, Schedule

OF_FOLDERS = (
    "layout", "target", "labels", "ignore", "exclude", "colour", "groups", "train_on", "reference",
)  # fmt: skip
"""Keys that only a folder has."""

LATER = (*OF_FOLDERS, "preprocessing", "patch", "stands_for", "factors")
"""Keys that count as never written where they are not set: studies are older than they are."""


class Task(Strict):
    """A folder of images and masks, or a named phantom.

    Each case is resized to `size`; without it each keeps its own grid, and `patch` says of what
    size the patches are that a network sees. With both, patches are drawn from resized cases.

    The keys of a folder are those of `segrisk.data.folder.Folder`. Of a folder with several raters,
    `train_on: raters` makes the share of them who marked a voxel its soft label, instead of what
    most marked; scores are against the majority either way, which `reference` declares.

    `stands_for` names the data set
    of the paper whose numbers are printed beside this task's; `factors` its place in a 2 × 2 design
    of tasks, such as {size: uniform, balance: even}.

    `preprocessing`, `network`, `schedule` and `augmentation` here override those of the study, key
    by key; a network of another name does so whole.
    """

    folder: str | None = None
    foreground: tuple[int, ...] = ()
    threshold: float | None = None
    layout: str | None = None
    target: str | None = None
    labels: tuple[Positive, ...] = ()
    ignore: Positive | None = None
    exclude: tuple[str, ...] = ()
    colour: Colour | None = None
    groups: str | None = None
    train_on: Literal["majority", "raters"] | None = None
    reference: Literal["majority"] | None = None
    phantom: str | None = None
    cases: Positive = 100
    seed: int = 0
    fraction: Annotated[float, Field(gt=0, lt=0.6)] | None = None
    objects: Positive | None = None
    spread: Annotated[float, Field(ge=0, le=3)] | None = None
    stands_for: PaperTask | None = None
    factors: dict[str, str] = Field(default_factory=dict)
    size: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=3)] | None = None
    preprocessing: Preprocessing = DEFAULT
    patch: Patches | None = None
    network: AnyNetwork = UNet()
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()

    @property
    def is_soft(self) -> bool:
        """Whether a network learns from soft labels."""
        return self.train_on == "raters"

    @property
    def window(self) -> tuple[int, ...]:
        """The sides of what the network sees at once: a patch, or a whole image."""
        window = self.patch.size if self.patch else self.size
        assert window is not None
        return window

    @model_validator(mode="before")
    @classmethod
    def _declare_reference(cls, given: Any) -> Any:
        """What soft labels are scored against stands in the record."""
        if isinstance(given, dict) and given.get("train_on") == "raters":
            return {"reference": "majority", **given}
        return given

    @model_validator(mode="after")
    def _one_source(self) -> "Task":
        if (self.folder is None) == (self.phantom is None):
            raise ValueError("name either a folder or a phantom")
        if self.phantom is not None and self.phantom not in PHANTOMS:
            raise ValueError(f"unknown phantom '{self.phantom}'{nearest(self.phantom, PHANTOMS)}")
        if self.layout is not None and self.layout not in LAYOUTS:
            raise ValueError(f"unknown layout '{self.layout}'{nearest(self.layout, LAYOUTS)}")
        given = [name for name in OF_FOLDERS if getattr(self, name)]
        if self.phantom is not None and given:
            raise ValueError(f"a phantom has no {' and no '.join(given)}: remove it")
        if self.phantom is not None and self.size is None:
            raise ValueError("a phantom is drawn at a `size`: give it one")
        if self.phantom is not None and self.size is not None and min(self.size) < SMALLEST:
            raise ValueError(f"size {list(self.size)}: a phantom needs sides of {SMALLEST} or more")
        return self

    @model_validator(mode="after")
    def _one_grid(self) -> "Task":
        spacing_mm = self.preprocessing.spacing_mm
        if self.size is None and self.patch is None:
            raise ValueError(
                "give a `size`, to which every case is resized, or a `patch`, where every case "
                "keeps its own grid"
            )
        if self.size is not None and spacing_mm is not None:
            raise ValueError(
                "`size` and `preprocessing.spacing_mm` both say what grid a case gets: remove one"
            )
        for key, sides in (("size", self.size), ("preprocessing.spacing_mm", spacing_mm)):
            if sides is not None and len(sides) != len(self.window):
                raise ValueError(
                    f"{key} {list(sides)} has {len(sides)} dimensions, and patch "
                    f"{list(self.window)} has {len(self.window)}: give both as many"
                )
        return self

    @model_validator(mode="after")
    def _window_fits(self) -> "Task":
        network, key = self.network, "patch" if self.patch else "size"
        if len(self.window) not in network.dimensions:
            raise ValueError(
                f"{key} {list(self.window)}: {network.described} takes images of "
                f"{network.dimensions[0]} dimensions only"
            )
        if any(side % network.stride for side in self.window):
            raise ValueError(
                f"{key} {list(self.window)}: {network.described} needs sides that are multiples of "
                f"{network.stride}"
            )
        return self

    @model_validator(mode="after")
    def _folder_can_be_read(self) -> "Task":
        if self.folder is not None:
            task_folder(self)  # which says what its keys contradict
        return self

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Studies from before these keys keep their record and its hash."""
        whole = {key: value for key, value in dump(self).items() if value or key not in LATER}
        if self.spread is None:  # a spread of 0 is set
            del whole["spread"]
        return whole


def task_folder(task: Task) -> Folder:
    """The folder of a task that has one, with all that the study says of it."""
    assert task.folder is not None
    return Folder(
        path=Path(task.folder),
        foreground=task.foreground,
        threshold=task.threshold,
        layout=task.layout,
        target=task.target,
        labels=task.labels,
        ignore=task.ignore,
        exclude=task.exclude,
        colour=task.colour,
        groups=Path(task.groups) if task.groups else None,
        dimensions=len(task.window),
    )
