"""The tables of docs/statistics.md: `python benchmarks/validity.py`, minutes on one core.

Each number is a share of simulated data sets, with the simulations that the tests run on fewer.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "statistics"))

import simulation

REPETITIONS = 20_000


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print Markdown."""
    print(f"\n{title}\n")
    print("| " + " | ".join(head) + " |")
    print("|---" + "|---:" * (len(head) - 1) + "|")
    for row in rows:
        cells = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row]
        print("| " + " | ".join(cells) + " |", flush=True)


def marks() -> Iterable[Sequence[object]]:
    for law in simulation.LAWS:
        found = [simulation.false_marks(law, n, REPETITIONS) for n in (10, 20, 50, 100, 200)]
        yield (law, *(f"{flips:.3f} / {drawn:.3f}" for flips, drawn in found))


def patients() -> Iterable[Sequence[object]]:
    for count, scans, icc in ((20, 10, 0.5), (20, 3, 0.5), (30, 3, 0.8)):
        found = simulation.false_marks_of_patients(count, scans, icc, REPETITIONS)
        yield (f"{count} × {scans}, ICC {icc}", *found.tolist())


def intervals() -> Iterable[Sequence[object]]:
    for law in simulation.LAWS:
        for n in (20, 50, 100, 200):
            yield (law, n, *simulation.coverage(law, n, REPETITIONS).values())
    sizes = [1, 2, 3, 4, 6] * 4
    yield (
        "20 patients of 1 to 6 scans",
        20,
        *simulation.coverage_of_patients(sizes, 8000).values(),
    )


def equivalence() -> Iterable[Sequence[object]]:
    for law in simulation.SPREAD:
        yield (law, *(simulation.false_equivalence(law, n, REPETITIONS) for n in (50, 100, 200)))


def families() -> Iterable[Sequence[object]]:
    for n in (12, 40, 100):
        yield (n, *simulation.false_families(n, 6000).tolist())


def losses() -> Iterable[Sequence[object]]:
    for seeds in (1, 2, 3):
        found = [
            simulation.false_claims_about_losses(n, seeds, REPETITIONS) for n in (40, 100, 400)
        ]
        yield (
            f"5 folds × {seeds}",
            *("–" if np.isnan(c) else float(c) for c, _ in found),
            *(float(naive) for _, naive in found),
        )
    single = [
        simulation.false_claims_about_losses(n, 1, REPETITIONS, folds=1)[1] for n in (40, 100, 400)
    ]
    yield ("one run", "–", "–", "–", *map(float, single))


def main() -> None:
    print(f"{REPETITIONS:,} data sets to a number, {simulation.RESAMPLES} resamples each")
    counts = [f"n = {n}" for n in (10, 20, 50, 100, 200)]
    table("False marks at .05: sign flips / resampled means", ["differences", *counts], marks())
    kinds = ["flips of patients", "flips of scans", "bootstrap of patients", "bootstrap of scans"]
    table(
        "False marks at .05 with several scans of a patient",
        ["patients × scans", *kinds],
        patients(),
    )
    table("Coverage of 95 % intervals", ["differences", "n", *simulation.METHODS], intervals())
    table("Equivalence claimed at the margin", ["differences", *counts[2:]], equivalence())
    kinds = ["max-T, both metrics", "Holm, Dice", "not corrected"]
    table("Any mark among five equal models", ["n", *kinds], families())
    kinds = [f"{kind}, n = {n}" for kind in ("loss_claim", "over cases") for n in (40, 100, 400)]
    table("False claims about losses", ["runs", *kinds], losses())


if __name__ == "__main__":
    main()
