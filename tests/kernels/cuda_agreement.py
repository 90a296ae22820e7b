"""The Triton kernels against the reference in float64: on a GPU, or on a CPU by interpretation.

Not collected by itself: `test_cuda.py` runs it with TRITON_INTERPRET=1, which must be set before
Triton is imported. With a GPU: `pytest tests/kernels/cuda_agreement.py`.
"""

import pytest
import torch

from segrisk.kernels import cuda, operators, reference
from segrisk.losses import CrossEntropy, LovaszJaccard, SoftDice, SoftJaccard, WeightedCrossEntropy
from segrisk.losses.lovasz import level_tables
from segrisk.similarity import jaccard

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LEVELS = 64
# The interpreter computes with NumPy, which warns of NaN and infinity.
pytestmark = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")
NAN, INF = float("nan"), float("inf")


def case(rows, classes, voxels, dtype=torch.int64, seed=0):
    """Logits, labels and weights."""
    g = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, classes, voxels, generator=g)
    top = 2 if dtype == torch.bool else max(classes, 2)
    labels = torch.randint(0, top, (rows, voxels), generator=g).to(dtype)
    weight = torch.rand(rows, voxels, generator=g)
    return logits.to(DEVICE), labels.to(DEVICE), weight.to(DEVICE)


def clean(logits, labels, weight, ignore):
    """What counts, as the reference takes it: float64, weight 0 where a voxel does not count."""
    classes, labels = logits.shape[1], labels.long()
    ignored = torch.zeros_like(labels, dtype=torch.bool) if ignore is None else labels == ignore
    bad = ((labels < 0) | (labels >= max(classes, 2))) & ~ignored
    counted = ~ignored & ~bad
    w = torch.ones_like(counted, dtype=torch.float64) if weight is None else weight.double()
    x = torch.where(counted[:, None], logits.double(), 0).detach().requires_grad_()
    y = torch.where(counted, labels, 0)
    y = y[:, None] if classes == 1 else y
    activation = "sigmoid" if classes == 1 else "softmax"
    return x, (x, y, torch.where(counted, w, 0), None, activation), int(bad.sum())


def close(ours, wanted, tolerance=2e-6):
    """Equal to `tolerance` of the largest value, and of 0.1: 1 − p is rounded to 1e-7."""
    scale = max(wanted.abs().max().item(), 0.1) if wanted.numel() else 1.0
    assert ours.shape == wanted.shape
    torch.testing.assert_close(ours.double(), wanted.double(), rtol=0, atol=tolerance * scale)


def check_masses(logits, labels, weight=None, ignore=None, rounding=2e-6):
    """Forward and backward on one input."""
    leaf, given, wanted_bad = clean(logits, labels, weight, ignore)
    wanted, _ = reference.masses(*given, "product")
    table, bad = cuda.masses(logits, labels, weight, ignore)
    assert (table.dtype, bad.dtype, bad.shape) == (torch.float64, torch.int64, ())
    assert bad.item() == wanted_bad
    close(table, wanted.detach())
    grad = torch.randn(table.shape, generator=torch.Generator().manual_seed(1)).double()
    grad = grad.to(DEVICE)
    (wanted_gradient,) = torch.autograd.grad((wanted * grad).sum(), leaf)
    gradient = cuda.masses_backward(grad, logits, labels, weight, ignore)
    assert gradient.dtype == logits.dtype
    close(gradient, wanted_gradient, rounding)


