"""Rules against what is known to be best, their JSON, and what they refuse."""

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
import scenes
from segrisk.decision import (
    LEVELS,
    ExactIndependent,
    FixedThreshold,
    HalfDice,
    Hurdle,
    JointSamples,
    Tempered,
    TunedThreshold,
    as_json,
    decide_exclusive,
    expected_scores,
    from_json,
    optimal_mask,
    tally,
)
from segrisk.decision.rules import EmptyAware, Exact, Threshold
from segrisk.similarity import confusion, dice, f_beta, jaccard, tversky

RULES = [
    FixedThreshold(0.5),
    HalfDice(),
    TunedThreshold(dice),
    TunedThreshold(jaccard),
    ExactIndependent(dice),
    Hurdle(jaccard),
    Hurdle(dice, presence=0.7),
    Tempered(ExactIndependent(dice)),
    Tempered(HalfDice()),
]
every = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def cases(count=12, seed=0, voxels=60):
    """Some of them empty."""
    for index, (p, y) in enumerate(scenes.independent(count, seed, voxels)):
        empty = index % 4 == 0
        yield (p * 0.1 if empty else p), y & (not empty)


@every
def test_what_is_fitted_is_stored_and_replayed(rule):
    fitted = rule.fit(cases())
    again = from_json(json.loads(json.dumps(as_json(fitted))))
    assert again == fitted
    for p, _ in cases(5, seed=1):
        mask = fitted.decide(p)
        assert mask.dtype == np.bool_ and (again.decide(p) == mask).all()


@every
def test_maps_may_stream_or_be_counted_before(rule):
    assert rule.fit(iter(cases())) == rule.fit([tally(p, y) for p, y in cases()])


@every
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_order_of_voxels_their_shape_and_their_kind_do_not_matter(rule, dtype):
    generator = np.random.default_rng(2)
    fitted = rule.fit(cases())
    p = generator.beta(0.3, 1, 24).astype(dtype)
    expected = fitted.decide(p)
    order = generator.permutation(24)
    assert (fitted.decide(p[order]) == expected[order]).all()
    assert (fitted.decide(p.reshape(2, 3, 4)) == expected.reshape(2, 3, 4)).all()
    mask = fitted.decide(torch.from_numpy(p))
    assert isinstance(mask, torch.Tensor) and mask.tolist() == expected.tolist()


@every
def test_a_rule_takes_the_most_probable_voxels(rule):
    fitted = rule.fit(cases())
    for p, _ in cases(6, seed=3):
        mask = fitted.decide(p)
        if mask.any() and not mask.all():
            assert p[mask].min() > p[~mask].max()


# Thresholds


@given(values=st.lists(st.floats(0, 1, width=16), min_size=1, max_size=30), data=st.data())
@settings(deadline=None, max_examples=30)
def test_a_tally_scores_every_level_as_its_mask_does(values, data):
    y = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    for dtype in (np.float16, np.float32, np.float64):
        p = np.array(values, dtype)
        case = tally(p, y)
        scores = case.scores(dice)
        for k in [0, 5, 700, 1024, len(LEVELS) - 1, *np.searchsorted(LEVELS, p[:2])]:
            k = min(k, len(LEVELS) - 1)
            masses = confusion(Threshold(LEVELS[k]).decide(p), y)
            assert scores[k] == pytest.approx(reference.dice(p > LEVELS[k], y))
            assert [mass[k] for mass in case.masses()] == list(masses)
        assert case.volume == pytest.approx(p.astype(float).sum())


def test_levels_are_dense_where_probabilities_are_small():
    assert 0.5 in LEVELS and LEVELS[0] == 0 and len(LEVELS) < 2000
    steps = np.diff(LEVELS)
    assert steps.max() == 1 / 1024
    small = (LEVELS[1:] > 1e-3) & (LEVELS[1:] < 1 / 16)
    assert (steps[small] / LEVELS[1:][small]).max() <= 1 / 60


def test_the_tuned_threshold_is_best_of_all_thresholds():
    seen = list(cases(8))
    for similarity in (dice, jaccard):
        value = TunedThreshold(similarity).fit(seen).value
        means = [
            np.mean([similarity(confusion(p > level, y)) for p, y in seen]) for level in LEVELS[::7]
        ]
        found = np.mean([similarity(confusion(p > value, y)) for p, y in seen])
        assert found >= max(means) - 1e-12


