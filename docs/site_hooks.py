"""What MkDocs does to the pages beside Markdown: equations, and links that leave the site.

Pages are written for GitHub as well. Its equations, blocks of ```math and $`…`$ within a line,
become MathML, which browsers show without any script. A page that would fetch anything from the
net fails the build.
"""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

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


class _Fetched(HTMLParser):
    """Collects the addresses that a browser asks for by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        fetches = tag != "link" or given.get("rel") not in {"canonical", "prev", "next"}
        names = ("src", "srcset", "data", "href" if tag == "link" and fetches else "src")
        self.addresses += [given[name] for name in dict.fromkeys(names) if given.get(name)]


def fetched_from_the_net(html: str) -> list[str]:
    """What a browser would ask other machines for when it opens a page; links wait for a click.

    >>> fetched_from_the_net('<a href="https://a.org">a</a> <script src="//b.org/x.js"></script>')
    ['//b.org/x.js']
    """
    parser = _Fetched()
    parser.feed(html)
    return [found for found in parser.addresses if re.match(r"(https?:)?//", found)]


def on_post_build(config: Any, **_: Any) -> None:
    """Called by MkDocs when the site is there."""
    for page in sorted(Path(config.site_dir).rglob("*.html")):
        if found := fetched_from_the_net(page.read_text()):
            raise PluginError(f"{page.name} would fetch {', '.join(found)}: keep a copy in docs/")
    for sheet in sorted(Path(config.site_dir).rglob("*.css")):
        if re.search(r"@import|url\(['\"]?(https?:)?//", sheet.read_text()):
            raise PluginError(f"{sheet.name} would fetch from the net: keep a copy in docs/")
