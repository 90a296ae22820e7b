"""The loss linter: bad configurations are named, good ones are not, and what it says is true."""

import re
from pathlib import Path

import monai.losses as monai
import pytest
import torch
from torch import nn

import reference
from segrisk.losses import (
    LOSSES,
    CrossEntropy,
    DeepSupervision,
    Focal,
    Loss,
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
    linter,
    log,
    power,
)
from segrisk.losses.linter.probe import objects
from segrisk.losses.linter.symbols import loss_formula
from segrisk.similarity import (
    SIMILARITIES,
    Similarity,
    dice,
    hamming,
    kappa,
    tversky,
    weighted_hamming,
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
    "softmax dice of ours": (SoftDice(activation="softmax"), OVERLAP, {"refused"}),
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
    "doubled by hand": (lambda x, y: 2 * SoftDice()(x, y), ALL),
    "torch ce": (nn.CrossEntropyLoss(), Use(classes=4, processes=2)),
    "torch bce": (nn.BCEWithLogitsLoss(), OVERLAP),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_configurations_are_named(name):
    loss, use, codes = BAD[name]
    assert set(explain(loss, use).codes) == codes


def test_every_trap_has_a_bad_configuration_and_a_line_in_the_documentation():
    folder = Path(linter.__file__).parent
    sources = "".join(path.read_text() for path in folder.glob("*.py"))
    codes = set(re.findall(r'Trap\(\s*"([a-z-]+)"', sources))
    assert codes == set().union(*(codes for _, _, codes in BAD.values()))
    page = (Path(__file__).parents[2] / "docs" / "linter.md").read_text()
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, flags=re.MULTILINE)) == codes


@pytest.mark.parametrize("name", GOOD)
def test_good_configurations_are_not(name):
    found = explain(*GOOD[name])
    assert found.codes == (), str(found)


def test_what_an_absent_class_does_is_measured():
    def rows(loss, use=None):
        return [(row.p, *row.absent, row.unannotated) for row in explain(loss, use).measured]

    for p, value, slope, unannotated in rows(SoftDice()):
        assert (value, slope) == pytest.approx((p, 1), rel=1e-4)
        assert unannotated == (0, 0)
    for p, value, slope, _ in rows(CrossEntropy()):
        expected = torch.tensor(1 - p, dtype=torch.float64)
        assert value == pytest.approx(float(-expected.log()), rel=1e-3)
        assert slope == pytest.approx(1 / float(expected), rel=1e-4)
    assert all(row[1:] == (0, 0, (0, 0)) for row in rows(LovaszJaccard(empty="skip")))
    voxels = 32 * 32
    for p, value, slope, unannotated in rows(monai.DiceLoss(sigmoid=True)):
        assert value == pytest.approx(1 - 1e-5 / (voxels * p + 1e-5), rel=1e-4)
        assert slope == pytest.approx(voxels * 1e-5 / (voxels * p + 1e-5) ** 2, rel=1e-3)
        assert unannotated is None


def test_under_a_softmax_the_background_gives_way():
    # Both classes are wrong by p: the background has the ratio 2(1 − p) / (2 − p).
    for row in explain(SoftDice(), Use(classes=2)).measured:
        p = torch.tensor(row.p, dtype=torch.float64, requires_grad=True)
        loss = (p + 1 - 2 * (1 - p) / (2 - p)) / 2
        (slope,) = torch.autograd.grad(loss, p)
        assert row.absent == pytest.approx((float(loss.detach()), float(slope)), abs=1e-6, rel=1e-3)


EXACT = {
    "dice": reference.dice,
    "jaccard": reference.jaccard,
    "hamming": reference.hamming,
    "kappa": reference.kappa,
    "tversky": reference.tversky,
    "weighted_hamming": reference.weighted_hamming,
}


@pytest.mark.parametrize("name", EXACT)
def test_a_formula_in_letters_is_the_loss(name):
    others = {"tversky": tversky(0.3, 0.7), "weighted_hamming": weighted_hamming(0.3)}
    formula = loss_formula({**SIMILARITIES, **others}[name])
    mask, target = [1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0, 0]
    letters = dict(zip(("tp", "fp", "fn", "tn"), reference.counts(mask, target), strict=True))
    value = eval(formula.replace("−", "-").replace("·", "*"), {}, letters)
    assert value == pytest.approx(1 - EXACT[name](mask, target))


def test_a_similarity_that_letters_cannot_compute_is_named():
    strange = Similarity("strange", lambda tp, fp, fn, tn: (torch.sqrt(tp), tp + fp))
    assert loss_formula(strange) == "1 − strange"


FOUND = {
    "dice": (SoftDice(), Use()),
    "squared jaccard": (SoftJaccard(relaxation="squared"), Use()),
    "tversky": (SoftTversky(0.3, 0.7), Use(classes=2)),
    "batch": (SoftDice(pool=("batch",), background=False), Use(classes=4)),
    "class": (SoftJaccard(pool=("class",)), Use(classes=3)),
    "everything": (SoftDice(pool=("batch", "class"), background=False), Use(classes=3)),
    "channels": (SoftDice(activation="sigmoid"), OVERLAP),
}


@pytest.mark.parametrize("name", FOUND)
def test_an_unknown_loss_is_recognised(name):
    loss, use = FOUND[name]
    (_, known), (_, found) = (
        explain(one, use).summands[0] for one in (loss, lambda x, y: loss(x, y))
    )
    assert (found.formula, found.pooled, found.averaged) == (
        known.formula,
        known.pooled,
        known.averaged,
    )
    assert found.where.startswith("tp = Σ p·y") and "found by 12 predictions" in found.where


def differences(logits, target):
    """No loss: a tensor."""
    return (logits - target).abs()


