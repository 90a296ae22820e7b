"""What is wrong with data, said so that a person can mend it."""

from collections.abc import Iterable

SHOWN = 20


class DataError(ValueError):
    """The data cannot be used: one line per fault, each naming the file and what to do."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        more = len(self.faults) - SHOWN
        tail = [f"… and {more} more"] if more > 0 else []
        super().__init__("\n".join([*self.faults[:SHOWN], *tail]))


class DataWarning(UserWarning):
    """Something about the data that is allowed, and probably not meant."""
