"""One meaning of every option, for every loss: laws, against repetition, removal and loops."""

import itertools

import pytest
import torch

from segrisk.losses import (
    CrossEntropy,
    Focal,
    Lovasz,
    LovaszJaccard,
    Soft,
    SoftDice,
    SoftJaccard,
    SoftTversky,
    TopK,
    WeightedCrossEntropy,
    log,
    power,
)
from segrisk.similarity import (
    Confusion,
    clipped_hamming,
    confusion,
    dice,
    hamming,
    jaccard,
    kappa,
    tversky,
)

MAKERS = {
    "cross_entropy": CrossEntropy,
    "soft_dice": SoftDice,
    "soft_dice_product": lambda **o: SoftDice(relaxation="product", **o),
    "soft_dice_squared": lambda **o: SoftDice(relaxation="squared", **o),
    "soft_jaccard": SoftJaccard,
    "soft_tversky": SoftTversky,
    "soft_hamming": lambda **o: Soft(hamming, **o),
    "soft_kappa": lambda **o: Soft(kappa, **o),
    "soft_clipped": lambda **o: Soft(clipped_hamming, **o),
    "log_dice": lambda **o: SoftDice(curve=log, **o),
    "focal_tversky": lambda **o: SoftTversky(curve=power(0.75), **o),
    "lovasz_jaccard": LovaszJaccard,
    "lovasz_dice": lambda **o: Lovasz(dice, **o),
    "focal": Focal,
    "top_k": lambda **o: TopK(k=0.3, **o),
    "sum": lambda **o: 0.3 * CrossEntropy(**o) + 0.7 * SoftJaccard(**o) + LovaszJaccard(**o),
}
POOLED = sorted(set(MAKERS) - {"focal", "top_k", "sum"})
every = pytest.mark.parametrize("name", MAKERS)
OVERLAP = {  # losses with a metric at hard predictions
    "soft_dice": dice,
    "soft_dice_product": dice,
    "soft_dice_squared": dice,
    "soft_jaccard": jaccard,
    "soft_tversky": tversky(0.3, 0.7),
    "soft_hamming": hamming,
    "soft_kappa": kappa,
    "soft_clipped": clipped_hamming,
    "lovasz_jaccard": jaccard,
    "lovasz_dice": dice,
}
KINDS = ("binary", "classes", "channels")
kinds = pytest.mark.parametrize("kind", KINDS)


def case(kind, *, size=2, classes=3, voxels=24, seed=0, dtype=torch.float64):
    """Logits, target and the options that a kind of problem needs."""
    generator = torch.Generator().manual_seed(seed)
    channels = 1 if kind == "binary" else classes
    logits = 2 * torch.randn(size, channels, voxels, generator=generator, dtype=dtype)
    if kind == "classes":
        return logits, torch.randint(0, classes, (size, voxels), generator=generator), {}
    target = torch.randint(0, 2, (size, channels, voxels), generator=generator)
    return logits, target, {"activation": "sigmoid"} if kind == "channels" else {}


def close(value, expected):
    value, expected = (
        part.detach() if isinstance(part, torch.Tensor) else part for part in (value, expected)
    )
    assert float(value) == pytest.approx(float(expected), abs=1e-10)


@every
@kinds
def test_a_batch_is_the_mean_of_its_images(name, kind):
    logits, target, options = case(kind)
    loss = MAKERS[name](**options)
    single = [loss(logits[i : i + 1], target[i : i + 1]) for i in range(len(logits))]
    close(loss(logits, target), sum(single) / len(single))


@every
@kinds
def test_a_voxel_of_weight_w_counts_w_times(name, kind):
    logits, target, options = case(kind, voxels=9)
    weight = torch.tensor([[1.0, 0, 2, 3, 1, 1, 0, 2, 1], [0, 0, 1, 1, 1, 4, 1, 1, 1]])
    loss = MAKERS[name](**options)
    rows = []
    for i in range(2):
        index = torch.repeat_interleave(torch.arange(9), weight[i].long())
        rows.append(loss(logits[i : i + 1, ..., index], target[i : i + 1, ..., index]))
    close(loss(logits, target, weight=weight), sum(rows) / 2)


