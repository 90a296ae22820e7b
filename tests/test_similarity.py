"""Laws that hold for every similarity."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from segrisk.similarity import SIMILARITIES, Confusion, confusion, dice, jaccard

SYMMETRIC = {"dice", "jaccard", "hamming"}
NOT_SYMMETRIC: set[str] = set()

masses = st.builds(Confusion, *[st.integers(0, 50).map(Fraction)] * 4).filter(lambda c: c.total > 0)
every = pytest.mark.parametrize("name", SIMILARITIES)


def test_every_similarity_is_classified():
    assert SYMMETRIC | NOT_SYMMETRIC == set(SIMILARITIES)
    assert not SYMMETRIC & NOT_SYMMETRIC


@every
@given(c=masses)
def test_lies_between_0_and_1(name, c):
    assert 0 <= SIMILARITIES[name](c) <= 1


@every
@given(c=masses)
def test_is_1_exactly_without_errors(name, c):
    assert (SIMILARITIES[name](c) == 1) == (c.fp == c.fn == 0)


@every
@given(c=masses, scale=st.integers(1, 9))
def test_is_homogeneous_of_degree_0(name, c, scale):
    similarity = SIMILARITIES[name]
    assert similarity(Confusion(*(scale * mass for mass in c))) == similarity(c)


@every
@given(c=masses)
def test_falls_with_errors_and_rises_with_hits(name, c):
    similarity = SIMILARITIES[name]
    assert similarity(c._replace(fp=c.fp + 1)) <= similarity(c)
    assert similarity(c._replace(fn=c.fn + 1)) <= similarity(c)
    if c.fp or c.fn:
        assert similarity(c._replace(tp=c.tp + 1)) >= similarity(c)


@every
@given(c=masses)
def test_is_symmetric_as_declared(name, c):
    similarity = SIMILARITIES[name]
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
    value = SIMILARITIES[name](confusion(mask, target))
    assert value == pytest.approx(getattr(reference, name)(mask, target), abs=1e-15)


@every
@given(c=masses)
def test_numbers_arrays_and_tensors_agree(name, c):
    similarity, numbers = SIMILARITIES[name], [float(mass) for mass in c]
    arrays = Confusion(*(np.array([number]) for number in numbers))
    tensors = Confusion(*(torch.tensor([number], dtype=torch.float64) for number in numbers))
    expected = float(similarity(c))
    assert similarity(arrays)[0] == pytest.approx(expected, abs=1e-15)
    assert float(similarity(tensors)[0]) == pytest.approx(expected, abs=1e-15)
    assert similarity.loss(arrays)[0] == pytest.approx(float(similarity.loss(tensors)[0]))


@every
@given(c=masses)
def test_loss_is_one_minus_similarity_or_the_share_of_false_voxels(name, c):
    similarity = SIMILARITIES[name]
    expected = 1 - similarity(c) if c.tp + c.fn else c.fp / c.total
    assert similarity.loss(c) == expected


def test_confusion_refuses_what_would_broadcast():
    with pytest.raises(ValueError, match=r"shape \(1, 8, 8\) and the target \(10, 8, 8\)"):
        confusion(np.ones((1, 8, 8), bool), np.ones((10, 8, 8), bool))


def test_confusion_refuses_probabilities():
    with pytest.raises(ValueError, match="masks must be boolean, got float64"):
        confusion(np.ones(3), np.ones(3, bool))
