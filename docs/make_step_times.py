"""What a training step took in the committed studies, as Markdown: python docs/make_step_times.py

For every task and loss the median over its trainings of seconds over steps, in milliseconds;
validation after each epoch and checkpoints are in it.
"""

import json
from collections import defaultdict
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parents[1] / "studies/results"
STUDIES = ("polyps", "glioma", "nerve", "lungs", "hippocampus")


def milliseconds(study: str) -> dict[str, float]:
    """By loss, "start" for the cross-entropy that all begin with."""
    root = RESULTS / study
    found = defaultdict(list)
    for cell in json.loads((root / "study.json").read_text(encoding="utf-8"))["cells"]:
        effort = json.loads((root / "cells" / cell["key"] / "effort.json").read_text())
        if effort.get("steps"):
            name = cell["loss"]["name"] if cell["loss"] else "start"
            found[name].append(1000 * effort["seconds"] / effort["steps"])
    return {name: median(values) for name, values in found.items()}


def table() -> str:
    """A row for each loss, a column for each study."""
    columns = [milliseconds(study) for study in STUDIES]
    lines = [f"| ms a step | {' | '.join(STUDIES)} |", "|---|" + "---:|" * len(STUDIES)]
    lines += [
        f"| `{name}` | {' | '.join(f'{column[name]:.0f}' for column in columns)} |"
        for name in dict.fromkeys(name for column in columns for name in column)
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
