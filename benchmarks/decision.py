"""Time the exact decision on one core: `OMP_NUM_THREADS=1 python benchmarks/decision.py`."""

import time
from collections.abc import Callable

import numpy as np

from segrisk.decision import exact
from segrisk.similarity import dice, jaccard, tversky


def best_of(repeats: int, function: Callable[[], object]) -> float:
    """The shortest time of several calls in ms; the first, which may compile, is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    generator = np.random.default_rng(0)
    volume = generator.beta(0.05, 1, (240, 240, 155))
    inputs = {
        "2e5 distinct, uniform": generator.random(200_000),
        "2e5 distinct, Beta(0.1, 1)": generator.beta(0.1, 1, 200_000),
        "240x240x155 float16": volume.astype(np.float16),
        "240x240x155 float16, uniform": generator.random((240, 240, 155)).astype(np.float16),
    }
    print(f"Numba: {exact.HAS_NUMBA}; error at most 1e-8; one thread; ms, best of 5")
    for name, p in inputs.items():
        for similarity in (dice, jaccard, tversky(0.3, 0.7)):
            spent = best_of(5, lambda p=p, s=similarity: exact.optimal_mask(p, s, tolerance=1e-8))
            print(f"{name:30} {similarity.name:18} {spent:8.1f}")
    exact.HAS_NUMBA = False
    p = inputs["2e5 distinct, uniform"]
    spent = best_of(1, lambda: exact.optimal_mask(p, dice, tolerance=1e-8))
    print(f"{'2e5 distinct, without Numba':30} {'dice':18} {spent:8.1f}")


if __name__ == "__main__":
    main()
