"""Where the time of a training goes: laps between moments, as the device reaches them."""

import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch

PHASES = (
    "data",
    "augmentation",
    "forward",
    "loss",
    "backward",
    "optimizer",
    "validation",
    "bookkeeping",
)
"""What the time of a training is divided into.

`data` is the time that a step waits for its batch and the batch's copy; what threads prepare while
the device is busy costs nothing here. `bookkeeping` is progress, kept weights and checkpoints.
"""


class Clock(Protocol):
    """Tells moments, and later the time between them."""

    def now(self) -> Any:
        """This moment, without waiting for the device."""
        ...

    def between(self, moments: Sequence[Any]) -> list[float]:
        """Seconds from each of `moments` to the next; waits until the last is over."""
        ...


class HostClock:
    """The processor's own clock: for what runs on it."""

    def now(self) -> float:
        """Seconds since some fixed moment."""
        return time.perf_counter()

    def between(self, moments: Sequence[float]) -> list[float]:
        """Seconds from each moment to the next."""
        return [later - sooner for sooner, later in pairwise(moments)]


class CudaClock:
    """Events in the stream of a GPU: the host, which runs ahead of it, never waits in a step."""

    def now(self) -> torch.cuda.Event:
        """An event that the GPU will reach once all that was given to it before is done."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, moments: Sequence[torch.cuda.Event]) -> list[float]:
        """Seconds from each event to the next."""
        moments[-1].synchronize()
        pairs = pairwise(moments)
        return [sooner.elapsed_time(later) / 1000 for sooner, later in pairs]


def clock_of(device: torch.device) -> Clock:
    """The clock that a training on `device` is timed with."""
    return CudaClock() if device.type == "cuda" else HostClock()


class Laps:
    """A stopwatch: each lap is the time since the one before, and bears the name of a phase.

    >>> laps = Laps(HostClock())
    >>> for phase in ("data", "forward", "data"):
    ...     laps.end(phase)
    >>> sorted(laps.read())
    ['data', 'forward']
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moments = [clock.now()]
        self._phases: list[str] = []

    def end(self, phase: str) -> None:
        """What was done since the last lap was `phase`."""
        self._moments.append(self._clock.now())
        self._phases.append(phase)

    def read(self) -> dict[str, float]:
        """Seconds by phase since the last reading; their sum is all the time until the last lap."""
        seconds: Counter[str] = Counter()
        for phase, lap in zip(self._phases, self._clock.between(self._moments), strict=True):
            seconds[phase] += lap
        self._moments, self._phases = self._moments[-1:], []
        return dict(seconds)
