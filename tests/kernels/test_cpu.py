"""The CPU kernels against float64 PyTorch written as the definitions read."""

import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

numba = pytest.importorskip("numba")
cpu = pytest.importorskip("segrisk.kernels.cpu")

LABELS = [torch.bool, torch.uint8, torch.int16, torch.int32, torch.int64]
SIZES = [(1, 1, 1), (2, 1, 7), (1, 2, 7), (3, 3, 2049), (2, 1, 2049), (5, 4, 4500), (2, 37, 1000)]
LEVELS = 64
NAN, INF = float("nan"), float("inf")


def case(rows, classes, voxels, dtype=torch.int64, seed=0):
    """Logits, labels and weights."""
    g = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, classes, voxels, generator=g)
    top = 2 if dtype == torch.bool else max(classes, 2)
    labels = torch.randint(0, top, (rows, voxels), generator=g).to(dtype)
    return logits, labels, torch.rand(rows, voxels, generator=g)


def prepared(logits, labels, weight, ignore):
    """In float64: y (R, C, V), log p, log (1 − p), the weight of what counts, the bad labels."""
    classes = logits.shape[1]
    labels, x = labels.long(), logits.double()
    ignored = torch.zeros_like(labels, dtype=torch.bool) if ignore is None else labels == ignore
    inside = (labels >= 0) & (labels < max(classes, 2))
    counted = inside & ~ignored
    w = (torch.ones(labels.shape) if weight is None else weight).double()
    w = torch.where(counted, w, 0)[:, None]
    x = torch.where(counted[:, None], x, 0.0)
    values = torch.arange(classes) if classes > 1 else torch.ones(1)
    y = (labels[:, None] == values[:, None]).double()
    if classes > 1:
        log_p = x.log_softmax(1)
        log_q = torch.zeros_like(log_p)
    else:
        log_p, log_q = F.logsigmoid(x), F.logsigmoid(-x)
    return y, log_p, log_q, w, int((~inside & ~ignored).sum())


def ones(table):
    """A scale that changes nothing."""
    return torch.ones(table.shape[:2], dtype=torch.float64)


def masses(logits, labels, weight=None, ignore=None):
    y, log_p, log_q, w, bad = prepared(logits, labels, weight, ignore)
    p = log_p.exp()
    terms = (p * y, p * (1 - y), (1 - p) * y, (1 - p) * (1 - y), -y * log_p, -(1 - y) * log_q)
    return torch.stack([(w * t).sum(-1) for t in terms], -1), bad


def errors(logits, labels, weight=None, ignore=None):
    y, log_p, _, w, bad = prepared(logits, labels, weight, ignore)
    return (y - log_p.exp()).abs(), y.long(), w, bad


def histogram(e, y, w, levels):
    """Counts from errors and labels (R, C, V)."""
    rows, classes, _ = e.shape
    cell = y * levels + (e * levels).long().clamp(max=levels - 1)
    counts = torch.zeros(rows, classes, 2 * levels, dtype=torch.float64)
    return counts.scatter_add_(2, cell, w.expand_as(e)).view(rows, classes, 2, levels)


def close(ours, wanted, tolerance=2e-6):
    """Equal to `tolerance` of the largest value, and of 0.1: 1 − p is rounded to 1e-7."""
    scale = max(wanted.abs().max().item(), 0.1) if wanted.numel() else 1.0
    assert ours.shape == wanted.shape
    torch.testing.assert_close(ours.double(), wanted.double(), rtol=0, atol=tolerance * scale)


