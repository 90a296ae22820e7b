"""Many tests at once."""

from typing import Any

import numpy as np


def holm(p_values: Any) -> np.ndarray:
    """Holm's step-down adjusted p-values, in the order given.

    With p_(1) ≤ … ≤ p_(m): p̃_(i) = max over j ≤ i of min(1, (m − j + 1) p_(j)). Marking
    p̃ < alpha keeps the probability of any false mark in the family below alpha (Holm 1979).

    Raises ValueError for anything but a sequence of numbers in [0, 1]; an empty family is fine.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"got p-values of shape {values.shape}: give one sequence of p-values")
    outside = values[~((values >= 0) & (values <= 1))]
    if len(outside):
        raise ValueError(
            f"p-values must be numbers between 0 and 1, got {outside[0]}: "
            "leave out of the family what was not tested"
        )
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, factors * values[order]))
    return adjusted
