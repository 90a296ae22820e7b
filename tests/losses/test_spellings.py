"""The spellings of other libraries' losses: MONAI's live, SMP's and nnU-Net's as stored."""

import re
import warnings
from pathlib import Path

import monai.losses
import peer_values
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st

import segrisk.losses
from segrisk import dice, hamming, jaccard, tversky
from segrisk.losses import (
    CrossEntropy,
    Smoothed,
    Soft,
    Sum,
    like_monai,
    like_nnunet,
    like_smp,
)
from segrisk.similarity import Confusion

LIKE = {"segmentation_models_pytorch": like_smp, "nnunetv2": like_nnunet}
SPELLED = [case for case in peer_values.CASES if case["spelled"]]


def value_and_gradient(loss, logits, target, *more):
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, target, *more)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.item(), gradient


def same(ours, theirs, tolerance):
    assert ours[0] == pytest.approx(theirs[0], abs=tolerance, rel=tolerance)
    assert torch.allclose(ours[1], theirs[1].to(ours[1].dtype), atol=tolerance, rtol=tolerance)


def same_as_monai(name, options, logits, target, *more, tolerance=1e-10):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one channel has no background
        theirs = value_and_gradient(getattr(monai.losses, name)(**options), logits, target, *more)
    same(value_and_gradient(like_monai(name, **options), logits, target, *more), theirs, tolerance)


# ---- MONAI, live ---------------------------------------------------------------------------------

LAYOUTS = {
    "one": {"sigmoid": True},
    "classes": {"softmax": True, "to_onehot_y": True},
    "one_hot": {"softmax": True},
    "channels": {"sigmoid": True},
    "soft": {"sigmoid": True},
}


def monai_case(layout, seed, size=2, classes=3):
    generator = torch.Generator().manual_seed(seed)
    channels = 1 if layout == "one" else classes
    shape = (size, channels, 3, 4)
    logits = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (size, 1, 3, 4), generator=generator)
    if layout == "classes":
        return logits, labels
    if layout == "one_hot":
        return logits, (labels == torch.arange(classes).view(1, -1, 1, 1)).double()
    if layout == "soft":
        return logits, torch.rand(shape, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 2, shape, generator=generator).double()
    target[0, -1] = 0  # absent
    return logits, target


constants = st.sampled_from([0.0, 1e-5, 1.0])
common = st.fixed_dictionaries(
    {},
    optional={
        "include_background": st.booleans(),
        "smooth_nr": constants,
        "smooth_dr": st.sampled_from([1e-5, 1.0]),
        "batch": st.booleans(),
    },
)
ratio = st.fixed_dictionaries(
    {}, optional={"squared_pred": st.booleans(), "jaccard": st.booleans()}
)
layouts = st.sampled_from(sorted(LAYOUTS))
seeds = st.integers(0, 1000)
monai_settings = settings(deadline=None, max_examples=60, derandomize=True)


@monai_settings
@given(layout=layouts, seed=seeds, options=common, more=ratio, soft=st.booleans())
def test_monai_dice(layout, seed, options, more, soft):
    given_options = {**LAYOUTS[layout], **options, **more, "soft_label": soft}
    same_as_monai("DiceLoss", given_options, *monai_case(layout, seed))


@monai_settings
@given(
    layout=layouts,
    seed=seeds,
    options=common,
    soft=st.booleans(),
    weights=st.tuples(*[st.floats(0.1, 3)] * 2),
)
def test_monai_tversky(layout, seed, options, soft, weights):
    alpha, beta = weights
    given_options = {**LAYOUTS[layout], **options, "soft_label": soft, "alpha": alpha, "beta": beta}
    same_as_monai("TverskyLoss", given_options, *monai_case(layout, seed))


@monai_settings
@given(layout=layouts, seed=seeds, options=common)
def test_monai_generalized_dice_of_uniform_weights(layout, seed, options):
    given_options = {**LAYOUTS[layout], **options, "w_type": "uniform"}
    same_as_monai("GeneralizedDiceLoss", given_options, *monai_case(layout, seed))


@monai_settings
@given(
    layout=st.sampled_from(["one", "classes", "one_hot"]),
    seed=seeds,
    options=common,
    more=ratio,
    factors=st.tuples(*[st.floats(0, 2)] * 2),
)
def test_monai_dice_and_cross_entropy(layout, seed, options, more, factors):
    given_options = {
        **LAYOUTS[layout],
        **options,
        **more,
        "lambda_dice": factors[0],
        "lambda_ce": factors[1],
    }
    same_as_monai("DiceCELoss", given_options, *monai_case(layout, seed))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("layout", ["one", "channels", "classes", "one_hot"])