def check_histogram(logits, labels, weight=None, ignore=None, levels=LEVELS, rounding=2e-6):
    """Forward and backward on one input."""
    leaf, given, wanted_bad = clean(logits, labels, weight, ignore)
    e, y, w, _ = reference.errors(*given)
    wanted = reference.histogram(e.detach(), y, w, levels)
    counts, bad = cuda.histogram(logits, labels, weight, ignore, levels)
    assert (counts.dtype, counts.shape) == (torch.float64, wanted.shape)
    assert bad.item() == wanted_bad
    # An error at the border of two levels may fall on either side of it.
    place, reach = e.detach() * levels, 1e-3 + 2e-7 * levels
    low, high = (place - reach).clamp(min=0), (place + reach).clamp(max=levels - 1)
    near = (low.floor() != high.floor()) * w
    difference = (counts - wanted).cumsum(-1).abs().amax((-1, -2))
    assert (difference <= near.sum(-1) + 1e-6 * w.sum(-1)).all()
    slopes = torch.rand(counts.shape, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    value = reference.with_slopes(torch.zeros_like(counts[..., 0, 0]), slopes, e, y, w)
    scale = slopes[..., 0, 0].double()
    (wanted_gradient,) = torch.autograd.grad((scale * value).sum(), leaf)
    gradient = cuda.histogram_backward(slopes, scale, logits, labels, weight, ignore)
    assert gradient.dtype == logits.dtype
    moved = (near > 0).any(1, keepdim=True).expand_as(gradient)
    assert moved.double().mean() < 0.2 or not moved.numel()
    close(gradient.masked_fill(moved, 0), wanted_gradient.masked_fill(moved, 0), rounding)


def check_all(logits, labels, weight=None, ignore=None, rounding=2e-6):
    check_masses(logits, labels, weight, ignore, rounding)
    check_histogram(logits, labels, weight, ignore, rounding=rounding)


SIZES = [(1, 1, 1), (3, 1, 4099), (2, 2, 7), (2, 3, 1500), (1, 4, 2048), (1, 20, 300), (1, 32, 100)]


@pytest.mark.parametrize("size,weighted", [(size, k % 2 == 1) for k, size in enumerate(SIZES)])
def test_sizes(size, weighted):
    logits, labels, weight = case(*size)
    check_all(logits, labels, weight if weighted else None)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32])
def test_label_types(dtype, classes):
    logits, labels, _ = case(2, classes, 300, dtype)
    check_all(logits, labels)


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize(
    "dtype,ignore",
    [(torch.uint8, 255), (torch.uint8, -1), (torch.int16, 1), (torch.int64, None)],
)
def test_ignored_and_bad_labels(dtype, ignore, classes):
    logits, labels, weight = case(2, classes, 300, dtype)
    labels[:, ::7] = 255
    labels[:, ::11] = 100
    labels[:, ::23] = max(classes, 2)
    if dtype != torch.uint8:
        labels[0, ::5] = -1
        labels[1, ::13] = torch.iinfo(dtype).min
        labels[1, ::17] = torch.iinfo(dtype).max
    if dtype == torch.int64:
        labels[1, ::19] = 2**32 + 1  # 1, if cut to 32 bits
    check_all(logits, labels, weight, ignore)


# A GPU rounds to the nearest bfloat16, the interpreter down.
BFLOAT16 = 4e-3 if DEVICE == "cuda" else 8e-3


@pytest.mark.parametrize("dtype,rounding", [(torch.bfloat16, BFLOAT16), (torch.float16, 1e-3)])
@pytest.mark.parametrize("classes", [1, 3])
def test_half_precision(dtype, rounding, classes):
    """Sums are as exact as of float32; only the gradient is rounded."""
    logits, labels, weight = case(2, classes, 300)
    check_all(logits.to(dtype), labels, weight, rounding=rounding)


@pytest.mark.parametrize("classes", [1, 3])
def test_strides(classes):
    logits, labels, weight = case(3, classes, 200)
    last = logits.transpose(1, 2).contiguous().transpose(1, 2)
    wide = torch.stack([logits, logits], -1)[..., 1]
    batch_last = logits.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    turned = labels.T.contiguous().T
    for x in (last, wide, batch_last, logits[:1].expand_as(logits)):
        check_all(x, turned, weight.T.contiguous().T)
        assert torch.equal(
            cuda.masses(x, labels, None, None)[0],
            cuda.masses(x.contiguous(), labels, None, None)[0],
        )
    check_all(last, labels[:1].expand_as(labels), weight[:1].expand_as(weight))
    gradient = cuda.masses_backward(
        torch.ones(3, classes, 6).double().to(DEVICE), last, labels, None, None
    )
    assert gradient.stride() == torch.empty_like(last).stride()