@pytest.mark.parametrize(
    ("loss", "use", "formula", "pooled", "averaged"),
    [
        (
            monai.DiceCELoss(**CLASSES, include_background=False, batch=True, lambda_ce=0.5),
            THREE,
            "0.5·CE + (1 − 2·tp / (2·tp + fp + fn))",
            "the images of the batch: one ratio for each class",
            "classes, without channel 0",
        ),
        (
            nnunet_like,
            THREE,
            "CE + (1 − 2·tp / (2·tp + fp + fn)) − 1",
            "the images of the batch: one ratio for each class",
            "classes, without channel 0",
        ),
        (
            monai.GeneralizedDiceLoss(**CLASSES, w_type="uniform"),
            THREE,
            "1 − 2·tp / (2·tp + fp + fn)",
            "the classes: one ratio for each image",
            "images",
        ),
        (nn.BCEWithLogitsLoss(), Use(), "CE", "nothing: a mean over voxels, no ratio", "voxels"),
        (monai.FocalLoss(), Use(), "not known: its values are those of no sum", "not known", ""),
    ],
)
def test_losses_of_others_are_described(loss, use, formula, pooled, averaged):
    ((_, reading),) = explain(loss, use).summands
    assert reading.formula.startswith(formula) and reading.pooled == pooled
    assert reading.averaged.startswith(averaged)


@pytest.mark.parametrize(
    ("loss", "use", "text"),
    [
        (WeightedCrossEntropy(prior=0.1), Use(), "w = 1/(2·prior), background 1/(2 − 2·prior)"),
        (WeightedCrossEntropy(weights=[1, 2]), Use(), "w = (1, 2) by class; not divided"),
        (Focal(3), Use(), "(1 − p_t)^3·(−log p_t)"),
        (TopK(0.25), Use(), "the share 0.25 of an image's voxels that cost most, then images"),
        (CrossEntropy(pool=("batch",)), Use(), "all voxels of the batch"),
        (SoftDice(curve=power(2)), Use(), "each term t becomes power(t): 0 → 0, 0.5 → 0.25, 1 → 1"),
        (SoftDice(class_weight=[0, 1, 3]), THREE, "weights (0, 1, 3) over their sum"),
        (SoftDice(empty="skip"), Use(), "only where the reference has the class"),
        (SoftDice(pool=("batch",), group=GROUP), Use(), "the images of the batch of all processes"),
        (Lovasz(dice), Use(), "Lovász extension of 1 − 2·tp / (2·tp + fp + fn)"),
        (0.5 * SoftDice(), Use(), "0.5 × sDice"),
        (
            DeepSupervision(SoftDice(), weights=[2, 1]),
            Use(),
            "over resolutions with weights (2, 1)",
        ),
        (monai.DiceLoss(sigmoid=True), Use(), "It cannot be told that a class was not looked for."),
        (SoftDice(), OVERLAP, "3 channels and overlapping labels are refused: the target has"),
        (differences, Use(), "it gives a tensor of shape (2, 1, 32, 32) and not on"),
    ],
    ids=lambda value: value.__name__ if value is differences else str(value),
)
def test_it_says(loss, use, text):
    printed = str(explain(loss, use))
    assert text in " ".join(printed.split())
    assert max(map(len, printed.splitlines())) <= 80


def test_numbers_in_warnings_are_measured():
    def why(loss, use):
        return {trap.code: trap.why for trap in explain(loss, use).traps}

    missed = why(monai.DiceLoss(**SMOOTH), Use(smallest=5))["small-objects"]
    assert "missing an object of 5 voxels costs 0.833" in missed  # 1 − 1 / (5 + 1)
    product = why(SoftDice(relaxation="product"), SOFT)["soft-labels"]
    # y is 0, 1/3, 2/3 and 1, a quarter each: 1 − 2·Σy² / 2Σy, and 1 − 2·(2/3 + 1) / (2 + 2).
    assert "p = y costs 0.222" in product and "100% of the way" in product
    assert "costs 0.167" in product
    half = why(own_dice(0, 1e-8), Use(precision="float16"))["half-precision"]
    assert "and of the same logits in float16 nan:" in half
    assert "wrong everywhere costs 2.667" in why(*BAD["weights"][:2])["class-weights"]


def test_the_loss_is_left_as_it_was():
    loss = SoftDice(pool=("batch",), group=GROUP)
    state = torch.random.get_rng_state()
    explain(loss, Use(processes=2))
    assert loss.reduction.group is GROUP
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_loss_of_one_s_own_is_called_as_it_is():
    class Mine(Loss):
        label = "mine"

        def compute(self, batch):
            return 1 - SoftDice().compute(batch) + batch.logits.sum() * 0

    assert explain(Mine()).codes == ("backwards",)
    assert explain(CrossEntropy() + monai.DiceLoss(sigmoid=True)).codes == ("smoothing-both",)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"labels": "sof"}, "labels must be one of hard, soft, overlapping, got 'sof'; did you m"),
        ({"batch": 0}, "batch must be a whole number from 1, got 0"),
        ({"smallest": 1.5}, "smallest must be a whole number from 1, got 1.5"),
        ({"classes": 100}, "pictures are at most 64 images of 32 classes, got batch=2 and classes"),
    ],
)
def test_a_use_that_is_none(given, text):
    with pytest.raises(ValueError, match=text):
        Use(**given)


@pytest.mark.parametrize("classes", [1, 2, 3, 9, 32])
@pytest.mark.parametrize("labels", ["hard", "overlapping"])
def test_pictures_hold_every_class(classes, labels):
    use = Use(classes=classes, labels=labels)
    y = objects(use, batch=3)
    assert (y.sum((2, 3)) > 0).all() and set(y.unique().tolist()) == {0, 1}
    if use.exclusive:
        assert (y.sum(1) == 1).all()
