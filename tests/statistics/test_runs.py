"""Claims about losses: the variance over cases and over runs."""

import numpy as np
import pytest
import scipy.stats

from segrisk.statistics import ONE_SEED, loss_claim


def made(cases=60, seeds=3, folds=5, shift=0.1, seed=0):
    generator = np.random.default_rng(seed)
    fold_of = np.arange(cases) % folds
    runs = 0.16 * generator.standard_normal((folds, seeds))
    d = shift + generator.standard_normal((cases, 1)) + runs[fold_of]
    b = generator.random((cases, seeds))
    return b + d + 0.02 * generator.standard_normal((cases, seeds)), b, fold_of


def claim_by_loops(a, b, folds):
    """The formula with equal folds, number by number."""
    cases, seeds = len(a), len(a[0])
    d = [[x - y for x, y in zip(row, other, strict=True)] for row, other in zip(a, b, strict=True)]
    means = [sum(row) / seeds for row in d]
    mean = sum(means) / cases
    case = sum((m - mean) ** 2 for m in means) / (cases - 1)
    names = sorted(set(folds))
    within = []
    for fold in names:
        rows = [row for row, own in zip(d, folds, strict=True) if own == fold]
        runs = [sum(row[s] for row in rows) / len(rows) for s in range(seeds)]
        centre = sum(runs) / seeds
        within.append(sum((run - centre) ** 2 for run in runs) / (seeds - 1))
    run = sum(within) / len(names)
    variance = case / cases + run / (len(names) * seeds)
    degrees = len(names) * (seeds - 1)
    p = 2 * scipy.stats.t.sf(abs(mean) / variance**0.5, degrees)
    half = scipy.stats.t.ppf(0.975, degrees) * variance**0.5
    return mean, mean - half, mean + half, p, degrees


@pytest.mark.parametrize(("seeds", "folds"), [(2, 5), (3, 5), (4, 1)])
def test_the_claim_equals_its_formula(seeds, folds):
    a, b, fold_of = made(seeds=seeds, folds=folds)
    found = loss_claim(a, b, fold_of)
    expected = claim_by_loops(a.tolist(), b.tolist(), fold_of.tolist())
    numbers = (found.difference, found.low, found.high, found.p, found.degrees)
    assert numbers == pytest.approx(expected)
    assert (found.n_folds, found.n_seeds, found.n_cases) == (folds, seeds, 60)


def test_the_order_of_cases_and_seeds_and_the_names_of_folds_do_not_matter():
    a, b, fold_of = made()
    found = loss_claim(a, b, fold_of)
    order = np.random.default_rng(1).permutation(60)
    names = np.array(["q", "r", "s", "p", "t"])
    other = loss_claim(a[order][:, ::-1], b[order][:, ::-1], names[fold_of][order].tolist())
    assert (other.p, other.low) == pytest.approx((found.p, found.low))
    turned = loss_claim(b, a, fold_of)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_groups_of_cases_count_as_one():
    a, b, fold_of = made()
    copies = loss_claim(
        np.repeat(a, 3, 0), np.repeat(b, 3, 0), np.repeat(fold_of, 3), np.repeat(np.arange(60), 3)
    )
    assert copies.p == pytest.approx(loss_claim(a, b, fold_of).p)
    assert copies.n_groups == 60 and copies.n_cases == 180


def test_large_folds_weigh_more():
    a, b, _ = made(folds=5)
    uneven = np.repeat(np.arange(5), [40, 5, 5, 5, 5])
    found = loss_claim(a, b, uneven)
    share = np.bincount(uneven) / 60
    half = scipy.stats.t.ppf(0.975, 10) * np.sqrt(
        found.case_variance + found.run_variance * (share**2).sum() / 3
    )
    assert found.high - found.difference == pytest.approx(half)


def test_one_seed_makes_no_claim_about_losses():
    a, b, fold_of = made(seeds=1)
    with pytest.raises(ValueError, match=f"{ONE_SEED[:-1]}. Train each loss with at least 2 seeds"):
        loss_claim(a, b, fold_of)


def test_claims_are_checked():
    a, b, fold_of = made()
    with pytest.raises(ValueError, match=r"shapes \(60, 3\) and \(60, 2\): give \(cases, seeds\)"):
        loss_claim(a, b[:, :2], fold_of)
    with pytest.raises(ValueError, match=r"shapes \(60,\) and \(60,\)"):
        loss_claim(a[:, 0], b[:, 0], fold_of)
    with pytest.raises(ValueError, match="folds of 59 cases for 60"):
        loss_claim(a, b, fold_of[:-1])
    with pytest.raises(ValueError, match="needs at least 2 groups, got 1"):
        loss_claim(a, b, fold_of, ["p"] * 60)
    a[3, 1] = np.nan
    with pytest.raises(ValueError, match="a: 1 of 180 are not finite"):
        loss_claim(a, b, fold_of)
