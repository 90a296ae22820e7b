"""The mean over group means: every procedure gives what it gives on the means, taken by loops."""

from dataclasses import asdict

import numpy as np
import pytest

from segrisk.statistics import (
    bootstrap_test,
    case_weights,
    effect,
    equivalence_test,
    loss_claim,
    max_t,
    paired_bootstrap,
    ranking,
    ranking_across,
    sign_flip_test,
    wilcoxon_test,
)

GROUPS = [f"p{index:02d}" for index, size in enumerate(7 * (1, 5, 2)) for _ in range(size)]
"""21 patients of 1, 5 and 2 scans."""


def scores(count=3, seed=0):
    """Models whose advantage depends on the number of scans."""
    generator = np.random.default_rng(seed)
    size = np.array([GROUPS.count(name) for name in GROUPS])
    return {
        name: 0.6 + 0.01 * place * (3 - size) + 0.05 * generator.normal(size=len(GROUPS))
        for place, name in zip(range(count), "ABC", strict=False)
    }


def means_of(values):
    """The mean of each group, one by one, in the order of the names."""
    found = []
    for name in sorted(set(GROUPS)):
        own = [value for value, group in zip(values, GROUPS, strict=True) if group == name]
        found.append(sum(own) / len(own))
    return np.array(found)


MODELS = scores()
MEANS = {name: means_of(values) for name, values in MODELS.items()}
PAIR, MEAN_PAIR = (MODELS["A"], MODELS["B"]), (MEANS["A"], MEANS["B"])
UNIT = {"unit": "group_mean"}

PROCEDURES = {
    "sign flips": (sign_flip_test, "difference p n_groups"),
    "interval": (paired_bootstrap, "difference low high n_groups"),
    "resampled means": (bootstrap_test, "difference p n_groups"),
    "effect": (effect, "difference size wins ties losses win_rate carriers group_carriers"),
}


@pytest.mark.parametrize("name", PROCEDURES)
def test_a_group_counts_once_by_its_mean(name):
    procedure, fields = PROCEDURES[name]
    found, wanted = procedure(*PAIR, GROUPS, **UNIT), procedure(*MEAN_PAIR)
    by_case = procedure(*PAIR, GROUPS)
    for field in fields.split():
        assert getattr(found, field) == pytest.approx(getattr(wanted, field), abs=1e-12)
    assert found.difference != pytest.approx(by_case.difference, abs=1e-4)
    assert found.n_cases == len(GROUPS)


def test_swapped_ranks_wilcoxon_and_equivalence_follow_the_unit():
    swapped = bootstrap_test(*PAIR, GROUPS, reading="swapped_ranks", **UNIT)
    assert swapped.difference == pytest.approx(np.mean(MEAN_PAIR[0] - MEAN_PAIR[1]))
    assert (swapped.unit, swapped.n_cases) == ("group_mean", len(GROUPS))
    assert wilcoxon_test(*PAIR, GROUPS).p == pytest.approx(wilcoxon_test(*MEAN_PAIR).p)
    found = equivalence_test(*PAIR, 0.05, GROUPS, **UNIT).interval
    wanted = equivalence_test(*MEAN_PAIR, 0.05).interval
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_families_and_rankings_follow_the_unit():
    def differences(models):
        return {pair: models[pair[0]] - models[pair[1]] for pair in ("AB", "AC", "BC")}

    found = max_t(differences(MODELS), GROUPS, **UNIT)
    wanted = max_t(differences(MEANS), sorted(set(GROUPS)))
    assert dict(found.p) == dict(wanted.p) and dict(found.p_adjusted) == dict(wanted.p_adjusted)
    one, two = ranking(MODELS, GROUPS, **UNIT), ranking(MEANS)
    assert [asdict(place) for place in one] == [pytest.approx(asdict(place)) for place in two]
    other = scores(seed=1)
    sets, of_means = {"x": MODELS, "y": other}, {"x": MEANS, "y": {}}
    of_means["y"] = {name: means_of(values) for name, values in other.items()}
    one = ranking_across(sets, {"x": GROUPS, "y": GROUPS}, **UNIT)
    two = ranking_across(of_means)
    assert [asdict(place) for place in one] == [pytest.approx(asdict(place)) for place in two]


def test_the_unit_can_turn_the_order():
    a = np.where([GROUPS.count(name) == 5 for name in GROUPS], 0.4, 0.8)
    models = {"a": a, "b": np.full(len(GROUPS), 0.6)}
    assert [place.model for place in ranking(models, GROUPS)] == ["b", "a"]
    assert [place.model for place in ranking(models, GROUPS, **UNIT)] == ["a", "b"]


def test_claims_about_losses_weigh_the_cases_of_a_run_alike():
    generator = np.random.default_rng(2)
    a, b = generator.normal(0.7, 0.1, (2, len(GROUPS), 3))
    folds = {name: index % 4 for index, name in enumerate(sorted(set(GROUPS)))}
    found = loss_claim(a, b, [folds[name] for name in GROUPS], GROUPS, **UNIT)
    columns = [np.stack([means_of(seed) for seed in one.T], axis=1) for one in (a, b)]
    wanted = loss_claim(*columns, list(folds.values()))
    assert found.n_cases == len(GROUPS) and wanted.n_cases == 21
    for field in ("difference", "low", "high", "p", "case_variance", "run_variance", "degrees"):
        assert getattr(found, field) == pytest.approx(getattr(wanted, field), rel=1e-9)


def test_differences_that_cancel_in_a_group_are_a_tie():
    a = np.array([0.1, 0.2, -0.3, 0.5])
    found = effect(a, np.zeros(4), ["p", "p", "p", "q"], **UNIT)
    assert (found.wins, found.ties, found.losses, found.win_rate) == (1, 1, 0, 0.75)


def test_weights_are_those_of_the_mean():
    weighted = np.average(PAIR[0], weights=case_weights(GROUPS, "group_mean"))
    assert weighted == pytest.approx(MEAN_PAIR[0].mean())
    assert case_weights(GROUPS).tolist() == [1.0] * len(GROUPS)


@pytest.mark.parametrize(
    "procedure",
    [
        lambda unit: case_weights("pq", unit),
        lambda unit: effect(*PAIR, unit=unit),
        lambda unit: bootstrap_test(*PAIR, unit=unit),
        lambda unit: max_t({"d": PAIR[0]}, unit=unit),
        lambda unit: ranking(MODELS, unit=unit),
        lambda unit: ranking_across({"x": MODELS}, unit=unit),
        lambda unit: loss_claim(np.ones((4, 2)), np.ones((4, 2)), [0, 0, 1, 1], unit=unit),
    ],
)
def test_another_unit_is_refused(procedure):
    with pytest.raises(ValueError, match=r"unit must be one of \['case', 'group_mean'\], got 'pa"):
        procedure("patient")
