"""Which rule to use: the threshold 0.5 stays unless another is shown to be better."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from segrisk.decision.door import pair
from segrisk.decision.rules import Fitted, FixedThreshold, Rule
from segrisk.decision.tally import Case, tallies
from segrisk.similarity import Similarity, confusion
from segrisk.statistics import Interval, group_sums, group_t_interval

BASELINE = FixedThreshold(0.5)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A rule on cases that it was not fitted on."""

    name: str
    scores: np.ndarray = field(repr=False)
    """(cases,) the score of each, by the rule fitted on the other folds."""
    gain: Interval
    """Of the mean of score − score at 0.5, over cases that come in groups."""
    by_fold: tuple[Fitted, ...] = field(repr=False)
    """Fitted on all folds but the one."""
    fitted: Fitted
    """Fitted on all cases: for new ones."""


@dataclass(frozen=True, eq=False)
class Choice:
    """The rule that is chosen, and all that were tried."""

    chosen: Candidate
    candidates: tuple[Candidate, ...]
    """0.5 first, then in the order in which they were given."""
    skipped: tuple[tuple[str, str], ...]
    """Rules that could not be fitted, each with the reason."""
    fold_of: np.ndarray = field(repr=False)
    """(cases,)"""


def choose(
    rules: Sequence[Rule],
    cases: Sequence[Case],
    similarity: Similarity,
    *,
    groups: Sequence[Hashable] | None = None,
    folds: int | Sequence[int] = 5,
    level: float = 0.95,
) -> Choice:
    """The rule with the largest gain over 0.5 of those whose interval lies above 0; else 0.5.

    Cases are pairs (p, reference) in a sequence, which may read them from disk: each is taken
    twice, one at a time. They must be out-of-fold or validation cases of the network. Rules are
    cross-fitted: each case is scored by rules fitted on the other folds, which never split a group.
    `folds` is a number, or the fold of each case. Intervals are at `level` for each rule alone.

    ValueError for fewer than 2 groups or folds, and for numbers of cases, groups or folds that
    differ.
    """
    groups = list(range(len(cases))) if groups is None else list(groups)
    if len(groups) != len(cases):
        raise ValueError(f"got {len(groups)} groups for {len(cases)} cases: give one for each")
    counted = tallies(cases[index] for index in range(len(cases)))
    fold_of = _folds(groups, folds)
    parts = [
        [c for c, f in zip(counted, fold_of, strict=True) if f != k]
        for k in range(fold_of.max() + 1)
    ]
    fitted, skipped = [], []
    for rule in (BASELINE, *rules):
        try:
            by_fold = tuple(rule.fit(part) for part in parts)
            fitted.append((rule.name, by_fold, rule.fit(counted)))
        except ValueError as error:
            skipped.append((rule.name, str(error)))
    scores = _scores([by_fold for _, by_fold, _ in fitted], cases, fold_of, similarity)
    candidates = [
        Candidate(
            name,
            own,
            group_t_interval(group_sums(own - scores[0], groups), level=level),
            by_fold,
            last,
        )
        for (name, by_fold, last), own in zip(fitted, scores, strict=True)
    ]
    better = [candidate for candidate in candidates if candidate.gain.low > 0]
    chosen = max(better, key=lambda c: c.gain.estimate, default=candidates[0])
    return Choice(chosen, tuple(candidates), tuple(skipped), fold_of)


def _folds(groups: list[Hashable], folds: int | Sequence[int]) -> np.ndarray:
    """The fold of each case, numbered from 0; no group is in two."""
    if not isinstance(folds, int):
        names, fold_of = np.unique(np.asarray(folds), return_inverse=True)
        if len(fold_of) != len(groups):
            raise ValueError(f"got folds of {len(fold_of)} cases for {len(groups)}: give all")
        first: dict[Hashable, int] = {}
        for group, fold in zip(groups, fold_of.tolist(), strict=True):
            if first.setdefault(group, fold) != fold:
                raise ValueError(f"group {group!r} is in more than one fold: keep it in one")
        folds = len(names)
    else:
        order = sorted(set(groups), key=str)
        np.random.default_rng(0).shuffle(order)
        place = {group: index % max(folds, 1) for index, group in enumerate(order)}
        fold_of = np.array([place[group] for group in groups])
    if folds < 2:
        raise ValueError(f"cross-fitting needs at least 2 folds, got {folds}: give 5")
    if len(set(groups)) < folds:
        raise ValueError(
            f"{len(set(groups))} groups cannot fill {folds} folds: give fewer folds or more cases"
        )
    return fold_of


def _scores(
    rules: list[tuple[Fitted, ...]],
    cases: Sequence[Case],
    fold_of: np.ndarray,
    similarity: Similarity,
) -> np.ndarray:
    """The score (rules, cases) of each case by the rules fitted without its fold."""
    scores = np.empty((len(rules), len(cases)))
    for index in range(len(cases)):
        p, y = pair(*cases[index])
        for rule, by_fold in enumerate(rules):
            mask = by_fold[fold_of[index]].decide(p)
            scores[rule, index] = similarity(confusion(mask, y))
    return scores
