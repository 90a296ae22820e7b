"""The scores of two models: the door, intervals, equivalence, effects, power, verdicts."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from segrisk.statistics import (
    METHODS,
    GroupSums,
    bootstrap_intervals,
    bootstrap_test,
    carriers,
    cautions,
    effect,
    effect_size,
    equivalence_test,
    group_sums,
    judge_equivalence,
    minimum_detectable,
    no_mark_possible,
    paired_bootstrap,
    paired_sums,
    resampled_means,
    sign_flip_test,
    smallest_p,
    verdict,
    wilcoxon_test,
)
from segrisk.statistics.intervals import standard_error
from segrisk.statistics.resampling import draws

TESTS = {
    "sign flip": lambda a, b, groups: sign_flip_test(a, b, groups, 199),
    "resampled means": lambda a, b, groups: bootstrap_test(a, b, groups, 199),
    "swapped ranks": lambda a, b, groups: bootstrap_test(
        a, b, groups, 199, reading="swapped_ranks"
    ),
    "Wilcoxon": wilcoxon_test,
}

score = st.floats(0, 1).map(lambda x: round(x, 3))
pairs = st.lists(st.tuples(score, score, st.sampled_from("abcdefgh")), min_size=8, max_size=30)


def columns(rows):
    a, b, groups = zip(*rows, strict=True)
    return np.array(a), np.array(b), list(groups)


def made(count, groups=None, shift=0.02, seed=0):
    """Scores of two models on cases of the same difficulty, and the cases' groups."""
    generator = np.random.default_rng(seed)
    names = np.arange(count) if groups is None else generator.permutation(count) % groups
    hard = generator.uniform(0.3, 0.9, count)
    a = hard + shift + 0.05 * generator.standard_normal(count)
    return a, hard + 0.05 * generator.standard_normal(count), names


# The door, and the laws of every procedure


@settings(max_examples=25, deadline=None)
@given(rows=pairs, data=st.data())
@pytest.mark.parametrize("name", TESTS)
def test_tests_do_not_see_the_order_of_cases_and_turn_with_the_models(name, rows, data):
    a, b, groups = columns(rows)
    found = TESTS[name](a, b, groups)
    shuffled = TESTS[name](*columns(data.draw(st.permutations(rows))))
    turned = TESTS[name](b, a, groups)
    assert shuffled == found
    assert turned.p == pytest.approx(found.p, abs=1e-12)
    assert turned.difference == pytest.approx(-found.difference, abs=1e-12)
    assert found.difference == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    assert (found.n_cases, found.n_groups) == (len(rows), len(set(groups)))


@settings(max_examples=15, deadline=None)
@given(rows=pairs, data=st.data())
@pytest.mark.parametrize("method", METHODS)
def test_intervals_do_not_see_the_order_of_cases_and_turn_with_the_models(method, rows, data):
    a, b, groups = columns(rows)
    if len(set(groups)) < 2:
        return
    chance = {"method": method, "resamples": 200}
    found = paired_bootstrap(a, b, groups, **chance)
    assert paired_bootstrap(*columns(data.draw(st.permutations(rows))), **chance) == found
    assert found.low <= found.high and found.difference == pytest.approx((a - b).mean(), abs=1e-12)
    turned = paired_bootstrap(b, a, groups, **chance)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
    # Equal errors of all cases move nothing, and a scale is a scale.
    moved = paired_bootstrap(3 * a + 1, 3 * b, groups, **chance)
    ends = (3 * found.low + 1, 3 * found.high + 1)
    assert (moved.low, moved.high) == pytest.approx(ends, abs=1e-6)


def test_the_names_of_the_issue_work_on_plain_lists():
    a, b = [0.9, 0.8, 0.7, 0.95, 0.85, 0.6], [0.8, 0.75, 0.65, 0.9, 0.8, 0.5]
    test = sign_flip_test(a, b, groups=None, resamples=9999, seed=0)
    assert (test.p, test.exact, test.resamples) == (2 / 2**6, True, 64)
    interval = paired_bootstrap(a, b, groups=None)
    assert interval.low < interval.difference < interval.high
    assert interval.method == "hull" and interval.resamples == 9999