def check_all(logits, labels, weight=None, ignore=None, tolerance=2e-6, rounding=2e-6):
    """Every kernel on one input."""
    g = torch.Generator().manual_seed(1)
    leaf = logits.double().clone().requires_grad_()
    wanted, wanted_bad = masses(leaf, labels, weight, ignore)
    table, bad = cpu.masses(logits, labels, weight, ignore)
    assert (table.dtype, bad) == (torch.float64, wanted_bad)
    close(table, wanted.detach(), tolerance)

    grad = torch.randn(table.shape, generator=g, dtype=torch.float64)
    (wanted_gradient,) = torch.autograd.grad((wanted * grad).sum(), leaf)
    gradient = cpu.masses_backward(grad, logits, labels, weight, ignore)
    assert gradient.dtype == logits.dtype
    close(gradient, wanted_gradient, rounding)

    counts, bad = cpu.histogram(logits, labels, weight, ignore, LEVELS)
    e, y, w, _ = errors(leaf, labels, weight, ignore)
    assert (counts.dtype, bad) == (torch.float64, wanted_bad)
    # An error at the border of two levels may fall on either side of it.
    difference = (counts - histogram(e.detach(), y, w, LEVELS)).cumsum(-1).abs()
    near = ((e.detach() * LEVELS + 1e-3).floor() != (e.detach() * LEVELS - 1e-3).floor()) * w
    assert (difference.amax((-1, -2)) <= near.sum(-1) + 1e-6 * w.sum(-1)).all()

    increments = torch.rand(counts.shape, generator=g)
    scale = torch.rand(counts.shape[:2], generator=g, dtype=torch.float64)
    h = increments.flatten(2).double() * scale.unsqueeze(-1)
    # Level by level as the kernel does, in float32, so that both look up the same cell.
    level = (e.detach().float() * LEVELS).long().clamp(max=LEVELS - 1)
    value = (e * w * h.gather(2, y * LEVELS + level)).sum()
    (wanted_gradient,) = torch.autograd.grad(value, leaf)
    gradient = cpu.histogram_backward(increments, scale, logits, labels, weight, ignore)
    moved = (near > 0).any(1, keepdim=True).expand_as(gradient)
    close(gradient.masked_fill(moved, 0), wanted_gradient.masked_fill(moved, 0), rounding)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_sizes(size, weighted):
    logits, labels, weight = case(*size)
    check_all(logits, labels, weight if weighted else None)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("dtype", LABELS)
def test_label_types(dtype, classes):
    logits, labels, _ = case(2, classes, 3000, dtype)
    check_all(logits, labels)


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize("ignore", [255, -1, 1, 0, None])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
def test_ignored_and_bad_labels(dtype, ignore, classes):
    logits, labels, weight = case(2, classes, 3000, dtype)
    labels[:, ::7] = 255
    labels[:, ::11] = 100
    if dtype != torch.uint8:
        labels[0, ::5] = -1
        labels[1, ::13] = torch.iinfo(dtype).min
        labels[1, ::17] = torch.iinfo(dtype).max
    check_all(logits, labels, weight, ignore)


@pytest.mark.parametrize("classes", [1, 4])
def test_only_bad_labels(classes):
    logits, labels, _ = case(2, classes, 100)
    table, bad = cpu.masses(logits, labels + 9, None, None)
    counts, _ = cpu.histogram(logits, labels + 9, None, None, LEVELS)
    assert bad == 200 and not table.any() and not counts.any()
    assert not cpu.masses_backward(torch.ones_like(table), logits, labels + 9, None, None).any()


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("voxels", [7, 2500])
def test_strides(voxels, classes):
    logits, labels, weight = case(3, classes, voxels)
    last = logits.transpose(1, 2).contiguous().transpose(1, 2)
    wide = torch.stack([logits, logits], -1)[..., 1]
    shifted = torch.cat([logits, logits], 1)[:, classes:]
    batch_last = logits.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    turned = labels.T.contiguous().T
    for x in (last, wide, shifted, batch_last, logits[:1].expand_as(logits)):
        for y in (labels, turned, labels[:1].expand_as(labels)):
            check_all(x, y, weight.T.contiguous().T)
    check_all(last, turned, weight[:1].expand_as(weight))
    check_all(logits, labels, torch.tensor(0.3).expand(labels.shape))
    gradient = cpu.masses_backward(torch.ones(3, classes, 6).double(), last, labels, None, None)
    assert gradient.stride() == last.stride() or classes == 1


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("dtype,rounding", [(torch.bfloat16, 5e-3), (torch.float16, 1e-3)])
def test_half_precision(dtype, rounding, classes):
    """Sums are as exact as of float32; only the gradient is rounded."""
    logits, labels, weight = case(2, classes, 3000)
    check_all(logits.to(dtype), labels, weight, rounding=rounding)
    last = logits.to(dtype).transpose(1, 2).contiguous().transpose(1, 2)
    check_all(last, labels, weight, rounding=rounding)


