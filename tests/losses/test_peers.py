"""Where the losses of other libraries are right, and each case in which one is wrong.

MONAI runs; the others' numbers are stored, with versions: see `make_peer_values.py`.
"""

import warnings

import monai.losses as monai
import peer_values
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import cross_entropy, one_hot

from segrisk import jaccard
from segrisk.losses import (
    CrossEntropy,
    Focal,
    Lovasz,
    LovaszJaccard,
    Smoothed,
    SoftDice,
    SoftJaccard,
    SoftTversky,
    like_monai,
)


def gradient(loss, x, target):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(x, target), x)[0]


# ---- right ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "kind", "options", "ours"),
    [
        ("dice_loss", "all_present", {"average": "macro"}, SoftDice()),
        ("tversky_loss", "all_present", {"alpha": 0.3, "beta": 0.7}, SoftTversky(0.3, 0.7)),
        ("tversky_loss", "all_present", {"alpha": 0.7, "beta": 0.3}, SoftTversky(0.7, 0.3)),
        ("lovasz_softmax_loss", "all_present", {}, LovaszJaccard()),
        ("lovasz_hinge_loss", "binary", {}, LovaszJaccard(errors="hinge")),
    ],
)
def test_kornia_is_right_where_every_class_is_present(loss, kind, options, ours):
    # Earlier versions took the class number for the foreground in Lovász-softmax, and the sum of
    # alpha and beta for either in Tversky.
    case = peer_values.stored(loss, kind, **options)
    logits, target = peer_values.pair(kind)
    assert float(ours(logits, target)) == pytest.approx(case["value"], abs=2e-8)
    theirs = torch.tensor(case["gradient"], dtype=torch.float64)
    assert torch.allclose(gradient(ours, logits, target), theirs, atol=2e-8)


def test_monai_masks_after_the_activation():
    # Earlier versions masked the logits, so that what is masked had a probability of one half.
    target = (torch.arange(100) < 5).double().view(1, 1, -1)
    mask = (torch.arange(100) < 10).view(1, 1, -1)
    logits = torch.where(mask, 40 * (target - 0.5), 20.0)
    assert monai.MaskedDiceLoss(sigmoid=True)(logits, target, mask) < 1e-6
    assert SoftDice()(logits, target, mask) < 1e-6


# ---- an absent class -----------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "slope"), [(0.5, 2.4e-12), (0.01, 6.0e-9), (1e-6, 0.59)])
def test_smoothing_above_and_below_gives_a_cliff_and_no_slope_to_it(p, slope):
    x = torch.full((1, 1, 4096), p, dtype=torch.float64)
    theirs = gradient(monai.DiceLoss(), x, torch.zeros_like(x))
    assert float(theirs.max()) == pytest.approx(slope, rel=0.02)
    ours = gradient(lambda p, y: SoftDice()(torch.logit(p), y), x, torch.zeros_like(x))
    assert torch.allclose(ours, torch.full_like(ours, 1 / 4096))


def test_smp_does_not_punish_an_absent_class():
    logits, target = peer_values.pair("binary_empty")
    for loss in ("DiceLoss", "JaccardLoss", "TverskyLoss"):
        case = peer_values.stored(loss, "binary_empty", smooth=1.0)
        assert case["value"] == 0 and not torch.tensor(case["gradient"]).any()
    assert gradient(SoftDice(), logits, target).min() > 0


def test_smp_counts_absent_classes_as_perfect():
    logits, target = peer_values.pair("three_of_twenty")
    assert logits.argmax(1).ne(target[:, 0]).all()  # every voxel is wrong
    case = peer_values.stored("DiceLoss", "three_of_twenty")
    assert case["value"] == pytest.approx(3 / 20, abs=1e-6)
    skipped = SoftDice(empty="skip")(logits, target)
    assert float(skipped) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "kind", "options"),
    [("LovaszLoss", "binary_empty", {}), ("lovasz_softmax_loss", "classes", {})],
)
def test_lovasz_of_an_absent_class_sees_one_voxel(loss, kind, options):
    logits, target = peer_values.pair(kind)
    theirs = peer_values.stored(loss, kind, **options)
    hinge = {"errors": "hinge", "pool": ("batch",)} if kind == "binary_empty" else {}
    # Without our rule for an empty reference it is the largest error, in kornia and SMP alike.
    plain = Lovasz(Smoothed(jaccard, 0, 0), **hinge)(logits, target)
    assert float(plain) == pytest.approx(theirs["value"], abs=2e-7)
    if kind == "binary_empty":
        assert theirs["value"] == pytest.approx(1 + float(logits.max()), abs=1e-6)
        assert torch.tensor(theirs["gradient"]).count_nonzero() == 1
        ours = gradient(LovaszJaccard(**hinge), logits, target)
        assert torch.equal(ours > 0, logits > -1)


