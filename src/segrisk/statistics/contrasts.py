"""A weighted sum of means that were measured on data sets of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from segrisk.statistics.groups import GroupSums
from segrisk.statistics.intervals import check_groups, check_level, standard_error


@dataclass(frozen=True)
class IndependentContrast:
    """Σ w_k m_k of independent means m_k, with its interval."""

    estimate: float
    low: float
    high: float
    p: float
    level: float
    degrees: float
    n_cases: int
    n_groups: int
    fewest_groups: int
    """Of one data set."""


def independent_contrast(
    tables: Sequence[GroupSums], weights: Sequence[float], *, level: float = 0.95
) -> IndependentContrast:
    """Does a difference change from one data set to another? Welch's t for Σ w_k m_k.

    With m_k the mean over the cases of data set k and s_k its error, which takes groups as the
    independent units, Var = Σ w_k² s_k²; t has Var² / Σ (w_k² s_k²)²/(G_k − 1) degrees of freedom
    (Welch 1947; Satterthwaite 1946). Two data sets with weights (1, −1) give Welch's test; four
    with (1, −1, −1, 1) the interaction of a 2 × 2 design.

    Raises ValueError for a data set of fewer than 2 groups, another number of weights than of data
    sets, and a level outside (0, 1).

    >>> a, b = (GroupSums(np.array(v), np.ones(3, int)) for v in ([0.1, 0.2, 0.3], [0.0, 0.1, 0.2]))
    >>> found = independent_contrast([a, b], [1, -1])
    >>> f"{found.estimate:.2f}", round(found.degrees), f"{found.p:.3f}"
    ('0.10', 4, '0.288')
    """
    check_level(level)
    if len(tables) != len(weights) or not tables:
        raise ValueError(
            f"got {len(weights)} weights for {len(tables)} data sets: give one for each"
        )
    for table in tables:
        check_groups(table.n_groups)
    estimate = float(sum(w * table.mean for w, table in zip(weights, tables, strict=True)))
    parts = np.array(
        [
            (w * standard_error(table.sums, table.counts)) ** 2
            for w, table in zip(weights, tables, strict=True)
        ]
    )
    rest = (parts**2 / np.array([table.n_groups - 1 for table in tables])).sum()
    error = float(np.sqrt(parts.sum()))
    degrees = float(parts.sum() ** 2 / rest) if rest > 0 else np.inf
    half = error * float(t.ppf((1 + level) / 2, degrees))
    ratio = abs(estimate) / error if error > 0 else (np.inf if estimate else 0.0)
    return IndependentContrast(
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        p=float(2 * t.sf(ratio, degrees)),
        level=level,
        degrees=degrees,
        n_cases=sum(table.n_cases for table in tables),
        n_groups=sum(table.n_groups for table in tables),
        fewest_groups=min(table.n_groups for table in tables),
    )
