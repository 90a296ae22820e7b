"""Wrong input: what was given, what was expected, what to do."""

import re

import pytest
import torch

from segrisk.losses import (
    CrossEntropy,
    DeepSupervision,
    Focal,
    Lovasz,
    LovaszJaccard,
    Soft,
    SoftDice,
    SoftTversky,
    TopK,
    WeightedCrossEntropy,
    check,
    power,
)
from segrisk.losses.supervision import resize_nearest
from segrisk.similarity import jaccard, tversky

X1, X3 = torch.zeros(2, 1, 8), torch.zeros(2, 3, 8)
Y = torch.zeros(2, 8, dtype=torch.long)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: SoftDice()(X1, torch.zeros(2, 9)),
            "logits have shape (2, 1, 8) and target (2, 9): logits are (B, C, *space)",
        ),
        (lambda: SoftDice()(torch.zeros(2, 8), Y), "logits have shape (2, 8): they must be"),
        (lambda: SoftDice()(X1.long(), Y), "logits must be floating point, got torch.int64"),
        (lambda: SoftDice()([X1, X1], Y), "logits are a list of 2: for outputs at several"),
        (lambda: SoftDice()(X1.numpy(), Y), "logits must be a tensor, got ndarray"),
        (lambda: SoftDice()(X1, Y.numpy()), "target must be a tensor, got ndarray"),
        (
            lambda: SoftDice(activation="softmax")(X3, torch.ones(2, 3, 8)),
            "channels do not sum up to 1 at every voxel",
        ),
        (lambda: DeepSupervision(SoftDice())(X3, Y), "logits are one tensor of shape (2, 3, 8)"),
        (lambda: SoftDice(background="no"), "background must be True or False, got 'no'"),
        (lambda: SoftDice()(torch.zeros(0, 1, 8), Y[:0]), "there is nothing to compare"),
        (lambda: SoftDice()(X3, torch.zeros(2, 3, 8)), "say activation='softmax' for soft labels"),
        (lambda: SoftDice()(X3, Y.float()), "must hold integer classes, got torch.float32"),
        (lambda: SoftDice()(X3, Y.bool()), "must hold integer classes, got torch.bool"),
        (lambda: SoftDice()(X1, Y * 1j), "target must be boolean, integer or floating"),
        (
            lambda: SoftDice(activation="sigmoid")(X3, Y),
            "integer classes exclude each other: use activation='softmax'",
        ),
        (lambda: SoftDice(activation="softmax")(X1, Y), "a softmax over one class is always 1"),
        (lambda: SoftDice(activation="relu"), "activation must be 'sigmoid' or 'softmax'"),
        (lambda: SoftDice()(X3, Y + 3), "16 labels outside classes 0 to 2 (from 3 to 3)"),
        (lambda: SoftDice()(X3, Y - 1), "16 labels outside classes 0 to 2 (from -1 to -1)"),
        (lambda: SoftDice()(X1, Y + 2), "16 labels outside values from 0 to 1"),
        (lambda: SoftDice()(X1, Y + 1.5), "name the value that counts for nothing as ignore_index"),
        (lambda: SoftDice()(X1, Y + torch.nan), "labels outside values from 0 to 1"),
        (lambda: SoftDice()(X1, Y, mask=Y), "mask must be boolean, got torch.int64"),
        (lambda: SoftDice()(X1, Y, weight=Y), "weight must be floating point, got torch.int64"),
        (lambda: SoftDice()(X1, Y, weight=torch.ones(8)), "weight has shape (8,): for logits"),
        (lambda: SoftDice()(X3, Y, annotated=Y > 0), "annotated must be boolean of shape (B, C)"),
        (lambda: SoftDice()(X1, Y.to("meta")), "target is on meta and logits on cpu"),
        (lambda: SoftDice(pool="batch"), "pool is a tuple of names, got 'batch'"),
        (lambda: SoftDice(pool=("space",)), "pool may name 'batch' and 'class', got 'space'"),
        (lambda: SoftDice(empty="ignore"), "empty must be 'penalise' or 'skip'"),
        (lambda: SoftDice(relaxation="hard"), "relaxation must be 'l1', 'product' or 'squared'"),
        (
            lambda: Soft(tversky(0.3, 0.7), relaxation="squared"),
            "which tversky(0.3, 0.7) weighs apart: use 'l1'",
        ),
        (lambda: SoftTversky(alpha=0), "weights must be positive and finite"),
        (lambda: SoftDice(class_weight=[1, 2])(X3, Y), "class_weight has 2 entries for 3 classes"),
        (lambda: SoftDice(class_weight=[-1, 2]), "class weights must be at least 0"),
        (lambda: SoftDice(class_weight=[1], pool=("class",)), "leave out class_weight"),
        (
            lambda: LovaszJaccard()(X1, Y + 0.5),
            "16 soft labels, and a Lovász loss needs 0 and 1: threshold them, or use Soft",
        ),
        (lambda: Focal()(X1, Y + 0.5), "16 soft labels, and the focal loss needs 0 and 1"),
        (lambda: Lovasz(jaccard, errors="hinge")(X3, Y), "hinge errors need one channel for each"),
        (lambda: Lovasz(jaccard, errors="exp"), "errors must be 'probability' or 'hinge'"),
        (lambda: WeightedCrossEntropy(), "give either the prior or the weights"),
        (
            lambda: WeightedCrossEntropy(prior=0.2)(X3, Y),
            "a softmax over 3 channels needs one prior for each channel, got [0.2]",
        ),
        (
            lambda: WeightedCrossEntropy(weights=[1, 2, 3])(X1, Y),
            "needs weights (background, foreground) of one channel, got [1.0, 2.0, 3.0]",
        ),
        (lambda: WeightedCrossEntropy(weights=[-1, 1]), "weights must be at least 0"),
        (lambda: Focal(gamma=-1), "gamma must be at least 0"),
        (lambda: TopK(k=0), "k is a share of the voxels in (0, 1]"),
        (lambda: power(0), "gamma must be positive"),
        (lambda: check(X1 + torch.nan, Y), "logits hold 16 values that are NaN or infinite"),
        (lambda: check(X3, Y + 7), "16 labels outside classes 0 to 2"),
        (lambda: DeepSupervision(SoftDice(), [1])([X1, X1], Y), "1 weights were given for 2"),
        (lambda: DeepSupervision(SoftDice(), [0]), "weights must be at least 0, not all 0"),
    ],
)
def test_wrong_input_is_explained(call, text):
    with pytest.raises((TypeError, ValueError), match=re.escape(text)):
        call()