def test_seeds_are_averaged_within_a_case_first():
    generator = np.random.default_rng(0)
    a, b = generator.random((30, 3)), generator.random((30, 2))
    groups = np.arange(30) // 3
    assert sign_flip_test(a, b, groups) == sign_flip_test(a.mean(1), b.mean(1), groups)
    assert sign_flip_test(a[:, ::-1], b, groups) == sign_flip_test(a, b, groups)
    assert paired_bootstrap(a, b, groups) == paired_bootstrap(a.mean(1), b.mean(1), groups)
    assert sign_flip_test(a, b).n_cases == 30


def test_the_mean_over_groups_is_another_number_with_a_name():
    a, b, groups = [0.9, 0.9, 0.9, 0.5], [0.8, 0.8, 0.8, 0.8], ["p", "p", "p", "q"]
    over_cases = sign_flip_test(a, b, groups)
    over_groups = sign_flip_test(a, b, groups, unit="group_mean")
    assert over_cases.difference == pytest.approx((0.3 - 0.3) / 4)
    assert over_groups.difference == pytest.approx((0.1 - 0.3) / 2)
    assert (over_cases.unit, over_groups.unit) == ("case", "group_mean")
    assert over_groups.n_cases == 4 and over_groups.n_groups == 2
    assert "over group means" in verdict(replace(over_groups, p=0.01))
    interval = paired_bootstrap(a, b, groups, unit="group_mean", method="t")
    expected = scipy.stats.t.interval(0.95, 1, -0.1, scipy.stats.sem([0.1, -0.3]))
    assert (interval.low, interval.high) == pytest.approx(expected)


@pytest.mark.parametrize("call", [sign_flip_test, paired_bootstrap, effect, wilcoxon_test])
@pytest.mark.parametrize(
    ("a", "b", "groups", "text"),
    [
        ([0.1, 0.2], [0.1], None, "a has 2 cases and b has 1: give both models' scores of the"),
        ([0.1], [0.1, 0.2], None, "a has 1 cases and b has 2"),
        ([0.1, np.nan, 0.2], [0.1, 0.2, 0.3], None, "a: 1 of 3 are not finite: a missing or fai"),
        ([0.1, 0.2], [0.1, np.inf], None, "b: 1 of 2 are not finite"),
        ([[[0.1]]], [0.1], None, r"a: got shape \(1, 1, 1\): give \(cases,\), or \(cases, seeds\)"),
        ([], [], None, r"a: got shape \(0,\)"),
        (0.5, 0.4, None, r"a: got shape \(\)"),
        ([0.1, 0.2], [0.1, 0.3], ["p"], "groups of 1 cases"),
        ([0.1, 0.2], [0.1, 0.3], ["p", None], "all named by one type"),
    ],
)
def test_scores_that_do_not_pair_up_are_refused(call, a, b, groups, text):
    with pytest.raises(ValueError, match=text):
        call(a, b, groups)


