"""A tiny study in its folder, run as often as it takes, and what may never become of it."""

import json
import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from warm import Warm

from tiny_study import TINY

STUDY = {
    **TINY,
    "losses": ["soft_dice", {"name": "faulty", "loss": "faulty:Faulty"}],
    "decisions": [{"name": "tuned", "losses": ["faulty"]}],
    "device": "cpu",
}
REPORTS = ("scores.csv", "scores_by_validation_dice.csv", "surrogates.csv", "tests.csv")
PATIENCE = 300
"""Seconds after which a run counts as stuck."""


class Lost(Exception):
    """What a fault has cost."""


@dataclass
class Field:
    """Where a study is run and harmed."""

    root: Path
    warm: Warm
    expected: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.file.write_text(yaml.safe_dump(STUDY, sort_keys=False))
        shutil.copy(Path(__file__).with_name("faulty.py"), self.root)

    @property
    def file(self) -> Path:
        """The study that is run."""
        return self.root / "study.yaml"

    def fresh(self) -> "Run":
        """A run in a folder of its own."""
        (self.root / "fault.json").unlink(missing_ok=True)
        return Run(self, Path(tempfile.mkdtemp(dir=self.root)) / "out")

    def order(self, **fault: object) -> None:
        """The next worker that builds the faulty loss comes to this harm."""
        (self.root / "fault.json").write_text(json.dumps(fault))


@dataclass
class Run:
    """A study in its results folder."""

    place: Field
    out: Path
    pid: int | None = None
    seen: dict[str, bytes] = field(default_factory=dict)
    words: str = ""
    """What the last command said."""
    log: Path = Path()

    def start(self) -> "Run":
        """Begin the command."""
        log = self.log = self.out.parent / f"{time.monotonic_ns()}.log"
        arguments = ["study", "run", str(self.place.file), "--out", str(self.out)]
        self.pid = self.place.warm.start([*arguments, "--workers", "2"], log)
        return self

    def code(self) -> int | None:
        """How the command ended; None while it runs."""
        assert self.pid is not None
        code = self.place.warm.poll(self.pid)
        if code is not None:
            self.pid, self.words = None, self.log.read_text()
        return code

    def end(self) -> int:
        """Wait until the command ends."""
        deadline = time.monotonic() + PATIENCE
        while (code := self.code()) is None:
            if time.monotonic() > deadline:
                raise Lost(f"stuck for {PATIENCE} s: {self.log.read_text()[-500:]}")
            time.sleep(0.01)
        return code

    def until(self, pattern: str) -> bool:
        """Wait for a file; False if the command ended before."""
        while not list(self.out.glob(pattern)):
            if self.code() is not None:
                return False
            time.sleep(0.0005)
        return True

    def send(self, number: int) -> None:
        """Give the command a signal."""
        assert self.pid is not None
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the controller, and see its workers go with it."""
        self.remember()
        self.send(signal.SIGKILL)
        self.end()
        deadline = time.monotonic() + 10
        while self.place.warm.workers():
            if time.monotonic() > deadline:
                raise Lost("a killed controller left workers behind")
            time.sleep(0.001)

    def remember(self) -> None:
        """What is finished now may not be lost, nor run again: it has the time that it took."""
        for path in self.out.glob("cells/*/manifest.json"):
            if not path.parent.name.endswith(".partial"):
                self.seen.setdefault(path.parent.name, path.read_bytes())

    def finish(self, keep: bool = False) -> None:
        """Give the same command until it is done; Lost if anything then is not as it should be."""
        for _ in range(5):
            if self.pid is None:
                self.start()
            if (code := self.end()) == 0:
                break
        else:
            raise Lost(f"never ended well, last with {code}: {self.words[-500:]}")
        for key, manifest in self.seen.items():
            path = self.out / "cells" / key / "manifest.json"
            if not path.exists() or path.read_bytes() != manifest:
                raise Lost(f"cell {key} was finished, and is lost or was run again")
        for name, expected in self.place.expected.items():
            if (self.out / "report" / name).read_bytes() != expected:
                raise Lost(f"{name} differs")
        left = [*self.out.glob("cells/*.partial"), *self.out.rglob(".*.tmp")]
        if left:
            raise Lost(f"left behind: {left}")
        if not keep:
            shutil.rmtree(self.out.parent)

    def demand(self, words: str, code: int | None = None) -> None:
        """Let the command end, with these words."""
        found = self.end() if self.pid is not None else None
        if words not in " ".join(self.words.split()) or code not in (None, found):
            raise Lost(f"{found} without '{words}': {self.words[-500:]}")


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
