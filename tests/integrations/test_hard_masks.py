"""Counts and scores that the metric objects of other tools share."""

import numpy as np
import pytest
import torch

from segrisk.integrations.hard import as_classes, convention_of, masses, overlap, scores
from segrisk.metrics import CONVENTIONS
from segrisk.similarity import SIMILARITIES, Confusion, confusion


def test_counts_are_those_of_each_mask():
    generator = torch.Generator().manual_seed(0)
    p, y, ignored = (torch.rand(3, 2, 40, generator=generator) > 0.6 for _ in range(3))
    ignored = ignored[:, :1]
    counts = masses(p, y, ignored)
    for b in range(3):
        keep = ~ignored[b, 0]
        for c in range(2):
            expected = confusion(p[b, c][keep], y[b, c][keep])
            assert tuple(int(count[b, c]) for count in counts) == tuple(expected)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_scores_of_empty_masks_are_the_conventions(similarity, convention):
    """Each kind of emptiness, beside the same value that the convention's own rule gives."""
    cases = [(0, 0, 0, 9), (0, 2, 0, 7), (0, 0, 3, 6), (2, 1, 1, 5), (0, 0, 0, 0)]
    counts = Confusion(*torch.tensor(cases).T)
    measure, rules = overlap(similarity), convention_of(convention)
    expected = []
    for tp, fp, fn, tn in cases:
        value = float(SIMILARITIES[similarity](Confusion(tp, fp, fn, tn)))
        if not (tp + fn and tp + fp):
            own = rules.rule(measure).of(reference=not tp + fn, prediction=not tp + fp)
            value = value if own == "formula" else own
        expected.append(value if tp + fp + fn + tn else float("nan"))
    found = scores(counts, measure, rules)
    assert np.allclose(found.numpy(), expected, rtol=0, atol=1e-15, equal_nan=True)


def test_float_labels_become_classes_and_fractions_are_refused():
    logits = torch.zeros(1, 3, 4)
    assert as_classes(torch.tensor([[[0.0, 1, 2, 255]]]), logits).dtype == torch.int64
    soft = torch.rand(1, 3, 4)
    assert as_classes(soft, logits) is soft  # channels
    single = torch.rand(1, 1, 4)
    assert as_classes(single, logits[:, :1]) is single  # a binary target may be soft
    with pytest.raises(ValueError, match=r"holds 0\.5, which is no label: resample labels by the"):
        as_classes(torch.tensor([[[0.0, 0.5, 2, 1]]]), logits)
