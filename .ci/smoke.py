"""What a bare install of the wheel must do: run with its Python, outside of the repository.

Needs nothing but what `pip install segrisk` brings. Prints what it ran on.
"""

import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import torch

import segrisk
from segrisk.decision import optimal_mask
from segrisk.losses import LOSSES, CrossEntropy, LovaszJaccard, SoftDice
from segrisk.similarity import dice
from segrisk.statistics import sign_flip_test
from segrisk.theory import approximation


def package() -> None:
    """The files that are no modules came along, and the version is one."""
    assert segrisk.__version__ == version("segrisk")
    assert (files("segrisk") / "py.typed").is_file()
    for name in ("page.html.j2", "page.css", "page.js"):
        assert (files("segrisk.report") / name).is_file(), name


def library() -> None:
    """Losses and their gradients, decisions, theory and statistics, without any extra."""
    logits = torch.zeros(1, 1, 8, requires_grad=True)
    for loss in (SoftDice(), LovaszJaccard(), 0.5 * CrossEntropy() + SoftDice()):
        value = loss(logits, torch.ones(1, 1, 8, dtype=torch.int64))
        (gradient,) = torch.autograd.grad(value, logits)
        assert 0 < value < 2 and bool((gradient < 0).all()), loss
    assert optimal_mask([0.9, 0.6, 0.0], dice).tolist() == [True, True, False]
    assert approximation(dice, dice, d=5).absolute == 0
    assert sign_flip_test([0.6] * 8, [0.5] * 8).p == 2 / 2**8


def command_line() -> None:
    """It says what to install, since its packages are absent."""
    command = Path(sys.executable).parent / "segrisk"
    run = subprocess.run([command], capture_output=True, text=True, check=False)
    assert run.returncode == 2, run
    assert "pip install 'segrisk[cli]'" in run.stderr, run.stderr


if __name__ == "__main__":
    for check in (package, library, command_line):
        check()
    python = ".".join(map(str, sys.version_info[:3]))
    print(
        f"segrisk {segrisk.__version__} works bare: Python {python}, torch {torch.__version__}, "
        f"{len(LOSSES)} losses"
    )
