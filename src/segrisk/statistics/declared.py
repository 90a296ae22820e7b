"""What is declared of the statistics before the first score, and what of it is hashed."""

from collections.abc import Mapping
from typing import Any, Literal

MarksTest = Literal["sign_flip", "bootstrap"]
"""The test behind the marks of Table 1: ours, or `resampled_means`, the paper's."""

LATER = {"unit": "case", "marks": "sign_flip"}
"""Choices that were not there from the beginning, each with what was done before there was one."""


def as_declared(statistics: Mapping[str, Any]) -> dict[str, Any]:
    """The statistics without the choices of `LATER` that choose what was done before.

    So what was declared before there was a choice keeps its hash.

    >>> as_declared({"alpha": 0.05, "unit": "case", "marks": "bootstrap"})
    {'alpha': 0.05, 'marks': 'bootstrap'}
    """
    return {
        key: value for key, value in statistics.items() if key not in LATER or value != LATER[key]
    }
