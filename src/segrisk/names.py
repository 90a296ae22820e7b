"""Names as people and programs write them: what was meant, and what can be shown."""

import difflib
import re
from collections.abc import Iterable

UNPRINTABLE = re.compile(r"[^ -~\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no page, table or terminal can show: control characters, and bytes that are no UTF-8."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint at what was meant.

    >>> nearest("soft_dise", ["soft_dice", "cross_entropy"])
    "; did you mean 'soft_dice'?"
    >>> nearest("x", ["soft_dice", "cross_entropy"])
    '; known are: cross_entropy, soft_dice'
    """
    names = {known.lower(): known for known in sorted(valid)}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{names[close[0]]}'?"
    return f"; known are: {', '.join(names.values())}"


def printable(text: str) -> str:
    r"""The text with what cannot be shown written as its code.

    >>> printable("case 7\x1b[31m")
    'case 7\\x1b[31m'
    """
    return UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def some(names: Iterable[str], shown: int = 3) -> str:
    """The first of some names, and how many more there are.

    >>> some(["a", "b", "c"], shown=2), some([" "])
    ('a, b and 1 more', "' '")
    """
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(name if name.strip() else repr(name) for name in names[:shown]) + more
