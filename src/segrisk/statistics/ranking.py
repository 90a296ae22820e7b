"""Rankings, and how stable they are when other patients had been drawn."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from segrisk.statistics.door import Better, Unit, in_unit, per_case, sign_of
from segrisk.statistics.groups import GroupTable, case_groups, group_table
from segrisk.statistics.intervals import check_level
from segrisk.statistics.resampling import Draws, check_resamples, mean_of


@dataclass(frozen=True)
class Rank:
    """One model's place."""

    model: Hashable
    mean: float
    """The mean over the unit; across data sets, the mean of its ranks."""
    rank: float
    """1 is best; models that are equal share the mean of their places."""
    p_best: float
    """The share of resamples in which it is best; equal ones share it."""
    low: float
    high: float
    """The interval of its rank over resamples."""


Scores = Mapping[Hashable, Any]
"""By model, the scores (cases,) or (cases, seeds) of the same cases."""


def ranking(
    scores: Scores,
    groups: Iterable[Hashable] | None = None,
    *,
    better: Better = "higher",
    level: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
    unit: Unit = "case",
) -> tuple[Rank, ...]:
    """The models by their mean over the unit, the best first, with the stability of each place.

    Groups are resampled once for all models, so that what makes a case hard for all moves no rank.
    The interval of a rank runs between its (1 ± level)/2 quantiles over resamples. P(best) says how
    firm the order is on patients like these; it is neither a test nor the probability of being
    best in truth.

    Raises ValueError for no models, for another unit, and as `group_table` does.

    >>> scores = {"A": [0.9, 0.8, 0.7, 0.9], "B": [0.8, 0.7, 0.6, 0.8], "C": [0.8, 0.9, 0.5, 0.9]}
    >>> [(place.model, place.rank, place.low, place.high) for place in ranking(scores)]
    [('A', 1.0, 1.0, 2.0), ('C', 2.0, 1.0, 3.0), ('B', 3.0, 2.0, 3.0)]
    """
    check_level(level)
    check_resamples(resamples)
    table = _table(scores, groups, unit)
    drawn = Draws(len(table.counts), resamples, seed)
    return ranking_of(table, drawn, better=better, level=level)()


def ranking_of(
    table: GroupTable, drawn: Draws, *, better: Better = "higher", level: float = 0.95
) -> Callable[[], tuple[Rank, ...]]:
    """A promise of `ranking` of the models that are the rows of a table."""
    sign, means, resampled = sign_of(better), _means(table), mean_of(table, drawn)
    return lambda: _places(
        table.names, means, ranks(sign * means), ranks(sign * resampled()), level
    )


def ranking_across(
    data_sets: Mapping[Hashable, Scores],
    groups: Mapping[Hashable, Iterable[Hashable]] | None = None,
    *,
    better: Better = "higher",
    level: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
    unit: Unit = "case",
) -> tuple[Rank, ...]:
    """The models by the mean of their ranks on each data set, which count the same.

    Each data set's groups are resampled on their own. What is uncertain here is the patients: the
    data sets are taken as they are, and nothing is said of others. `mean` is the mean rank.

    Raises ValueError for no data sets, for models that differ between them, for data sets without
    groups where some are given, and as `ranking` does.

    >>> a = {"A": [0.9, 0.8, 0.7], "B": [0.8, 0.7, 0.6]}
    >>> b = {"A": [0.5, 0.6], "B": [0.6, 0.7]}
    >>> [(place.model, place.mean, place.p_best) for place in ranking_across({"a": a, "b": b})]
    [('A', 1.5, 0.5), ('B', 1.5, 0.5)]
    """
    check_level(level)
    check_resamples(resamples)
    if not data_sets:
        raise ValueError("there are no data sets to rank across: give at least one by its name")
    models = tuple(next(iter(data_sets.values())))
    sign = sign_of(better)
    observed, drawn = [], []
    for number, (name, scores) in enumerate(data_sets.items()):
        if set(scores) != set(models):
            raise ValueError(
                f"data set {name!r} has the models {list(scores)}, another {list(models)}: "
                "every model needs every data set"
            )
        if groups is not None and name not in groups:
            raise ValueError(f"no groups are given for {name!r}: give them for each data set")
        ordered = {model: scores[model] for model in models}
        own = None if groups is None else groups[name]
        # Another seed for each, or equal data sets would be resampled alike.
        table = _table(ordered, own, unit)
        resampled = mean_of(table, Draws(len(table.counts), resamples, seed + number))
        observed.append(ranks(sign * _means(table)))
        drawn.append(ranks(sign * resampled()))
    mean_ranks = np.mean(observed, axis=0)
    return _places(models, mean_ranks, ranks(-mean_ranks), ranks(-np.mean(drawn, axis=0)), level)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the last axis, 1 for the largest; equal values share the mean of their places."""
    # A product of matrices may round equal columns apart.
    scale = np.abs(values).max(axis=-1, keepdims=True)
    rounded = np.round(np.divide(values, scale, out=np.zeros_like(values), where=scale > 0), 12)
    return rankdata(-rounded, axis=-1)


def _table(scores: Scores, groups: Iterable[Hashable] | None, unit: Unit) -> GroupTable:
    values = {model: per_case(row, f"the scores of {model}") for model, row in scores.items()}
    count = len(next(iter(values.values()), ()))
    return in_unit(group_table(values, case_groups(groups, count)), unit)


def _means(table: GroupTable) -> np.ndarray:
    """(models,)"""
    return table.sums.sum(axis=1) / table.counts.sum()


def _places(
    models: tuple[Hashable, ...],
    means: np.ndarray,
    own: np.ndarray,
    drawn: np.ndarray,
    level: float,
) -> tuple[Rank, ...]:
    best = drawn == drawn.min(axis=1, keepdims=True)
    p_best = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    tails = [(1 - level) / 2, (1 + level) / 2]
    # A rank between two that occurred would be no rank.
    low, high = np.quantile(drawn, tails, axis=0, method="inverted_cdf")
    columns = [column.tolist() for column in (means, own, p_best, low, high)]
    places = [Rank(*row) for row in zip(models, *columns, strict=True)]
    return tuple(sorted(places, key=lambda place: place.rank))