@pytest.mark.parametrize("shape", [(2, 3, 0), (0, 3, 5), (0, 1, 0)])
def test_nothing(shape):
    logits, labels, _ = case(*shape)
    table, bad = cuda.masses(logits, labels, None, None)
    counts, _ = cuda.histogram(logits, labels, None, None, LEVELS)
    assert table.shape == (*shape[:2], 6) and not table.any() and bad == 0 and not counts.any()
    assert cuda.masses_backward(table, logits, labels, None, None).shape == shape
    assert (
        cuda.histogram_backward(counts, counts[..., 0, 0], logits, labels, None, None).shape
        == shape
    )


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize(
    "dtype,value",
    [(torch.float32, NAN), (torch.float32, -INF), (torch.bfloat16, INF), (torch.float16, INF)],
)
def test_logits_that_are_not_finite(dtype, value, classes):
    """They spoil their own row, in every class, and nothing else."""
    logits, labels, _ = case(3, classes, 200)
    logits[1, -1, 150] = value
    logits = logits.to(dtype)
    table, _ = cuda.masses(logits, labels, None, None)
    assert table[1].isnan().any(-1).all() and table[[0, 2]].isfinite().all()
    gradient = cuda.masses_backward(torch.ones_like(table), logits, labels, None, None)
    assert gradient[1, :, 150].isnan().all() and gradient.isnan().sum() == classes
    counts, _ = cuda.histogram(logits, labels, None, None, LEVELS)
    assert counts[1, :, 0, 0].isnan().all() and counts.isnan().sum() == classes
    value, slopes = cuda.lovasz_jaccard_tables(counts)
    assert value[1].isnan().all() and value[[0, 2]].isfinite().all()
    scale = torch.ones_like(value)
    gradient = cuda.histogram_backward(slopes, scale, logits, labels, None, None)
    assert gradient[1, :, 150].isnan().all()


@pytest.mark.parametrize("classes", [1, 3])
def test_voxels_that_do_not_count_may_hold_anything(classes):
    logits, labels, weight = case(2, classes, 200)
    labels[:, ::3] = 255
    before = cuda.masses(logits, labels, weight, 255)[0]
    logits[:, 0, ::3] = NAN
    weight[:, ::3] = INF
    assert torch.equal(cuda.masses(logits, labels, weight, 255)[0], before)
    gradient = cuda.masses_backward(torch.ones_like(before), logits, labels, weight, 255)
    assert gradient.isfinite().all() and not gradient[..., ::3].any()
    assert cuda.histogram(logits, labels, weight, 255, LEVELS)[0].isfinite().all()


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("scale", [80.0, 1e30])
def test_extreme_logits(scale, classes):
    """Probabilities of 0 and 1 in float32; −log p stays exact."""
    logits, labels, _ = case(2, classes, 200)
    logits = logits * scale
    table, _ = cuda.masses(logits, labels, None, None)
    wanted, _ = reference.masses(*clean(logits, labels, None, None)[1], "product")
    torch.testing.assert_close(table[..., 4:], wanted.detach()[..., 4:], rtol=1e-5, atol=1e-30)
    close(table[..., :4], wanted.detach()[..., :4])
    assert cuda.masses_backward(table, logits, labels, None, None).isfinite().all()


def test_small_losses_are_exact():
    """Confident and right: −log p is far below the resolution of 1 − p."""
    logits = torch.full((1, 1, 100), -25.0, device=DEVICE)
    labels = torch.zeros(1, 100, dtype=torch.int64, device=DEVICE)
    table, _ = cuda.masses(logits, labels, None, None)
    assert table[0, 0, 5].item() == pytest.approx(100 * 1.3887943864771144e-11, rel=1e-5)


