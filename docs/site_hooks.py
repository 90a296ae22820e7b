"""What MkDocs does to the pages beside Markdown: equations, and links that leave the site.

Pages are written for GitHub as well. Its equations, blocks of ```math and $`…`$ within a line,
become MathML, which browsers show without any script.
"""

import re
from typing import Any

from latex2mathml.converter import convert

FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WITHIN = re.compile(r"\$`([^`\n]+)`\$")
OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./[^)]*\)")
"""In a page at the top, a link to a file beside docs/: GitHub has it, the site has not."""


def for_the_site(text: str, page: str) -> str:
    """The Markdown of a page of docs/ as the site has it; blocks of code stay as they are.

    >>> for_the_site("[`run.sh`](../deploy/run.sh), [losses](losses.md)", "studies.md")
    '`run.sh`, [losses](losses.md)'
    >>> for_the_site("[losses](../losses.md): $`1/2`$", "reference/losses.md")[:50]
    '[losses](../losses.md): <math xmlns="http://www.w3'
    """

    def prose(piece: str) -> str:
        piece = piece if "/" in page else OUTSIDE.sub(r"\1", piece)
        return WITHIN.sub(lambda found: convert(found[1]), piece)

    pieces, end = [], 0
    for fence in FENCE.finditer(text):
        pieces += [prose(text[end : fence.start()]), _block(*fence.groups()) or fence[0]]
        end = fence.end()
    return "".join([*pieces, prose(text[end:])])


def _block(language: str, content: str) -> str | None:
    """An equation that stands by itself; None for code."""
    if language != "math":
        return None
    return f'<div class="equation">{convert(content.strip(), display="block")}</div>'


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by MkDocs with each page before it is converted."""
    return for_the_site(markdown, page.file.src_uri)
