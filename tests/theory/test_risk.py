"""Risks of Dice and Jaccard, and where soft losses leave them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segrisk.losses import LovaszJaccard, SoftDice, SoftJaccard
from segrisk.theory import (
    dice_loss_of,
    dice_risk_bounds,
    jaccard_loss_of,
    jaccard_risk_bounds,
    risk_chain,
)

GAP = 3 - 2 * math.sqrt(2)  # Proposition 1

scores = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(d=scores)
def test_the_chain_holds_for_the_scores_of_any_masks(d):
    chain = risk_chain(d, [x / (2 - x) for x in d])
    assert chain.dice_risk <= chain.jaccard_risk + 1e-12
    assert chain.jaccard_risk <= chain.bound + 1e-12
    assert chain.bound <= min(2 * chain.dice_risk, chain.dice_risk + GAP) + 1e-12
    low, high = jaccard_risk_bounds(min(1, max(0, chain.dice_risk)))
    assert low - 1e-12 <= chain.jaccard_risk <= high + 1e-12
    low, high = dice_risk_bounds(min(1, max(0, chain.jaccard_risk)))
    assert low - 1e-12 <= chain.dice_risk <= high + 1e-12


@given(x=st.floats(0, 1))
def test_the_maps_are_inverse(x):
    assert dice_loss_of(jaccard_loss_of(x)) == pytest.approx(x)


def test_both_ends_are_reached():
    alike = risk_chain([0.6] * 5, [0.6 / 1.4] * 5)
    assert alike.spread == pytest.approx(0)
    apart = risk_chain([1.0, 0.0], [1.0, 0.0])
    assert apart.jaccard_risk == apart.dice_risk == 0.5


@pytest.mark.parametrize(
    ("d", "j", "message"),
    [
        ([0.5], [0.5], r"case 0 has Dice 0.5 and Jaccard 0.5, which no one mask has"),
        ([0.5, 1.0], [1 / 3], r"shapes \(2,\) and \(1,\)"),
        ([], [], "give one Dice and one Jaccard"),
        ([math.nan], [0.5], r"Dice scores must lie in \[0, 1\], got nan"),
        ([0.5], [1.5], r"Jaccard scores must lie in \[0, 1\], got 1.5"),
    ],
)
def test_scores_that_cannot_be_are_refused(d, j, message):
    with pytest.raises(ValueError, match=message):
        risk_chain(d, j)
    with pytest.raises(ValueError, match="must lie in"):
        jaccard_loss_of(2)


def test_soft_jaccard_and_lovasz_are_not_equivalent():
    """No factor bounds soft Jaccard by Lovász, though both are the Jaccard loss of hard masks.

    One foreground voxel is right, and each of a million others has a probability of 1e-4.
    """
    logits = torch.full((1, 1, 10**6 + 1), math.log(1e-4 / (1 - 1e-4)))
    logits[0, 0, 0] = 20.0
    target = torch.zeros(1, 10**6 + 1, dtype=torch.long)
    target[0, 0] = 1
    assert float(SoftJaccard()(logits, target)) == pytest.approx(0.990, abs=5e-4)
    assert float(LovaszJaccard(exact=True)(logits, target)) == pytest.approx(1e-4, rel=1e-2)
    # Soft Dice and soft Jaccard are one formula of the same masses: the chain holds for them.
    dice_loss = float(SoftDice()(logits, target))
    assert float(SoftJaccard()(logits, target)) == pytest.approx(jaccard_loss_of(dice_loss))
