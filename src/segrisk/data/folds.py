"""Folds: seeded, grouped, balanced over the foreground fraction."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segrisk.data.errors import DataError, DataWarning


@dataclass(frozen=True)
class Split:
    """One fold: the indices of the cases that train, choose the epoch, and are scored."""

    fold: int
    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


def partition(
    groups: Sequence[str], fractions: Sequence[float], parts: int, *, seed: int
) -> np.ndarray:
    """The part, 0 to `parts` − 1, of each case; no group is split.

    Groups are ordered by their mean foreground fraction, ties in random order, and cut into blocks
    of `parts`; each block gives one group to every part, its largest to the part that holds the
    fewest cases so far. So all parts are alike in number and in fraction. The result does not
    depend on the order of the cases: numbers of cases differ by at most the largest group.

    >>> partition(["a", "a", "b", "c", "d"], [0.1, 0.1, 0.2, 0.3, 0.4], 2, seed=0).tolist()
    [1, 1, 0, 0, 1]
    """
    names, member, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    values = np.asarray(fractions, dtype=float)
    ascending = np.lexsort((values, member))  # the last bit of a sum depends on its order
    means = np.bincount(member[ascending], weights=values[ascending]) / sizes
    generator = np.random.default_rng(seed)
    order = np.lexsort((generator.permutation(len(names)), means))
    part_of = np.empty(len(names), dtype=int)
    filled = np.zeros(parts, dtype=int)
    for start in range(0, len(order), parts):
        block = order[start : start + parts]
        chance = generator.permutation(parts)
        largest = block[np.argsort(-sizes[block], kind="stable")]
        emptiest = np.lexsort((chance, filled))[: len(block)]
        part_of[largest] = emptiest
        filled[emptiest] += sizes[largest]
    return part_of[member]


def cross_validation(
    groups: Sequence[str],
    fractions: Sequence[float],
    *,
    folds: int = 5,
    validation: float = 0.2,
    seed: int = 0,
) -> list[Split]:
    """Every case is scored once; inside each training part a validation part makes the choices.

    `validation` is the share of the training part, rounded to one of 2, 3, 4, … equal parts (of
    as many parts as there are groups, where these are fewer). Both divisions are `partition`s.
    ValueError, or DataError where the groups are too few. DataWarning where all training masks
    of a fold are empty.

    >>> groups = ["a", "b", "c", "d", "e", "f"]
    >>> splits = cross_validation(groups, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], folds=3)
    >>> sorted(index for split in splits for index in split.test)
    [0, 1, 2, 3, 4, 5]
    """
    count = len(set(groups))
    if len(groups) != len(fractions):
        raise ValueError(
            f"got {len(groups)} groups and {len(fractions)} fractions: give one of each per case"
        )
    if not np.isfinite(np.asarray(fractions, dtype=float)).all():
        raise ValueError("a foreground fraction is NaN or infinite: give |y| / d of each case")
    if not 0 < validation <= 0.5:
        raise ValueError(f"validation is a share above 0 and at most 0.5, got {validation}")
    if folds < 2:
        raise ValueError(f"cross-validation needs at least 2 folds, got {folds}")
    if count < folds:
        advice = f"lower `folds` to {count} or less" if count > 1 else "two are the least"
        raise DataError([f"{count} group{'s' * (count != 1)} cannot fill {folds} folds: {advice}"])
    test_part = partition(groups, fractions, folds, seed=seed)
    return [
        _split(groups, fractions, test_part == fold, fold, round(1 / validation), seed)
        for fold in range(folds)
    ]


def _split(
    groups: Sequence[str],
    fractions: Sequence[float],
    scored: np.ndarray,
    fold: int,
    parts: int,
    seed: int,
) -> Split:
    rest = np.flatnonzero(~scored)
    own_groups = [groups[index] for index in rest]
    own_fractions = [fractions[index] for index in rest]
    if len(set(own_groups)) < 2:
        raise DataError(
            [
                f"fold {fold}: its training part has 1 group, which cannot be divided into "
                "training and validation: add groups (2 folds need 4 of them, 3 folds need 3)"
            ]
        )
    drawn = int(np.random.SeedSequence((seed, fold)).generate_state(1)[0])
    part = partition(own_groups, own_fractions, min(parts, len(set(own_groups))), seed=drawn)
    train = rest[part != 0]
    if not any(fractions[index] > 0 for index in train):
        warnings.warn(
            f"fold {fold}: all masks of its training part are empty; nothing can be learned there",
            DataWarning,
            stacklevel=3,
        )
    validated = rest[part == 0]
    return Split(fold, _indices(train), _indices(validated), _indices(np.flatnonzero(scored)))


def _indices(array: np.ndarray) -> tuple[int, ...]:
    return tuple(sorted(int(index) for index in array))
