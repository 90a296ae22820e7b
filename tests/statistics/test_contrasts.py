"""Sums of independent means: Welch's test and the contrasts of a 2 × 2 design."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from segrisk.statistics import group_sums, independent_contrast


def table(values, groups=None):
    return group_sums(values, range(len(values)) if groups is None else groups)


def test_two_data_sets_give_welch_s_test():
    generator = np.random.default_rng(0)
    a, b = generator.normal(0.1, 0.1, 30), generator.normal(0.0, 0.3, 12)
    found, wanted = (
        independent_contrast([table(a), table(b)], [1, -1]),
        ttest_ind(a, b, equal_var=False),
    )
    ends = wanted.confidence_interval(0.95)
    assert found.p == pytest.approx(wanted.pvalue) and found.degrees == pytest.approx(wanted.df)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    assert (found.n_cases, found.n_groups, found.fewest_groups) == (42, 42, 12)


def test_the_interval_of_an_interaction_holds_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(1)
    spreads, truth, held = (0.05, 0.1, 0.2, 0.4), 0.3, 0
    for _ in range(400):
        means = (0.0, 0.1, 0.2, 0.6)
        tables = [table(generator.normal(m, s, 25)) for m, s in zip(means, spreads, strict=True)]
        found = independent_contrast(tables, [1, -1, -1, 1])
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_groups_are_the_independent_units():
    values = np.repeat(np.random.default_rng(2).normal(size=20), 5)
    alone = independent_contrast([table(values[::5])], [1.0])
    grouped = independent_contrast([table(values, np.arange(100) // 5)], [1.0])
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))
    assert grouped.n_cases == 100 and grouped.n_groups == 20


@pytest.mark.parametrize(
    ("tables", "weights", "text"),
    [
        ([table([0.1, 0.2])], [1, -1], "got 2 weights for 1 data sets: give one for each"),
        ([], [], "got 0 weights for 0 data sets"),
        ([table([0.1])], [1], "at least 2 groups, got 1"),
    ],
)
def test_what_is_no_contrast_is_refused(tables, weights, text):
    with pytest.raises(ValueError, match=text):
        independent_contrast(tables, weights)
