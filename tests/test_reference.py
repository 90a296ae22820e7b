"""Every public name and every command has a description, and stands on a page of the reference."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
REFERENCE = ROOT / "docs" / "reference"
MODULES = tuple(f"segrisk.integrations.{tool}" for tool in ("torchmetrics", "monai", "nnunet"))
"""Modules whose functions and classes are public; packages are where they import `name as name`."""


def file_of(module):
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def tree_of(module):
    return ast.parse(file_of(module).read_text())


def imported(tree):
    """What a package offers from its modules: name, and where it stands."""
    return {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }


def defined(tree):
    """Names without an underscore that a module defines, with their descriptions."""
    found = {}
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = ast.get_docstring(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(target, ast.Name):
                found[target.id] = after.value.value if told else None
    return {name: text for name, text in found.items() if not name.startswith("_")}


def home(module, name):
    """Where a name stands in the end, whichever package passes it on."""
    tree = tree_of(module)
    return (module, name) if name in defined(tree) else home(imported(tree)[name], name)


def described(module, name):
    """The docstring of a name, followed through the packages that pass it on."""
    module, name = home(module, name)
    return defined(tree_of(module))[name]


def public():
    """(package, name) of everything that may be imported from elsewhere."""
    names = []
    for path in sorted(SOURCE.rglob("__init__.py")):
        module = ".".join(path.parent.relative_to(SOURCE).parts)
        tree = tree_of(module)
        if offered := imported(tree):
            names += [(module, name) for name in (*offered, *defined(tree))]
    for module in MODULES:
        names += [
            (module, node.name)
            for node in tree_of(module).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"
        ]
    return names


PUBLIC = public()
LISTED = [
    found
    for page in sorted(REFERENCE.glob("*.md"))
    for found in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)
]


def place(identifier):
    """The home of what a page lists: `segrisk.losses.SoftDice`, or with the module in between."""
    module, _, name = identifier.rpartition(".")
    return home(module, name)


def missing(names, listed):
    """The public names that no page lists."""
    on_a_page = {place(identifier) for identifier in listed}
    return [f"{module}.{name}" for module, name in names if home(module, name) not in on_a_page]


def without_description(names):
    """The public names that say nothing."""
    return [f"{module}.{name}" for module, name in names if not described(module, name)]


def test_every_public_name_is_on_a_page_of_the_reference():
    assert missing(PUBLIC, LISTED) == []


def test_every_public_name_has_a_docstring():
    assert without_description(PUBLIC) == []


def test_no_name_is_on_two_pages():
    assert sorted(LISTED) == sorted(set(LISTED))


def test_what_is_missing_is_named():
    assert ("segrisk.losses", "SoftDice") in PUBLIC and len(PUBLIC) > 150
    fewer = [found for found in LISTED if found != "segrisk.losses.SoftDice"]
    assert missing(PUBLIC, fewer) == ["segrisk.losses.SoftDice"]
    assert without_description([("segrisk.metrics.counts", "LEVELS")]) == [
        "segrisk.metrics.counts.LEVELS"
    ]


def commands(group, name):
    """Every command of the command line with its help."""
    for own, command in getattr(group, "commands", {}).items():
        inner = list(commands(command, f"{name} {own}"))
        yield from inner or [(f"{name} {own}", command.help)]


@pytest.fixture(scope="module")
def every_command():
    from segrisk.commands import app

    return dict(commands(typer.main.get_command(app), "segrisk"))


def test_every_command_is_listed_with_the_first_line_of_its_help(every_command):
    page = (REFERENCE / "command-line.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*?)(?: \[[^|]*)? \|$", page, re.MULTILINE))
    assert rows == {
        name: " ".join(told.split("\n\n")[0].split()) for name, told in every_command.items()
    }
