"""Lovász on levels against sorting, compiled kernels against the reference, compile, fork."""

import os

import pytest
import torch

from segrisk.kernels import operators
from segrisk.losses import CrossEntropy, Lovasz, LovaszJaccard, SoftDice, SoftJaccard
from segrisk.losses.lovasz import level_tables
from segrisk.similarity import dice, jaccard, tversky

VOXELS = 2**14
needs_numba = pytest.mark.skipif(not operators.HAS_NUMBA, reason="numba is not installed")


@pytest.fixture(params=["compiled", "reference"])
def backend(request, monkeypatch):
    """Both ways to compute, where Numba is there."""
    if request.param == "compiled" and not operators.HAS_NUMBA:
        pytest.skip("numba is not installed")
    if request.param == "reference":
        monkeypatch.setattr(operators, "HAS_NUMBA", False)
    return request.param


def case(classes, *, trained, size=2, voxels=VOXELS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    channels = max(classes, 1)
    target = torch.randint(0, max(classes, 2), (size, voxels), generator=generator)
    target[torch.rand(size, voxels, generator=generator) < 0.8] = 0
    logits = torch.randn(size, channels, voxels, generator=generator)
    if trained:
        own = torch.nn.functional.one_hot(target, max(classes, 2)).movedim(-1, 1)[:, -channels:]
        logits = torch.where(own == 1, 5.0, -8.0) + 2 * logits
    return logits, target


def both(loss, logits, target, **given):
    x = logits.clone().requires_grad_()
    value = loss(x, target, **given)
    value.backward()
    return float(value.detach()), x.grad


@pytest.mark.parametrize("similarity", [jaccard, dice, tversky(0.3, 0.7)], ids=lambda s: s.name)
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("trained", [False, True])
def test_levels_are_close_to_sorting(backend, similarity, classes, trained):
    logits, target = case(classes, trained=trained)
    value, gradient = both(Lovasz(similarity), logits, target)
    exact, expected = both(Lovasz(similarity, exact=True), logits, target)
    assert value == pytest.approx(exact, abs=0.5 / 2**14)
    assert (gradient - expected).norm() < 0.01 * expected.norm()
    # Where it is 0, so is the exact one but for the rounding of float32.
    assert expected[gradient == 0].abs().sum() <= 1e-6 * expected.abs().max()


@pytest.mark.parametrize("options", [{"pool": ("batch",)}, {"pool": ("batch", "class")}, {}])
def test_levels_pool_weigh_and_ignore_as_sorting_does(backend, options):
    logits, target = case(3, trained=False)
    target[:, :300] = 255
    weight = torch.rand(target.shape)
    annotated = torch.tensor([[True, True, False], [True, True, True]])
    given = {"weight": weight, "annotated": annotated}
    options = {"ignore_index": 255, **options}
    value, gradient = both(LovaszJaccard(**options), logits, target, **given)
    exact, expected = both(LovaszJaccard(exact=True, **options), logits, target, **given)
    assert value == pytest.approx(exact, abs=0.5 / 2**14)
    assert (gradient - expected).norm() < 0.01 * expected.norm()


@pytest.mark.parametrize("classes", [1, 3])
def test_an_absent_class_on_levels_is_the_mean_error(backend, classes):
    logits, target = case(classes, trained=False)
    value, gradient = both(LovaszJaccard(), logits, 0 * target)
    exact, expected = both(LovaszJaccard(exact=True), logits, 0 * target)
    assert value == pytest.approx(exact, abs=0.5 / 2**14)
    assert torch.allclose(gradient, expected, rtol=0.02, atol=1e-9)


def test_everything_ignored_on_levels_is_a_differentiable_0(backend):
    logits, target = case(1, trained=False)
    value, gradient = both(
        LovaszJaccard(), logits, target, mask=torch.zeros_like(target, dtype=torch.bool)
    )
    assert value == 0 and not gradient.any()


def test_nan_and_bad_labels_on_levels(backend):
    logits, target = case(3, trained=False)
    logits[0, 1, 5] = torch.nan
    assert not torch.isfinite(LovaszJaccard()(logits, target))
    with pytest.raises(ValueError, match="1 labels outside classes 0 to 2"):
        LovaszJaccard()(
            logits,
            target.index_fill(1, torch.tensor([3]), 1).where(
                torch.arange(VOXELS) != 7, torch.tensor([[9], [1]])
            ),
        )


@needs_numba
def test_both_ways_to_fill_the_jaccard_tables_agree(monkeypatch):
    counts = torch.randint(0, 9, (2, 3, 2, 256)).double()
    value, slopes = level_tables(jaccard, counts)
    monkeypatch.setattr(operators, "HAS_NUMBA", False)
    other, more = level_tables(jaccard, counts)
    assert torch.allclose(value, other) and torch.allclose(slopes.double(), more, rtol=2e-3)


@needs_numba
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loss", [CrossEntropy(), SoftDice(), CrossEntropy() + SoftJaccard()])
def test_compiled_losses_are_those_of_the_reference(loss, classes, dtype):
    logits, target = case(classes, trained=False, voxels=5000)
    logits = logits.to(dtype)
    assert operators.serve(logits, target, None, "softmax" if classes > 1 else "sigmoid")
    value, gradient = both(loss, logits, target.to(torch.uint8))
    expected, right = both(loss, logits.double(), target)
    assert value == pytest.approx(expected, rel=1e-5)
    assert (gradient.double() - right).norm() < (
        1e-5 if dtype == torch.float32 else 0.01
    ) * right.norm()


@needs_numba
@pytest.mark.parametrize(
    "loss", [SoftDice(), 0.5 * CrossEntropy() + SoftJaccard(), LovaszJaccard()], ids=str
)
def test_a_graph_stays_whole(loss):
    logits, target = case(3, trained=False)
    compiled = torch.compile(lambda x, y: loss(x, y), fullgraph=True, backend="aot_eager")
    value, gradient = both(compiled, logits, target)
    expected, right = both(loss, logits, target)
    assert value == pytest.approx(expected) and torch.allclose(gradient, right)


@needs_numba
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_a_forked_child_takes_the_reference():
    logits, target = case(1, trained=False)
    expected = float(SoftDice()(logits, target))
    child = os.fork()
    if child == 0:
        same = not operators.serve(logits, target, None, "sigmoid")
        same = same and abs(float(SoftDice()(logits[:, :, :64], target[:, :64]))) < 1
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert float(SoftDice()(logits, target)) == expected


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
@pytest.mark.parametrize("loss", [SoftDice, CrossEntropy, LovaszJaccard])
def test_one_channel_of_integers_for_each_class_is_as_good_as_its_number(loss, dtype):
    logits, target = case(3, trained=False, voxels=3000)
    channels = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).to(dtype)
    value, gradient = both(loss(activation="softmax"), logits, channels)
    expected, right = both(loss(), logits, target)
    assert value == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(gradient, right, rtol=1e-3, atol=1e-8)
