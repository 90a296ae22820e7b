"""Write the differences of the examples' `before.py` and `after.py` into docs/integrations.md."""

import difflib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "integrations.md"
BLOCK = re.compile(r"(<!-- diff of (\S+) -->\n)```diff\n.*?```\n", re.DOTALL)


def difference(name: str) -> str:
    """What to change in an example, without the line that says what it is."""
    before, after = (
        (ROOT / "examples" / name / f"{when}.py").read_text().splitlines()[1:]
        for when in ("before", "after")
    )
    lines = difflib.unified_diff(before, after, n=0, lineterm="")
    shown = [line for line in lines if not line.startswith(("---", "+++"))]
    places = [" …" if line.startswith("@@") else line for line in shown[1:]]
    return "\n".join(line for line in places if line not in {"+", "-"}) + "\n"


def with_differences(text: str) -> str:
    """The page with each marked block as the files are now."""
    return BLOCK.sub(lambda found: f"{found[1]}```diff\n{difference(found[2])}```\n", text)


if __name__ == "__main__":
    PAGE.write_text(with_differences(PAGE.read_text()))