def test_monai_focal(layout, gamma):
    options = {"gamma": gamma}
    if "softmax" in LAYOUTS[layout]:
        options |= {"use_softmax": True, "to_onehot_y": layout == "classes"}
    same_as_monai("FocalLoss", options, *monai_case(layout, 1), tolerance=1e-6)  # it takes float32


@pytest.mark.parametrize("layout", ["one", "channels"])
def test_monai_dice_and_focal(layout):
    options = {"sigmoid": True, "lambda_dice": 0.3, "lambda_focal": 2.0, "gamma": 1.5}
    same_as_monai("DiceFocalLoss", options, *monai_case(layout, 2), tolerance=1e-6)


@pytest.mark.parametrize("weight", [[1.0, 2.0, 5.0], torch.tensor([0.5, 0.0, 3.0])])
@pytest.mark.parametrize("batch", [True, False])
def test_monai_multiplies_class_weights(weight, batch):
    logits, target = monai_case("classes", 3)
    options = {**LAYOUTS["classes"], "batch": batch}
    same_as_monai("DiceLoss", {**options, "weight": weight}, logits, target)
    without = {**options, "weight": weight[1:], "include_background": False}
    same_as_monai("DiceLoss", without, logits, target)
    two = {**options, "weight": [7.0], "include_background": False}
    same_as_monai("DiceLoss", two, *monai_case("classes", 4, classes=2))  # not weighed at all


@pytest.mark.parametrize("name", ["DiceLoss", "TverskyLoss"])
@pytest.mark.parametrize("smooth", [1e-5, 1.0])
@pytest.mark.parametrize("batch", [True, False])
def test_monai_ignores_voxels_and_counts_images_that_are_ignored_whole(name, smooth, batch):
    smoothing = {"smooth_nr": smooth, "smooth_dr": 2 * smooth, "batch": batch}
    for ignore in (1, 255):
        logits, target = monai_case("classes", 5)
        target[0, :, 1], target[1] = ignore, ignore
        options = {**LAYOUTS["classes"], **smoothing, "ignore_index": ignore}
        same_as_monai(name, options, logits, target)
    logits, target = monai_case("one", 6)
    target[0, :, 1], target[1] = 255, 255
    same_as_monai(name, {"sigmoid": True, **smoothing, "ignore_index": 255}, logits, target)


def test_monai_masked_dice_takes_the_mask_at_the_call():
    logits, target = monai_case("channels", 7)
    mask = torch.rand(2, 1, 3, 4, generator=torch.Generator().manual_seed(0)) > 0.4
    same_as_monai("MaskedDiceLoss", {"sigmoid": True}, logits, target, mask)


# ---- SMP and nnU-Net, stored ---------------------------------------------------------------------


@pytest.mark.parametrize("case", SPELLED, ids=peer_values.name)
def test_stored_values_and_gradients(case):
    loss = LIKE[case["library"]](case["loss"], *case["args"], **case["options"])
    # nnU-Net and SMP's Lovász sum in float32.
    exact = case["library"] != "nnunetv2" and case["loss"] != "LovaszLoss"
    theirs = case["value"], torch.tensor(case["gradient"], dtype=torch.float64)
    ours = value_and_gradient(loss, *peer_values.pair(case["input"]))
    same(ours, theirs, 1e-9 if exact else 3e-7)


def test_every_spelling_is_compared():
    from segrisk.losses.spellings import nnunet, smp

    for library, spellings in (("segmentation_models_pytorch", smp), ("nnunetv2", nnunet)):
        compared = {case["loss"] for case in SPELLED if case["library"] == library}
        assert compared == set(spellings.SPELLINGS)


def test_nnunet_takes_its_own_functions_classes_and_masks():
    def softmax_helper_dim1(x):
        return torch.softmax(x, 1)

    class MemoryEfficientSoftDiceLoss:
        pass

    logits, target = peer_values.pair("classes")
    named = like_nnunet("SoftDiceLoss", "softmax", smooth=0.5)
    given_as_function = like_nnunet("SoftDiceLoss", softmax_helper_dim1, smooth=0.5)
    assert named(logits, target) == given_as_function(logits, target)
    compound = like_nnunet("DC_and_CE_loss", {}, {}, dice_class=MemoryEfficientSoftDiceLoss)
    assert isinstance(compound, Sum)
    # An ignored voxel is one that the mask leaves out.
    logits, target = peer_values.pair("classes_ignored")
    mask = target != 3
    ignoring = like_nnunet("DC_and_CE_loss", {}, {}, weight_ce=0, ignore_label=3)
    masked = like_nnunet("SoftDiceLoss", "softmax")
    assert ignoring(logits, target) == masked(logits, torch.where(mask, target, 0), mask)


