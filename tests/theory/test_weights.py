"""Cross-entropy weights and thresholds, against a population of calibrated voxels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segrisk.losses import WeightedCrossEntropy
from segrisk.similarity import Confusion, dice, jaccard
from segrisk.theory import balanced_weight, best_weight, threshold_of_weight, weight_of_threshold


@given(t=st.floats(0.001, 0.999))
def test_weight_and_threshold_are_one_thing(t):
    assert threshold_of_weight(weight_of_threshold(t)) == pytest.approx(t)
    assert threshold_of_weight(balanced_weight(t)) == pytest.approx(t, abs=1e-12)


@pytest.mark.parametrize("weight", [0.5, 1.0, 3.0])
def test_a_weighted_cross_entropy_cuts_where_it_says(weight):
    """The expected loss of a voxel of probability p is least at a logit above 0 iff p > 1/(1+w)."""
    for p in (threshold_of_weight(weight) - 0.01, threshold_of_weight(weight) + 0.01):
        logit = torch.zeros(1, 1, 2, requires_grad=True)
        target = torch.tensor([[1, 0]])
        share = torch.tensor([[p, 1 - p]])
        loss = WeightedCrossEntropy(weights=[1.0, weight])(logit, target, weight=share)
        (gradient,) = torch.autograd.grad(loss, logit)
        assert (float(gradient.sum()) < 0) == (p > threshold_of_weight(weight))


def population(alpha, beta):
    """Equal shares of voxels with probabilities from a Beta distribution, sorted downwards."""
    p = np.sort(np.random.default_rng(0).beta(alpha, beta, 20_000))[::-1]
    tp, marked = np.cumsum(p), np.arange(1, len(p) + 1)
    return p, Confusion(tp, marked - tp, p.sum() - tp, len(p) - marked - p.sum() + tp)


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 1), (0.3, 2), (0.5, 0.5), (2, 5)])
def test_the_best_weight_reaches_the_best_score_of_a_population(alpha, beta):
    p, masses = population(alpha, beta)
    for similarity in (dice, jaccard):
        scores = similarity(masses)
        weight = best_weight(jaccard(masses).max())
        assert p[scores.argmax()] == pytest.approx(threshold_of_weight(weight), abs=2e-3)
        reached = scores[np.count_nonzero(p > threshold_of_weight(weight)) - 1]
        assert reached == pytest.approx(scores.max(), abs=1e-6)
    # From any weight, training, measuring J and weighing by 1 / J again leads there.
    weight = 1.0
    for _ in range(60):
        marked = np.count_nonzero(p > threshold_of_weight(weight))
        weight = best_weight(jaccard(masses)[marked - 1])
    assert jaccard(masses)[marked - 1] == pytest.approx(jaccard(masses).max(), abs=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: threshold_of_weight(0), "weight must be positive and finite, got 0"),
        (lambda: weight_of_threshold(1), "threshold must lie between 0 and 1, got 1"),
        (lambda: balanced_weight(0), "prior must lie between 0 and 1, got 0: .* never or always"),
        (lambda: best_weight(0), r"Jaccard index must lie in \(0, 1\], got 0"),
    ],
)
def test_what_has_no_weight_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