def test_bfloat16_rounds_to_nearest_even():
    logits, labels, _ = case(1, 3, 5000)
    logits = logits.bfloat16()
    grad = torch.randn(1, 3, 6, dtype=torch.float64)
    exact = cpu.masses_backward(grad, logits.float(), labels, None, None)
    assert torch.equal(cpu.masses_backward(grad, logits, labels, None, None), exact.bfloat16())


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("scale", [20.0, 80.0, 1e4, 1e30])
def test_extreme_logits(scale, classes):
    """Probabilities of 0 and 1 in float32; −log p stays exact."""
    logits, labels, _ = case(2, classes, 3000)
    logits = logits * scale
    table, _ = cpu.masses(logits, labels, None, None)
    wanted, _ = masses(logits, labels)
    torch.testing.assert_close(table[..., 4:], wanted[..., 4:], rtol=1e-5, atol=1e-30)
    close(table[..., :4], wanted[..., :4])
    gradient = cpu.masses_backward(torch.ones_like(table), logits, labels, None, None)
    assert gradient.isfinite().all()


def test_small_losses_are_exact():
    """Confident and right: −log p is far below the resolution of 1 − p."""
    logits = torch.full((1, 1, 1000), -25.0)
    table, _ = cpu.masses(logits, torch.zeros(1, 1000, dtype=torch.int64), None, None)
    assert table[0, 0, 5].item() == pytest.approx(1000 * 1.3887943864771144e-11, rel=1e-5)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_logits_that_are_not_finite(dtype, value, classes):
    """They spoil their own row, in every class, and nothing else."""
    logits, labels, _ = case(3, classes, 2500)
    logits[1, -1, 2200] = value
    logits = logits.to(dtype)
    table, _ = cpu.masses(logits, labels, None, None)
    own = table[1].isnan().any(-1)
    assert own.all() and table[0].isfinite().all() and table[2].isfinite().all()
    gradient = cpu.masses_backward(torch.ones_like(table), logits, labels, None, None)
    assert gradient[1, :, 2200].isnan().all()
    assert gradient.isnan().sum() == classes
    counts, _ = cpu.histogram(logits, labels, None, None, LEVELS)
    assert counts[1, :, 0, 0].isnan().all() and counts.isnan().sum() == classes
    value, increments = cpu.lovasz_jaccard_tables(counts)
    assert value[1].isnan().all() and value[0].isfinite().all()
    gradient = cpu.histogram_backward(increments, ones(increments), logits, labels, None, None)
    assert gradient[1, :, 2200].isnan().all()


@pytest.mark.parametrize("classes", [1, 3])
def test_logits_of_ignored_voxels_may_be_anything(classes):
    logits, labels, weight = case(2, classes, 2500)
    labels[:, ::3] = 255
    clean = cpu.masses(logits, labels, weight, 255)[0]
    logits[:, 0, ::3] = NAN
    assert torch.equal(cpu.masses(logits, labels, weight, 255)[0], clean)
    gradient = cpu.masses_backward(torch.ones_like(clean), logits, labels, weight, 255)
    assert gradient.isfinite().all() and not gradient[..., ::3].any()
    assert cpu.histogram(logits, labels, weight, 255, LEVELS)[0].isfinite().all()


@pytest.mark.parametrize("shape", [(1, 4, 9000), (5, 2, 6000), (7, 1, 100)])
@pytest.mark.parametrize("weighted", [False, True])
def test_threads_do_not_change_the_result(shape, weighted, monkeypatch):
    monkeypatch.setattr(cpu, "SHARE", 1)  # so little work would be one thread's
    logits, labels, weight = case(*shape)
    weight = weight if weighted else None
    before, seen = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            table = cpu.masses(logits, labels, weight, None)[0]
            seen.append((table, cpu.histogram(logits, labels, weight, None, LEVELS)[0]))
    finally:
        torch.set_num_threads(before)
    for table, counts in seen[1:]:
        assert torch.equal(table, seen[0][0])
        torch.testing.assert_close(counts, seen[0][1], rtol=1e-12, atol=0)


