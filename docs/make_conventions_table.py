"""The table of conventions in `scores.md`: `python docs/make_conventions_table.py`."""

import math
import re
from pathlib import Path

from segrisk.metrics import CONVENTIONS, MEASURES

PAGE = Path(__file__).parent / "scores.md"
BLOCK = re.compile(r"(?<=conventions_table.py` -->\n).*?(?=<!-- end -->)", re.DOTALL)
COLUMNS = ("dice", "jaccard", "nsd", "hd95_mm", "assd_mm", "instance_dice")


def table() -> str:
    """One row for each convention: the values if both, the reference, the prediction is empty."""
    lines = [
        f"| convention | {' | '.join(f'`{name}`' for name in COLUMNS)} | mean over | known from |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for convention in CONVENTIONS.values():
        rules = [convention.rule(MEASURES[name]) for name in COLUMNS]
        cells = [
            " · ".join(map(shown, (rule.both, rule.reference, rule.prediction))) for rule in rules
        ]
        cells = ["–" if cell == "– · – · –" else cell for cell in cells]
        ends = f"{convention.mean} | {convention.evidence}: {convention.source}"
        lines.append(f"| {convention.name} | {' | '.join(cells)} | {ends} |")
    return "\n" + "\n".join(lines) + "\n\n"


def shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return "–" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:g}"


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda _: table(), PAGE.read_text()))