def test_other_words_are_refused():
    a, b, _ = made(10)
    with pytest.raises(ValueError, match=r"unit must be one of \['case', 'group_mean'\], got 'pa"):
        sign_flip_test(a, b, unit="patient")
    with pytest.raises(ValueError, match="unit must be one of"):
        paired_bootstrap(a, b, unit="patient")
    with pytest.raises(ValueError, match="reading must be 'resampled_means' or 'swapped_ranks', g"):
        bootstrap_test(a, b, reading="the paper's")
    with pytest.raises(ValueError, match=r"method must be one of .*'hull'.* got 'basic'"):
        paired_bootstrap(a, b, method="basic")
    with pytest.raises(ValueError, match="better must be 'higher' or 'lower', got 'up'"):
        effect(a, b, better="up")
    for call in (sign_flip_test, paired_bootstrap, bootstrap_test):
        with pytest.raises(ValueError, match="resamples must be at least 1, got 0"):
            call(a, b, resamples=0)
    with pytest.raises(ValueError, match="resamples must be at least 1, got 0"):
        bootstrap_test(a, b, resamples=0, reading="swapped_ranks")
    with pytest.raises(ValueError, match="needs at least 2 groups, got 1"):
        paired_bootstrap(a, b, ["p"] * 10)
    with pytest.raises(ValueError, match="strictly between 0 and 1, got 95"):
        paired_bootstrap(a, b, level=95)
    with pytest.raises(ValueError, match="no values to add up"):
        bootstrap_intervals({})


# Tests beside the primary one


def test_wilcoxon_equals_the_loop_over_all_signs():
    a, b, groups = made(24, 9)
    means = [(a - b)[groups == group].mean() for group in range(9)]
    ranks = scipy.stats.rankdata(np.abs(means))
    observed = abs((ranks * np.sign(means)).sum())
    vectors = itertools.product([1, -1], repeat=9)
    extreme = [abs((ranks * signs).sum()) >= observed for signs in vectors]
    assert wilcoxon_test(a, b, groups).p == pytest.approx(np.mean(extreme))


def test_wilcoxon_asks_another_question_than_the_table_of_means():
    differences = np.array([0.004] * 94 + [-0.35] * 6)
    b = np.full(100, 0.6)
    wins = wilcoxon_test(b + differences, b)
    assert wins.p < 1e-9 and wins.difference < -0.017
    assert paired_bootstrap(b + differences, b).high < 0
    assert "no test of the mean" in wins.method
    assert wilcoxon_test(b, b).p == 1


def test_the_paper_s_bootstrap_in_both_readings():
    a, b, groups = made(60, 25, shift=0.015)
    first = bootstrap_test(a, b, groups, 2000, 3)
    assert first == resampled_means(paired_sums(a, b, groups), resamples=2000, seed=3)
    second = bootstrap_test(a, b, groups, 20_000, reading="swapped_ranks")
    ranks = group_sums(np.sign(a - b), groups).sums
    generator = np.random.default_rng(9)
    swapped = [abs(generator.choice([-1, 1], 25) @ ranks) for _ in range(20_000)]
    assert second.p == pytest.approx(np.mean(np.array(swapped) > abs(ranks.sum())), abs=0.015)
    assert first.method != second.method and second.difference == first.difference
    # Ties do not count: a model that wins every case gets 0, as their code gives.
    assert bootstrap_test(b + 0.1, b, reading="swapped_ranks").p == 0


# Intervals


@pytest.mark.parametrize("law", ["normal", "exponential"])
def test_bca_and_percentile_agree_with_scipy_on_single_cases(law):
    values = getattr(np.random.default_rng(4), law)(size=40)
    for method, name in (("bca", "BCa"), ("percentile", "percentile")):
        found = paired_bootstrap(values, np.zeros(40), method=method, resamples=40_000)
        expected = scipy.stats.bootstrap(
            (values,), np.mean, n_resamples=40_000, method=name, rng=np.random.default_rng(1)
        ).confidence_interval
        width = expected.high - expected.low
        assert found.low == pytest.approx(expected.low, abs=0.02 * width)
        assert found.high == pytest.approx(expected.high, abs=0.02 * width)


def studentised_by_loops(values, groups, resamples, level):
    """Whole patients drawn from a list, everything computed anew for each draw."""
    patients = [values[groups == group] for group in np.unique(groups)]
    count = len(patients)

    def estimate(drawn):
        cases = sum(len(patient) for patient in drawn)
        mean = sum(patient.sum() for patient in drawn) / cases
        square = sum((patient - mean).sum() ** 2 for patient in drawn)
        return mean, (count / (count - 1) * square) ** 0.5 / cases

    mean, error = estimate(patients)
    generator = np.random.default_rng(11)
    ratios, means = [], []
    for _ in range(resamples):
        drawn, spread = estimate([patients[i] for i in generator.integers(0, count, count)])
        ratios.append((drawn - mean) / spread)
        means.append(drawn)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(ratios, tails)
    return (mean - high * error, mean - low * error), tuple(np.quantile(means, tails))