def test_smp_has_no_gradient_for_a_power_below_1_where_nothing_is_present():
    case = peer_values.stored("TverskyLoss", "binary_empty", gamma=0.5)
    assert case["value"] == 0 and torch.tensor(case["gradient"]).isnan().all()


# ---- another quantity ----------------------------------------------------------------------------


def test_kornias_default_dice_is_the_mean_probability_of_the_true_class():
    logits, target = peer_values.pair("all_present")
    case = peer_values.stored("dice_loss", "all_present")
    p = logits.softmax(1).gather(1, target)
    assert case["value"] == pytest.approx(1 - float(p.mean()), abs=1e-8)
    pooled = SoftDice(pool=("class",))(logits, target)
    assert case["value"] == pytest.approx(float(pooled), abs=1e-8)
    assert abs(case["value"] - float(SoftDice()(logits, target))) > 0.01


def test_smp_focal_of_classes_is_that_of_a_sigmoid_for_each():
    logits, target = peer_values.pair("classes")
    channels = one_hot(target[:, 0], 3).movedim(-1, 1)
    case = peer_values.stored("FocalLoss", "classes")
    against_the_rest = Focal(activation="sigmoid")(logits, channels)
    assert case["value"] == pytest.approx(float(against_the_rest), abs=1e-9)
    assert abs(case["value"] - float(Focal()(logits, target))) > 0.05


def test_monais_dice_and_focal_of_a_softmax_has_the_focal_loss_of_a_sigmoid():
    logits, target = peer_values.pair("classes")
    loss = monai.DiceFocalLoss(softmax=True, to_onehot_y=True, lambda_dice=0)
    channels = one_hot(target[:, 0], 3).movedim(-1, 1)
    theirs = float(loss(logits, target))
    assert theirs == pytest.approx(float(Focal(activation="sigmoid")(logits, channels)), rel=1e-5)
    assert abs(theirs - float(Focal()(logits, target)) / 3) > 0.05


def test_monais_cross_entropy_of_labels_that_overlap_is_that_of_a_softmax():
    logits, target = peer_values.pair("channels")
    loss = monai.DiceCELoss(sigmoid=True, lambda_dice=0)
    theirs = float(loss(logits, target))
    assert theirs == pytest.approx(float(cross_entropy(logits, target.double())))
    ours = float(CrossEntropy(activation="sigmoid")(logits, target))
    assert ours == pytest.approx(float(bce(logits, target.double())))
    assert abs(theirs - ours) > 0.1


def test_monais_focal_loss_without_background_is_a_softmax_that_does_not_know_it():
    logits, target = peer_values.pair("all_present")
    loss = monai.FocalLoss(use_softmax=True, to_onehot_y=True, include_background=False)
    sure = logits.detach().clone()
    sure[:, 0] += 50  # everything is background, say the logits, and nothing changes
    assert loss(sure, target) == loss(logits, target)


def test_smps_cross_entropy_raises_without_options():
    assert peer_values.stored("SoftCrossEntropyLoss", "classes")["error"] == "TypeError"


# ---- another mean --------------------------------------------------------------------------------


def test_smps_cross_entropy_divides_by_ignored_voxels():
    logits, target = peer_values.pair("binary_ignored")
    case = peer_values.stored("SoftBCEWithLogitsLoss", "binary_ignored", ignore_index=255)
    valid = target != 255
    mean = float(bce(logits[valid], target[valid].double()))
    assert case["value"] == pytest.approx(mean * float(valid.double().mean()), abs=1e-9)
    ours = CrossEntropy(ignore_index=255, pool=("batch",))(logits, target)
    assert float(ours) == pytest.approx(mean)


