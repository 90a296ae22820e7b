"""Scores of hard masks."""

import numpy as np

from segrisk.similarity import Similarity, confusion, dice, jaccard

METRICS: dict[str, Similarity] = {"dice": dice, "jaccard": jaccard}
"""What `score` gives, by name."""


def score(mask: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Every metric of one boolean mask against its reference; 1 where both are empty.

    >>> score(np.array([True, True]), np.array([True, False]))
    {'dice': 0.6666666666666666, 'jaccard': 0.5}
    """
    masses = confusion(mask, target)
    return {name: float(similarity(masses)) for name, similarity in METRICS.items()}