def test_cluster_resamples_equal_the_loop_over_patients():
    generator = np.random.default_rng(2)
    groups = np.repeat(np.arange(15), generator.integers(1, 6, 15))
    values = generator.exponential(1, 15)[groups] + 0.3 * generator.standard_normal(len(groups))
    studentised, percentile = studentised_by_loops(values, groups, 6000, 0.9)
    for method, expected in (("studentised", studentised), ("percentile", percentile)):
        found = paired_bootstrap(
            values, 0 * values, groups, level=0.9, method=method, resamples=20_000
        )
        width = expected[1] - expected[0]
        assert (found.low, found.high) == pytest.approx(expected, abs=0.06 * width)


def test_the_error_of_a_resample_is_that_of_its_own_t_interval():
    a, b, groups = made(40, 6)
    sums = paired_sums(a, b, groups)
    found = paired_bootstrap(a, b, groups, method="studentised", resamples=50, level=0.8)
    error = standard_error(sums.sums, sums.counts)
    ratios = []
    for drawn in next(draws(6, 50, seed=0)).astype(int):
        values, counts = np.repeat(sums.sums, drawn), np.repeat(sums.counts, drawn)
        deviation = values.sum() / counts.sum() - sums.mean
        ratios.append(deviation / standard_error(values, counts))
    high, low = np.quantile(ratios, [0.1, 0.9])
    ends = (sums.mean - low * error, sums.mean - high * error)
    assert (found.low, found.high) == pytest.approx(ends)


def test_the_default_is_the_hull_of_two():
    a, b, groups = made(50, 20)
    found = {name: paired_bootstrap(a, b, groups, method=name) for name in METHODS}
    assert found["hull"].low == min(found["t"].low, found["studentised"].low)
    assert found["hull"].high == max(found["t"].high, found["studentised"].high)
    assert replace(found["hull"], low=0, high=0) == replace(
        paired_bootstrap(a, b, groups), low=0, high=0
    )
    assert found["t"].resamples == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("constant", [0.0, 0.125])
def test_equal_differences_leave_no_doubt(method, constant):
    b = np.full(30, 0.5)
    found = paired_bootstrap(b + constant, b, method=method)
    assert (found.low, found.high) == pytest.approx((constant, constant), abs=1e-15)
    assert sign_flip_test(b, b).p == 1


@pytest.mark.parametrize("method", METHODS)
def test_few_differences_that_are_not_zero_give_finite_ends(method):
    values = np.zeros(50)
    values[:2] = 0.3
    found = paired_bootstrap(values, np.zeros(50), method=method)
    assert (
        np.isfinite([found.low, found.high]).all() and found.low <= found.difference <= found.high
    )


def test_many_pairs_share_one_draw_and_stay_what_they_are_alone():
    generator = np.random.default_rng(0)
    models = {name: generator.random(40) for name in "ABC"}
    groups = np.arange(40) // 2
    differences = {(x, y): models[x] - models[y] for x, y in itertools.combinations("ABC", 2)}
    found = bootstrap_intervals(differences, groups, resamples=500)
    assert list(found) == list(differences)
    for (x, y), interval in found.items():
        alone = paired_bootstrap(models[x], models[y], groups, resamples=500)
        assert (interval.low, interval.high) == pytest.approx((alone.low, alone.high), abs=1e-12)


