"""What the tests of studies share."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from segrisk.commands import app
from tiny_study import TINY


@pytest.fixture
def write(tmp_path):
    """Write a study file: the tiny one, with changes at the top level."""

    def write(name="study.yaml", **changes) -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump({**TINY, **changes}, sort_keys=False))
        return path

    return write


@pytest.fixture(scope="session")
def segrisk():
    """Run the command line, here: a process of its own would first import PyTorch and MONAI."""

    def run(*arguments) -> subprocess.CompletedProcess:
        path, threads = list(sys.path), torch.get_num_threads()
        try:
            result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(
                app, list(map(str, arguments))
            )
        finally:
            sys.path[:] = path  # a run adds the study's folder
            sys.modules.pop("mine", None)  # where another study may have another `mine.py`
            torch.set_num_threads(threads)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return subprocess.CompletedProcess(
            arguments, result.exit_code, result.stdout, result.stderr
        )

    return run


@pytest.fixture(scope="session")
def finished(segrisk, tmp_path_factory):
    """The tiny study, run once without interruption, for all who only look at it."""
    folder = tmp_path_factory.mktemp("finished")
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(TINY, sort_keys=False))
    result = segrisk("study", "run", file, "--out", folder / "out")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, result.stdout