def test_half_of_the_best_dice_is_a_threshold():
    seen = list(scenes.independent(200, seed=5))
    best = max(np.mean([dice(confusion(p > level, y)) for p, y in seen]) for level in LEVELS[::3])
    assert HalfDice().fit(seen).value == pytest.approx(best / 2, abs=1e-3)
    assert TunedThreshold(dice).fit(seen).value == pytest.approx(best / 2, abs=0.05)


# Joint samples


def law_of(samples):
    return {tuple(int(v) for v in row): np.mean((samples == row).all(1)) for row in samples}


@settings(deadline=None, max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("score", ["dice", "f_beta"])
def test_no_mask_beats_the_joint_rule(score, data):
    d = data.draw(st.integers(1, 8))
    count = data.draw(st.integers(1, 5))
    # Runs of equal voxels make the samples dependent, and patterns recur.
    row = st.lists(st.booleans(), min_size=d, max_size=d).map(sorted) | st.lists(
        st.booleans(), min_size=d, max_size=d
    )
    samples = np.array(data.draw(st.lists(row, min_size=count, max_size=count)))
    law = law_of(samples)
    measure = getattr(reference, score)
    similarity = dice if score == "dice" else f_beta(2)
    chosen = JointSamples(similarity).decide(samples)
    best = max(
        reference.expected_score(measure, mask, law) for mask in itertools.product((0, 1), repeat=d)
    )
    assert reference.expected_score(measure, chosen, law) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_no_mask_of_12_voxels_beats_the_joint_rule(seed):
    generator = np.random.default_rng(seed)
    field = generator.normal(size=(20, 12)).cumsum(1) + generator.normal(size=(20, 1))
    samples = field > 0.5
    masks = np.array(list(itertools.product((False, True), repeat=12)))
    tp = masks.astype(float) @ samples.T.astype(float)
    total = masks.sum(1)[:, None] + samples.sum(1)[None]
    scores = np.where(total == 0, 1, 2 * tp / np.maximum(total, 1)).mean(1)
    chosen = JointSamples(dice).decide(samples)
    assert scores[(masks == chosen).all(1)][0] == pytest.approx(scores.max(), abs=1e-12)


def test_many_samples_of_one_image_are_no_trouble():
    generator = np.random.default_rng(0)
    centre = np.add.outer(np.arange(60) - 30, 1j * (np.arange(60) - 30))
    samples = np.abs(centre)[None] < generator.normal(15, 3, (40, 1, 1))
    mask = JointSamples(dice).decide(samples)
    assert mask.shape == (60, 60) and 300 < mask.sum() < 1200
    tensor = JointSamples(dice).decide(torch.from_numpy(samples))
    assert isinstance(tensor, torch.Tensor) and (tensor.numpy() == mask).all()


def test_jaccard_is_not_decided_from_samples():
    for similarity in (jaccard, tversky(0.3, 0.3)):
        with pytest.raises(ValueError, match="denominator depends on the overlap"):
            JointSamples(similarity)
    with pytest.raises(ValueError, match=r"shape \(3,\): give at least one mask"):
        JointSamples(dice).decide(np.ones(3, bool))
    with pytest.raises(ValueError, match="samples must be boolean or 0 and 1, got float64"):
        JointSamples(dice).decide(np.full((2, 3), 0.5))


# Nested masks: what independence gets wrong.


def scores_of_sizes(sizes, voxels):
    """E[Dice] of the mask {1, …, k} for k = 0, …, voxels, where y = {1, …, size}."""
    k = np.arange(voxels + 1)[:, None]
    return (2 * np.minimum(k, sizes) / (k + sizes)).mean(1)


@pytest.mark.parametrize(
    ("sigma", "joint", "independence"), [(0.3, 0.8821, 0.8808), (0.8, 0.7085, 0.6892)]
)
def test_nested_log_normal_sizes(sigma, joint, independence):
    median, voxels = 1000, 30_000
    sizes = scenes.log_normal_sizes(median, sigma, 1000)
    expected = scores_of_sizes(sizes, voxels)
    p = np.bincount(sizes, minlength=voxels + 1)[::-1].cumsum()[::-1][1:] / len(sizes)
    assert expected.max() == pytest.approx(joint, abs=1e-4)
    assert expected[np.count_nonzero(p > 0.5)] == pytest.approx(joint, abs=1e-4)
    assert expected[optimal_mask(p, dice).sum()] == pytest.approx(independence, abs=1e-4)


def test_uniform_sizes():
    sizes = np.arange(1, 201)
    samples = np.arange(1, 201) <= sizes[:, None]
    p = samples.mean(0)
    expected = scores_of_sizes(sizes, 200)
    joint = JointSamples(dice).decide(samples).sum()
    assert expected[joint] == expected.max() == pytest.approx(0.7166, abs=5e-5)
    assert expected[optimal_mask(p, dice).sum()] == pytest.approx(0.7139, abs=5e-5)
    assert expected[np.count_nonzero(p > 0.5)] == pytest.approx(0.7140, abs=5e-5)
    # Here independence is optimistic about its own score.
    assert expected_scores(p, dice).max() == pytest.approx(0.765, abs=5e-4)


# Empty images


@settings(deadline=None, max_examples=25)
@given(
    p=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6),
    presence=st.floats(0.01, 0.99),
)
@pytest.mark.parametrize("score", ["dice", "jaccard"])
def test_no_mask_beats_the_empty_aware_rule(score, p, presence):
    law = reference.independent_law(p)
    nothing = law[(0,) * len(p)]
    law = {
        y: presence * chance / (1 - nothing) if any(y) else 1 - presence
        for y, chance in law.items()
    }
    similarity = {"dice": dice, "jaccard": jaccard}[score]
    chosen = Hurdle(similarity, presence=presence).fit().decide(p)
    values = [
        reference.expected_score(getattr(reference, score), mask, law)
        for mask in itertools.product((0, 1), repeat=len(p))
    ]
    found = reference.expected_score(getattr(reference, score), chosen, law)
    assert found == pytest.approx(max(values), abs=1e-8)


