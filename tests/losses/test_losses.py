"""Every loss against its slow reference, and the laws that hold for all."""

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from segrisk.losses import LOSSES, PAPER, LovaszJaccard, SoftDice, WeightedCrossEntropy
from segrisk.losses.lovasz import lovasz_extension
from segrisk.metrics import METRICS
from segrisk.similarity import confusion, hamming, jaccard

PRIOR = 0.2
REFERENCES = {
    "cross_entropy": reference.cross_entropy,
    "weighted_cross_entropy": lambda x, y: reference.cross_entropy(
        x, y, foreground=1 / (2 * PRIOR), background=1 / (2 - 2 * PRIOR)
    ),
    "soft_dice": reference.soft_dice_loss,
    "soft_jaccard": reference.soft_jaccard_loss,
    "lovasz_sigmoid": reference.lovasz_sigmoid,
    "soft_tversky": reference.soft_tversky_loss,
    "focal": reference.focal,
    "top_k": reference.top_k,
}
FAMILIES = {
    "cross_entropy": "pixel",
    "weighted_cross_entropy": "pixel",
    "soft_dice": "metric",
    "soft_jaccard": "metric",
    "lovasz_sigmoid": "metric",
    "soft_tversky": "metric",
    "focal": "other",
    "top_k": "other",
}
every = pytest.mark.parametrize("name", LOSSES)
images = st.lists(st.tuples(st.floats(-8, 8), st.sampled_from([0.0, 1.0])), min_size=1, max_size=16)


def build(name):
    return LOSSES[name](prior=PRIOR) if name == "weighted_cross_entropy" else LOSSES[name]()


def tensors(image, dtype=torch.float64):
    logits, target = zip(*image, strict=True)
    return torch.tensor([[logits]], dtype=dtype), torch.tensor([[target]], dtype=dtype)


def test_every_loss_has_a_reference_and_a_family():
    assert set(REFERENCES) == set(LOSSES)
    assert {name: loss.family for name, loss in LOSSES.items()} == FAMILIES
    assert [LOSSES[name].label for name in PAPER] == ["CE", "wCE", "sDice", "sJaccard", "Lovász"]
    assert all(build(name).family == FAMILIES[name] for name in LOSSES)


@every
@given(image=images)
def test_equals_the_reference(name, image):
    logits, target = zip(*image, strict=True)
    value = build(name)(*tensors(image))
    assert float(value) == pytest.approx(REFERENCES[name](logits, target), abs=1e-12)


@every
@given(batch=st.lists(images, min_size=2, max_size=4))
def test_a_batch_is_the_mean_of_its_images(name, batch):
    length = min(map(len, batch))
    pairs = [tensors(image[:length]) for image in batch]
    whole = build(name)(*(torch.cat(side) for side in zip(*pairs, strict=True)))
    single = torch.stack([build(name)(*pair) for pair in pairs]).mean()
    assert float(whole) == pytest.approx(float(single), abs=1e-12)


@every
@given(image=images, data=st.data())
def test_the_order_of_voxels_does_not_matter(name, image, data):
    shuffled = data.draw(st.permutations(image))
    loss = build(name)
    assert float(loss(*tensors(image))) == pytest.approx(float(loss(*tensors(shuffled))), abs=1e-12)


@every
@pytest.mark.parametrize("target", [[1.0, 0.0, 1.0, 0.0, 0.0], [0.0] * 5, [1.0] * 5])
def test_gradients_are_right(name, target):
    logits = torch.tensor([[[0.3, -1.2, 2.0, 0.9, -0.4]]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[target]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: build(name)(x, y), (logits,))


@every
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 200.0])
@pytest.mark.parametrize("empty", [True, False])
def test_values_and_gradients_are_finite_everywhere(name, scale, empty):
    generator = torch.Generator().manual_seed(0)
    logits = (scale * torch.randn(2, 1, 64, generator=generator)).requires_grad_()
    target = torch.zeros(2, 1, 64) if empty else (torch.arange(128).view(2, 1, 64) % 3 == 0).float()
    value = build(name)(logits, target)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"top_k"}))
def test_an_empty_reference_pushes_every_probability_down(name):
    logits = torch.zeros(1, 1, 32, requires_grad=True)
    build(name)(logits, torch.zeros(1, 1, 32)).backward()
    assert (logits.grad > 0).all()


