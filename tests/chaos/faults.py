"""The faults by name: each function harms one run of the study, and brings it to its end."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from field import Field, Lost, Run, flip

CHECKPOINT = "cells/*.partial/checkpoint.pt"


def killed_when(pattern: str) -> Callable[[Field, random.Random], None]:
    """The controller is killed as soon as a file is there."""

    def fault(place: Field, chance: random.Random) -> None:
        run = place.fresh().start()
        if not run.until(pattern):
            raise Lost(f"{pattern} never came")
        run.kill()
        run.finish()

    return fault


def worker_killed_before(name: str) -> Callable[[Field, random.Random], None]:
    """A worker is killed before one of its calls of `os.NAME`; the run itself goes on."""

    def fault(place: Field, chance: random.Random) -> None:
        run = place.fresh()
        # A cell has 1 call of rename, 2 of unlink and more than 10 of the others.
        most = {"rename": 1, "unlink": 2}.get(name, 10)
        place.order(fault="kill", name=name, count=chance.randint(1, most))
        if run.start().end() != 0:
            raise Lost(f"the run did not go on: {run.words[-500:]}")
        struck(place)
        run.finish()

    return fault


def struck(place: Field) -> None:
    """See that the order was taken: a fault that nobody injects is survived by anything."""
    if (place.root / "fault.json").exists():
        raise Lost("the fault was never injected")


def a_write_fails(place: Field, chance: random.Random) -> None:
    """One write of a worker finds no space."""
    run = place.fresh()
    place.order(fault="full", name="fsync", count=chance.randint(1, 8))
    run.start().demand("cannot be written (no space left on device); free space", code=2)
    struck(place)
    run.finish()


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of its own in memory; what is given can change its size."""
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", at], check=True)
    try:
        yield (
            lambda size: (
                subprocess.run(["mount", "-o", f"remount,size={size}", at], check=True) and None
            )
        )
    finally:
        subprocess.run(["umount", "-l", at], check=True)


def a_full_disk(place: Field, chance: random.Random) -> None:
    """The results lie on a disk that is too small, and then made larger. Needs root."""
    disk = place.root / "disk"
    with small_disk(disk, f"{chance.randint(120, 400)}k") as resize:
        run = Run(place, disk / "out")
        run.start().demand("cannot be written (no space left on device); free space", code=2)
        resize("64m")
        run.finish(keep=True)
    disk.rmdir()


def no_memory(place: Field, chance: random.Random) -> None:
    """A cell finds no memory: it is named, the others go on, and the same command runs it again."""
    run = place.fresh()
    place.order(fault="limited", bytes=1 << 28)
    run.start().demand("faulty: MemoryError", code=1)
    struck(place)
    run.remember()
    run.finish()


def killed_for_memory(place: Field, chance: random.Random) -> None:
    """A cell's worker is killed for its memory each time: it is named, and the others go on."""
    run = place.fresh()
    place.order(fault="eaten", stays=True)
    run.start().demand("faulty: its worker died 3 times, killed or out of memory", code=1)
    run.remember()
    if len(run.seen) != 4:  # two starts, and a loss of each
        raise Lost(f"{len(run.seen)} of the 4 other cells are finished: {run.words[-800:]}")
    (place.root / "fault.json").unlink()
    run.finish()


def a_clock_set_back(place: Field, chance: random.Random) -> None:
    """A worker's clock is an hour behind, and so are the files of the run that went before."""
    run = place.fresh().start()
    run.until("cells/*/manifest.json")
    run.kill()
    for path in run.out.rglob("*"):
        os.utime(path, (time.time() + 3600, time.time() + 3600))
    place.order(fault="clock")
    run.start()
    run.finish()
    struck(place)


def a_damaged(pattern: str) -> Callable[[Field, random.Random], None]:
    """One bit of a finished cell's file is changed between two runs."""

    def fault(place: Field, chance: random.Random) -> None:
        run = place.fresh().start()
        run.end()
        run.remember()
        path = chance.choice(sorted(run.out.glob(pattern)))
        flip(path)
        run.seen.pop(path.parent.name)
        run.start().demand("damaged, run again: molar", code=0)
        run.finish()

    return fault


def a_damaged_checkpoint(place: Field, chance: random.Random) -> None:
    """One bit of a checkpoint is changed between two runs."""
    run = place.fresh().start()
    run.until(CHECKPOINT)
    run.kill()
    saved = list(run.out.glob(CHECKPOINT))
    if not saved:
        raise Lost("the kill came too late for a checkpoint")
    flip(saved[0])
    run.start().demand("its checkpoint", code=0)
    run.finish()


def damaged_data(place: Field, chance: random.Random) -> None:
    """One bit of the prepared data is changed between two runs."""
    run = place.fresh().start()
    run.until("cells/*.partial")
    run.kill()
    flip(chance.choice(sorted(run.out.glob("data/*/*.*"))))
    run.start().demand("the prepared cases were damaged, and are made again", code=0)
    run.finish()


def two_controllers(place: Field, chance: random.Random) -> None:
    """A second run in the same folder is refused, and does the first no harm."""
    run = place.fresh().start()
    run.until("cells/*.partial")
    second = Run(place, run.out).start()
    second.demand("another run is working here; wait for it", code=2)
    run.finish()


def stopped(times: int, number: int) -> Callable[[Field, random.Random], None]:
    """Ctrl-C, or a queue's order to end, while cells are trained."""

    def fault(place: Field, chance: random.Random) -> None:
        run = place.fresh().start()
        run.until(CHECKPOINT)
        for _ in range(times):
            run.send(number)
            time.sleep(0.005)
        run.demand("the same command continues", code=130)
        run.remember()
        run.finish()

    return fault


FAULTS: dict[str, Callable[[Field, random.Random], None]] = {
    "controller killed while it prepares the data": killed_when("data/.preparing"),
    "controller killed with a checkpoint there": killed_when(CHECKPOINT),
    "controller killed in a commit": killed_when("cells/*.partial/manifest.json"),
    "controller killed while it writes the report": killed_when("report/*"),
    "worker killed in a write": worker_killed_before("replace"),
    "worker killed before a write is on disk": worker_killed_before("fsync"),
    "worker killed in a commit, after its manifest": worker_killed_before("unlink"),
    "worker killed in a commit, before its name": worker_killed_before("rename"),
    "cell without memory (a limit)": no_memory,
    "cell killed for its memory, each time": killed_for_memory,
    "full disk, one write": a_write_fails,
    "full disk (tmpfs)": a_full_disk,
    "damaged checkpoint": a_damaged_checkpoint,
    "damaged scores": a_damaged("cells/*/scores.csv"),
    "damaged weights": a_damaged("cells/*/weights.pt"),
    "damaged prepared data": damaged_data,
    "clock set back by an hour": a_clock_set_back,
    "two controllers on one store": two_controllers,
    "Ctrl-C once": stopped(1, signal.SIGINT),
    "Ctrl-C twice": stopped(2, signal.SIGINT),
    "SIGTERM": stopped(1, signal.SIGTERM),
}