def test_blocks_change_nothing(monkeypatch):
    a, b, groups = made(60, 25)
    whole = [paired_bootstrap(a, b, groups, method=name, resamples=999) for name in METHODS]
    monkeypatch.setattr("segrisk.statistics.resampling.BLOCK", 25 * 64)
    parts = [paired_bootstrap(a, b, groups, method=name, resamples=999) for name in METHODS]
    for one, other in zip(whole, parts, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)


# Equivalence


def test_equivalence_is_an_interval_within_the_margin_on_enough_groups():
    b = np.random.default_rng(0).random(100)
    a = b + np.random.default_rng(1).normal(0, 0.01, 100)
    found = equivalence_test(a, b, 0.01)
    assert found.equivalent and found.within and found.interval.level == 0.9
    assert "equivalent within ±0.01: 90 % interval [" in found.words
    assert not equivalence_test(a, b, 0.0005).equivalent
    assert "not shown to be equivalent" in equivalence_test(a + 0.02, b, 0.01).words


def test_the_interval_is_two_one_sided_tests():
    values = np.random.default_rng(2).normal(0.1, 1, 60)
    above = scipy.stats.ttest_1samp(values, -0.5, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(values, 0.5, alternative="less").pvalue
    p, zeros = max(above, below), np.zeros(60)
    assert equivalence_test(values, zeros, 0.5, alpha=1.001 * p, method="t").equivalent
    assert not equivalence_test(values, zeros, 0.5, alpha=0.999 * p, method="t").equivalent


def test_below_50_groups_nothing_is_claimed():
    b = np.random.default_rng(0).random(98)
    found = equivalence_test(b, b, 0.01, np.arange(98) // 2)
    assert found.within and not found.equivalent
    assert "49 groups cannot support a claim of equivalence, which needs 50" in found.words
    assert equivalence_test(b, b, 0.01).equivalent


def test_margins_and_levels_are_checked():
    a, b, _ = made(60)
    for margin in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"margin must be positive and finite, got {margin}"):
            equivalence_test(a, b, margin)
        with pytest.raises(ValueError, match=f"margin must be positive and finite, got {margin}"):
            judge_equivalence(paired_bootstrap(a, b), margin)
    for alpha in (0, 0.5, 0.95, float("nan")):
        with pytest.raises(ValueError, match=f"between 0 and 0.5, got {alpha}"):
            equivalence_test(a, b, 1, alpha=alpha)


# Effects


def test_the_effect_of_single_cases_is_the_paired_d():
    a, b, _ = made(40)
    d = a - b
    found = effect(a, b)
    assert found.size == pytest.approx(d.mean() / d.std(ddof=1))
    assert (found.wins, found.ties, found.losses) == ((d > 0).sum(), 0, (d < 0).sum())
    turned = effect(a, b, better="lower")
    assert (turned.wins, turned.losses) == (found.losses, found.wins)
    assert turned.win_rate == pytest.approx(1 - found.win_rate)
    assert effect([1, 2, 3], [1, 2, 4]).win_rate == pytest.approx(1 / 3)


def test_the_effect_does_not_grow_with_copies_of_the_cases():
    a, b, groups = made(30, 10)
    sums = paired_sums(a, b, groups)
    doubled = GroupSums(np.tile(sums.sums, 2), np.tile(sums.counts, 2))
    assert effect_size(doubled) == pytest.approx(effect_size(sums), rel=0.06)
    assert effect_size(paired_sums(b, b)) == 0
    assert effect_size(GroupSums(np.full(4, 0.25), np.ones(4, int))) == np.inf


def carriers_by_loops(values):
    total, left = sum(values), list(values)
    if abs(total) < 1e-12:
        return 0
    count = 0
    while (sum(left) > 1e-12) if total > 0 else (sum(left) < -1e-12):
        left.remove(max(left) if total > 0 else min(left))
        count += 1
    return count


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=15))
def test_carriers_are_removed_one_by_one(values):
    assert carriers([value / 100 for value in values]) == carriers_by_loops(values)


