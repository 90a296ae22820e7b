"""Small comparisons as files: what the tests of `segrisk compare` share."""

import csv
from pathlib import Path

import numpy as np
from rich.console import Console

from mask_trees import AFFINE, write
from segrisk.compare.asked import comparison
from segrisk.compare.request import Request
from segrisk.compare.run import run_comparison


def write_mask(path: Path, mask: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    """A mask of truth values or labels, in the format that the name says."""
    write(path, np.asarray(mask).astype(np.uint8), affine)


def disc(size: int, radius: float, shift: float = 0.0) -> np.ndarray:
    """A disc in a square, moved along the first axis."""
    rows, columns = np.indices((size, size)) - (size - 1) / 2
    return (rows - shift) ** 2 + columns**2 <= radius**2


def overlapping(reference: int, intersection: int, prediction: int) -> tuple[np.ndarray, ...]:
    """Two masks of 20 × 20 with given volumes and a given intersection."""
    y, mask = np.zeros((2, 400), bool)
    y[:reference] = True
    mask[:intersection] = True
    mask[reference : reference + prediction - intersection] = True
    return y.reshape(20, 20), mask.reshape(20, 20)


def run(out: Path, **given):
    """Compare quietly with few resamples; Request's fields and those of a comparison alike."""
    fields = Request.__dataclass_fields__
    request = Request(**{key: value for key, value in given.items() if key in fields})
    rest = {key: value for key, value in given.items() if key not in fields}
    asked = comparison(request, out, **{"resamples": 199, "workers": 1, **rest})
    return run_comparison(asked, Console(quiet=True))


def folders(root: Path, *models: str) -> dict:
    """The references in `labels/`, and a folder for each model, as `run` takes them."""
    return {"reference": root / "labels", "models": tuple((m, root / m) for m in models)}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def scores(
    out: Path, metric: str = "dice", label: str | None = None
) -> dict[str, dict[str, float]]:
    """Of each model: case to score."""
    found: dict[str, dict[str, float]] = {}
    for row in rows(out / "scores.csv"):
        if row["metric"] == metric and label in (None, row["label"]):
            found.setdefault(row["model"], {})[row["case"]] = float(row["value"])
    return found
