"""Claims about losses: another training of the same loss is another model."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t

from segrisk.statistics.door import Unit, case_weights, paired_sums
from segrisk.statistics.groups import case_groups, group_ranks
from segrisk.statistics.intervals import check_groups, check_level, standard_error

ONE_SEED = "With one seed the tests speak of these trained models, not of the losses in general."
"""What reports say where each loss was trained once."""


@dataclass(frozen=True)
class LossClaim:
    """The difference a − b between two losses, whatever the seed."""

    difference: float
    low: float
    high: float
    p: float
    level: float
    case_variance: float
    """Of the mean over cases."""
    run_variance: float
    """s²(run): of the mean of one run, within its fold."""
    degrees: int
    n_cases: int
    n_groups: int
    n_folds: int
    n_seeds: int


def loss_claim(
    a: Any,
    b: Any,
    folds: Iterable[Hashable],
    groups: Iterable[Hashable] | None = None,
    *,
    level: float = 0.95,
    unit: Unit = "case",
) -> LossClaim:
    """Is the mean of loss a above that of b over trainings, not only over cases?

    a, b: scores (cases, seeds), every case in one of the `folds` (cases,). A run is a (fold, seed),
    nested in its fold, and moves all cases of the fold together. With d_fs the mean difference of a
    run, s²(run) its variance over the seeds of a fold averaged over folds,

        Var = s²(case)/n + s²(run) · Σ (n_f/n)² / seeds,

    the latter s²(run)/(folds · seeds) for equal folds. s²(case)/n is the square of the group t
    interval's error. t = difference/√Var has folds · (seeds − 1) degrees of freedom, those of
    s²(run): never too many. With `unit="group_mean"` a case weighs 1 over the number of cases of
    its group, in d_fs and in n_f/n alike.

    Raises ValueError for one seed, of which no such claim can be made; for scores of other shapes,
    that do not pair up or are not finite; and for fewer than 2 groups.

    >>> generator = np.random.default_rng(0)
    >>> b = generator.normal(0.7, 0.1, (50, 3))
    >>> found = loss_claim(b + 0.05, b, np.arange(50) % 5)
    >>> f"{found.difference:.3f}", found.degrees, found.n_folds
    ('0.050', 10, 5)
    """
    check_level(level)
    first, second, fold_of = _door(a, b, folds)
    cases, seeds = first.shape
    names = case_groups(groups, cases)
    sums = paired_sums(first, second, names, unit=unit)
    check_groups(sums.n_groups)
    weights = case_weights(names, unit)
    share = np.bincount(fold_of, weights) / weights.sum()
    means = fold_means(first - second, fold_of, weights)
    error = float(run_error(sums.sums, sums.counts, means, share))
    degrees = len(share) * (seeds - 1)
    half = error * float(t.ppf((1 + level) / 2, degrees))
    ratio = abs(sums.mean) / error if error > 0 else (np.inf if sums.mean else 0.0)
    return LossClaim(
        difference=sums.mean,
        low=sums.mean - half,
        high=sums.mean + half,
        p=float(2 * t.sf(ratio, degrees)),
        level=level,
        case_variance=float(standard_error(sums.sums, sums.counts) ** 2),
        run_variance=float(run_variance(means)),
        degrees=degrees,
        n_cases=cases,
        n_groups=sums.n_groups,
        n_folds=len(share),
        n_seeds=seeds,
    )


def _door(a: Any, b: Any, folds: Iterable[Hashable]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(
            f"got scores of shapes {first.shape} and {second.shape}: give (cases, seeds) for both"
        )
    if first.shape[1] < 2:
        raise ValueError(f"{ONE_SEED} Train each loss with at least 2 seeds")
    fold_of = group_ranks(list(folds))
    if len(fold_of) != len(first):
        raise ValueError(f"got folds of {len(fold_of)} cases for {len(first)}: give one for each")
    return first, second, fold_of


def fold_means(differences: np.ndarray, fold_of: np.ndarray, weights: Any = 1.0) -> np.ndarray:
    """(…, cases, seeds), with `weights` (cases,), to the mean of each run (…, folds, seeds)."""
    member = (np.arange(fold_of.max() + 1)[:, None] == fold_of) * weights
    return (member / member.sum(axis=1, keepdims=True)) @ differences


def run_variance(means: np.ndarray) -> np.ndarray:
    """s²(run) of the means of runs (…, folds, seeds): within folds, averaged over them."""
    return means.var(axis=-1, ddof=1).mean(axis=-1)


def run_error(
    sums: np.ndarray, counts: np.ndarray, means: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """√Var of `loss_claim`; sums (…, groups), means (…, folds, seeds), share (folds,) n_f/n."""
    runs = run_variance(means) * (share**2).sum() / means.shape[-1]
    return np.sqrt(standard_error(sums, counts) ** 2 + runs)