def test_the_hurdle_stands_at_1_over_1_plus_d1():
    p = [0.9, 0.8, 0.05]
    scores = expected_scores(p, dice)
    limit = 1 / (1 + scores[1:].max() / (1 - scores[0]))
    assert not EmptyAware(dice, limit - 1e-9).decide(p).any()
    assert EmptyAware(dice, limit + 1e-9).decide(p).tolist() == [True, True, False]
    assert not EmptyAware(dice, 1.0).decide([0.0, 0.0]).any()


def test_presence_is_fitted_from_volume_and_peak():
    seen = [tally(p, y) for p, y in cases(40)]
    presence = Hurdle(dice).fit(seen).presence
    chances = [presence(case.volume, case.peak) for case in seen]
    present = [case.reference_volume > 0 for case in seen]
    # These cases are separable: the slopes stay finite, the two kinds apart.
    assert np.isfinite([presence.intercept, presence.volume_slope, presence.peak_slope]).all()
    assert min(c for c, y in zip(chances, present, strict=True) if y) > 0.5
    assert max(c for c, y in zip(chances, present, strict=True) if not y) < 0.5
    # The mean fitted probability is the share of cases with foreground, as for any such fit.
    assert np.mean(chances) == pytest.approx(np.mean(present), abs=1e-4)


def test_presence_of_equal_maps_is_their_share():
    p = [0.5, 0.2]
    seen = [(p, [True, False]), (p, [False, False]), (p, [False, True]), (p, [True, True])]
    presence = Hurdle(dice).fit(seen).presence
    assert presence(0.7, 0.5) == pytest.approx(0.75, abs=1e-4)


# Exclusive classes


@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_each_class_is_decided_alone_and_double_claims_go_to_the_more_probable(data):
    count = data.draw(st.integers(1, 3))
    voxels = data.draw(st.integers(1, 6))
    p = (
        np.random.default_rng(data.draw(st.integers(0, 99)))
        .dirichlet([0.6] * (count + 1), voxels)
        .T
    )
    thresholds = data.draw(st.lists(st.floats(0, 0.6), min_size=count, max_size=count))
    labels = decide_exclusive(p, [Threshold(t) for t in thresholds])
    for voxel in range(voxels):
        claims = {c: p[c, voxel] for c in range(1, count + 1) if p[c, voxel] > thresholds[c - 1]}
        assert labels[voxel] == max(claims, key=claims.get, default=0)