def test_nnunet_pools_over_processes_where_it_is_told_to(tmp_path):
    options = {"batch_dice": True, "smooth": 1e-5}
    with pytest.raises(ValueError, match="no process group is initialised: give ddp=False"):
        like_nnunet("SoftDiceLoss", "softmax", **options)
    logits, target = peer_values.pair("classes")
    alone = like_nnunet("SoftDiceLoss", "softmax", ddp=False, **options)(logits, target)
    dist.init_process_group("gloo", f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        pooled = like_nnunet("SoftDiceLoss", "softmax", **options)
        assert pooled.reduction.group is dist.group.WORLD
        assert pooled(logits, target) == alone
    finally:
        dist.destroy_process_group()


# ---- what they are made of -----------------------------------------------------------------------


def test_they_are_losses_of_this_package_and_add_up():
    loss = like_monai("DiceCELoss", softmax=True, to_onehot_y=True)
    assert [type(part) for part in loss.losses] == [Soft, CrossEntropy]
    assert like_monai("DiceLoss", sigmoid=True).family == "metric"
    logits, target = monai_case("classes", 8)
    both = 0.5 * like_monai("DiceLoss", softmax=True) + like_smp("JaccardLoss", "multiclass")
    apart = 0.5 * like_monai("DiceLoss", softmax=True)(logits, target)
    apart = apart + like_smp("JaccardLoss", "multiclass")(logits, target)
    assert float(both(logits, target)) == pytest.approx(float(apart), abs=1e-12)


@pytest.mark.parametrize("similarity", [dice, jaccard, tversky(0.3, 0.7), hamming])
def test_smoothing_by_nothing_changes_nothing_but_the_empty_rule(similarity):
    logits, target = monai_case("channels", 9)
    options = {"activation": "sigmoid", "relaxation": "product", "empty": "skip"}
    smoothed, plain = Soft(Smoothed(similarity, 0, 0), **options), Soft(similarity, **options)
    assert float(smoothed(logits, target)) == pytest.approx(float(plain(logits, target)), abs=1e-14)
    assert smoothed.family == plain.family
    absent = Confusion(0, 3, 0, 6)
    assert Smoothed(similarity, 0, 0).loss(absent) == 1 - similarity(absent)


def test_the_smoothed_ratio_holds_where_the_reference_is_empty():
    p = torch.full((1, 1, 10), 0.3, dtype=torch.float64, requires_grad=True)
    value = Soft(Smoothed(dice, 2, 4))(torch.logit(p), torch.zeros(1, 10, dtype=torch.long))
    (gradient,) = torch.autograd.grad(value, p)
    assert value.item() == pytest.approx(1 - 2 / (3 + 4))
    assert torch.allclose(gradient, torch.full_like(gradient, 2 / (3 + 4) ** 2))


@pytest.mark.parametrize("pool", [(), ("batch",), ("class",), ("batch", "class")])
@pytest.mark.parametrize("relaxation", ["l1", "product", "squared"])
def test_a_smoothed_similarity_takes_every_option_of_soft(pool, relaxation):
    logits, target = monai_case("soft", 10)
    weight = torch.rand(2, 3, 4, dtype=torch.float64)
    options = {"pool": pool, "relaxation": relaxation, "activation": "sigmoid"}
    loss = Soft(Smoothed(dice, 0.5, 1.0), **options)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, target, weight=weight), (logits,))


def test_a_smoothed_similarity_that_is_not_symmetric_refuses_squares():
    with pytest.raises(ValueError, match=r"tversky\(0.3, 0.7\) smoothed by 1 and 1 weighs apart"):
        Soft(Smoothed(tversky(0.3, 0.7), 1, 1), relaxation="squared")
    for nr, dr in ((-1, 1), (1, float("nan")), (float("inf"), 1)):
        with pytest.raises(ValueError, match="smoothing must be at least 0 and finite"):
            Smoothed(dice, nr, dr)


# ---- what is refused -----------------------------------------------------------------------------