def test_right_input_passes_the_check():
    check(X3, Y)
    check(X3, torch.where(Y == 0, 255, Y), ignore_index=255)


def test_sums_share_one_table_and_one_gradient(monkeypatch):
    from segrisk import kernels

    calls = []
    original = kernels.masses
    monkeypatch.setattr(kernels, "masses", lambda *a, **k: calls.append(1) or original(*a, **k))
    x = X3.clone().requires_grad_()
    loss = 0.25 * CrossEntropy() + 0.75 * SoftDice(background=False) + SoftTversky()
    loss(x, Y).backward()
    assert len(calls) == 1
    x = x.detach()
    parts = loss.components(x, Y)
    assert list(parts) == ["CE", "sDice", "sTversky"]
    expected = 0.25 * parts["CE"] + 0.75 * parts["sDice"] + parts["sTversky"]
    assert float(loss(x, Y)) == pytest.approx(float(expected))
    assert loss.label == "0.25 CE + 0.75 sDice + sTversky"


def test_sums_take_any_callable_and_any_order():
    def users(logits, target):
        return logits.square().mean()

    ones = torch.ones(2, 1, 8)
    for loss in (SoftDice() + users, users + SoftDice(), sum([SoftDice(), users])):
        assert float(loss(ones, Y)) == pytest.approx(1 + float(SoftDice()(ones, Y)))
    assert (2 * (SoftDice() + users)).factors == (2.0, 2.0)
    assert (SoftDice() + SoftTversky()).family == "metric"
    assert (SoftDice() + CrossEntropy()).family == "other"
    twice = SoftDice() + SoftDice(pool=("batch",))
    assert list(twice.components(ones, Y)) == ["sDice 1", "sDice 2"]


def test_deep_supervision_takes_integer_labels_at_every_resolution():
    target = torch.tensor([[0, 0, 2, 2, 1, 1, 0, 0]])
    outputs = [torch.randn(1, 3, size) for size in (8, 4, 2)]
    picked = [target, torch.tensor([[0, 2, 1, 0]]), torch.tensor([[2, 0]])]
    assert all(torch.equal(resize_nearest(target, (len(y[0]),)), y) for y in picked)
    values = [SoftDice()(x, y) for x, y in zip(outputs, picked, strict=True)]
    expected = (values[0] + values[1] / 2 + values[2] / 4) / 1.75
    assert float(DeepSupervision(SoftDice())(outputs, target)) == pytest.approx(float(expected))
