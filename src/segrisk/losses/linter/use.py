"""How a loss is going to be used, as far as that decides whether it is right."""

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_origin

from segrisk.names import nearest


@dataclass(frozen=True)
class Use:
    """What a loss will meet, and what the model will be scored by.

    >>> Use(classes=4, labels="hard").exclusive
    True
    """

    classes: int = 1
    """Channels of the logits: 1, or one for each class and the background."""
    labels: Literal["hard", "soft", "overlapping"] = "hard"
    """One class for each voxel, shares in [0, 1], or channels that may overlap."""
    metric: Literal["image", "dataset"] = "image"
    """A score of each image that is averaged, or one of all images together."""
    scored: Literal["foreground", "all"] = "foreground"
    """Whether channel 0 of several is a background that the metric leaves out."""
    batch: int = 2
    """Images in one step of one process."""
    processes: int = 1
    """Processes that train together."""
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    """In which the logits reach the loss."""
    smallest: int = 10
    """Voxels of the smallest object that matters."""

    def __post_init__(self) -> None:
        for one in fields(self):
            given = getattr(self, one.name)
            if get_origin(one.type) is Literal:
                known = get_args(one.type)
                if given not in known:
                    raise ValueError(
                        f"{one.name} must be one of {', '.join(known)}, got {given!r}"
                        f"{nearest(str(given), known)}"
                    )
            elif not isinstance(given, int) or given < 1:
                raise ValueError(f"{one.name} must be a whole number from 1, got {given!r}")
        if self.batch > MOST_IMAGES or self.classes > MOST_CLASSES:
            raise ValueError(
                f"pictures are at most {MOST_IMAGES} images of {MOST_CLASSES} classes, got "
                f"batch={self.batch} and classes={self.classes}: smaller ones show the same"
            )

    @property
    def exclusive(self) -> bool:
        """Whether a voxel belongs to one of several classes, in whole or in shares."""
        return self.classes > 1 and self.labels != "overlapping"

    def __str__(self) -> str:
        channels = f"{self.classes} channel{'s' if self.classes > 1 else ''}"
        where = f"{self.batch} image{'s' if self.batch > 1 else ''}"
        across = f" on each of {self.processes} processes" if self.processes > 1 else ""
        what = " of the foreground" if self.exclusive and self.scored == "foreground" else ""
        per = "each image" if self.metric == "image" else "the whole data set"
        return (
            f"{channels}, {self.labels} labels, {where}{across} in {self.precision}, objects from "
            f"{self.smallest} voxels, a metric{what} of {per}"
        )


MOST_IMAGES, MOST_CLASSES = 64, 32
