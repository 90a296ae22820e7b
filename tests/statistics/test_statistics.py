"""Every procedure against loops, its laws, and the error rates that it promises."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from segrisk.statistics import (
    GroupSums,
    group_sums,
    group_t_interval,
    holm,
    resampled_means,
    sign_flip,
)

cases = st.lists(
    st.tuples(st.floats(-1, 1).map(lambda x: round(x, 3)), st.sampled_from("abcdefgh")),
    min_size=1,
    max_size=20,
)


def table(pairs):
    values, groups = zip(*pairs, strict=True)
    return group_sums(values, groups)


def alone(values):
    return group_sums(values, range(len(values)))


# The table


@given(pairs=cases, data=st.data())
def test_the_order_of_cases_does_not_matter(pairs, data):
    a, b = table(pairs), table(data.draw(st.permutations(pairs)))
    assert a.sums.tolist() == b.sums.tolist() and a.counts.tolist() == b.counts.tolist()


@given(pairs=cases)
def test_the_table_keeps_mean_and_counts(pairs):
    assert table(pairs).mean == pytest.approx(np.mean([value for value, _ in pairs]), abs=1e-12)
    assert table(pairs).n_cases == len(pairs)
    assert table(pairs).n_groups == len({group for _, group in pairs})


def test_the_table_refuses_what_cannot_be_tested():
    with pytest.raises(ValueError, match="1 of 2 values are not finite"):
        group_sums([0.1, float("nan")], ["a", "b"])
    with pytest.raises(ValueError, match=r"values of shape \(2,\) and groups of 1 cases"):
        group_sums([0.1, 0.2], ["a"])
    with pytest.raises(ValueError, match="there are no cases"):
        group_sums([], [])


def test_names_are_what_they_are():
    assert group_sums([1, 2, 4], [("a", 1), ("a", 2), ("a", 1)]).sums.tolist() == [5, 2]
    with pytest.raises(ValueError, match="all named by one type"):
        group_sums([1, 2], [1, "1"])
    with pytest.raises(ValueError, match="all named by one type"):
        group_sums([1, 2], ["a", None])
    with pytest.raises(ValueError, match="2 of 3 cases have no group"):
        group_sums([1, 2, 3], [1.0, float("nan"), np.nan])


@pytest.mark.parametrize(
    ("sums", "counts", "text"),
    [
        ([0.1, np.nan], [1, 1], "1 of 2 sums are not finite"),
        ([0.1, np.inf], [1, 1], "1 of 2 sums are not finite"),
        ([0.1, 0.2], [1], r"sums of shape \(2,\) and counts of shape \(1,\)"),
        ([], [], "there are no groups"),
        ([0.1, 0.2], [1, 0], "1 of 2 groups have no case"),
    ],
)
def test_a_table_made_by_hand_passes_the_same_door(sums, counts, text):
    with pytest.raises(ValueError, match=text):
        GroupSums(np.array(sums, dtype=float), np.array(counts, dtype=int))


# The sign-flip test


def sign_flip_by_loops(sums):
    observed = abs(sum(sums))
    vectors = list(itertools.product([1, -1], repeat=len(sums)))
    extreme = [
        abs(sum(s * x for s, x in zip(signs, sums, strict=True))) >= observed - 1e-9
        for signs in vectors
    ]
    return sum(extreme) / len(vectors)


@given(pairs=cases)
def test_equals_the_loop_over_all_signs(pairs):
    differences = table(pairs)
    result = sign_flip(differences)
    assert result.exact and result.resamples == 2**differences.n_groups
    assert result.p == pytest.approx(sign_flip_by_loops(differences.sums), abs=1e-12)


def test_agrees_with_scipy_where_each_case_is_its_own_group():
    values = np.random.default_rng(0).normal(0.2, 1, 10)
    expected = scipy.stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip(alone(values)).p == pytest.approx(expected.pvalue, abs=1e-12)


def test_random_signs_agree_with_all_signs():
    values = np.random.default_rng(1).normal(0.35, 1, 16)
    exact = sign_flip(alone(values)).p
    # A seventeenth group without a difference changes no p-value, only how it is found.
    sampled = sign_flip(alone([*values, 0.0]), resamples=99_999)
    assert not sampled.exact
    assert sampled.p == pytest.approx(exact, abs=4 * np.sqrt(exact / 99_999))


@given(pairs=cases, scale=st.floats(0.01, 100))
def test_neither_direction_nor_scale_matters(pairs, scale):
    differences = table(pairs)
    for test in (sign_flip, lambda x: resampled_means(x, resamples=99)):
        p_value = test(differences).p
        assert test(GroupSums(-differences.sums, differences.counts)).p == p_value
        scaled = GroupSums(scale * differences.sums, differences.counts)
        assert test(scaled).p == pytest.approx(p_value)


@given(pairs=cases, names=st.permutations("abcdefgh"))
def test_the_names_of_groups_do_not_matter(pairs, names):
    renamed = table([(value, names["abcdefgh".index(group)]) for value, group in pairs])
    assert sign_flip(renamed).p == sign_flip(table(pairs)).p


@pytest.mark.parametrize("count", [12, 20])
@pytest.mark.parametrize("test", [sign_flip, resampled_means])
def test_rounding_drops_no_tie(test, count):
    whole = np.random.default_rng(5).integers(-3, 5, count)
    # Sums of tenths round, sums of integers do not; their ties are the same.
    assert test(alone(whole / 10)).p == test(alone(whole)).p


def test_groups_are_flipped_as_one():
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert sign_flip(alone(values)).p == 2 / 2**8
    assert sign_flip(group_sums(values, list("aabbccdd"))).p == 2 / 2**4


@pytest.mark.parametrize("count", [5, 40])
def test_equal_models_are_never_significant(count):
    assert sign_flip(alone(np.zeros(count))).p == 1
    assert resampled_means(alone(np.zeros(count))).p == 1


def test_five_groups_cannot_reach_five_percent():
    assert sign_flip(alone([1.0] * 5)).p == 0.0625


def test_random_signs_never_give_zero():
    assert sign_flip(alone(np.ones(50)), resamples=99).p == 0.01


def test_is_a_function_of_the_seed():
    differences = alone(np.random.default_rng(0).normal(0.1, 1, 60))
    for test in (sign_flip, resampled_means):
        assert test(differences, seed=1) == test(differences, seed=1)
        assert test(differences, seed=1) != test(differences, seed=2)


def test_blocks_change_nothing(monkeypatch):
    differences = alone(np.random.default_rng(0).normal(0.1, 1, 61))
    whole = [test(differences, resamples=999) for test in (sign_flip, resampled_means)]
    monkeypatch.setattr("segrisk.statistics.resampling.BLOCK", 61 * 66)
    assert [test(differences, resamples=999) for test in (sign_flip, resampled_means)] == whole


# The bootstrap


def test_the_bootstrap_is_the_paper_s():
    differences = alone(np.random.default_rng(3).normal(0.3, 1, 30))
    generator = np.random.default_rng(0)
    means = [generator.choice(differences.sums, 30).mean() for _ in range(20_000)]
    expected = 2 * min(np.mean(np.array(means) <= 0), np.mean(np.array(means) >= 0))
    p_value = resampled_means(differences, resamples=20_000).p
    assert p_value == pytest.approx(expected, abs=0.01)


def test_the_bootstrap_draws_groups_of_any_size():
    generator = np.random.default_rng(4)
    names = np.repeat(np.arange(12), np.arange(1, 13))
    values = generator.normal(0.15, 0.3, 12)[names] + generator.normal(0, 0.1, len(names))
    means = []
    for _ in range(4000):
        drawn = [values[names == group] for group in generator.integers(0, 12, 12)]
        means.append(np.concatenate(drawn).mean())
    expected = 2 * min(np.mean(np.array(means) <= 0), np.mean(np.array(means) >= 0))
    result = resampled_means(group_sums(values, names), resamples=20_000)
    assert 0.02 < expected < 0.5
    assert result.p == pytest.approx(expected, abs=0.03)


def test_resamples_below_one_are_refused():
    for test in (sign_flip, resampled_means):
        with pytest.raises(ValueError, match="resamples must be at least 1, got 0"):
            test(alone([1.0]), resamples=0)


# Intervals


def test_single_cases_give_the_usual_t_interval():
    values = np.random.default_rng(0).normal(0, 1, 25)
    low, high = scipy.stats.t.interval(0.9, 24, values.mean(), scipy.stats.sem(values))
    interval = group_t_interval(alone(values), level=0.9)
    assert (interval.low, interval.high) == pytest.approx((low, high))


def test_groups_of_unequal_size_give_the_interval_of_the_ratio():
    patients = [[0.1, 0.4, 0.3], [0.9], [0.2, 0.6], [0.5, 0.5, 0.7, 0.1]]
    cases = sum(len(patient) for patient in patients)
    mean = sum(sum(patient) for patient in patients) / cases
    square = sum(sum(value - mean for value in patient) ** 2 for patient in patients)
    half = scipy.stats.t.ppf(0.975, 3) * (4 / 3 * square) ** 0.5 / cases
    names = [index for index, patient in enumerate(patients) for _ in patient]
    interval = group_t_interval(group_sums([x for patient in patients for x in patient], names))
    expected = (mean, mean - half, mean + half)
    assert (interval.estimate, interval.low, interval.high) == pytest.approx(expected)
    assert (interval.n_groups, interval.level) == (4, 0.95)


def test_copies_of_a_case_within_its_group_add_no_certainty():
    values = np.random.default_rng(0).normal(0, 1, 12)
    one = group_t_interval(alone(values))
    many = group_t_interval(group_sums(np.repeat(values, 5), np.repeat(np.arange(12), 5)))
    assert (many.low, many.high) == pytest.approx((one.low, one.high))


def test_intervals_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="needs at least 2 groups, got 1"):
        group_t_interval(group_sums([0.1, 0.2], ["a", "a"]))
    with pytest.raises(ValueError, match="strictly between 0 and 1, got 95"):
        group_t_interval(alone([0.1, 0.2]), level=95)


# Holm


def holm_by_loops(p_values):
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_equals_its_definition(p_values):
    assert holm(p_values).tolist() == holm_by_loops(p_values)


@pytest.mark.parametrize("p_values", [[0.5, float("nan")], [1.5], [-0.1]])
def test_holm_refuses_what_is_no_probability(p_values):
    with pytest.raises(ValueError, match=f"numbers between 0 and 1, got {p_values[-1]}"):
        holm(p_values)


def test_holm_takes_one_family():
    assert holm([]).tolist() == []
    with pytest.raises(ValueError, match=r"p-values of shape \(1, 2\)"):
        holm([[0.1, 0.2]])


@settings(max_examples=20)
@given(st.integers(2, 6))
def test_holm_controls_a_family_of_equal_tests(count):
    assert (holm([0.05 / count] * count) <= 0.05 + 1e-15).all()
