"""What is wrong with data, said so that a person can mend it."""

from collections.abc import Iterable
from pathlib import Path

SHOWN = 20
LABEL_MAP = (
    "a mask is one label map, a number at each voxel: of a channel for each class (one-hot or "
    "probabilities) save the argmax over the channels; where classes overlap, save a file for each "
    "class, and compare class by class"
)
"""What to do with a mask of several channels."""


class DataError(ValueError):
    """The data cannot be used: one line per fault, each naming the file and what to do.

    The text shows the first 20 faults; `faults` holds them all.

    >>> print(DataError(["polyps/images/a.png: has no mask", "polyps/images/b.png: has no mask"]))
    polyps/images/a.png: has no mask
    polyps/images/b.png: has no mask
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.faults)

    def __str__(self) -> str:
        more = len(self.faults) - SHOWN
        tail = [f"… and {more} more"] if more > 0 else []
        return "\n".join([*self.faults[:SHOWN], *tail])


class UnreadableError(DataError):
    """A file that cannot be read at all: broken, cut off, or not what its name says."""


class DataWarning(UserWarning):
    """Something about the data that is allowed, and probably not meant."""


def unreadable(path: Path, error: Exception, advice: str) -> DataError:
    """Why a table cannot be read; `advice` is for a file that is there but broken."""
    reasons = {
        FileNotFoundError: "does not exist: correct the path",
        IsADirectoryError: "is a folder, where a file is expected: correct the path",
        PermissionError: "may not be read: change its permissions",
    }
    return DataError([f"{path}: {reasons.get(type(error), f'cannot be read ({error}): {advice}')}"])


def shown(path: Path) -> str:
    """How faults name a file of a task: by the task's folder, images or labels, and its name.

    >>> shown(Path("/some/where/polyps/images/a.png"))
    'polyps/images/a.png'
    """
    return "/".join(path.parts[-3:])
