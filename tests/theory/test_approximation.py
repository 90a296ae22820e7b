"""Bounds between similarities, against loops over all masses, random masses and known numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrisk.similarity import (
    SIMILARITIES,
    Confusion,
    Similarity,
    clipped_hamming,
    dice,
    f_beta,
    hamming,
    jaccard,
    kappa,
    tversky,
    weighted_hamming,
)
from segrisk.theory import (
    approximation,
    approximation_on,
    hamming_distortion,
    hamming_error,
)

MEMBERS = [*SIMILARITIES.values(), tversky(0.3, 0.7), f_beta(2), weighted_hamming(0.3)]
PAIRS = [(a, b) for i, a in enumerate(MEMBERS) for b in MEMBERS[i + 1 :]]
every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "-".join(s.name for s in pair))


def all_masses(d, sizes):
    for n in sizes:
        for fn in range(n + 1):
            for fp in range(d - n + 1):
                yield Confusion(n - fn, fp, fn, d - n - fp)


def loops(first, second, d, sizes, of):
    """Absolute, relative and distortion by the definitions, over every prediction."""
    difference = up = down = 0.0
    for c in all_masses(d, sizes):
        c = Confusion(*map(Fraction, c))
        a, b = first(c), second(c)
        difference = max(difference, abs(a - b))
        if of == "loss":
            a, b = 1 - a, 1 - b
        if a == b == 0:
            continue
        up = max(up, a / b if b > 0 else math.inf)
        down = max(down, b / a if a > 0 else math.inf)
    up, down = max(up, 1), max(down, 1)
    return float(difference), float(max(up, down) - 1), float(up * down)


@every_pair
@pytest.mark.parametrize("of", ["similarity", "loss"])
def test_a_given_d_equals_loops_over_all_masses(pair, of):
    first, second = reversed(pair) if of == "loss" else pair
    for d, foreground, empty in ((1, (0, 1), True), (6, (0, 1), True), (7, (0.2, 0.6), False)):
        low, high = foreground
        sizes = [n for n in range(d + 1) if low <= n / d <= high and (n or empty)]
        found = approximation(first, second, d=d, foreground=foreground, empty=empty, of=of)
        expected = loops(first, second, d, sizes, of)
        assert (found.absolute, found.relative, found.distortion) == pytest.approx(expected)
        assert all(low <= high for low, high in found.bounds)


@every_pair
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_no_masses_exceed_the_limit_and_the_bounds_meet(pair, data):
    first, second = pair
    foreground = (0.1, 0.7)
    for of in ("similarity", "loss"):
        bound = cached(first, second, foreground, of)
        for low, high in bound.bounds:
            assert high == pytest.approx(low, rel=1e-6)
        p = data.draw(st.floats(*foreground))
        u, w = data.draw(st.floats(0, 1)), data.draw(st.floats(0, 1))
        c = Confusion(*map(Fraction, (p * (1 - u), (1 - p) * w, p * u, (1 - p) * (1 - w))))
        a, b = first(c), second(c)
        assert abs(a - b) <= bound.absolute + 1e-9
        if of == "loss":
            a, b = 1 - a, 1 - b
        if bound.relative < math.inf and max(a, b) > 1e-9:
            assert a <= b * (1 + bound.relative + 1e-6) and b <= a * (1 + bound.relative + 1e-6)


CACHE = {}


def cached(first, second, foreground, of):
    key = first.name, second.name, of
    if key not in CACHE:
        CACHE[key] = approximation(first, second, foreground=foreground, of=of)
    return CACHE[key]


@every_pair
def test_the_order_does_not_matter(pair):
    one = approximation(*pair, d=12)
    other = approximation(*reversed(pair), d=12)
    assert one.bounds == other.bounds


@every_pair
def test_a_given_d_is_bounded_by_the_limit_and_tends_to_it(pair):
    limit = cached(*pair, (0.1, 0.7), "similarity")
    near = approximation(*pair, d=120, foreground=(0.1, 0.7))
    assert near.absolute <= limit.absolute + 1e-9
    assert near.absolute == pytest.approx(limit.absolute, abs=0.02)
    assert near.relative <= limit.relative


@pytest.mark.parametrize(
    ("d", "absolute"),
    [(10, 0.1714286), (100, 0.1715728716), (1000, 0.1715728753), (None, 3 - 2 * math.sqrt(2))],
)
def test_proposition_1(d, absolute):
    for pair in ((jaccard, dice), (dice, jaccard)):
        bound = approximation(*pair, d=d)
        assert bound.absolute == pytest.approx(absolute, abs=5e-11 if d != 10 else 5e-8)
        assert bound.relative == pytest.approx(1 if d is None else (d - 1) / (d + 1), abs=1e-12)
        loss = approximation(*pair, d=d, of="loss")
        assert loss.relative == pytest.approx(1 if d is None else (d - 1) / d, abs=1e-12)
    (worst,) = bound.worst.absolute
    index = float(jaccard(worst.masses))
    assert worst.attained and index == pytest.approx(math.sqrt(2) - 1, abs=0.02)
    assert bound.worst.relative[0].attained == (d is not None)


@pytest.mark.parametrize("d", [10, 100, 1000, None])
@pytest.mark.parametrize("empty", [False, True])
def test_corollary_1(d, empty):
    bound = approximation(dice, hamming, d=d, empty=empty)
    assert bound.absolute == pytest.approx(1 if d is None else 1 - 1 / d, abs=1e-9)
    assert bound.relative == math.inf


@pytest.mark.parametrize(
    ("d", "absolute", "gamma"), [(10, 0.4615, 0.538), (100, 0.7666, 0.233), (1000, 0.9162, 0.084)]
)
def test_proposition_2(d, absolute, gamma):
    bound = approximation(dice, weighted_hamming, d=d, empty=False)
    assert bound.absolute == pytest.approx(absolute, abs=5e-5)
    assert bound.gamma == pytest.approx(gamma, abs=5e-4)
    # Only γ = 1, which does not count false positives, has a finite relative error.
    assert (bound.relative, bound.gammas.relative) == (pytest.approx((d - 1) / 2), 1)
    half = approximation(dice, weighted_hamming(0.5), d=d, empty=False)
    assert half.relative == math.inf and half.absolute > bound.absolute
    assert bound.bounds.absolute[0] == pytest.approx(bound.absolute, abs=1e-12)
    empty = approximation(weighted_hamming, dice, d=d)
    assert empty.absolute == pytest.approx(d / (d + 1)) and empty.relative == math.inf
    assert empty.gamma == pytest.approx(1 / (d + 1)) and empty.gammas.relative is None


def test_proposition_2_in_the_limit():
    bound = approximation(dice, weighted_hamming)
    assert bound.absolute == pytest.approx(1, abs=1e-8) and bound.relative == math.inf


@pytest.mark.parametrize(
    ("a", "error"), [(0.01, 0.767), (0.05, 0.570), (0.1, 0.462), (0.2, 0.343), (0.5, 0.1667)]
)
def test_foreground_kept_from_0(a, error):
    bound = approximation(dice, weighted_hamming, foreground=(a, 0.8))
    assert bound.absolute == pytest.approx(error, abs=5e-4)
    assert bound.absolute == pytest.approx(hamming_error(a), abs=2e-9)
    assert bound.gamma == pytest.approx(1 - hamming_error(a), abs=1e-6)
    assert bound.method == "branch and bound"
    low, high = bound.bounds.absolute
    assert low <= high <= low + 2e-9


@pytest.mark.parametrize(("a", "error"), [(0.1, 0.4624), (0.2, 0.3537), (0.5, 0.2222)])
def test_foreground_up_to_1(a, error):
    bound = approximation(dice, weighted_hamming, foreground=(a, 1))
    assert bound.absolute == pytest.approx(error, abs=5e-5)


@pytest.mark.parametrize(("a", "b", "at_100"), [(0.05, 0.2, 12.9545), (0.1, 0.3, 7.9592)])
def test_loss_distortion(a, b, at_100):
    whole = approximation(dice, weighted_hamming, d=100, foreground=(a, b), of="loss")
    assert whole.distortion == pytest.approx(at_100, abs=5e-5)
    limit = approximation(dice, weighted_hamming, foreground=(a, b), of="loss")
    assert limit.distortion == pytest.approx(hamming_distortion(a, b), rel=1e-6)
    assert limit.bounds.distortion[0] <= hamming_distortion(a, b) * (1 + 1e-9)


@pytest.mark.parametrize("d", [10, 100, 1000, None])
def test_the_clipped_hamming_loss_stays_within_a_factor_2_of_the_dice_loss(d):
    bound = approximation(dice, clipped_hamming, d=d, empty=False, of="loss")
    assert bound.relative == pytest.approx(1, abs=1e-8)
    assert bound.distortion == pytest.approx(4, abs=1e-7)  # 2 and 1/2 both occur
    assert bound.worst.relative[0].attained
    fixed = approximation(dice, weighted_hamming, d=d, empty=False, of="loss")
    assert fixed.relative > 3


@pytest.mark.parametrize("weights", [(0.4, 0.6), (0.3, 0.7), (0.1, 0.9), (0.9, 0.1), (2, 0.5)])
def test_tversky_pairs(weights):
    k = max(max(w / 0.5, 0.5 / w) for w in weights)
    for of in ("similarity", "loss"):
        bound = approximation(tversky(*weights), dice, of=of)
        assert bound.method == "closed form"
        assert bound.relative == pytest.approx(k - 1)
        assert bound.absolute == pytest.approx((math.sqrt(k) - 1) / (math.sqrt(k) + 1))
    near = approximation(tversky(*weights), dice, d=60)
    assert near.absolute == pytest.approx(bound.absolute, abs=2e-3)
    assert near.relative <= bound.relative


@settings(deadline=None, max_examples=25)
@given(
    weights=st.tuples(*[st.floats(0.1, 3)] * 4),
    a=st.sampled_from([0.0, 0.05, 0.4, 0.8]),
    of=st.sampled_from(["similarity", "loss"]),
)
def test_closed_forms_equal_the_search(weights, a, of):
    from segrisk.theory.approximation import _searched
    from segrisk.theory.regions import limit_region

    first, second = tversky(*weights[:2]), tversky(*weights[2:])
    bound = approximation(first, second, foreground=(a, 0.9), of=of)
    region = limit_region(a, 0.9, background=False)
    searched = _searched(first, second, region, of)
    assert bound.absolute == pytest.approx(searched.absolute, abs=1e-8)
    assert bound.relative == pytest.approx(searched.relative, rel=1e-8, abs=1e-8)
    assert bound.distortion == pytest.approx(searched.distortion, rel=1e-8)


@pytest.mark.parametrize("name", ["absolute", "relative"])
def test_worst_cases_have_the_value(name):
    for first, second, of in ((dice, kappa, "loss"), (jaccard, hamming, "similarity")):
        bound = approximation(first, second, d=30, foreground=(0.1, 0.5), of=of)
        (case,) = getattr(bound.worst, name)
        a, b = first(case.masses), second(case.masses)
        if name == "absolute":
            assert abs(a - b) == pytest.approx(bound.absolute)
            continue
        a, b = (1 - a, 1 - b) if of == "loss" else (a, b)
        assert (max(a, b) / min(a, b) if min(a, b) > 0 else math.inf) == pytest.approx(
            bound.relative + 1
        )


def test_masks_that_are_there_bound_less_than_all():
    sizes = [(10, 100), (300, 1000), (25, 100)]
    found = approximation_on(dice, hamming, sizes)
    assert found.absolute == pytest.approx(0.9)
    every = approximation(dice, weighted_hamming, foreground=(0.1, 0.3))
    assert approximation_on(dice, weighted_hamming, sizes).absolute <= every.absolute
    assert sum(found.worst.absolute[0].masses) == 100
    for similarity in (jaccard, clipped_hamming):
        bound = approximation_on(dice, similarity, [(5, 40), (7, 30)], of="loss")
        both = [loops(dice, similarity, d, [n], "loss") for n, d in ((5, 40), (7, 30))]
        assert bound.absolute == pytest.approx(max(each[0] for each in both), abs=2e-6)
        assert bound.relative == pytest.approx(max(each[1] for each in both), abs=4e-6)


def test_kappa_is_bounded_too():
    bound = approximation(dice, kappa, foreground=(0.01, 0.1))
    assert bound.bounds.absolute[1] - bound.bounds.absolute[0] <= 1e-9
    assert 0 < bound.absolute <= 1


REFUSED = [
    (lambda: approximation(dice, jaccard, of="metric"), "of must be 'similarity' or 'loss', got"),
    (lambda: approximation(dice, jaccard, d=0), "d must be a number of voxels, at least 1"),
    (lambda: approximation(dice, jaccard, d=9.5), "d must be a number of voxels, .* got 9.5"),
    (lambda: approximation(dice, jaccard, foreground=(0.5, 0.1)), r"got \[0.5, 0.1\]"),
    (lambda: approximation(dice, jaccard, foreground=(0, 0)), "with b > 0"),
    (lambda: approximation(dice, jaccard, d=3, foreground=(0.4, 0.5)), "widen it"),
    (lambda: approximation(dice, tversky), "tversky is no similarity: .*call it"),
    (lambda: approximation(weighted_hamming, weighted_hamming), "call one with its gamma"),
    (lambda: approximation_on(dice, jaccard, [(5, 4)]), r"\|y\| ≤ d, got \[\(5, 4\)\]"),
    (lambda: approximation_on(dice, jaccard, []), "got none"),
    (lambda: hamming_error(1), "a must lie in"),
    (lambda: hamming_distortion(0, 0.5), "0 < a ≤ b < 1"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_cannot_be_bounded_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_similarity_of_another_form_is_refused():
    squared = Similarity("squared", lambda tp, fp, fn, tn: (tp**2, tp**2 + fp**2 + fn**2))
    with pytest.raises(ValueError, match=r"squared cannot be bounded: .* affine in fp and fn"):
        approximation(dice, squared)


def test_a_search_that_does_not_end_says_so(monkeypatch):
    monkeypatch.setattr("segrisk.theory.search.BOXES", 10)
    with pytest.raises(ArithmeticError, match=r"did not meet .* between .* keep the foreground"):
        approximation(dice, hamming, foreground=(0.1, 0.5))
    with pytest.raises(ArithmeticError, match="leave out d, whose bound holds for every d"):
        approximation(dice, hamming, d=50)


def test_whole_counts_are_shown_as_such():
    masses = approximation(dice, weighted_hamming, d=20, empty=False).worst.absolute[0].masses
    assert all(isinstance(mass, int) for mass in masses) and sum(masses) == 20
    assert np.isclose(sum(approximation(dice, jaccard).worst.relative[0].masses), 1)