@every
@kinds
def test_ignored_masked_and_weightless_voxels_are_as_if_they_were_not_there(name, kind):
    logits, target, options = case(kind)
    keep = torch.arange(logits.shape[-1]) % 3 != 0
    loss = MAKERS[name](**options)
    expected = loss(logits[..., keep], target[..., keep])
    mask = keep.expand(len(logits), -1)
    close(loss(logits, target, mask=mask), expected)
    close(loss(logits, target, weight=mask.double()), expected)
    ignored = torch.where(keep, target, 255)
    close(MAKERS[name](ignore_index=255, **options)(logits, ignored), expected)
    floating = torch.where(keep, target.double(), 255.0)
    if kind != "classes":
        close(MAKERS[name](ignore_index=255, **options)(logits, floating), expected)


@every
@kinds
def test_where_everything_is_ignored_the_loss_is_a_differentiable_0(name, kind):
    logits, target, options = case(kind)
    logits.requires_grad_()
    value = MAKERS[name](**options)(logits, target, mask=torch.zeros(2, 24, dtype=torch.bool))
    value.backward()
    assert value == 0 and not logits.grad.any()


@every
@kinds
def test_the_shape_of_space_does_not_matter(name, kind):
    logits, target, options = case(kind)
    loss = MAKERS[name](**options)
    expected = loss(logits, target)
    for space in ((4, 6), (2, 3, 4)):
        shaped = target.unflatten(-1, space)
        close(loss(logits.unflatten(-1, space), shaped), expected)
        if kind == "classes":
            close(loss(logits.unflatten(-1, space), shaped.unsqueeze(1)), expected)
    strided = logits.transpose(1, 2).contiguous().transpose(1, 2)
    close(loss(strided, target), expected)


@every
@kinds
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_the_type_of_the_labels_does_not_matter(name, kind, dtype):
    logits, target, options = case(kind)
    loss = MAKERS[name](**options)
    close(loss(logits, target.to(dtype)), loss(logits, target))
    if kind != "classes":
        close(loss(logits, target.bool()), loss(logits, target))
        close(loss(logits, target.double()), loss(logits, target))


@every
@kinds
def test_inputs_are_left_as_they_were(name, kind):
    logits, target, options = case(kind)
    given = [logits.clone(), target.clone(), torch.rand(2, 24)]
    kept = [tensor.clone() for tensor in given]
    MAKERS[name](ignore_index=1, **options)(given[0], given[1], weight=given[2])
    assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))


@every
@kinds
def test_gradients_are_right(name, kind):
    logits, target, options = case(kind, size=2, voxels=5)
    weight = torch.tensor([[1.0, 0.5, 2.0, 0.0, 1.0], [1.0, 1.0, 1.0, 3.0, 0.0]]).double()
    loss = MAKERS[name](**options)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, target, weight=weight), (logits,))


@pytest.mark.parametrize("name", POOLED)
@kinds
def test_pooling_the_batch_is_one_image_of_all_voxels(name, kind):
    logits, target, options = case(kind)
    joined = [part.movedim(0, -2).flatten(-2).unsqueeze(0) for part in (logits, target)]
    close(
        MAKERS[name](pool=("batch",), **options)(logits, target), MAKERS[name](**options)(*joined)
    )


@pytest.mark.parametrize("name", POOLED)
def test_pooling_classes_is_one_channel_of_all_voxels(name):
    logits, target, options = case("channels")
    joined = [part.flatten(1).unsqueeze(1) for part in (logits, target)]
    close(MAKERS[name](pool=("class",), **options)(logits, target), MAKERS[name]()(*joined))
    both = [part.flatten().view(1, 1, -1) for part in (logits, target)]
    pooled = MAKERS[name](pool=("batch", "class"), **options)
    close(pooled(logits, target), MAKERS[name]()(*both))


@every
def test_channels_are_independent_binary_problems(name):
    logits, target, options = case("channels")
    single = [
        MAKERS[name]()(logits[:, c : c + 1], target[:, c : c + 1]) for c in range(logits.shape[1])
    ]
    close(MAKERS[name](**options)(logits, target), sum(single) / len(single))


