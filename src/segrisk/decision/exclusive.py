"""Several classes that exclude each other, of which each is decided alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segrisk.decision.door import as_kind_of, probabilities
from segrisk.decision.rules import Fitted

HALVES = 0.02
"""How far from 1 probabilities may sum up to that were stored in 16 bits or as bytes."""


def decide_exclusive(p: Any, fitted: Fitted | Sequence[Fitted]) -> Any:
    """The labels of classes that exclude each other: 0 is background, c the class of p[c].

    p (C, *space) holds the background first, and C − 1 classes; `fitted` is one rule for all, or
    one for each class but the background. Every class is decided alone, as its score counts it
    alone; of several that claim a voxel the more probable has it (the first of equal ones), and
    what none claims is background. The result is (*space), integers, an array or a tensor as p is.

    This is not the argmax: a class may claim a voxel where the background is more probable.
    Assumes, besides what the rules do, that double claims are rare: settling them is not optimal.

    >>> from segrisk.decision.rules import Threshold
    >>> decide_exclusive([[0.5, 0.2], [0.3, 0.35], [0.2, 0.45]], Threshold(0.25))
    array([1, 2])
    """
    values = probabilities(p)
    classes = len(values) - 1
    if values.ndim < 2 or classes < 1:
        raise ValueError(
            f"p has shape {values.shape}: give (C, *space), the background first and at least one "
            "class, or decide a single map by the rule itself"
        )
    _check_sums(values)
    rules = list(fitted) if isinstance(fitted, Sequence) else [fitted] * classes
    if len(rules) != classes:
        raise ValueError(
            f"got {len(rules)} rules for {classes} classes: give one for each class but the "
            "background, or one for all"
        )
    for rule in rules:
        if not hasattr(rule, "decide"):
            raise TypeError(f"{rule!r} is not fitted: give what its fit(cases) returns")
    claims = [rule.decide(own) for rule, own in zip(rules, values[1:], strict=True)]
    return as_kind_of(settle(values, claims), p)


def _check_sums(values: np.ndarray) -> None:
    """A batch in the place of the classes, or channels last, would be decided without a word."""
    sums = values.sum(0, dtype=np.float32)
    worst = float(sums.flat[np.argmax(np.abs(sums - 1))])
    if abs(worst - 1) > HALVES:
        raise ValueError(
            f"p of shape {values.shape} sums up to {worst:.4g} over its first axis at a voxel, "
            "not to 1: give (C, *space) of one image, after a softmax, the background first, and "
            "decide the images of a batch one by one"
        )


def settle(values: np.ndarray, claims: Sequence[np.ndarray]) -> np.ndarray:
    """The labels (*space) of classes 1, 2, … that claim these masks, the more probable first."""
    labels = np.zeros(values.shape[1:], np.int64)
    highest = np.full(values.shape[1:], -1.0, values.dtype)
    for label, (claim, own) in enumerate(zip(claims, values[1:], strict=True), start=1):
        won = claim & (own > highest)
        labels[won] = label
        highest[won] = own[won]
    return labels