@pytest.mark.parametrize(
    ("name", "metric"),
    [("soft_dice", "dice"), ("soft_jaccard", "jaccard"), ("lovasz_sigmoid", "jaccard")],
)
def test_on_hard_masks_a_metric_loss_is_one_minus_the_metric(name, metric):
    for target in product([0.0, 1.0], repeat=4):
        if not any(target):
            continue
        for mask in product([0.0, 1.0], repeat=4):
            logits = torch.tensor([[[200.0 if m else -200.0 for m in mask]]], dtype=torch.float64)
            y = torch.tensor([[target]], dtype=torch.float64)
            score = METRICS[metric](confusion(logits[0, 0].numpy() > 0, y[0, 0].numpy() > 0))
            assert float(build(name)(logits, y)) == pytest.approx(1 - score, abs=1e-12)


@pytest.mark.parametrize("similarity", [jaccard, hamming])
def test_the_extension_is_convex_where_the_set_loss_is_submodular(similarity):
    generator = torch.Generator().manual_seed(1)
    y = torch.tensor([[[1.0, 1.0, 0.0, 0.0, 0.0]]], dtype=torch.float64)
    for _ in range(200):
        a, b = torch.rand(2, 1, 1, 5, generator=generator, dtype=torch.float64)
        ends = [lovasz_extension(similarity, side, y) for side in (a, b)]
        middle = lovasz_extension(similarity, (a + b) / 2, y)
        assert float(middle) <= float(sum(ends)) / 2 + 1e-12


def test_the_jaccard_set_loss_is_submodular_and_the_dice_set_loss_is_not():
    target = (1, 1, 0, 0, 0)

    def set_loss(similarity, wrong):
        mask = [bool(y) != (index in wrong) for index, y in enumerate(target)]
        return 1 - getattr(reference, similarity)(mask, target)

    def submodular(similarity):
        voxels = range(len(target))
        return all(
            set_loss(similarity, {*a, v}) - set_loss(similarity, a)
            >= set_loss(similarity, {*b, v}) - set_loss(similarity, b) - 1e-12
            for a in map(set, reference.subsets(voxels))
            for b in map(set, reference.subsets(voxels))
            if a <= b
            for v in set(voxels) - b
        )

    assert submodular("jaccard") and submodular("hamming")
    assert not submodular("dice")


def test_lovasz_increments_survive_large_images():
    # Differences of float32 Jaccard values vanish for most background voxels at this size.
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(1, 1, 2**20, generator=generator).requires_grad_()
    target = (torch.rand(1, 1, 2**20, generator=generator) < 0.01).float()
    LovaszJaccard()(logits, target).backward()
    assert (logits.grad != 0).float().mean() > 0.999


def test_soft_labels_are_best_met_by_themselves():
    y = torch.full((1, 1, 50), 0.3, dtype=torch.float64)
    values = [
        float(SoftDice()(torch.logit(torch.full_like(y, p)), y)) for p in (0.1, 0.2, 0.3, 0.4, 0.9)
    ]
    assert min(values) == values[2] == pytest.approx(0, abs=1e-12)


def test_weights_follow_the_prior_and_are_not_divided_by_their_sum():
    logits = torch.zeros(1, 1, 4)
    target = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    values = [float(WeightedCrossEntropy(prior)(logits, target)) for prior in (0.1, 0.25, 0.5)]
    # (1 / 2p + 3 / (2 - 2p)) / 4 times log 2.
    assert values == pytest.approx([0.6931472 * factor for factor in (5 / 3, 1.0, 1.0)])


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_accumulates_in_float32(name, dtype):
    logits = torch.full((1, 1, 400, 400), -1.0, dtype=dtype)
    target = torch.ones(1, 1, 400, 400, dtype=dtype)
    value = build(name)(logits, target)
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(
        float(build(name)(logits.double(), target.double())), rel=1e-5
    )


@pytest.mark.parametrize("prior", [0.0, 1.0, -1.0, float("nan")])
def test_a_prior_without_both_classes_is_refused(prior):
    with pytest.raises(ValueError, match="must lie strictly between 0 and 1"):
        WeightedCrossEntropy(prior)


@settings(deadline=None, max_examples=50)
@given(image=images)
def test_the_dice_loss_never_exceeds_the_jaccard_loss(image):
    logits, target = tensors(image)
    assert (
        float(build("soft_dice")(logits, target))
        <= float(build("soft_jaccard")(logits, target)) + 1e-12
    )