@every
def test_a_softmax_of_two_classes_is_a_sigmoid_of_their_difference(name):
    logits, target, _ = case("classes", classes=2)
    difference = logits[:, 1:] - logits[:, :1]
    if name in {"cross_entropy", "focal", "top_k"}:
        close(MAKERS[name]()(logits, target), MAKERS[name]()(difference, target))
    elif name != "sum":
        without = MAKERS[name](background=False)(logits, target)
        close(without, MAKERS[name]()(difference, target))


@pytest.mark.parametrize("name", OVERLAP)
@pytest.mark.parametrize("pool", [(), ("batch",)])
@kinds
def test_at_hard_predictions_the_loss_is_one_minus_the_metric(name, kind, pool):
    for seed in range(5):
        logits, target, options = case(kind, seed=seed, voxels=6)
        if kind == "classes":
            hard = torch.nn.functional.one_hot(logits.argmax(1), 3).movedim(-1, 1).bool()
            truth = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).bool()
        else:
            hard, truth = logits > 0, target.bool()
        terms = []
        images = [range(2)] if pool else [[0], [1]]
        for members, c in itertools.product(images, range(hard.shape[1])):
            masses = sum(confusion(hard[i, c], truth[i, c]) for i in members)
            present = masses.positives > 0 or masses.tp + masses.fp == 0
            metric = 1 - OVERLAP[name](masses)
            # An absent class that is predicted costs the share of false voxels instead.
            terms.append(metric if present or name == "soft_hamming" else masses.fp / masses.total)
        value = MAKERS[name](pool=pool, **options)(400 * (hard.double() - 0.5), target)
        close(value, sum(terms) / len(terms))


@every
@kinds
@pytest.mark.parametrize("fill", [0, 1])
def test_absent_and_ubiquitous_classes_give_finite_gradients(name, kind, fill):
    logits, target, options = case(kind, dtype=torch.float32)
    for scale in (0.0, 1.0, 1e4):
        x = (scale * logits).requires_grad_()
        value = MAKERS[name](**options)(x, torch.full_like(target, fill))
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(x.grad).all()


def test_an_absent_class_costs_its_share_of_false_voxels_with_gradient_1_over_d():
    p = torch.full((1, 1, 10), 0.3, dtype=torch.float64, requires_grad=True)
    target = torch.zeros(1, 10, dtype=torch.long)
    for name in ("soft_dice", "soft_jaccard", "soft_tversky", "lovasz_jaccard", "lovasz_dice"):
        value = MAKERS[name]()(torch.logit(p), target)
        close(value, 0.3)
        (gradient,) = torch.autograd.grad(value, p)
        assert torch.allclose(gradient, torch.full_like(gradient, 1 / 10))


@pytest.mark.parametrize("name", sorted(OVERLAP))
def test_skipped_classes_leave_value_and_gradient(name):
    logits, target, options = case("channels")
    target[0, 1] = 0
    logits.requires_grad_()
    value = MAKERS[name](empty="skip", **options)(logits, target)
    value.backward()
    assert not logits.grad[0, 1].any() and logits.grad[1, 1].any()
    pairs = [(i, c) for i in range(2) for c in range(3) if (i, c) != (0, 1)]
    single = [
        MAKERS[name]()(logits[i : i + 1, c : c + 1], target[i : i + 1, c : c + 1]) for i, c in pairs
    ]
    close(value, sum(single) / len(single))


@every
def test_a_class_that_is_not_annotated_gives_no_gradient(name):
    logits, target, options = case("channels")
    logits.requires_grad_()
    annotated = torch.tensor([[True, False, True], [True, True, True]])
    value = MAKERS[name](**options)(logits, target, annotated=annotated)
    value.backward()
    assert not logits.grad[0, 1].any() and logits.grad[1, 1].any()
    changed = target.clone()
    changed[0, 1] = 1 - changed[0, 1]
    close(MAKERS[name](**options)(logits, changed, annotated=annotated), value)