def test_the_first_call_leaves_pytorchs_threads_alone():
    code = (
        "import torch; torch.set_num_threads(1); from segrisk.kernels import cpu;"
        "cpu.lovasz_jaccard_tables(torch.ones(1, 1, 2, 8).double()); print(torch.get_num_threads())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"


def test_settings_and_inputs_are_left_alone():
    logits, labels, weight = case(2, 3, 1000)
    logits = logits.bfloat16().requires_grad_()
    copies, before = [t.clone() for t in (logits, labels, weight)], numba.get_num_threads()
    table, _ = cpu.masses(logits, labels, weight, None)
    cpu.masses_backward(table, logits, labels, weight, None)
    counts, _ = cpu.histogram(logits, labels, weight, None, LEVELS)
    _, increments = cpu.lovasz_jaccard_tables(counts)
    cpu.histogram_backward(increments, ones(increments), logits, labels, weight, None)
    assert numba.get_num_threads() == before
    for tensor, copy in zip((logits, labels, weight), copies, strict=True):
        assert torch.equal(tensor, copy)


def test_a_large_gradient():
    """Above the size that asks for huge pages; also many tiles per row."""
    logits, labels, _ = case(1, 2, 1 << 22)
    grad = torch.ones(1, 2, 6, dtype=torch.float64)
    grad[..., 0] = -1
    gradient = cpu.masses_backward(grad, logits, labels, None, None)
    last = slice(-5000, None)
    part = cpu.masses_backward(grad, logits[..., last], labels[:, last], None, None)
    torch.testing.assert_close(gradient[..., last], part)


def test_no_voxels():
    logits, labels, _ = case(2, 3, 0)
    assert not cpu.masses(logits, labels, None, None)[0].any()
    assert not cpu.histogram(logits, labels, None, None, LEVELS)[0].any()
    gradient = cpu.masses_backward(torch.ones(2, 3, 6).double(), logits, labels, None, None)
    assert gradient.shape == logits.shape


def jaccard_loss(b, f, n, d):
    """Δ with `b` background and `f` foreground voxels wrong."""
    return (b + f) / (n + b) if n > 0 else b / d if d > 0 else 0.0


def plain_tables(counts):
    """Value and increments of one table (2, levels), level by level."""
    levels = counts.shape[1]
    (n, d), value = (counts[1].sum().item(), counts.sum().item()), 0.0
    increments = torch.zeros(2, levels, dtype=torch.float64)
    b0 = f0 = 0.0
    for level in reversed(range(levels)):
        b1, f1 = b0 + counts[0, level].item(), f0 + counts[1, level].item()
        step = jaccard_loss(b1, f1, n, d) - jaccard_loss(b0, f0, n, d)
        value += (level + 0.5) / levels * step
        if n > 0:
            slope = math.log((n + b1) / (n + b0)) / (b1 - b0) if b1 > b0 else 0
            increments[0, level] = (n - (f0 + f1) / 2) / ((n + b0) * (n + b1))
            increments[1, level] = slope if b1 > b0 else 1 / (n + b0)
        elif d > 0:
            increments[0, level] = 1 / d
        b0, f0 = b1, f1
    return value, increments


@pytest.mark.parametrize("foreground", [0.0, 0.001, 0.1, 1.0])
@pytest.mark.parametrize("whole", [True, False])
def test_lovasz_tables(foreground, whole):
    g = torch.Generator().manual_seed(2)
    counts = (torch.rand(2, 3, 2, 300, generator=g).double() * 60 - 40).clamp(min=0)
    counts[:, :, 1] *= foreground
    counts[:, :, 0, 100] = 1e7
    counts = counts.round() if whole else counts
    counts[0, 0] = 0
    counts[1, 1, 0] = 0
    value, increments = cpu.lovasz_jaccard_tables(counts)
    assert (value.dtype, increments.dtype) == (torch.float64, torch.float32)
    for r in range(2):
        for c in range(3):
            wanted, wanted_increments = plain_tables(counts[r, c])
            assert value[r, c].item() == pytest.approx(wanted, rel=1e-9, abs=1e-12)
            torch.testing.assert_close(
                increments[r, c].double(), wanted_increments, rtol=1e-6, atol=1e-12
            )


def test_lovasz_against_sorting():
    """The whole way: the Lovász hinge of sorted errors, and its gradient."""
    logits, labels, _ = case(2, 3, 20000)
    leaf = logits.double().requires_grad_()
    e, y, _, _ = errors(leaf, labels)
    ordered, order = e.sort(-1, descending=True)
    wrong = y.gather(-1, order).double()
    n = wrong.sum(-1, keepdim=True)
    f, b = wrong.cumsum(-1), (1 - wrong).cumsum(-1)
    steps = ((b + f) / (n + b)).diff(dim=-1, prepend=torch.zeros_like(n))
    wanted = (ordered * steps).sum(-1)
    wanted.sum().backward()
    counts, _ = cpu.histogram(logits, labels, None, None, 65536)
    value, increments = cpu.lovasz_jaccard_tables(counts)
    torch.testing.assert_close(value, wanted.detach(), rtol=1e-5, atol=1e-6)
    gradient = cpu.histogram_backward(increments, ones(increments), logits, labels, None, None)
    assert (gradient - leaf.grad).norm() <= 1e-2 * leaf.grad.norm()
