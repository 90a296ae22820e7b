"""A study that is as small as one can be, and the way to run it in a process of its own."""

import os
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

TINY = {
    "name": "tiny",
    "tasks": {"molar": {"phantom": "molar", "cases": 12, "size": [16, 16]}},
    "losses": ["cross_entropy", "soft_dice"],
    "folds": 2,
    "network": {"channels": [4, 8]},
    "schedule": {
        "batch_size": 4,
        "cross_entropy": {"max_epochs": 3},
        "loss": {"learning_rate": 0.01, "max_epochs": 3},
    },
    "statistics": {"resamples": 99},
}


def command(*arguments) -> list[str]:
    start = "from segrisk.cli import main; main()"
    return [sys.executable, "-c", start, *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200", "NO_COLOR": "1"}


def kill_when(process, reached, limit=120):
    """Kill a run, and whatever it started, without warning as soon as `reached()`."""
    deadline = time.monotonic() + limit
    while not reached():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, "the run did not get there"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return True
