"""The Python on the pages of the documentation runs, and shows what it gives."""

import ast
import doctest
import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN = "<!-- not run"
"""A comment `<!-- not run: why -->` before a block that needs data or much time."""


def blocks(page):
    """Line number, code and whether it is to be run, of each block of Python."""
    text = page.read_text()
    for match in BLOCK.finditer(text):
        before = text[: match.start()].rstrip().rpartition("\n")[2]
        yield text.count("\n", 0, match.start(1)), match[1], not before.startswith(NOT_RUN)


def run(code, page, line, names):
    """Run a block of statements, or of prompts and what they print."""
    if not code.lstrip().startswith(">>>"):
        # As many lines before it as on the page, so that a traceback points there.
        exec(compile("\n" * line + code, str(page), "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
    test.globs = names  # not a copy: blocks of a page build on each other
    report = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append, clear_globs=False)
    assert not report, "".join(report)


WITH_PYTHON = [page for page in PAGES if any(to_run for *_, to_run in blocks(page))]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_python_on_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names = {"__name__": "__main__"}
    for line, code, to_run in blocks(page):
        if to_run:
            run(code, page, line, names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_that_is_not_run_can_be_parsed(page):
    for line, code, to_run in blocks(page):
        if not to_run:
            ast.parse(code, f"{page.name}:{line}")


def test_a_block_that_is_wrong_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 2\n```\n\ntext\n\n```python\n>>> x\n3\n```\n\n"
        "<!-- not run: long -->\n```python\nraise SystemExit\n```\n"
    )
    found = list(blocks(page))
    assert [(line, to_run) for line, _, to_run in found] == [(1, True), (7, True), (13, False)]
    names = {}
    run(found[0][1], page, 1, names)
    with pytest.raises(AssertionError, match=r"page.md\", line 8(.|\n)*Expected:\s+3\s+Got:\s+2"):
        run(found[1][1], page, 7, names)
