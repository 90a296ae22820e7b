"""What MkDocs does to the pages beside Markdown: equations, and links that leave the site.

Pages are written for GitHub as well. Its equations, blocks of ```math and $`…`$ within a line,
become MathML, which browsers show without any script.
"""

import re
from typing import Any

from latex2mathml.converter import convert

CODE = re.compile(r"^```(?!math$)[^\n]*\n.*?^```$", re.DOTALL | re.MULTILINE)
EQUATION = re.compile(r"^```math\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WITHIN = re.compile(r"\$`([^`\n]+)`\$")
OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./[^)]*\)")
"""In a page at the top, a link to a file beside docs/: GitHub has it, the site has not."""


def with_mathml(text: str) -> str:
    """The equations of some Markdown as MathML.

    >>> with_mathml("half is $`1/2`$")[:40]
    'half is <math xmlns="http://www.w3.org/1'
    """
    text = EQUATION.sub(
        lambda found: f'<div class="equation">{convert(found[1].strip(), display="block")}</div>',
        text,
    )
    return WITHIN.sub(lambda found: convert(found[1]), text)


def for_the_site(text: str, page: str) -> str:
    """The Markdown of a page of docs/ as the site has it; blocks of code stay as they are.

    >>> for_the_site("[`run.sh`](../deploy/run.sh), [losses](losses.md)", "studies.md")
    '`run.sh`, [losses](losses.md)'
    >>> for_the_site("[losses](../losses.md)", "reference/losses.md")
    '[losses](../losses.md)'
    """

    def changed(prose: str) -> str:
        return with_mathml(prose if "/" in page else OUTSIDE.sub(r"\1", prose))

    pieces, end = [], 0
    for code in CODE.finditer(text):
        pieces += [changed(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, changed(text[end:])])


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by MkDocs with each page before it is converted."""
    return for_the_site(markdown, page.file.src_uri)
