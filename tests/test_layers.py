"""Imports run one way, and the lowest layers need nothing but torch, NumPy and SciPy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"

LAYERS = {
    "files": 0,
    "names": 0,
    "frames": 0,
    "parquet": 1,
    "processes": 0,
    "sheets": 0,
    "similarity": 0,
    "statistics": 0,
    "configuration": 1,
    "imported": 1,
    "scores": 2,
    "kernels": 1,
    "theory": 1,
    "losses": 2,
    "metrics": 2,
    "decision": 2,
    "messages": 0,
    "losses_app": 3,
    "integrations": 3,
    "nnunet_app": 4,
    "networks": 3,
    "data": 3,
    "training": 4,
    "decide": 4,
    "report": 5,
    "compare": 6,
    "bounds": 6,
    "study": 6,
    "options": 7,
    "compare_app": 8,
    "networks_app": 8,
    "commands": 9,
    "cli": 10,
}


def place(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> set[str]:
    """The parts of the package that a file imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("segrisk"):
            found.add(place(node.module))
        elif isinstance(node, ast.Import):
            found |= {place(name.name) for name in node.names if name.name.startswith("segrisk")}
    return found - {""}


FILES = sorted((SOURCE / "segrisk").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_one_way(path):
    own = path.relative_to(SOURCE / "segrisk").parts[0].removesuffix(".py")
    if own == "__init__":
        assert imports(path) == {"similarity"}
        return
    for other in imports(path) - {own}:
        assert LAYERS[other] < LAYERS[own], f"{own} imports {other}"


BASE = [
    "segrisk.similarity",
    "segrisk.losses",
    "segrisk.metrics",
    "segrisk.statistics",
    "segrisk.decision",
    "segrisk.theory",
]
EXTRAS = ["monai", "typer", "rich", "pydantic", "yaml", "altair", "lightning_fabric", "nibabel"]


def loaded(module: str, forbidden: list[str]) -> str:
    code = f"import sys, {module}; print([m for m in {forbidden} if m in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SOURCE)},
    ).stdout.strip()


@pytest.mark.parametrize("module", BASE)
def test_the_base_needs_no_extra(module):
    assert loaded(module, EXTRAS) == "[]"


@pytest.mark.parametrize("module", ["segrisk.statistics", "segrisk.decision", "segrisk.theory"])
def test_statistics_decisions_and_theory_do_not_need_torch(module):
    assert loaded(module, ["torch"]) == "[]"


def test_a_look_at_a_study_waits_for_nothing_that_trains():
    assert loaded("segrisk.study.glance", ["torch", "monai", "scipy", "pydantic"]) == "[]"


def test_files_and_functions_can_be_held_in_the_head():
    for path in FILES:
        text = path.read_text()
        # Numba's cache does not see changes in functions of other files: tiles.py is one.
        assert text.count("\n") <= (680 if path.name == "tiles.py" else 400), path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = node.end_lineno - node.lineno + 1
                assert lines <= 60, f"{path}: {node.name} has {lines} lines"


def test_everything_public_is_documented():
    for path in FILES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree) or path.name == "__init__.py", path
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path}: {node.name}"
