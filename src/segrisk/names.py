"""What a person meant who wrote a name that is not known."""

import difflib
from collections.abc import Iterable


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
