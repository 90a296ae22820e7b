"""Submodularity, against sets enumerated one by one."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from members import MEMBERS
from segrisk.similarity import (
    Similarity,
    clipped_hamming,
    dice,
    hamming,
    jaccard,
    kappa,
    tversky,
    weighted_hamming,
)
from segrisk.theory import submodularity

SUBMODULAR = {"jaccard", "hamming", "clipped_hamming", "weighted_hamming"}
NOT_SUBMODULAR = {"dice", "kappa", "tversky", "f_beta"}


def defect(loss, positives, negatives):
    """The largest Δ(M + a + b) + Δ(M) − Δ(M + a) − Δ(M + b) over sets of voxels."""
    target = [1] * positives + [0] * negatives
    voxels = range(len(target))

    def delta(wrong):
        return loss([y ^ (k in wrong) for k, y in enumerate(target)], target)

    worst = 0.0
    for chosen in reference.subsets(voxels):
        rest = [k for k in voxels if k not in chosen]
        m = set(chosen)
        for a, b in itertools.combinations(rest, 2):
            worst = max(worst, delta(m | {a, b}) + delta(m) - delta(m | {a}) - delta(m | {b}))
    return worst


def test_every_similarity_is_classified():
    assert SUBMODULAR | NOT_SUBMODULAR == set(MEMBERS)
    assert {name for name in MEMBERS if submodularity(MEMBERS[name]).holds} == SUBMODULAR


@pytest.mark.parametrize("name", MEMBERS)
def test_equals_the_definition_on_small_sets(name):
    loss = lambda mask, target: 1 - getattr(reference, name)(mask, target)  # noqa: E731
    worst = max(defect(loss, n, m) for n in (1, 2, 3) for m in (0, 1, 2))
    assert (worst > 1e-9) == (name in NOT_SUBMODULAR)


@pytest.mark.parametrize("name", sorted(NOT_SUBMODULAR))
def test_a_counter_example_is_one(name):
    found = submodularity(MEMBERS[name], size=3).counter_example
    loss = lambda mask, target: 1 - getattr(reference, name)(mask, target)  # noqa: E731
    fn, fp = found.missed, found.invented
    target = [1] * found.positives + [0] * found.negatives
    foreground = list(range(fn, found.positives))
    background = list(range(found.positives + fp, len(target)))
    m = set(range(fn)) | set(range(found.positives, found.positives + fp))
    a, b = ({"foreground": foreground, "background": background}[k].pop() for k in found.added)
    cost = lambda wrong: loss([y ^ (k in wrong) for k, y in enumerate(target)], target)  # noqa: E731
    value = cost(m | {a, b}) + cost(m) - cost(m | {a}) - cost(m | {b})
    assert value == pytest.approx(found.defect) and value > 0


def test_the_dice_loss_of_a_reference_of_two_voxels():
    found = submodularity(dice, size=2)
    assert found.counter_example.defect == pytest.approx(1 / 3)
    assert "two foreground voxels wrong as well costs 0.3333 more" in str(found)
    assert "its Lovász loss is convex" in str(submodularity(jaccard))


@settings(deadline=None, max_examples=60)
@given(alpha=st.fractions(Fraction(1, 20), 3), beta=st.fractions(Fraction(1, 20), 3))
def test_tversky_is_submodular_exactly_where_misses_weigh_1_or_more(alpha, beta):
    index = tversky(alpha, beta)
    assert submodularity(index).holds == (beta >= 1)
    # Under another name, and with parts that are not Tversky's, it can only be enumerated.
    from segrisk.theory.submodular import _violations

    assert any(_violations(index, 3)) == (beta < 1)


def test_closed_forms_are_told_from_enumeration():
    assert submodularity(hamming).method == submodularity(clipped_hamming).method == "closed form"
    assert submodularity(kappa).method == submodularity(weighted_hamming(0.3)).method
    assert submodularity(kappa).method == "enumeration"
    other = Similarity("other", lambda tp, fp, fn, tn: (3 * tp + tn, 3 * tp + 3 * fn + fp + tn))
    assert submodularity(other).method == "enumeration"


def test_one_voxel_has_no_pair():
    with pytest.raises(ValueError, match="size must be at least 2, got 1"):
        submodularity(dice, size=1)
