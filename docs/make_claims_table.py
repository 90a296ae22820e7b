"""The paper's claims over several studies as Markdown: python docs/make_claims_table.py FOLDER …

Each FOLDER is a study's, with its report in it. The first table has the verdict of every claim on
every task. The second asks of studies together what one task alone cannot say: whether what
weighting does to cross-entropy depends on the task, by Welch's t for every two of them.
"""

import csv
import sys
from itertools import combinations
from pathlib import Path

import numpy as np

from segrisk.report.paper.statements import STATEMENTS
from segrisk.scores import read_scores
from segrisk.statistics import holm, independent_contrast, paired_sums

PAIR = ("weighted_cross_entropy", "cross_entropy")


def verdicts(folder: Path) -> dict[tuple[str, str], str]:
    """Of (task, claim)."""
    with (folder / "report/claims.csv").open(newline="", encoding="utf-8") as file:
        return {(row["task"], row["claim"]): row["verdict"] for row in csv.DictReader(file)}


def differences(folder: Path):
    """By task, the table of wCE − CE in Dice, seeds averaged within a case."""
    scores = [s for s in read_scores(folder / "report/scores.csv") if s.metric == "dice"]
    for task in dict.fromkeys(s.task for s in scores):
        own = {name: {} for name in PAIR}
        groups = {}
        for s in scores:
            if s.task == task and s.model in own:
                own[s.model].setdefault(s.case, []).append(s.value)
                groups[s.case] = s.group
        cases = sorted(groups)
        a, b = ([np.mean(own[name][case]) for case in cases] for name in PAIR)
        yield task, paired_sums(a, b, [groups[case] for case in cases])


def main() -> None:
    folders = [Path(name) for name in sys.argv[1:]]
    if not folders:
        sys.exit(__doc__)
    found = {key: value for folder in folders for key, value in verdicts(folder).items()}
    tasks = [name for name in dict.fromkeys(task for task, _ in found) if name != "all tasks"]
    print("| claim |" + "".join(f" {task} |" for task in tasks))
    print("|---|" + "---|" * len(tasks))
    for own in STATEMENTS:
        cells = [found.get((task, own.name), "–") for task in tasks]
        if any(cell != "–" for cell in cells):
            print(f"| {own.sentence} |" + "".join(f" {cell} |" for cell in cells))
    tables = {task: table for folder in folders for task, table in differences(folder)}
    two = list(combinations(tables, 2))
    tests = [independent_contrast([tables[a], tables[b]], [1, -1]) for a, b in two]
    print("\n| wCE − CE in Dice | difference | 95 % interval | p, Holm |\n|---|---:|---|---:|")
    for (a, b), test, p in zip(two, tests, holm([t.p for t in tests]), strict=True):
        ends = f"{test.low:+.3f} to {test.high:+.3f}"
        print(f"| {a} minus {b} | {test.estimate:+.3f} | {ends} | {p:.2g} |".replace("-0.", "−0."))


if __name__ == "__main__":
    main()