REFUSED = [
    (like_monai, "DiceLos", {}, r"no loss of MONAI named 'DiceLos'.*did you mean 'DiceLoss'\?"),
    (
        like_monai,
        "DiceLoss",
        {"smoth_nr": 1},
        r"no option 'smoth_nr'; did you mean 'smooth_nr'\?",
    ),
    (like_monai, "DiceLoss", {}, "hand over the logits"),
    (like_monai, "DiceLoss", {"sigmoid": True, "softmax": True}, "which one of the two"),
    (like_monai, "DiceLoss", {"other_act": torch.tanh}, "through a sigmoid or a softmax"),
    (like_monai, "DiceLoss", {"sigmoid": True, "to_onehot_y": True}, "exclude each other"),
    (like_monai, "DiceLoss", {"sigmoid": True, "reduction": "sum"}, "reduction='sum' is not"),
    (like_monai, "DiceLoss", {"sigmoid": True, "weight": 2.0}, "multiply the loss by it"),
    (like_monai, "DiceLoss", {"sigmoid": True, "weight": torch.tensor(2.0)}, "one number"),
    (like_monai, "DiceLoss", {"softmax": True, "ignore_index": 1}, "without to_onehot_y=True"),
    (like_monai, "DiceCELoss", {"softmax": True, "weight": [1, 2]}, "scale follows the batch"),
    (like_monai, "DiceCELoss", {"softmax": True, "label_smoothing": 0.1}, "give soft labels"),
    (like_monai, "FocalLoss", {"alpha": 0.25}, "use WeightedCrossEntropy"),
    (like_monai, "FocalLoss", {"ignore_index": 0}, "by the voxels of one"),
    (like_monai, "FocalLoss", {"include_background": False}, "no longer knows it"),
    (like_monai, "DiceFocalLoss", {"softmax": True}, "sigmoid for each class all the same"),
    (like_monai, "GeneralizedDiceLoss", {"softmax": True}, r"w_type='square' is not spelled"),
    (like_monai, "HausdorffDTLoss", {}, "MONAI's HausdorffDTLoss is not spelled here"),
    (like_monai, "DeepSupervisionLoss", {}, r"DeepSupervision\(like_monai"),
    (like_smp, "DiceLoss", {}, r"SMP's DiceLoss: missing a required argument: 'mode'"),
    (like_smp, "DiceLoss", {"mode": "multi-label"}, r"did you mean 'multilabel'\?"),
    (like_smp, "DiceLoss", {"mode": "binary", "from_logits": False}, "never probabilities"),
    (like_smp, "DiceLoss", {"mode": "multiclass", "classes": [1, 2]}, r"class_weights=\[0, 1, 1, "),
    (like_smp, "DiceLoss", {"mode": "binary", "eps": 0.7}, "clip denominators of classes"),
    (like_smp, "TverskyLoss", {"mode": "binary", "gamma": 0.5}, "power of the mean over classes"),
    (like_smp, "LovaszLoss", {"mode": "multiclass", "per_image": True}, "mean over the classes"),
    (like_smp, "FocalLoss", {"mode": "multiclass"}, "against the rest"),
    (like_smp, "FocalLoss", {"mode": "binary", "alpha": 0.2}, "alpha in FocalLoss"),
    (like_smp, "SoftCrossEntropyLoss", {}, "divides by the ignored voxels"),
    (like_nnunet, "SoftDiceLoss", {}, "apply_nonlin=None is not spelled here"),
    (
        like_nnunet,
        "SoftDiceLoss",
        {"apply_nonlin": torch.tanh},
        "must be one of softmax_helper_dim1",
    ),
    (like_nnunet, "SoftDiceLoss", {"apply_nonlin": "sigmoid", "clip_tp": 1.0}, "give no gradient"),
    (like_nnunet, "DC_and_topk_loss", {}, "worst voxels of the whole batch"),
]


@pytest.mark.parametrize(("like", "name", "options", "message"), REFUSED)
def test_what_is_refused_says_why(like, name, options, message):
    with pytest.raises(ValueError, match=message):
        like(name, **options)


