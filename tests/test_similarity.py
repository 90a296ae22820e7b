"""Laws that hold for every similarity."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from members import MEMBERS
from segrisk.similarity import (
    Confusion,
    clipped_hamming,
    confusion,
    dice,
    f_beta,
    hamming,
    jaccard,
    kappa,
    tversky,
    weighted_hamming,
)

SYMMETRIC = {"dice", "jaccard", "hamming", "kappa"}
NOT_SYMMETRIC = {"tversky", "f_beta", "weighted_hamming", "clipped_hamming"}
COUNTS_BACKGROUND = {"hamming", "kappa", "weighted_hamming"}
TVERSKY = {
    "dice": (0.5, 0.5),
    "jaccard": (1, 1),
    "tversky": (Fraction(3, 10), Fraction(7, 10)),
    "f_beta": (0.2, 0.8),
}
# Kappa subtracts what chance would agree on: it may be negative, and more errors may raise it.
# The clipped Hamming similarity divides by the reference, which a missed voxel makes larger.
NOT_MONOTONE = {"kappa", "clipped_hamming"}
OF_FOREGROUND = {"dice", "jaccard", "kappa", "tversky", "f_beta", "clipped_hamming"}

masses = st.builds(Confusion, *[st.integers(0, 50).map(Fraction)] * 4).filter(lambda c: c.total > 0)
every = pytest.mark.parametrize("name", MEMBERS)
monotone = pytest.mark.parametrize("name", sorted(set(MEMBERS) - NOT_MONOTONE))


def test_every_similarity_is_classified():
    assert SYMMETRIC | NOT_SYMMETRIC == set(MEMBERS)
    assert {name for name in MEMBERS if MEMBERS[name].is_symmetric} == SYMMETRIC
    assert {name for name in MEMBERS if MEMBERS[name].of_foreground} == OF_FOREGROUND
    assert {name for name in MEMBERS if MEMBERS[name].counts_background} == COUNTS_BACKGROUND
    weights = {name: MEMBERS[name].tversky_weights for name in MEMBERS}
    assert {name: pair for name, pair in weights.items() if pair} == TVERSKY


@every
@given(c=masses)
def test_lies_between_0_and_1(name, c):
    assert (-1 if name == "kappa" else 0) <= MEMBERS[name](c) <= 1


@every
@given(c=masses)
def test_is_1_exactly_without_errors(name, c):
    assert (MEMBERS[name](c) == 1) == (c.fp == c.fn == 0)


@every
@given(c=masses, scale=st.integers(1, 9))
def test_is_homogeneous_of_degree_0(name, c, scale):
    similarity = MEMBERS[name]
    assert similarity(Confusion(*(scale * mass for mass in c))) == similarity(c)


@monotone
@given(c=masses)
def test_falls_with_errors_and_rises_with_hits(name, c):
    similarity = MEMBERS[name]
    assert similarity(c._replace(fp=c.fp + 1)) <= similarity(c)
    assert similarity(c._replace(fn=c.fn + 1)) <= similarity(c)
    if c.fp or c.fn:
        assert similarity(c._replace(tp=c.tp + 1)) >= similarity(c)


@given(c=masses)
def test_clipped_hamming_falls_with_errors_against_one_reference(c):
    value = clipped_hamming(c)
    if c.tp:
        assert clipped_hamming(c._replace(tp=c.tp - 1, fn=c.fn + 1)) <= value
    assert clipped_hamming(c._replace(fp=c.fp + 1)) <= value


@every
@given(c=masses)
def test_is_symmetric_as_declared(name, c):
    similarity = MEMBERS[name]
    swapped = similarity(c._replace(fp=c.fn, fn=c.fp))
    if name in SYMMETRIC:
        assert swapped == similarity(c)


@given(c=masses)
def test_jaccard_is_dice_over_two_minus_dice(c):
    d = Fraction(dice(c))  # Eq. 4
    assert jaccard(c) == d / (2 - d)


@every
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_equals_the_reference_on_masks(name, pairs):
    mask, target = (np.array(side) for side in zip(*pairs, strict=True))
    value = MEMBERS[name](confusion(mask, target))
    assert value == pytest.approx(getattr(reference, name)(mask, target), abs=1e-15)


@every
@given(c=masses)
def test_numbers_arrays_and_tensors_agree(name, c):
    similarity = {
        "tversky": tversky(0.3, 0.7),
        "weighted_hamming": weighted_hamming(0.3),
    }.get(name, MEMBERS[name])
    numbers = [float(mass) for mass in c]
    arrays = Confusion(*(np.array([number]) for number in numbers))
    tensors = Confusion(*(torch.tensor([number], dtype=torch.float64) for number in numbers))
    expected = float(similarity(c))
    assert similarity(arrays)[0] == pytest.approx(expected, abs=1e-15)
    assert float(similarity(tensors)[0]) == pytest.approx(expected, abs=1e-15)
    assert similarity.loss(arrays)[0] == pytest.approx(float(similarity.loss(tensors)[0]))


@every
@given(c=masses)
def test_loss_is_one_minus_similarity_or_the_share_of_false_voxels(name, c):
    similarity = MEMBERS[name]
    void = name in OF_FOREGROUND and not c.positives
    assert similarity.loss(c) == (c.fp / c.total if void else 1 - similarity(c))


@every
def test_the_loss_of_nothing_is_0(name):
    assert MEMBERS[name].loss(Confusion(0.0, 0.0, 0.0, 0.0)) == 0


@given(c=masses)
def test_dice_and_jaccard_are_tversky_indices(c):
    half = Fraction(1, 2)
    assert tversky(half, half)(c) == dice(c) == f_beta(1)(c)
    assert tversky(1, 1)(c) == jaccard(c)


@given(c=masses)
def test_clipped_hamming_is_the_errors_by_twice_the_foreground(c):
    errors = c.fp + c.fn
    expected = 1 - min(1, Fraction(errors) / (2 * c.positives)) if c.positives else errors == 0
    assert clipped_hamming(c) == expected


@given(c=masses)
def test_kappa_tends_to_dice_as_the_background_grows(c):
    if c.tp or c.fp or c.fn:
        large = c._replace(tn=Fraction(10**9))
        assert abs(kappa(large) - dice(c)) < Fraction(1, 10**5)


@given(c=masses)
def test_weighted_hamming_is_hamming_at_the_foreground_fraction(c):
    assert weighted_hamming(c.positives / c.total)(c) == hamming(c)


@given(c=masses, gamma=st.fractions(0, 1))
def test_weighted_hamming_without_foreground_or_background(c, gamma):
    # The conventions of Eq. 3.
    none = c._replace(tp=Fraction(0), fn=Fraction(0), tn=c.tn + 1)
    full = c._replace(fp=Fraction(0), tn=Fraction(0), tp=c.tp + 1)
    assert weighted_hamming(gamma)(none) == 1 - (1 - gamma) * none.fp / none.total
    assert weighted_hamming(gamma)(full) == 1 - gamma * full.fn / full.total


@given(parts=st.lists(masses, min_size=1, max_size=4))
def test_confusions_of_blocks_add_up(parts):
    whole = sum(parts)
    assert isinstance(whole, Confusion) and whole.tp == sum(part.tp for part in parts)
    assert whole.total == sum(part.total for part in parts)


@pytest.mark.parametrize(
    "build", [lambda: tversky(0, 1), lambda: f_beta(-1), lambda: weighted_hamming(1.5)]
)
def test_parameters_out_of_range_are_refused(build):
    with pytest.raises(ValueError, match="got"):
        build()


def test_confusion_refuses_what_would_broadcast():
    with pytest.raises(ValueError, match=r"shape \(1, 8, 8\) and the target \(10, 8, 8\)"):
        confusion(np.ones((1, 8, 8), bool), np.ones((10, 8, 8), bool))


def test_confusion_counts_tensors_too():
    mask, target = torch.tensor([True, True, False]), torch.tensor([True, False, True])
    assert confusion(mask, target) == confusion(mask.numpy(), target.numpy()) == (1, 1, 1, 0)


def test_confusion_refuses_probabilities():
    with pytest.raises(ValueError, match="masks must be boolean, got float64"):
        confusion(np.ones(3), np.ones(3, bool))
