"""The files of a release say the same, and the examples are scripts and notebooks."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from segrisk import __version__

ROOT = Path(__file__).resolve().parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXAMPLES = sorted((ROOT / "examples").glob("*/before.py")) + sorted(
    (ROOT / "examples").glob("*/after.py")
)
CELL = re.compile(r"^# %%.*\n", re.MULTILINE)


def test_the_citation_has_what_its_format_requires():
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software"
    (paper,) = CITATION["references"]
    assert {"type", "title", "authors"} <= set(paper)
    assert [author["family-names"] for author in paper["authors"]][:2] == ["Bertels", "Eelbode"]
    assert len(paper["authors"]) == 7


def test_citation_project_and_changelog_agree():
    assert CITATION["version"] == __version__
    assert CITATION["license"] == PROJECT["license"]
    assert [author["name"] for author in CITATION["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]
    versions = re.findall(r"^## \[([^\]]+)\]", CHANGELOG, re.MULTILINE)
    assert versions[0] == "Unreleased" and versions[1] == __version__


def test_kinds_of_change_are_those_of_the_format():
    kinds = set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_oldest_torch_is_the_one_that_is_told():
    (torch,) = [text for text in PROJECT["dependencies"] if text.startswith("torch")]
    oldest = torch.removeprefix("torch>=")
    for page in ("CHANGELOG.md", "CONTRIBUTING.md"):
        assert f"PyTorch is {oldest}" in (ROOT / page).read_text().replace("\n", " "), page


def cells(text):
    """The cells of a script that is a notebook as well."""
    return CELL.split(text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_example_is_a_notebook_too(path):
    found = cells(path.read_text())
    assert len(found) >= 4, "mark cells with # %%"
    for cell in found:
        assert ast.parse(cell).body, "an empty cell"
    assert "__file__" not in path.read_text()  # notebooks have none


def test_an_example_runs_cell_by_cell(capsys, tmp_path, monkeypatch):
    pytest.importorskip("torchmetrics")
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in cells((ROOT / "examples" / "plain_pytorch" / "after.py").read_text()):
        exec(compile(cell, "cell", "exec"), names)
    assert re.search(r"^Dice 0\.\d+$", capsys.readouterr().out, re.MULTILINE)
