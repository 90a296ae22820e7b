"""Time resampling against scipy.stats.bootstrap, on one core: `make bench-statistics`.

The work: 10,000 paired cluster resamples of 5 models on 1,166 cases in 2 metrics, the intervals of
the differences of all ten pairs. SciPy resamples the groups' sums and counts as pairs, and is given
a vectorised statistic; it takes one pair and metric at a time, as it must.
"""

import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import scipy.stats

from segrisk.statistics import METHODS, bootstrap_intervals, group_table

CASES, GROUPS, MODELS, RESAMPLES = 1166, 979, 5, 10_000


def differences() -> tuple[dict[tuple[str, int, int], np.ndarray], np.ndarray]:
    """By (metric, a, b), a − b for each case; and the group of each case."""
    generator = np.random.default_rng(0)
    groups = np.concatenate([np.arange(GROUPS), generator.integers(0, GROUPS, CASES - GROUPS)])
    dice = generator.beta(8, 2, CASES)[:, None] + 0.02 * generator.standard_normal((CASES, MODELS))
    scores = {"dice": dice, "jaccard": dice / (2 - dice)}
    found = {
        (metric, a, b): values[:, a] - values[:, b]
        for metric, values in scores.items()
        for a, b in combinations(range(MODELS), 2)
    }
    return found, groups


def seconds(function: Callable[[], object], repeats: int = 3) -> float:
    """The shortest of several calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def by_scipy(
    values: dict[tuple[str, int, int], np.ndarray], groups: np.ndarray, method: str
) -> dict[tuple[str, int, int], tuple[float, float]]:
    """The same intervals by scipy.stats.bootstrap."""
    table = group_table(values, groups)

    def mean(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
        return sums.sum(axis=axis) / counts.sum(axis=axis)

    found = {}
    for name, sums in zip(table.names, table.sums, strict=True):
        ends = scipy.stats.bootstrap(
            (sums, table.counts.astype(np.float64)),
            mean,
            n_resamples=RESAMPLES,
            batch=1000,
            paired=True,
            vectorized=True,
            method=method,
            rng=np.random.default_rng(0),
        ).confidence_interval
        found[name] = (float(ends.low), float(ends.high))
    return found


def main() -> None:
    values, groups = differences()
    print(
        f"{RESAMPLES:,} paired cluster resamples, {CASES:,} cases in {len(set(groups))} groups, "
        f"{MODELS} models, 2 metrics: {len(values)} intervals; s, best of 3"
    )
    scipy_spent = {
        method: seconds(lambda method=method: by_scipy(values, groups, method), 1)
        for method in ("percentile", "BCa")
    }
    for method in METHODS:
        spent = seconds(
            lambda method=method: bootstrap_intervals(
                values, groups, method=method, resamples=RESAMPLES
            )
        )
        line = f"{method:12} {spent:6.3f}"
        peer = {"percentile": "percentile", "bca": "BCa"}.get(method)
        if peer:
            line += f"   scipy {scipy_spent[peer]:6.2f}   {scipy_spent[peer] / spent:5.1f} times"
        print(line)
    spent = seconds(lambda: bootstrap_intervals(values, groups, resamples=RESAMPLES))
    ratio = scipy_spent["percentile"] / spent
    print(
        f"the default, a hull with the studentised, against scipy's percentile: {ratio:.1f} times"
    )


if __name__ == "__main__":
    main()
