"""What the procedures promise, simulated on fixed seeds; larger: benchmarks/validity.py."""

import itertools
import time

import numpy as np
import pytest
import scipy.stats
from simulation import (
    RESAMPLES,
    coverage,
    coverage_of_patients,
    false_claims_about_losses,
    false_equivalence,
    false_families,
    false_marks,
    false_marks_of_patients,
)

from segrisk.statistics import bootstrap_intervals

QUICK, FULL = 4000, 40_000


def bounds(repetitions, rate=0.05):
    """What a rate may be seen as, but for one time in a thousand."""
    return scipy.stats.binom.interval(0.999, repetitions, rate) / np.array(repetitions)


SYMMETRIC = [(law, n) for law in ("t3", "symmetric failures") for n in (10, 20, 50, 100)]
SKEWED = dict(zip((10, 20, 50, 100), (0.35, 0.29, 0.15, 0.10), strict=True))
COVERED = [(law, 50) for law in ("t3", "exponential", "log-normal", "symmetric failures")]
COVERED += [(law, 100) for law, _ in COVERED] + [("one-sided failures", 100)]
EQUIVALENT = [(law, n) for law in ("t3", "symmetric failures") for n in (50, 100)]


def attainable(groups):
    """The largest p-value below .05, which is the level under symmetry."""
    steps = 2 ** (groups - 1) if groups <= 16 else RESAMPLES + 1
    return (np.ceil(0.05 * steps) - 1) / steps


def check_level(law, groups, repetitions):
    low, high = bounds(repetitions, attainable(groups))
    assert low <= false_marks(law, groups, repetitions)[0] <= high


@pytest.mark.parametrize(("law", "groups"), SYMMETRIC)
def test_sign_flips_keep_their_level_under_symmetry(law, groups):
    check_level(law, groups, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(("law", "groups"), SYMMETRIC)
def test_sign_flips_keep_their_level_under_symmetry_at_full_size(law, groups):
    check_level(law, groups, FULL)


@pytest.mark.parametrize("groups", SKEWED)
def test_sign_flips_are_only_asymptotic_under_one_sided_failures(groups):
    assert false_marks("one-sided failures", groups, QUICK)[0] == pytest.approx(
        SKEWED[groups], abs=0.02
    )


@pytest.mark.parametrize("groups", [10, 20, 50])
def test_the_paper_s_bootstrap_marks_too_often_on_few_groups(groups):
    flips, resampled = false_marks("symmetric failures", groups, QUICK)
    assert resampled > bounds(QUICK)[1] and resampled > flips


def test_scans_of_a_patient_are_no_independent_cases():
    low, high = bounds(QUICK, attainable(20))
    patients, scans, by_patients, by_scans = false_marks_of_patients(20, 10, 0.5, QUICK)
    assert low <= patients <= high
    assert scans == pytest.approx(0.42, abs=0.03) and by_scans == pytest.approx(0.42, abs=0.03)
    assert by_patients == pytest.approx(0.08, abs=0.015)


@pytest.mark.parametrize(("law", "groups"), COVERED)
def test_the_default_interval_covers(law, groups):
    assert coverage(law, groups, 2000)["hull"] >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize(("law", "groups"), COVERED)
def test_the_default_interval_covers_at_full_size(law, groups):
    assert coverage(law, groups, 20_000)["hull"] >= 0.92


def test_neither_half_of_the_hull_covers_alone():
    assert coverage("log-normal", 50, 2000)["t"] < 0.92
    assert coverage("symmetric failures", 50, 2000)["studentised"] < 0.92


def test_the_default_interval_covers_with_unequal_patients():
    assert coverage_of_patients([1, 2, 3, 4, 6] * 4, 2000)["hull"] >= 0.92


@pytest.mark.parametrize(("law", "groups"), EQUIVALENT)
def test_equivalence_is_seldom_claimed_at_the_margin(law, groups):
    assert false_equivalence(law, groups, QUICK) <= bounds(QUICK)[1]


@pytest.mark.slow
@pytest.mark.parametrize(("law", "groups"), EQUIVALENT)
def test_equivalence_is_seldom_claimed_at_the_margin_at_full_size(law, groups):
    assert false_equivalence(law, groups, FULL) <= bounds(FULL)[1]


@pytest.mark.parametrize("groups", [12, 40])
def test_a_family_of_equal_models_is_seldom_marked(groups):
    corrected, by_holm, raw = false_families(groups, 600)
    low, high = bounds(600)
    assert low <= corrected <= high and by_holm <= high
    assert raw > 3 * high


@pytest.mark.slow
@pytest.mark.parametrize("groups", [12, 40])
def test_a_family_of_equal_models_is_seldom_marked_at_full_size(groups):
    corrected, by_holm, _ = false_families(groups, 6000)
    assert max(corrected, by_holm) <= bounds(6000)[1]


@pytest.mark.parametrize("cases", [100, 400])
@pytest.mark.parametrize("seeds", [2, 3])
def test_claims_about_losses_hold_over_runs(cases, seeds):
    assert false_claims_about_losses(cases, seeds, QUICK)[0] <= 0.06


def test_one_run_speaks_of_trained_models_only():
    # The run moves all cases at once, and more cases make it worse.
    naive = [false_claims_about_losses(n, 1, 2000, folds=1)[1] for n in (40, 100, 400)]
    assert naive == pytest.approx([0.17, 0.32, 0.57], abs=0.06) and naive[0] < naive[1] < naive[2]


@pytest.mark.slow
def test_ten_thousand_resamples_of_all_pairs_take_less_than_a_second():
    generator = np.random.default_rng(0)
    dice = generator.beta(8, 2, 1166) + 0.02 * generator.standard_normal((5, 1166))
    differences = {
        (metric, a, b): values[a] - values[b]
        for metric, values in {"dice": dice, "jaccard": dice / (2 - dice)}.items()
        for a, b in itertools.combinations(range(5), 2)
    }
    spent = []
    for _ in range(3):
        start = time.process_time()  # of all threads
        assert len(bootstrap_intervals(differences, np.arange(1166), resamples=10_000)) == 20
        spent.append(time.process_time() - start)
    assert min(spent) < 1
