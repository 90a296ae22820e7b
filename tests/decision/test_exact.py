"""Expected scores against enumeration and dynamic programming; the best mask against all masks."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from segrisk.decision import exact, expected_scores, optimal_mask
from segrisk.similarity import Similarity, dice, f_beta, hamming, jaccard, kappa, tversky

INDICES = {
    "dice": (dice, 0.5, 0.5),
    "jaccard": (jaccard, 1, 1),
    "tversky": (tversky(0.3, 0.7), 0.3, 0.7),
    "f_beta": (f_beta(2), 0.2, 0.8),
    "beyond 1": (tversky(2, 0.2), 2, 0.2),
    "missed beyond 1": (tversky(0.2, 4), 0.2, 4),
}
every = pytest.mark.parametrize("name", INDICES)
both = pytest.mark.parametrize("numba", [True, False])

# Values that recur, so that there are groups, with both ends; and any values.
common = st.sampled_from([0.0, 1.0, 0.5, 0.45, 0.1, 1e-9, 1 - 1e-9])
maps = st.lists(st.one_of(common, st.floats(0, 1)), min_size=1, max_size=12)


@pytest.fixture
def path(numba, monkeypatch):
    """The compiled path, or the one without Numba."""
    if numba:
        pytest.importorskip("numba")
    monkeypatch.setattr(exact, "HAS_NUMBA", numba)


@every
@pytest.mark.parametrize("shape", [0.1, 2])
def test_equals_dynamic_programming_at_200_voxels(name, shape, monkeypatch):
    similarity, alpha, beta = INDICES[name]
    p = np.random.default_rng(0).beta(shape, 1, 180)
    p = [*p, *p[:10], *[1.0] * 5, *[0.0] * 5]
    expected = reference.expected_tversky(p, alpha, beta)
    np.testing.assert_allclose(expected_scores(p, similarity), expected, rtol=0, atol=1e-12)
    monkeypatch.setattr(exact, "HAS_NUMBA", False)
    np.testing.assert_allclose(expected_scores(p, similarity), expected, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=15)
@given(p=st.lists(st.one_of(common, st.floats(0, 1)), min_size=1, max_size=7))
@pytest.mark.parametrize("score", ["dice", "jaccard"])
def test_equals_enumeration(score, p):
    order = sorted(range(len(p)), key=lambda index: -p[index])
    law = reference.independent_law(p)
    expected = [
        reference.expected_score(
            getattr(reference, score), [index in order[:size] for index in range(len(p))], law
        )
        for size in range(len(p) + 1)
    ]
    np.testing.assert_allclose(expected_scores(p, INDICES[score][0]), expected, rtol=0, atol=1e-12)


def scores_of_all_masks(p, alpha, beta):
    """E[score] of every mask, as a product of all masks with all references."""
    every = np.array(list(itertools.product((0, 1), repeat=len(p))), dtype=float)
    tp = every @ every.T
    size = every.sum(1)
    denominator = tp + alpha * (size[:, None] - tp) + beta * (size[None] - tp)
    score = np.where(denominator == 0, 1, tp / np.where(denominator == 0, 1, denominator))
    chance = np.where(every == 1, p, 1 - np.asarray(p)).prod(1)
    return every.astype(bool), score @ chance


@every
@settings(deadline=None, max_examples=5)
@given(p=maps)
def test_no_mask_beats_the_exact_rule(name, p):
    similarity, alpha, beta = INDICES[name]
    masks, scores = scores_of_all_masks(p, alpha, beta)
    chosen = np.flatnonzero((masks == optimal_mask(p, similarity)).all(1))[0]
    assert scores[chosen] >= scores.max() - 2e-10


@every
@settings(deadline=None, max_examples=40)
@given(
    levels=st.lists(st.floats(0, 1), min_size=1, max_size=3),
    sizes=st.lists(st.integers(1, 9), min_size=3, max_size=3),
)
def test_only_the_ends_of_groups_can_be_best(name, levels, sizes):
    similarity, alpha, _ = INDICES[name]
    levels = sorted(set(levels), reverse=True)
    sizes = sizes[: len(levels)]
    scores = expected_scores(np.repeat(levels, sizes), similarity)
    ends = [0, *np.cumsum(sizes)]
    if alpha <= 1:
        assert scores[ends].max() >= scores.max() - 1e-11


def test_beyond_alpha_1_a_group_may_be_split():
    p = np.full(4, 0.3)
    scores = expected_scores(p, tversky(5, 0.05))
    assert scores.argmax() not in {0, 4} or scores[[0, 4]].max() == scores.max()
    p = np.r_[np.full(3, 0.9), 0.6]
    similarity = tversky(5, 0.05)
    best = expected_scores(p, similarity)
    assert optimal_mask(p, similarity).sum() == best.argmax()


@both
def test_groups_score_as_their_voxels_do(path):
    generator = np.random.default_rng(3)
    p = np.r_[generator.random(300), np.repeat([1.0, 0.5, 0.01], 100)]
    cut = exact.best_cut(p, dice, 1e-12)
    ends = np.r_[0, np.cumsum(cut.counts)]
    np.testing.assert_allclose(cut.scores, expected_scores(p, dice)[ends], rtol=0, atol=2e-12)


@settings(deadline=None, max_examples=25)
@given(p=maps, data=st.data())
@pytest.mark.parametrize("similarity", [dice, jaccard], ids=lambda s: s.name)
def test_is_a_set_of_the_most_probable_whatever_their_order(similarity, p, data):
    mask = optimal_mask(p, similarity)
    taken, left = np.array(p)[mask], np.array(p)[~mask]
    if taken.size and left.size:
        assert taken.min() > left.max()
    order = data.draw(st.permutations(range(len(p))))
    assert optimal_mask(np.array(p)[order], similarity).tolist() == mask[order].tolist()


@settings(deadline=None, max_examples=40)
@given(p=maps, data=st.data())
@pytest.mark.parametrize("similarity", [dice, jaccard], ids=lambda s: s.name)
def test_more_certainty_about_a_voxel_never_lowers_the_best_score(similarity, p, data):
    index = data.draw(st.integers(0, len(p) - 1))
    taken = optimal_mask(p, similarity)[index]
    changed = list(p)
    changed[index] = data.draw(st.floats(p[index], 1) if taken else st.floats(0, p[index]))
    best = expected_scores(changed, similarity).max()
    assert best >= expected_scores(p, similarity).max() - 2e-10


def test_certain_voxels():
    assert optimal_mask([1.0, 1.0, 0.0], dice).tolist() == [True, True, False]
    assert expected_scores([1.0, 1.0, 0.0], dice) == pytest.approx([0, 2 / 3, 1, 0.8], abs=1e-12)
    assert optimal_mask(np.zeros((2, 3)), jaccard).sum() == 0
    assert expected_scores([0.0, 0.0], jaccard).tolist() == [1, 0, 0]
    assert optimal_mask(np.ones(5), jaccard).all()


def test_a_tie_goes_to_the_smaller_mask():
    assert not optimal_mask([0.5], dice).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_type_of_number_gives_its_own_mask(dtype):
    p = np.random.default_rng(0).beta(0.3, 1, (7, 8, 9)).astype(dtype)
    p[0, 0, :3] = [-0.0, 0, 1]
    strided = p[::-1, :, ::2]
    for values in (p, strided):
        expected = optimal_mask(values.astype(np.float64), dice)
        assert (optimal_mask(values, dice) == expected).all()
    assert expected.any() and not expected.all()


def test_big_endian_halves_are_read_as_what_they_are():
    p = np.random.default_rng(0).random(50).astype(np.float16)
    assert (optimal_mask(p.astype(">f2"), dice) == optimal_mask(p, dice)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_give_tensors(dtype):
    p = torch.rand(4, 5, generator=torch.manual_seed(0)).to(dtype).requires_grad_()
    mask = optimal_mask(p, dice)
    assert isinstance(mask, torch.Tensor) and mask.dtype == torch.bool and mask.shape == p.shape
    assert mask.tolist() == optimal_mask(p.detach().double().numpy(), dice).tolist()
    scores = expected_scores(p.flatten(), dice)
    assert isinstance(scores, torch.Tensor) and scores.shape == (21,)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        ([0.5, float("nan")], "1 of 2 values of p are NaN"),
        ([-0.25, 0.5], r"p reaches from -0.25 to 0.5, outside \[0, 1\]"),
        (np.array([0, 255], np.uint8), r"reaches from 0 to 255, outside .*divide by"),
        (np.array([2, np.nan], np.float16), "1 of 2 values of p are NaN"),
        (np.array([2, 0.5], np.float16), "reaches from 0.5 to 2"),
        ([], r"shape \(0,\) and so no voxels"),
        ([1j], "must hold real numbers, got complex128"),
    ],
)
def test_what_is_no_probability_is_refused(p, text):
    for function in (expected_scores, optimal_mask):
        with pytest.raises(ValueError, match=text):
            function(p, dice)


def test_scores_of_a_map_need_one_row():
    with pytest.raises(ValueError, match=r"shape \(2, 2\): give one row of voxels"):
        expected_scores(np.zeros((2, 2)), dice)


@pytest.mark.parametrize(
    "similarity",
    [hamming, kappa, Similarity("square", lambda tp, fp, fn, tn: (tp * tp, (tp + fp + fn) ** 2))],
    ids=lambda s: s.name,
)
def test_other_similarities_are_refused_by_name(similarity):
    with pytest.raises(ValueError, match=f"{similarity.name} has no exact expectation.*dice, jac"):
        optimal_mask([0.5], similarity)


# What a threshold of 1/2 costs.


def test_a_faint_lesion_is_lost_at_one_half():
    p = np.r_[np.full(30, 0.45), np.full(10_000, 0.0005)]
    scores = expected_scores(p, dice)
    assert optimal_mask(p, dice).sum() == 30 == scores.argmax()
    assert 100 * (scores.max() - scores[0]) == pytest.approx(55.3, abs=0.05)


def test_a_population_of_faint_voxels_loses_at_one_half():
    p = ((np.arange(20_000) + 0.5) / 20_000) ** 10  # quantiles of Beta(0.1, 1)
    scores = expected_scores(p, dice)
    lost = scores.max() - scores[np.count_nonzero(p > 0.5)]
    assert 100 * lost == pytest.approx(3.98, abs=0.005)
