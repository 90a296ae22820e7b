"""What the tests of studies share."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tiny_study import TINY, command, environment


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
    """Run the command line in a process of its own."""

    def run(*arguments) -> subprocess.CompletedProcess:
        return subprocess.run(
            command(*arguments), capture_output=True, text=True, env=environment(), timeout=300
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
