"""The committed studies give the numbers that the documentation shows."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from segrisk.report.write import OURS
from segrisk.study.run import report_study

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / "studies/results").iterdir()))
def test_the_tables_of_the_results_page_are_those_of_the_committed_scores(name, tmp_path):
    out = tmp_path / name
    shutil.copytree(ROOT / "studies/results" / name, out)
    report_study(out, Console(quiet=True))
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    table, caption = (out / "report/table1.md").read_text(encoding="utf-8").split("\n\n")[1:3]
    assert table in page and caption in page
    assert {path.name for path in (out / "report").iterdir()} <= OURS


def test_the_step_times_of_the_results_page_are_those_of_the_committed_efforts():
    command = [sys.executable, ROOT / "docs/make_step_times.py"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.strip() in (ROOT / "docs/results.md").read_text(encoding="utf-8")