def test_options_of_parts_are_checked_too():
    with pytest.raises(ValueError, match=r"no option 'batchdice'; did you mean 'batch_dice'\?"):
        like_nnunet("DC_and_CE_loss", {"batchdice": True}, {})
    with pytest.raises(ValueError, match="ce_kwargs with 'weight' is not spelled here"):
        like_nnunet("DC_and_CE_loss", {}, {"weight": [1, 2]})
    with pytest.raises(ValueError, match="bce_kwargs with 'pos_weight'"):
        like_nnunet("DC_and_BCE_loss", {"pos_weight": [1, 2]}, {})
    with pytest.raises(ValueError, match="mask=~ignored"):
        like_nnunet("DC_and_BCE_loss", {}, {}, use_ignore_label=True)
    with pytest.raises(ValueError, match="did you mean 'SoftDiceLoss'"):
        like_nnunet("DC_and_CE_loss", {}, {}, dice_class="SoftDice")
    with pytest.raises(ValueError, match="too many positional arguments"):
        like_nnunet("SoftDiceLoss", *range(9))


def test_what_only_the_logits_tell_is_refused_at_the_call():
    logits, target = monai_case("channels", 11)
    with pytest.raises(ValueError, match="for one channel, got 3: MONAI's cross-entropy is then"):
        like_monai("DiceCELoss", sigmoid=True)(logits, target)
    with pytest.raises(ValueError, match="got 3: where the target has a channel for each class"):
        like_monai("DiceLoss", sigmoid=True, ignore_index=0)(logits, target)
    with pytest.raises(ValueError, match="mode='binary' is spelled here for one channel, got 3"):
        like_smp("DiceLoss", "binary")(logits, target)


# ---- the page ------------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[2] / "docs" / "spellings.md"
SECTIONS = {
    "MONAI": like_monai,
    "segmentation_models_pytorch": like_smp,
    "nnU-Net": like_nnunet,
}


def rows():
    """Each row of the page's tables: who spells, whether it is spelled, call, loss and change."""
    section = spelled = None
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = SECTIONS.get(line[3:])
        elif line.startswith("| you have"):
            spelled = "the value changes" in line
        elif line.startswith("| `"):
            call, loss, change = (cell.strip() for cell in line.strip("|").split(" | "))
            yield section, spelled, call, loss, change


def code(cell):
    return re.match(r"`(.*?)`", cell)[1]


def called(like, text):
    """What a library's call spells."""
    name, arguments = text.split("(", 1)
    return eval(f"like({name!r}, {arguments}", {"like": like})


def built(text):
    return eval(text, vars(segrisk.losses))


ROWS = list(rows())


def test_the_page_has_every_spelling():
    from segrisk.losses.spellings import monai as ours
    from segrisk.losses.spellings import nnunet, smp

    for like, module in ((like_monai, ours), (like_smp, smp), (like_nnunet, nnunet)):
        named = {code(row[2]).split("(")[0] for row in ROWS if row[0] is like and row[1]}
        assert named == set(module.SPELLINGS)


def suited(call):
    """Logits and a target for a call, every class present."""
    generator = torch.Generator().manual_seed(1)
    exclusive = any(word in call for word in ("multiclass", "softmax", "DC_and_CE"))
    overlapping = any(word in call for word in ("multilabel", "DC_and_BCE"))
    channels = 3 if exclusive or overlapping else 1
    logits = torch.randn(2, channels, 6, 8, generator=generator, dtype=torch.float64)
    shape = (2, 1, 6, 8) if exclusive else logits.shape
    return logits, torch.randint(0, 3 if exclusive else 2, shape, generator=generator)


@pytest.mark.parametrize("row", [row for row in ROWS if row[1]], ids=lambda row: code(row[2]))
def test_losses_on_the_page_differ_as_it_says(row):
    like, _, call, loss, change = row
    pair = suited(call)
    theirs, ours = float(called(like, code(call))(*pair)), float(built(code(loss))(*pair))
    if "**sign**" in change:
        theirs += 1
    if change.startswith("C times"):
        theirs *= 3
    if change.startswith("divided by 8/3"):
        theirs /= 8 / 3
    if "joins all labels" in change or "`smooth` is 1 there" in change:
        assert abs(theirs - ours) > 1e-3
    else:
        exact = change.startswith("nothing") and "half a level" not in change
        assert theirs == pytest.approx(ours, abs=1e-12 if exact else 3e-5)


@pytest.mark.parametrize("row", [row for row in ROWS if not row[1]], ids=lambda row: code(row[2]))
def test_what_the_page_says_is_not_spelled_is_not(row):
    like, _, call, loss, _ = row
    assert built(code(loss)) is not None
    with pytest.raises(ValueError, match=r"is not spelled here|is spelled here for one channel"):
        called(like, code(call))(*monai_case("channels", 12))
