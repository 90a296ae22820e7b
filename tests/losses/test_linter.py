"""The loss linter: bad configurations are named, good ones are not, and what it says is true."""

import monai.losses as monai
import pytest
import torch
from torch import nn

from segrisk.losses import (
    LOSSES,
    CrossEntropy,
    DeepSupervision,
    Focal,
    Lovasz,
    LovaszJaccard,
    Soft,
    SoftDice,
    SoftJaccard,
    SoftTversky,
    TopK,
    Use,
    WeightedCrossEntropy,
    explain,
    log,
    power,
)
from segrisk.similarity import (
    dice,
    hamming,
    kappa,
)

SOFT, OVERLAP, THREE = Use(labels="soft"), Use(classes=3, labels="overlapping"), Use(classes=3)
ALL = Use(classes=3, scored="all")


def own_dice(smooth_above, smooth_below, *, axes=(1, 2, 3)):
    """A binary Dice loss as many people write it."""

    def loss(logits, target):
        p, y = logits.sigmoid(), target.to(logits.dtype)
        above = 2 * (p * y).sum(axes) + smooth_above
        return 1 - (above / (p.sum(axes) + y.sum(axes) + smooth_below)).mean()

    return loss


def keras_like(logits, target):
    return own_dice(0, 1e-7, axes=(0, 1, 2, 3))(logits, target)


def nnunet_like(logits, target, batch_dice=True, smooth=1e-5):
    """Cross-entropy minus the mean soft Dice of the foreground, pooled over the batch."""
    p, space = logits.softmax(1), (0, 2, 3) if batch_dice else (2, 3)
    y = nn.functional.one_hot(target[:, 0].long(), logits.shape[1]).movedim(-1, 1).to(p.dtype)
    tp = (p * y).sum(space)[..., 1:]
    total = (p.sum(space) + y.sum(space))[..., 1:]
    score = (2 * tp + smooth) / (total + smooth).clamp(min=1e-8)
    return nn.functional.cross_entropy(logits, target[:, 0].long()) - score.mean()


def smp_like(logits, target):
    """Batch Dice, in which an absent class is multiplied by 0."""
    p, y = logits.sigmoid().flatten(), target.flatten().to(logits.dtype)
    return (1 - 2 * (p * y).sum() / (p.sum() + y.sum()).clamp(min=1e-7)) * (y.sum() > 0)


def softmax_cross_entropy(logits, target):
    return nn.functional.cross_entropy(logits, target)


def mixed(logits, target):
    """Sigmoid Dice with a softmax cross-entropy, on labels that may overlap."""
    sigmoid_dice = SoftDice(activation="sigmoid")(logits, target)
    return sigmoid_dice + softmax_cross_entropy(logits, target)


def micro_dice(logits, target):
    p = logits.softmax(1)
    y = nn.functional.one_hot(target[:, 0].long(), logits.shape[1]).movedim(-1, 1).to(p.dtype)
    return (1 - 2 * (p * y).sum((1, 2, 3)) / (p + y).sum((1, 2, 3))).mean()


SMOOTH = {"sigmoid": True, "smooth_nr": 1.0, "smooth_dr": 1.0}
CLASSES = {"softmax": True, "to_onehot_y": True}
GROUP = object()  # never used: the linter is one process

