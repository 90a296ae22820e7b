"""The choice between rules where the right one is known."""

import numpy as np
import pytest

import scenes
from segrisk.decision import (
    ExactIndependent,
    FixedThreshold,
    HalfDice,
    Hurdle,
    TunedThreshold,
    choose,
)
from segrisk.similarity import confusion, dice, jaccard

RULES = [HalfDice(), TunedThreshold(dice), ExactIndependent(dice)]


@pytest.mark.parametrize("similarity", [dice, jaccard], ids=lambda s: s.name)
def test_on_independent_label_noise_some_rule_wins(similarity):
    choice = choose(RULES, list(scenes.independent(40, seed=0)), similarity)
    assert choice.chosen.name != "0.5" and choice.chosen.gain.low > 0
    assert choice.chosen.gain.estimate > 0.02
    assert [c.name for c in choice.candidates] == ["0.5", *(rule.name for rule in RULES)]


def test_on_nested_boundary_noise_one_half_stays():
    for seed in range(5):
        choice = choose(RULES, list(scenes.nested(60, seed)), dice)
        assert choice.chosen.name == "0.5" and choice.chosen.gain.estimate == 0
        assert all(candidate.gain.low <= 0 for candidate in choice.candidates)


@pytest.mark.slow
def test_error_rates_on_nested_boundary_noise():
    # 95 % intervals lie above 0 in 2.5 % of sets for a rule without any gain.
    wins = sum(
        choose(RULES, list(scenes.nested(60, seed)), dice).chosen.name != "0.5"
        for seed in range(100, 300)
    )
    assert wins <= 10


@pytest.mark.slow
def test_power_on_independent_label_noise():
    wins = sum(
        choose(RULES, list(scenes.independent(20, seed)), dice).chosen.name != "0.5"
        for seed in range(100, 150)
    )
    assert wins == 50


def test_every_case_is_scored_by_rules_that_have_not_seen_it():
    cases = list(scenes.independent(9, seed=1))
    groups = list("aabbccdde")
    choice = choose([TunedThreshold(dice)], cases, dice, groups=groups, folds=3)
    tuned = choice.candidates[1]
    assert {len(set(choice.fold_of[np.array(groups) == g])) for g in "abcd"} == {1}
    for index, (p, y) in enumerate(cases):
        fold = choice.fold_of[index]
        own = TunedThreshold(dice).fit(
            c for c, f in zip(cases, choice.fold_of, strict=True) if f != fold
        )
        assert own == tuned.by_fold[fold]
        assert tuned.scores[index] == dice(confusion(own.decide(p), y))
    assert tuned.fitted == TunedThreshold(dice).fit(cases)
    assert tuned.gain.n_groups == 5


def test_folds_may_be_given():
    cases = list(scenes.independent(6, seed=1))
    choice = choose([], cases, dice, folds=[3, 1, 3, 1, 3, 1])
    assert choice.fold_of.tolist() == [1, 0, 1, 0, 1, 0]


def test_a_rule_that_cannot_be_fitted_is_left_out_with_its_reason():
    cases = list(scenes.independent(6, seed=1))
    choice = choose([Hurdle(dice), FixedThreshold(0.3)], cases, dice, folds=2)
    assert [c.name for c in choice.candidates] == ["0.5", "0.3"]
    assert choice.skipped[0][0] == "empty-aware dice"
    assert "all 6 cases have foreground" in choice.skipped[0][1] or "all 3" in choice.skipped[0][1]


class Reader:
    """A sequence that makes a case only when asked, as from disk."""

    def __init__(self, count):
        self.count, self.taken = count, 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.taken += 1
        return next(scenes.independent(1, index, 50))


def test_cases_may_be_read_when_they_are_needed():
    reader = Reader(8)
    choose([HalfDice()], reader, dice, folds=2)
    assert reader.taken == 2 * 8


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"groups": ["a"]}, "got 1 groups for 4 cases"),
        ({"folds": 1}, "at least 2 folds, got 1"),
        ({"folds": 0}, "at least 2 folds, got 0"),
        ({"folds": 9}, "4 groups cannot fill 9 folds"),
        ({"folds": [0, 1]}, "got folds of 2 cases for 4"),
        ({"groups": list("aabb"), "folds": [0, 1, 0, 1]}, "group 'a' is in more than one fold"),
        ({"groups": list("aaaa")}, "1 groups cannot fill 5 folds"),
    ],
)
def test_what_cannot_be_divided_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        choose([], list(scenes.independent(4, seed=0)), dice, **options)