def test_many_levels():
    logits, labels, weight = case(2, 3, 1000)
    check_histogram(logits, labels, weight, levels=2**14)
    check_histogram(logits, labels, levels=2**14)


@pytest.mark.parametrize("weighted", [False, True])
def test_copies_of_the_tables_add_up(monkeypatch, weighted):
    """As many as rows of 2¹⁷ voxels and more get; each tile counts in one."""
    logits, labels, weight = case(2, 3, 5000)
    weight = weight if weighted else None
    once, _ = cuda.histogram(logits, labels, weight, None, LEVELS)
    monkeypatch.setattr(cuda, "VOXELS_OF_COPY", 1500)
    copies, _ = cuda.histogram(logits, labels, weight, None, LEVELS)
    torch.testing.assert_close(copies, once, rtol=1e-12, atol=0)


@pytest.mark.parametrize("levels", [1, 96, 2**14])
def test_jaccard_tables(monkeypatch, levels):
    g = torch.Generator().manual_seed(2)
    counts = (torch.rand(2, 3, 2, levels, generator=g).double() * 60 - 40).clamp(min=0).round()
    counts[0, 0] = 0
    counts[1, 1, 1] = 0
    counts[1, 2, 0] = 0
    value, slopes = cuda.lovasz_jaccard_tables(counts.to(DEVICE))
    monkeypatch.setattr(operators, "compiled", lambda device: False)
    wanted, wanted_slopes = level_tables(jaccard, counts)
    assert (value.dtype, slopes.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(value.cpu(), wanted, rtol=1e-9, atol=1e-12)
    wanted_slopes[counts.sum((-1, -2)) == 0] = 0  # of no voxel
    torch.testing.assert_close(slopes.cpu().double(), wanted_slopes, rtol=2e-3, atol=1e-12)


@pytest.fixture
def on_triton(monkeypatch):
    """Operators take the Triton kernels, wherever the tensors are."""
    monkeypatch.setattr(operators, "compiled", lambda device: True)
    monkeypatch.setattr(operators, "_kernels", lambda tensor: cuda)


def both(loss, logits, target, **given):
    x = logits.clone().requires_grad_()
    value = loss(x, target, **given)
    value.backward()
    return value.detach().double(), x.grad


LOSSES = [
    0.5 * CrossEntropy() + SoftJaccard(),
    SoftDice(pool=("batch",), class_weight=(1, 2, 3)),
    WeightedCrossEntropy(weights=(1, 2, 3)),
    LovaszJaccard(),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.label)
def test_losses(on_triton, loss):
    """The whole way through the operators."""
    logits, target, _ = case(1, 3, 2**14)
    value, gradient = both(loss, logits, target)
    operators.compiled = lambda device: False  # put back with the fixture
    expected, right = both(loss, logits.double(), target)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=0)
    assert (gradient - right).norm() < 1e-3 * right.norm()


@pytest.mark.parametrize("loss", [SoftDice(), LovaszJaccard()], ids=lambda loss: loss.label)
def test_channels_that_overlap(on_triton, loss):
    """Under a sigmoid every channel is a row."""
    logits, _, weight = case(1, 2, 2**14)
    loss.activation = "sigmoid"
    value, gradient = both(loss, logits, logits > 4, weight=weight)
    operators.compiled = lambda device: False
    expected, right = both(loss, logits.double(), logits > 4, weight=weight)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=0)
    assert (gradient - right).norm() < 1e-2 * right.norm()


def test_a_graph_stays_whole(on_triton):
    loss = CrossEntropy() + LovaszJaccard()
    logits, target, _ = case(1, 2, 2**14)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    value, gradient = both(compiled, logits, target)
    expected, right = both(loss, logits, target)
    assert value == pytest.approx(expected.item()) and torch.allclose(gradient, right)