def test_one_failure_of_a_hundred_can_carry_a_difference():
    a, b = np.full(100, 0.8), np.full(100, 0.8)
    b[7] = 0.0
    assert effect(a, b).carriers == 1 and effect(a, b, np.arange(100) // 10).group_carriers == 1


# Power


@pytest.mark.parametrize("groups", [3, 5, 6, 10, 16])
def test_the_smallest_p_is_reached_when_all_agree(groups):
    test = sign_flip_test(np.arange(1.0, groups + 1), np.zeros(groups))
    assert smallest_p(groups) == test.p == 2.0 ** (1 - groups)


def test_no_mark_is_possible_where_the_smallest_p_is_too_large():
    assert "with 5 groups the smallest p-value is 0.0625, which is not below" in no_mark_possible(5)
    assert no_mark_possible(6) is None
    text = "with 8 groups and 10 comparisons the smallest p-value is 0.0781"
    assert text in no_mark_possible(8, family=10)
    assert no_mark_possible(9, family=10) is None
    text = no_mark_possible(100, family=10, resamples=99)
    assert text.endswith("which is not below 0.05: take more than 99 resamples")
    assert sign_flip_test(np.ones(100), np.zeros(100), resamples=99).p == smallest_p(
        100, resamples=99
    )


@pytest.mark.parametrize("groups", [5, 20, 200])
def test_the_detectable_difference_is_found_with_its_power(groups):
    noise = np.random.default_rng(0).standard_normal(groups)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    delta = minimum_detectable(paired_sums(noise, np.zeros(groups)), power=0.8)
    # Draws whose true standard deviation is the 1 that was seen.
    draws = np.random.default_rng(1).standard_normal((20_000, groups)) + delta
    found = scipy.stats.ttest_1samp(draws, 0, axis=1)
    share = ((found.pvalue < 0.05) & (found.statistic > 0)).mean()
    assert share == pytest.approx(0.8, abs=0.012)


def test_the_detectable_difference_does_not_see_the_mean():
    a, b, groups = made(60, 20)
    one = minimum_detectable(paired_sums(a, b, groups))
    other = minimum_detectable(paired_sums(a + 0.5, b, groups))
    assert one == pytest.approx(other)
    for name in ("power", "alpha"):
        with pytest.raises(ValueError, match=f"{name} must lie strictly between 0 and 1, got 80"):
            minimum_detectable(paired_sums(a, b), **{name: 80})


# Verdicts


def test_verdicts_know_which_way_is_better():
    a, b, _ = made(60, shift=0.1)
    test = sign_flip_test(a, b)
    assert verdict(test, a="x", b="y").startswith("x is better than y by 0.1")
    assert verdict(test, a="x", b="y", better="lower").startswith("y is better than x by 0.1")
    assert "sign-flip test of the mean difference over cases, p = 0.0001" in verdict(test)


def test_verdicts_claim_nothing_that_is_not_shown():
    a, b, _ = made(60, shift=0.0)
    assert "A and B are not shown to differ" in verdict(sign_flip_test(a, b))
    better = sign_flip_test(*made(60, shift=0.1)[:2])
    assert "not shown to differ" in verdict(better, p_adjusted=0.06, family=50)
    five = sign_flip_test([1, 1, 1, 1, 1], [0, 0, 0, 0, 0])
    assert "cannot be told apart: no mark is possible: with 5 groups" in verdict(five)
    assert "not shown to differ" in verdict(wilcoxon_test([1] * 30, [1] * 30))


def test_cautions_name_few_cases_and_skewness():
    usual, *_ = made(60)
    assert cautions(paired_sums(usual, made(60)[1])) == ()
    failures = np.full(60, 0.01)
    failures[:3] = -0.4
    (text,) = cautions(paired_sums(failures, np.zeros(60)))
    assert "one-sided (skewness -4." in text and "trust the interval" in text
    assert any(
        "24 cases in 24 groups are few" in text for text in cautions(paired_sums(*made(24)[:2]))
    )