@pytest.mark.parametrize("name", sorted(set(POOLED) - {"cross_entropy"}))
def test_class_weights_are_normalised_and_background_is_a_weight_of_0(name):
    logits, target, _ = case("classes")
    terms = [float(MAKERS[name](class_weight=row)(logits, target)) for row in torch.eye(3).tolist()]
    weighted = MAKERS[name](class_weight=[1, 2, 5])(logits, target)
    close(weighted, (terms[0] + 2 * terms[1] + 5 * terms[2]) / 8)
    close(MAKERS[name](background=False)(logits, target), (terms[1] + terms[2]) / 2)


@pytest.mark.parametrize(
    ("name", "best"),
    [("soft_dice", True), ("soft_dice_squared", True), ("soft_dice_product", False)],
)
def test_where_soft_labels_are_best_met(name, best):
    y = torch.tensor([[[0.2, 0.9, 0.5, 0.7]]], dtype=torch.float64)
    loss, at_labels = MAKERS[name](), float("inf")
    at_labels = float(loss(torch.logit(y), y))
    generator = torch.Generator().manual_seed(0)
    others = [
        float(loss(torch.logit(torch.rand(y.shape, generator=generator, dtype=y.dtype)), y))
        for _ in range(500)
    ]
    assert (at_labels == pytest.approx(0, abs=1e-12)) == best
    assert (min(others) > at_labels) == best


def test_weighted_cross_entropy_of_classes():
    logits, target, _ = case("classes")
    nll = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    weights = torch.tensor([1.0, 2.0, 4.0]).double()
    close(WeightedCrossEntropy(weights=[1, 2, 4])(logits, target), (weights[target] * nll).mean())
    balanced = WeightedCrossEntropy(prior=[0.5, 0.3, 0.2])(logits, target)
    prior = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    close(balanced, ((1 / (3 * prior))[target] * nll).mean())
    binary, labels, _ = case("binary")
    pair = WeightedCrossEntropy(weights=[0.5, 3.0])(binary, labels)
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        binary, labels.double(), reduction="none"
    )
    close(pair, (torch.where(labels == 1, 3.0, 0.5) * each).mean())


def test_hinge_errors_are_those_of_the_margin():
    logits, target, _ = case("binary", size=1, voxels=6)
    margins = (1 - (2 * target - 1) * logits).clamp(min=0)[0, 0]
    value, before, wrong = 0.0, 0.0, []
    for index in margins.argsort(descending=True).tolist():
        wrong.append(index)
        truth = target[0, 0].bool()
        mask = truth.clone()
        mask[wrong] = ~mask[wrong]
        after = 1 - jaccard(confusion(mask, truth))
        value += float(margins[index]) * (after - before)
        before = after
    close(Lovasz(jaccard, errors="hinge")(logits, target), value)


@pytest.mark.parametrize("voxels", [100_000])
@every
def test_half_precision_is_summed_in_more(name, voxels):
    x = torch.full((1, 1, voxels), -1.0, dtype=torch.float16, requires_grad=True)
    target = torch.ones(1, voxels, dtype=torch.uint8)
    loss = MAKERS[name]()
    value = loss(x, target)
    value.backward()
    assert value.dtype == torch.float32 and torch.isfinite(x.grad).all()
    expected = loss(x.detach().double(), target).item()
    assert value.item() == pytest.approx(expected, rel=1e-3)


@every
def test_logits_that_are_not_finite_give_a_loss_that_is_not_finite(name):
    for bad in (float("nan"), float("inf")):
        logits, target, _ = case("classes", dtype=torch.float32)
        logits[0, 1, 3] = bad
        assert not torch.isfinite(MAKERS[name]()(logits, target))


def test_confusion_of_soft_masses_adds_up_over_blocks():
    from segrisk.kernels import masses

    logits, target, _ = case("classes", voxels=40)
    whole = masses(logits, target, activation="softmax")
    parts = [
        masses(logits[..., k : k + 7], target[..., k : k + 7], activation="softmax")
        for k in range(0, 40, 7)
    ]
    assert torch.allclose(sum(parts), whole)
    assert Confusion(*whole[0, 0, :4]).total == pytest.approx(40)