BAD = {
    "smoothing of 1 on small objects": (
        monai.DiceLoss(**SMOOTH),
        Use(smallest=5),
        {"small-objects", "smoothing-both"},
    ),
    "smoothing of 1 in one's own": (own_dice(1, 1), Use(), {"small-objects", "smoothing-both"}),
    "smoothing below alone": (
        own_dice(0, 1),
        Use(smallest=5),
        {"empty-unpunished", "small-objects"},
    ),
    "monai's default": (monai.DiceLoss(sigmoid=True), Use(), {"smoothing-both"}),
    "monai's default of classes": (
        monai.DiceLoss(**CLASSES),
        THREE,
        {"smoothing-both", "background"},
    ),
    "monai's sum": (monai.DiceCELoss(**CLASSES), THREE, {"smoothing-both", "background"}),
    "nnu-net": (nnunet_like, THREE, {"smoothing-both", "pool-batch"}),
    "nnu-net over processes": (
        nnunet_like,
        Use(classes=3, processes=4, metric="dataset"),
        {"smoothing-both", "pool-per-process"},
    ),
    "smp": (smp_like, Use(), {"empty-unpunished", "pool-batch"}),
    "keras": (keras_like, Use(), {"empty-unpunished", "pool-batch"}),
    "each process for itself": (
        SoftDice(pool=("batch",)),
        Use(processes=2, metric="dataset"),
        {"pool-per-process"},
    ),
    "a pooled part of a sum": (
        CrossEntropy() + SoftJaccard(pool=("batch",)),
        Use(batch=4),
        {"pool-batch"},
    ),
    "lovász of the batch": (LovaszJaccard(pool=("batch",)), Use(), {"pool-batch"}),
    "product on soft labels": (SoftDice(relaxation="product"), SOFT, {"soft-labels"}),
    "monai on soft labels": (
        monai.DiceLoss(sigmoid=True),
        SOFT,
        {"soft-labels", "smoothing-both"},
    ),
    "product of exclusive shares": (
        SoftJaccard(relaxation="product", activation="softmax", background=False),
        Use(classes=3, labels="soft"),
        {"soft-labels"},
    ),
    "a sum with the product": (
        CrossEntropy() + SoftTversky(relaxation="product"),
        SOFT,
        {"soft-labels"},
    ),
    "lovász on soft labels": (LovaszJaccard(), SOFT, {"refused"}),
    "skipped empties": (SoftDice(empty="skip"), Use(), {"empty-unpunished"}),
    "skipped empties of classes": (
        LovaszJaccard(empty="skip", background=False),
        THREE,
        {"empty-unpunished"},
    ),
    "background": (CrossEntropy() + SoftDice(), THREE, {"background"}),
    "background in all at once": (
        SoftDice(pool=("class",)),
        THREE,
        {"background", "pixel-error"},
    ),
    "micro": (micro_dice, ALL, {"pixel-error"}),
    "weights": (
        monai.DiceLoss(**CLASSES, weight=[1.0, 5.0, 2.0], smooth_nr=0, include_background=True),
        ALL,
        {"class-weights"},
    ),
    "weights of two": (
        monai.DiceLoss(**CLASSES, weight=[1.0, 9.0], smooth_nr=0),
        Use(classes=2, scored="all"),
        {"class-weights"},
    ),
    "half sums": (
        own_dice(0, 1e-8),
        Use(precision="float16"),
        {"half-precision", "empty-unpunished"},
    ),
    "brief half sums": (
        own_dice(0, 1e-8),
        Use(precision="bfloat16"),
        {"half-precision", "empty-unpunished"},
    ),
    "softmax ce": (softmax_cross_entropy, OVERLAP, {"softmax-overlap"}),
    "softmax ce beside sigmoids": (mixed, OVERLAP, {"softmax-overlap"}),
    "monai's softmax ce": (
        monai.DiceCELoss(sigmoid=True),
        OVERLAP,
        {"softmax-overlap", "smoothing-both"},
    ),
    "softmax dice of ours": (SoftDice(activation="softmax"), OVERLAP, {"softmax-overlap"}),
    "no activation": (monai.DiceLoss(), Use(), {"not-logits"}),
    "a score": (lambda x, y: 1 - SoftDice()(x, y), Use(), {"backwards"}),
    "activation not said": (SoftDice(), OVERLAP, {"refused"}),
    "integers to a sigmoid ce": (nn.BCEWithLogitsLoss(reduction="none"), Use(), {"refused"}),
}

FOREGROUND = {"background": False}
SIGMOID = {"activation": "sigmoid"}
GOOD = {
    **{
        name: (loss(prior=0.1) if name == "weighted_cross_entropy" else loss(), Use(smallest=1))
        for name, loss in LOSSES.items()
    },
    "sum": (CrossEntropy() + SoftDice(), Use()),
    "scaled sum": (0.25 * CrossEntropy() + 0.75 * SoftJaccard(), Use(precision="float16")),
    "scaled": (0.01 * SoftDice(), Use(processes=4)),
    "squared": (SoftDice(relaxation="squared"), SOFT),
    "soft": (SoftDice() + CrossEntropy(), SOFT),
    "soft classes": (
        SoftDice(activation="softmax", **FOREGROUND),
        Use(classes=4, labels="soft"),
    ),
    "hamming": (Soft(hamming), Use(classes=2)),
    "kappa": (Soft(kappa), Use()),
    "tversky of classes": (SoftTversky(**FOREGROUND), THREE),
    "log": (SoftDice(curve=log), Use()),
    "focal tversky": (SoftTversky(curve=power(0.75)), Use()),
    "foreground": (CrossEntropy() + SoftDice(**FOREGROUND), Use(classes=4, batch=4)),
    "all classes": (LovaszJaccard(), ALL),
    "lovász dice": (Lovasz(dice, **FOREGROUND), Use(classes=2)),
    "hinge": (LovaszJaccard(errors="hinge"), Use(smallest=3)),
    "normalised weights": (SoftDice(class_weight=[0, 1, 9]), THREE),
    "weighted ce": (WeightedCrossEntropy(weights=[1, 5, 9]), THREE),
    "skip beside ce": (CrossEntropy() + SoftDice(empty="skip"), Use()),
    "focal": (Focal() + SoftDice(**FOREGROUND), THREE),
    "top-k": (TopK(0.2), THREE),
    "overlapping": (CrossEntropy(**SIGMOID) + SoftDice(**SIGMOID), OVERLAP),
    "pooled data set": (SoftDice(pool=("batch",), group=GROUP), Use(processes=2, metric="dataset")),
    "pooled in one process": (SoftDice(pool=("batch",)), Use(metric="dataset", batch=8)),
    "pooled batch of one": (SoftDice(pool=("batch",)), Use(batch=1)),
    "a sum over processes": (
        CrossEntropy(group=GROUP) + SoftDice(pool=("batch",), group=GROUP),
        Use(processes=2, metric="dataset"),
    ),
    "deep": (DeepSupervision(CrossEntropy() + SoftDice(), weights=[1, 0.5]), Use()),
    "brief": (SoftJaccard(), Use(precision="bfloat16", classes=2, scored="all")),
    "torch ce": (nn.CrossEntropyLoss(), Use(classes=4, processes=2)),
    "torch bce": (nn.BCEWithLogitsLoss(), OVERLAP),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_configurations_are_named(name):
    loss, use, codes = BAD[name]
    assert set(explain(loss, use).codes) == codes


@pytest.mark.parametrize("name", GOOD)
def test_good_configurations_are_not(name):
    found = explain(*GOOD[name])
    assert found.codes == (), str(found)
