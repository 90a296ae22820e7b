"""The Python on the pages of the documentation runs, and shows what it gives.

Commands are parsed by the command line's own parser, study files by the study's own model.
"""

import ast
import doctest
import re
import shlex
from pathlib import Path

import pytest
import torch
import typer
import yaml

from segrisk.commands import app
from segrisk.study.config import Study

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
YAML = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND_LINE = typer.main.get_command(app)
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


def commands(page):
    """The commands of a page as lists of words, from blocks and from within lines."""
    text = page.read_text()
    lines = []
    for language, content in FENCE.findall(text):
        if language in {"", "sh", "bash", "console"}:
            lines += content.replace("\\\n", " ").splitlines()
    lines += re.findall(r"`(segrisk [^`]+)`", FENCE.sub("", text))
    for line in lines:
        # Behind variables of the environment; a line of output or of prose is no command.
        found = re.match(r"(?:[A-Z_]+=\S+ )*(segrisk [a-z].*)", " ".join(line.split()))
        if found:
            yield shlex.split(found[1], comments=True)[1:]


def parse(words):
    """Follow the groups to the command, and let its parser read the rest."""
    command, words = COMMAND_LINE, list(words)
    while hasattr(command, "commands"):
        if not words:
            return  # the group itself is meant
        name = words.pop(0)
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    if "…" not in words:
        command.make_parser(command.context_class(command)).parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_the_page_can_be_parsed(page):
    for words in commands(page):
        try:
            parse(words)
        except Exception as error:
            raise AssertionError(f"{page.name}: segrisk {shlex.join(words)}: {error}") from error


def test_there_are_commands_and_wrong_ones_are_found(tmp_path):
    assert sum(1 for page in PAGES for _ in commands(page)) > 40
    with pytest.raises(AssertionError, match="there is no command comparing"):
        parse(["comparing", "--out", "x"])
    with pytest.raises(Exception, match=r"(?i)no such option"):
        parse(["study", "run", "a.yaml", "--output", "x"])
    page = tmp_path / "page.md"
    page.write_text(
        "```\nA=1 segrisk doctor --model \\\n  b=c   # why\n```\nand `segrisk bounds X`\n"
    )
    assert list(commands(page)) == [["doctor", "--model", "b=c"], ["bounds", "X"]]


def whole_studies():
    """The study files on the pages that are whole: with tasks and losses."""
    for page in PAGES:
        for block in YAML.findall(page.read_text()):
            content = yaml.safe_load(block)
            if {"name", "tasks", "losses"} <= set(content):
                yield pytest.param(content, id=page.name)


@pytest.mark.parametrize("content", list(whole_studies()))
def test_study_files_on_the_page_are_valid(content, tmp_path, monkeypatch):
    # What a page calls `my_package.my_module` is the reader's own.
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "my_module.py").write_text(
        "import torch\n\n\nclass MyLoss(torch.nn.Module):\n"
        "    def __init__(self, gamma):\n        super().__init__()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert Study.model_validate(content).name == content["name"]
