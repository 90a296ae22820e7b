"""Folds: laws over random groups, balance, and what is refused."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrisk.data.errors import DataError, DataWarning
from segrisk.data.folds import Split, cross_validation, partition

quick = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[list[str], list[float]]:
    """5 to 30 groups of 1 to 6 cases, in any order, with repeated and empty fractions."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=5, max_size=30))
    names = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    groups = draw(st.permutations(names))
    fraction = st.sampled_from([0.0, 0.1, 0.1 + 1e-16, 0.3, 1 / 3, 0.7])
    return groups, draw(st.lists(fraction, min_size=len(groups), max_size=len(groups)))


@quick
@given(cohorts(), st.integers(2, 5), seeds)
def test_parts_keep_groups_whole_and_sizes_alike(cohort, parts, seed):
    groups, fractions = cohort
    part = partition(groups, fractions, parts, seed=seed)
    assert set(part.tolist()) == set(range(parts))
    assert len(set(zip(groups, part.tolist(), strict=True))) == len(set(groups))
    largest = max(groups.count(name) for name in set(groups))
    counts = np.bincount(part, minlength=parts)
    assert counts.max() - counts.min() <= largest


@quick
@given(cohorts(), st.randoms(use_true_random=False), seeds)
def test_parts_do_not_depend_on_the_order_of_cases(cohort, random, seed):
    groups, fractions = cohort
    order = list(range(len(groups)))
    random.shuffle(order)
    shuffled = partition([groups[i] for i in order], [fractions[i] for i in order], 3, seed=seed)
    assert shuffled.tolist() == partition(groups, fractions, 3, seed=seed)[order].tolist()


@quick
@given(cohorts(), st.integers(2, 5), st.sampled_from([0.1, 0.2, 0.5]), seeds)
def test_every_case_is_tested_once_and_no_group_is_on_two_sides(cohort, folds, validation, seed):
    groups, fractions = cohort
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        splits = cross_validation(groups, fractions, folds=folds, validation=validation, seed=seed)
    everything = list(range(len(groups)))
    assert [split.fold for split in splits] == list(range(folds))
    assert sorted(i for split in splits for i in split.test) == everything
    for split in splits:
        sides = (split.train, split.validation, split.test)
        assert all(side and list(side) == sorted(side) for side in sides)
        assert sorted(i for side in sides for i in side) == everything
        assert sum(len({groups[i] for i in side}) for side in sides) == len(set(groups))


def test_single_cases_fill_parts_to_within_one():
    part = partition([str(i) for i in range(23)], np.linspace(0, 1, 23), 5, seed=3)
    assert sorted(np.bincount(part).tolist()) == [4, 4, 5, 5, 5]


def test_mean_fraction_is_balanced_better_than_by_chance():
    generator = np.random.default_rng(0)
    fractions = generator.lognormal(-3, 1, 60)
    groups = [f"{i:02d}" for i in range(60)]

    def spread(part: np.ndarray) -> float:
        return float(np.std([fractions[part == p].mean() for p in range(5)]))

    balanced = [spread(partition(groups, fractions, 5, seed=seed)) for seed in range(30)]
    chance = [spread(generator.permutation(60) % 5) for _ in range(30)]
    assert np.mean(balanced) < 0.6 * np.mean(chance)


def test_large_groups_go_where_fewest_cases_are():
    groups = ["a"] * 8 + ["b"] + ["c"] * 6 + ["d"]
    part = partition(groups, [0.1] * 9 + [0.2] * 7, 2, seed=0)
    assert np.bincount(part).tolist() in ([9, 7], [7, 9])


def test_equal_means_are_ties_in_whatever_order_they_are_summed():
    groups = ["a", "a", "a", "b", "c", "d"]
    others = [0.2, 0.2, 0.5]  # 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1 in floating point
    for seed in range(20):
        upwards = partition(groups, [0.1, 0.2, 0.3, *others], 2, seed=seed)
        downwards = partition(groups, [0.3, 0.2, 0.1, *others], 2, seed=seed)
        assert upwards.tolist() == downwards.tolist()


def test_each_fold_draws_its_own_validation_part():
    splits = cross_validation([f"{i:02d}" for i in range(40)], [0.1] * 40)
    rests = [sorted(split.train + split.validation) for split in splits]
    places = {
        tuple(np.searchsorted(rest, split.validation).tolist())
        for rest, split in zip(rests, splits, strict=True)
    }
    assert len(places) == 5


def test_the_seed_decides():
    groups, fractions = [str(i) for i in range(40)], [i / 40 for i in range(40)]
    first = cross_validation(groups, fractions, seed=1)
    assert first == cross_validation(groups, fractions, seed=1)
    assert first != cross_validation(groups, fractions, seed=2)
    assert isinstance(first[0], Split) and len(first[0].validation) in (6, 7)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"folds": 1}, "at least 2 folds, got 1"),
        ({"validation": 0.0}, "above 0 and at most 0.5, got 0.0"),
        ({"validation": 0.6}, "above 0 and at most 0.5, got 0.6"),
        ({"folds": 7}, "6 groups cannot fill 7 folds: lower `folds` to 6"),
    ],
)
def test_impossible_divisions_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        cross_validation(list("abcdef"), [0.1] * 6, **arguments)


def test_a_training_part_of_one_group_is_refused():
    with pytest.raises(DataError, match=r"fold 0: its training part has 1 group.*2 folds need 4"):
        cross_validation(["a", "a", "b"], [0.1] * 3, folds=2)


def test_fractions_must_belong_to_cases():
    with pytest.raises(ValueError, match="3 groups and 2 fractions"):
        cross_validation(list("abc"), [0.1, 0.2])
    with pytest.raises(ValueError, match="a foreground fraction is NaN"):
        cross_validation(list("abcdef"), [0.1] * 5 + [float("nan")])


def test_a_training_part_without_foreground_warns_with_the_fold():
    with pytest.warns(DataWarning, match=r"fold \d: all masks of its training part are empty"):
        cross_validation(list("abcdef"), [0.0] * 5 + [0.2], folds=3)
