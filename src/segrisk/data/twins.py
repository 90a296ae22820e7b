"""The same image under two names, which folds would give to training and to scoring."""

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from segrisk.data.case import Case
from segrisk.data.errors import DataError


def apart(cases: Iterable[Case]) -> Iterator[Case]:
    """The cases as they come; at their end, DataError names equal images of different groups."""
    seen: dict[bytes, tuple[str, str]] = {}
    faults = []
    for case in cases:
        content = hashlib.blake2b(repr(case.image.shape).encode(), digest_size=16)
        content.update(np.ascontiguousarray(case.image).data)
        other, group = seen.setdefault(content.digest(), (case.id, case.group))
        if group != case.group:
            faults.append(
                f"cases {other} and {case.id} hold the same image in two groups, so that folds may "
                "train on it and score it: put one into `exclude`, or give both one group"
            )
        yield case
    if faults:
        raise DataError(faults)