def test_exclusive_classes_come_as_tensors_too():
    p = torch.softmax(torch.randn(3, 4, 5, generator=torch.manual_seed(0)), 0)
    labels = decide_exclusive(p, Exact(dice))
    assert isinstance(labels, torch.Tensor) and labels.shape == (4, 5)
    assert set(labels.unique().tolist()) <= {0, 1, 2}


def test_exclusive_classes_refuse_other_shapes():
    with pytest.raises(ValueError, match="got 1 rules for 2 classes: give one for each class"):
        decide_exclusive(np.full((3, 4), 1 / 3), [Threshold(0.5)])
    with pytest.raises(ValueError, match=r"shape \(1, 4\): give \(C, \*space\)"):
        decide_exclusive(np.ones((1, 4)), Threshold(0.5))


def test_a_batch_or_channels_last_are_not_taken_for_classes():
    p = torch.softmax(torch.randn(4, 3, 5, 6, generator=torch.manual_seed(0)), 1)
    for wrong in (p, p[0].movedim(0, -1)):
        with pytest.raises(ValueError, match="over its first axis at a voxel, not to 1"):
            decide_exclusive(wrong, Threshold(0.5))
    stored = (p[0] * 255).round().to(torch.uint8).float() / 255  # as bytes they are near enough
    assert decide_exclusive(stored, Threshold(0.5)).shape == (5, 6)


def test_what_is_no_similarity_or_not_fitted_is_said():
    for rule in (TunedThreshold, ExactIndependent, Hurdle, Exact):
        with pytest.raises(TypeError, match=r"give a similarity, .* got 'dice'"):
            rule("dice")
    with pytest.raises(TypeError, match=r"is not fitted: give what its fit\(cases\) returns"):
        decide_exclusive(np.full((3, 4), 1 / 3), TunedThreshold(dice))


# What is refused


@pytest.mark.parametrize("rule", [HalfDice(), TunedThreshold(dice), Hurdle(dice)])
@pytest.mark.parametrize("value", [False, True])
def test_one_class_in_all_masks_teaches_nothing(rule, value):
    seen = [(np.full(4, 0.5), np.full(4, value))] * 3
    with pytest.raises(ValueError, match="all 3 cases"):
        rule.fit(seen)


@pytest.mark.parametrize("rule", [HalfDice(), TunedThreshold(dice), Hurdle(dice)])
def test_no_cases_are_refused(rule):
    with pytest.raises(ValueError, match="there are no cases"):
        rule.fit([])


@pytest.mark.parametrize(
    ("p", "y", "text"),
    [
        ([0.5, 0.5], [True], r"p has shape \(2,\) and the target \(1,\)"),
        ([0.5], [2], "the target must be boolean or 0 and 1, got int64"),
        ([1.5], [True], "outside"),
        ([], [], "no voxels"),
    ],
)
def test_a_case_passes_one_door(p, y, text):
    with pytest.raises(ValueError, match=text):
        tally(p, np.array(y))


def test_numbers_of_rules_are_checked():
    with pytest.raises(ValueError, match=r"a threshold lies in \[0, 1\], got 1.5"):
        Threshold(1.5)
    with pytest.raises(ValueError, match=r"presence is a probability in \[0, 1\], got 2"):
        EmptyAware(dice, 2)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ({"rule": "magic"}, "unknown rule 'magic': known are threshold, exact, hurdle and"),
        ({"rule": "threshold"}, "is no stored rule"),
        ({"rule": "exact", "similarity": "bce"}, "is no stored rule"),
        ({}, "is no stored rule"),
        ({"rule": "tempered", "value": -1, "fitted": {}}, "a temperature is positive"),
    ],
)
def test_other_json_is_refused(stored, text):
    with pytest.raises(ValueError, match=text):
        from_json(stored)


def test_only_what_has_a_name_is_stored():
    with pytest.raises(ValueError, match=r"tversky\(0.3, 0.7\) cannot be stored by name"):
        as_json(Exact(tversky(0.3, 0.7)))
    with pytest.raises(TypeError, match="JointSamples cannot be stored"):
        as_json(JointSamples(dice))