def test_nnunets_cross_entropy_of_regions_is_summed_over_them_where_voxels_are_ignored():
    logits, target = peer_values.pair("regions")
    case = peer_values.stored("DC_and_BCE_loss", "regions", use_ignore_label=True, weight_dice=0)
    mask = target[:, 3] == 0
    mean = CrossEntropy(activation="sigmoid", pool=("batch",))(logits, target[:, :3], mask)
    assert case["value"] == pytest.approx(3 * float(mean), abs=1e-6)


def test_monais_focal_loss_is_summed_over_channels_where_there_is_an_ignored_label():
    logits, target = peer_values.pair("classes")
    plain = monai.FocalLoss(to_onehot_y=True)(logits, target)
    ignoring_none = monai.FocalLoss(to_onehot_y=True, ignore_index=255)(logits, target)
    assert float(ignoring_none) == pytest.approx(3 * float(plain))


# ---- another minimum -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_jaccard", "at_labels", "at_one"), [(True, 2 / 3, 1 / 2), (False, 1 / 2, 1 / 3)]
)
def test_the_product_of_soft_labels_is_not_least_at_them(is_jaccard, at_labels, at_one):
    y = torch.full((1, 1, 8), 0.5, dtype=torch.float64)
    theirs = monai.DiceLoss(jaccard=is_jaccard)
    assert float(theirs(y, y)) == pytest.approx(at_labels, abs=1e-5)
    assert float(theirs(torch.ones_like(y), y)) == pytest.approx(at_one, abs=1e-5)
    ours = SoftJaccard() if is_jaccard else SoftDice()
    assert ours(torch.logit(y), y) == 0 < ours(torch.full_like(y, 30), y)
    assert float(monai.DiceLoss(jaccard=is_jaccard, soft_label=True)(y, y)) < 1e-12


# ---- smoothing -----------------------------------------------------------------------------------


def test_smoothing_by_1_flatters_small_objects():
    logits, target = peer_values.pair("lesion")  # five voxels at one half, and nothing else
    theirs = 1 + peer_values.stored("SoftDiceLoss", "lesion", ddp=False)["value"]
    assert theirs == pytest.approx(5 / 17, abs=1e-6)
    assert float(SoftDice()(logits, target)) == pytest.approx(1 / 3)


def test_smoothing_swallows_generalized_dice_of_large_volumes():
    target = torch.zeros(1, 2, 5_200_000)
    target[:, 0, :5_000_000], target[:, 1, 5_000_000:] = 1, 1
    nothing = torch.zeros_like(target)  # no voxel is marked: the true loss is 1
    theirs = float(monai.GeneralizedDiceLoss()(nothing, target))
    total = 1 / 5e6 + 1 / 2e5  # of volumes over their squares
    assert theirs == pytest.approx(1 - 1e-5 / (total + 1e-5), rel=1e-4)
    assert theirs < 0.35
    few = target[..., ::1000]
    assert float(SoftDice(activation="sigmoid")(few * 0 - 30, few)) == pytest.approx(1)


def test_generalized_dice_sees_nothing_where_no_foreground_is_present():
    target = one_hot(torch.zeros(1, 64, dtype=torch.long), 2).movedim(-1, 1)
    p = torch.rand(1, 2, 64, generator=torch.Generator().manual_seed(0))
    loss = monai.GeneralizedDiceLoss(include_background=False)
    assert loss(p, target) == 0 and not gradient(loss, p, target).any()


# ---- one channel ---------------------------------------------------------------------------------


def test_a_softmax_of_one_channel_is_left_out():
    # MONAI warns and takes the logits for probabilities: the loss leaves [0, 1].
    logits = torch.full((1, 1, 4), -3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = monai.DiceLoss(softmax=True)(logits, torch.ones(1, 1, 4))
    assert theirs == pytest.approx(-2, abs=1e-4)
    with pytest.raises(ValueError, match="a softmax over one class is always 1"):
        like_monai("DiceLoss", softmax=True)(logits, torch.ones(1, 1, 4))
