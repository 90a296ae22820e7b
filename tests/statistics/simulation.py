"""What procedures do on many data sets whose truth is known: rates of errors, in batches.

Used by the tests on fixed seeds, and by benchmarks/validity.py for the tables of the documentation.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from scipy.stats import t

from segrisk.statistics import GroupTable, holm
from segrisk.statistics.bootstrap import METHODS, Sample
from segrisk.statistics.intervals import standard_error
from segrisk.statistics.multiple import step_down
from segrisk.statistics.paired import flip_p_values, resampled_shares
from segrisk.statistics.resampling import Draws
from segrisk.statistics.runs import fold_means, run_error

Generator = np.random.Generator
Law = Callable[[Generator, tuple[int, ...]], np.ndarray]

BATCH = 500
RESAMPLES = 499


def symmetric_failures(generator: Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Small noise, and 7 % failures of either model."""
    failed = generator.random(shape) < 0.07
    return 0.02 * generator.standard_normal(shape) + failed * generator.uniform(-0.5, 0.5, shape)


def one_sided_failures(generator: Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Small noise, and 7 % failures of one model, which is better on all other cases."""
    failed = generator.random(shape) < 0.07
    lost = failed * generator.uniform(0, 0.5, shape)
    return 0.02 * generator.standard_normal(shape) - lost + 0.07 * 0.25


LAWS: dict[str, Law] = {
    "normal": lambda generator, shape: generator.standard_normal(shape),
    "t3": lambda generator, shape: generator.standard_t(3, shape),
    "symmetric failures": symmetric_failures,
    "one-sided failures": one_sided_failures,
    "exponential": lambda generator, shape: generator.exponential(1, shape) - 1,
    "log-normal": lambda generator, shape: generator.lognormal(0, 1, shape) - np.exp(0.5),
}
"""Laws of a difference, each of mean 0."""

SPREAD = {"t3": 3**0.5, "symmetric failures": (0.02**2 + 0.07 / 12) ** 0.5}
"""Standard deviations."""


def batches(repetitions: int, seed: int) -> Iterator[tuple[Generator, int]]:
    """A generator and a seed for each batch of data sets."""
    generator = np.random.default_rng(seed)
    for number in range(repetitions // BATCH):
        yield generator, seed + number


def mean_of(rates: Iterator[np.ndarray]) -> np.ndarray:
    return np.mean(list(rates), axis=0)


def false_marks(law: str, groups: int, repetitions: int) -> np.ndarray:
    """Shares of data sets marked at .05: by sign flips, by resampled means."""

    def rates() -> Iterator[np.ndarray]:
        for generator, seed in batches(repetitions, 1):
            sums = LAWS[law](generator, (BATCH, groups))
            yield np.array([flips(sums, seed), resampled(sums, seed)])

    return mean_of(rates())


def flips(sums: np.ndarray, seed: int) -> float:
    return float((flip_p_values(sums, resamples=RESAMPLES, seed=seed) < 0.05).mean())


def resampled(sums: np.ndarray, seed: int) -> float:
    shares = resampled_shares(sums, resamples=RESAMPLES, seed=seed)
    return float((2 * np.minimum(*shares) < 0.05).mean())


def false_marks_of_patients(patients: int, scans: int, icc: float, repetitions: int) -> np.ndarray:
    """Marked by flips of patients, flips of scans, bootstrap of patients, bootstrap of scans."""

    def rates() -> Iterator[np.ndarray]:
        for generator, seed in batches(repetitions, 2):
            shared = generator.standard_normal((BATCH, patients, 1))
            own = generator.standard_normal((BATCH, patients, scans))
            values = icc**0.5 * shared + (1 - icc) ** 0.5 * own
            sums, single = values.sum(axis=2), values.reshape(BATCH, -1)
            yield np.array([test(x, seed) for test in (flips, resampled) for x in (sums, single)])

    return mean_of(rates())


def intervals(sums, counts, level, seed, methods=tuple(METHODS)):
    """The ends of the intervals of each row of sums, by each method, on the same draws."""
    drawn = Draws(len(counts), RESAMPLES, seed)
    table = GroupTable(tuple(range(len(sums))), sums, counts)
    samples = [Sample(table, drawn, method=method) for method in methods]
    return [sample.bounds(level) for sample in samples]


def coverage(law: str, groups: int, repetitions: int, level: float = 0.95) -> dict[str, float]:
    """By method, the share of intervals that hold the true mean, 0."""

    def rates() -> Iterator[np.ndarray]:
        for generator, seed in batches(repetitions, 3):
            sums = LAWS[law](generator, (BATCH, groups))
            ends = intervals(sums, np.ones(groups), level, seed)
            yield np.array([((low <= 0) & (high >= 0)).mean() for low, high in ends])

    return dict(zip(METHODS, mean_of(rates()).tolist(), strict=True))


def coverage_of_patients(sizes: list[int], repetitions: int) -> dict[str, float]:
    """As `coverage`, of patients with unequal numbers of scans, at a correlation of .5."""
    counts = np.array(sizes)

    def rates() -> Iterator[np.ndarray]:
        for generator, seed in batches(repetitions, 4):
            shared = generator.standard_normal((BATCH, len(counts)))
            own = generator.standard_normal((BATCH, len(counts)))
            sums = 0.5**0.5 * (counts * shared + counts**0.5 * own)
            ends = intervals(sums, counts, 0.95, seed)
            yield np.array([((low <= 0) & (high >= 0)).mean() for low, high in ends])

    return dict(zip(METHODS, mean_of(rates()).tolist(), strict=True))


def false_equivalence(law: str, groups: int, repetitions: int, margin: float = 0.5) -> float:
    """Claims where the true difference is the margin, given in standard deviations."""
    margin *= SPREAD[law]

    def rates() -> Iterator[np.ndarray]:
        for generator, seed in batches(repetitions, 5):
            sums = LAWS[law](generator, (BATCH, groups)) + margin
            ((low, high),) = intervals(sums, np.ones(groups), 0.9, seed, ["hull"])
            yield ((-margin < low) & (high < margin)).mean()

    return float(mean_of(rates()))


def false_families(groups: int, repetitions: int, models: int = 5) -> np.ndarray:
    """Any mark among equal models: max-T of both metrics, Holm of Dice alone, nothing corrected."""
    pairs = np.array(list(combinations(range(models), 2))).T

    def one(generator: Generator, seed: int) -> list[bool]:
        hard = generator.uniform(0.4, 0.8, (1, groups))
        dice = np.clip(hard + 0.1 * generator.standard_normal((models, groups)), 0, 1)
        both = np.stack([dice, dice / (2 - dice)])
        sums = (both[:, pairs[0]] - both[:, pairs[1]]).reshape(-1, groups)
        p, adjusted = step_down(sums, resamples=RESAMPLES, seed=seed)
        own = p[: pairs.shape[1]]
        return [adjusted.min() < 0.05, holm(own).min() < 0.05, p.min() < 0.05]

    generator = np.random.default_rng(6)
    return np.mean([one(generator, seed) for seed in range(repetitions)], axis=0)


def false_claims_about_losses(
    cases: int, seeds: int, repetitions: int, folds: int = 5, run: float = 0.16
) -> np.ndarray:
    """Claims at .05 about equal losses: by `loss_claim`'s formula, by a test over cases alone.

    A run's effect has a standard deviation of `run` times that of cases.
    """
    fold_of = np.arange(cases) % folds
    share, counts = np.bincount(fold_of) / cases, np.ones(cases)

    def rates() -> Iterator[np.ndarray]:
        for generator, _ in batches(repetitions, 7):
            runs = run * generator.standard_normal((BATCH, folds, seeds))
            values = generator.standard_normal((BATCH, cases, 1)) + runs[:, fold_of]
            sums = values.mean(axis=2)
            means = np.abs(sums.mean(axis=1))
            naive = means > t.ppf(0.975, cases - 1) * standard_error(sums, counts)
            if seeds == 1:
                yield np.array([np.nan, naive.mean()])
                continue
            error = run_error(sums, counts, fold_means(values, fold_of), share)
            claimed = means > t.ppf(0.975, folds * (seeds - 1)) * error
            yield np.array([claimed.mean(), naive.mean()])

    return mean_of(rates())
