"""Many comparisons at once: max-T, and rankings."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from segrisk.statistics import max_t, ranking, ranking_across, sign_flip_test


def family(count=12, groups=None, seed=0, shifts=(0.0, 0.0, 0.5)):
    """Differences of three models in two metrics, one of which has another scale."""
    generator = np.random.default_rng(seed)
    scores = generator.standard_normal((3, count)) + np.array(shifts)[:, None]
    names = np.arange(count) if groups is None else np.arange(count) % groups
    pairs = list(itertools.combinations(range(3), 2))
    found = {("dice", a, b): scores[a] - scores[b] for a, b in pairs}
    found |= {("hd95", a, b): 40 * (scores[a] - scores[b]) ** 3 for a, b in pairs}
    return found, names


def max_t_by_loops(differences, groups):
    """Step-down over every sign vector, each hypothesis with all that come after it."""
    distinct = sorted(set(groups))
    sums = {
        name: [sum(d for d, g in zip(row, groups, strict=True) if g == group) for group in distinct]
        for name, row in differences.items()
    }
    scale = {name: sum(x * x for x in row) ** 0.5 or 1.0 for name, row in sums.items()}

    def statistic(name, signs):
        return abs(sum(s * x for s, x in zip(signs, sums[name], strict=True))) / scale[name]

    vectors = list(itertools.product([1, -1], repeat=len(distinct)))
    observed = {name: statistic(name, vectors[0]) for name in sums}
    order = sorted(sums, key=lambda name: -observed[name])
    adjusted, largest = {}, 0.0
    for place, name in enumerate(order):
        rest = order[place:]
        extreme = [
            max(statistic(other, signs) for other in rest) >= observed[name] - 1e-9
            for signs in vectors
        ]
        largest = max(largest, sum(extreme) / len(vectors))
        adjusted[name] = largest
    return adjusted


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7))
def test_max_t_equals_the_loop_over_all_signs(seed, groups):
    differences, names = family(14, groups, seed)
    found = max_t(differences, names)
    expected = max_t_by_loops(differences, names.tolist())
    assert found.exact and found.resamples == 2 ** len(set(names.tolist()))
    assert found.p_adjusted == pytest.approx(expected)


@pytest.mark.parametrize("count", [10, 40])
def test_raw_p_values_are_those_of_the_primary_test(count):
    differences, names = family(count)
    found = max_t(differences, names, resamples=999, seed=4)
    for name, row in differences.items():
        alone = sign_flip_test(row, np.zeros(count), names, 999, 4)
        assert (found.p[name], found.exact, found.resamples) == (
            alone.p,
            alone.exact,
            alone.resamples,
        )


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_adjusting_never_helps_and_the_order_of_the_family_is_nothing(seed):
    differences, names = family(20, seed=seed)
    found = max_t(differences, names, resamples=499)
    assert all(found.p[name] <= found.p_adjusted[name] for name in differences)
    turned = max_t(dict(reversed(differences.items())), names, resamples=499)
    assert turned.p_adjusted == pytest.approx(found.p_adjusted)


def test_a_copy_of_a_metric_costs_nothing():
    differences, names = family(30)
    single = {name: row for name, row in differences.items() if name[0] == "dice"}
    doubled = single | {("copy", *name): 3 * row for name, row in single.items()}
    alone, both = max_t(single, names, resamples=999), max_t(doubled, names, resamples=999)
    for name in single:
        assert both.p_adjusted[name] == alone.p_adjusted[name] == both.p_adjusted["copy", *name]
    assert both.family == tuple(doubled)


def test_data_sets_flip_on_their_own_and_shared_patients_together():
    first, names = family(8, seed=1)
    second, _ = family(6, seed=2)
    differences = {("one", *n): row for n, row in first.items()}
    differences |= {("two", *n): row for n, row in second.items()}
    groups = {
        name: [(name[0], index) for index in range(8 if name[0] == "one" else 6)]
        for name in differences
    }
    found = max_t(differences, groups)
    assert found.n_groups == 14 and found.exact
    for name, row in differences.items():
        assert found.p[name] == sign_flip_test(row, np.zeros(len(row))).p
    assert max_t(first, {name: names for name in first}) == max_t(first, names)


def test_families_are_checked():
    differences, names = family()
    with pytest.raises(ValueError, match="the family is empty: declare at least one"):
        max_t({})
    with pytest.raises(ValueError, match=r"no groups are given for \('dice', 0, 1\)"):
        max_t(differences, {("dice", 0, 2): names})
    with pytest.raises(ValueError, match="resamples must be at least 1, got 0"):
        max_t(differences, names, resamples=0)
    with pytest.raises(ValueError, match="the difference x: 1 of 2 are not finite"):
        max_t({"x": [0.1, np.nan]})


# Rankings


def scores(count=40, gaps=(0.0, 0.02, 0.3), seed=0):
    generator = np.random.default_rng(seed)
    hard = generator.uniform(0.2, 0.6, count)
    return {
        name: hard + gap + 0.05 * generator.standard_normal(count)
        for name, gap in zip("ABC", gaps, strict=True)
    }


def ranking_by_loops(models, groups, resamples, seed=5):
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    first = dict.fromkeys(models, 0.0)
    places = {name: [] for name in models}
    for _ in range(resamples):
        drawn = generator.integers(0, len(members), len(members))
        cases = np.concatenate([members[i] for i in drawn])
        means = {name: row[cases].mean() for name, row in models.items()}
        for name in models:
            places[name].append(1 + sum(means[other] > means[name] for other in models))
        first[max(means, key=means.get)] += 1 / resamples
    return first, places


def test_ranking_equals_the_loop_over_draws():
    models, groups = scores(), np.arange(40) // 3
    first, places = ranking_by_loops(models, groups, 3000)
    found = ranking(models, groups, resamples=20_000)
    assert [place.model for place in found] == sorted(models, key=lambda m: -models[m].mean())
    for place in found:
        assert place.mean == pytest.approx(models[place.model].mean())
        assert place.p_best == pytest.approx(first[place.model], abs=0.03)
        assert place.low == np.quantile(places[place.model], 0.025, method="inverted_cdf")
        assert place.high == np.quantile(places[place.model], 0.975, method="inverted_cdf")
    assert found[0].model == "C" and found[0].p_best == 1


def test_lower_is_better_turns_the_ranking():
    models = scores()
    up, down = ranking(models), ranking(models, better="lower")
    assert [place.model for place in down] == [place.model for place in up][::-1]
    assert [place.mean for place in down] == [place.mean for place in up][::-1]


def test_equal_models_share_place_and_chance():
    models = scores()
    models["D"] = models["C"].copy()
    found = {place.model: place for place in ranking(models)}
    assert found["C"].rank == found["D"].rank == 1.5
    assert found["C"].p_best == found["D"].p_best == 0.5
    assert sum(place.p_best for place in found.values()) == pytest.approx(1)


def test_ranking_across_weighs_data_sets_the_same():
    large = scores(200, (0.0, 0.0, 0.5))
    small = scores(12, (0.9, 0.45, 0.0), seed=3)
    found = {place.model: place for place in ranking_across({"large": large, "small": small})}
    ranks = {
        name: {place.model: place.rank for place in ranking(table)}
        for name, table in (("large", large), ("small", small))
    }
    for model, place in found.items():
        assert place.mean == pytest.approx((ranks["large"][model] + ranks["small"][model]) / 2)
    assert sum(place.p_best for place in found.values()) == pytest.approx(1)
    one = ranking_across({"large": large}, {"large": np.arange(200) // 2}, resamples=500)
    alone = ranking(large, np.arange(200) // 2, resamples=500)
    assert [(p.model, p.rank, p.p_best, p.low, p.high) for p in one] == [
        (p.model, p.rank, p.p_best, p.low, p.high) for p in alone
    ]


def test_equal_data_sets_are_drawn_on_their_own():
    close = scores(30, (0.0, 0.005, -0.5), seed=2)
    one = ranking_across({"x": close})[0].p_best
    four = ranking_across(dict.fromkeys("wxyz", close))[0].p_best
    # Independent draws: of four the best one leads in most, of which a tie is half.
    votes = scipy.stats.binom(4, one)
    assert four == pytest.approx(votes.sf(2) + votes.pmf(2) / 2, abs=0.02)


def test_rankings_are_checked():
    models = scores()
    with pytest.raises(ValueError, match="no data sets to rank across"):
        ranking_across({})
    with pytest.raises(ValueError, match=r"data set 'y' has the models \['A'\], another"):
        ranking_across({"x": models, "y": {"A": models["A"]}})
    with pytest.raises(ValueError, match="no groups are given for 'y'"):
        ranking_across({"x": models, "y": models}, {"x": range(40)})
    with pytest.raises(ValueError, match="the scores of B: 1 of 2 are not finite"):
        ranking({"A": [0.1, 0.2], "B": [0.1, np.nan]})
    with pytest.raises(ValueError, match="resamples must be at least 1"):
        ranking(models, resamples=0)
    with pytest.raises(ValueError, match="better must be 'higher' or 'lower'"):
        ranking(models, better="most")
    with pytest.raises(ValueError, match="no values to add up"):
        ranking({})
