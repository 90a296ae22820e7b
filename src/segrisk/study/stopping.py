"""Ctrl-C, as a run takes it: once, trainings end their step and save; twice, all ends at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a queue or a container sends before it kills."""


class Stop:
    """Whether somebody asked a run to stop; `say()` follows when the run first looks."""

    def __init__(self, say: Callable[[], None]) -> None:
        self.asked = self._said = False
        self._say = say

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take a signal: the first is an order to stop, the second stops at once."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def is_due(self) -> bool:
        """Whether the run is to stop."""
        # Said here, not from within the signal, which may have come in the midst of a line.
        if self.asked and not self._said:
            self._said = True
            self._say()
        return self.asked


@contextmanager
def stoppable(say: Callable[[], None]) -> Iterator[Stop]:
    """Take signals while the block runs; before and after it they do what they always do."""
    stop = Stop(say)
    if threading.current_thread() is not threading.main_thread():  # where no handler may be set
        yield stop
        return
    before = {number: signal.signal(number, stop.handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
