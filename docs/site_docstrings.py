"""Docstrings as the site shows them: examples behind prompts become blocks of code."""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).+)*", re.MULTILINE)


def with_blocks(text: str) -> str:
    """A docstring whose examples are blocks: Markdown would take `>>>` for a quotation."""
    return EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", text)


class Examples(griffe.Extension):
    """Applied to every docstring that is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe with each object."""
        if obj.docstring:
            obj.docstring.value = with_blocks(obj.docstring.value)
