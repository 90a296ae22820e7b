"""Everything about the CUDA path that only a GPU can tell; its trainings need `segrisk[study]`.

    python benchmarks/cuda_check.py             or, in a minute: --quick

Agreement of the kernels with the float64 reference at real sizes; whether a loss makes the host
wait; peak memory; and the time of forward and backward, of soft losses as a share of the measured
copy bandwidth for the bytes that must move (logits and labels read twice, the gradient written),
of Lovász as a ratio to PyTorch's cross-entropy and to sorting. Times are those of the device, the
L2 cache cleared before: `ms` of the loss as it is called, with launches queued ahead, `graph` of
its CUDA graph, and `host` with the host's own work. Last come trainings at 128 px in 2D: whether a
step waits for its batch, and what each precision and compilation makes of it.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from segrisk.kernels import operators, reference
from segrisk.losses import CrossEntropy, LovaszJaccard, SoftDice, SoftJaccard, SoftTversky
from segrisk.losses.lovasz import lovasz_extension
from segrisk.similarity import jaccard

VOLUME_4, VOLUME_1 = (2, 4, 128, 128, 128), (2, 1, 128, 128, 128)
IMAGE_4, VOLUME_32 = (16, 4, 256, 256), (1, 32, 64, 64, 64)
LARGE = (2, 4, 256, 256, 256)
LEVELS = 65536
# What must be reached: share of copy bandwidth, times of cross-entropy, times of sorting.
SHARE, OF_CROSS_ENTROPY, OF_SORTING, MEMORY = 0.6, 1.5, 1 / 20, 1.25
SCALE = 2.0**16  # what a gradient scaler begins with
SLEEP = 5_000_000  # cycles in which the host runs ahead

failures: list[str] = []


def verdict(name: str, passed: bool) -> str:
    """The last column of a line; what fails is named again at the end."""
    if not passed:
        failures.append(name)
    return "yes" if passed else "NO"


def data(size: tuple[int, ...], trained: bool, labels: torch.dtype) -> tuple[Tensor, Tensor]:
    """Logits and labels, 20 % of them foreground, on the GPU."""
    generator = torch.Generator("cuda").manual_seed(0)
    options = {"generator": generator, "device": "cuda"}
    batch, classes, *space = size
    target = torch.randint(0, max(classes, 2), (batch, *space), **options)
    target[torch.rand(batch, *space, **options) < 0.8] = 0
    logits = torch.randn(size, **options)
    if trained:
        own = torch.stack([target == c for c in range(max(classes, 2))], 1)[:, -classes:]
        logits = torch.where(own, 5.0, -8.0) + 2 * logits
    return logits, target.to(labels)


# ---- agreement -----------------------------------------------------------------------------------


def relative(ours: Tensor, wanted: Tensor) -> float:
    """The error in norm."""
    return ((ours.double() - wanted).norm() / wanted.norm()).item()


def agreement(logits: Tensor, labels: Tensor, weight: Tensor | None) -> Iterator[tuple]:
    """Each primitive's error, and how large it may be; `logits` (R, C, V)."""
    from segrisk.kernels import cuda  # needs Triton

    classes, half = logits.shape[1], logits.dtype != torch.float32
    counted = labels != 255
    w = counted.double() if weight is None else counted * weight.double()
    leaf = logits.double().requires_grad_()
    y = torch.where(counted, labels, 0).long()
    y = y[:, None] if classes == 1 else y
    given = leaf, y, w, None, "sigmoid" if classes == 1 else "softmax"
    wanted, _ = reference.masses(*given, "product")
    table, bad = cuda.masses(logits, labels, weight, 255)
    yield "masses", relative(table, wanted.detach()), 1e-6
    yield "bad labels", float(bad), 0.0
    grad = torch.randn_like(table)
    (right,) = torch.autograd.grad((wanted * grad).sum(), leaf)
    gradient = cuda.masses_backward(grad, logits, labels, weight, 255)
    yield "masses, gradient", relative(gradient, right), 5e-3 if half else 1e-4
    e, y, w, _ = reference.errors(*given)
    wanted = reference.histogram(e.detach(), y, w, LEVELS)
    counts, _ = cuda.histogram(logits, labels, weight, 255, LEVELS)
    # float32 puts some errors into the next level: cumulative counts differ by few voxels, or, in
    # half precision, by those that have one logit.
    moved = (counts - wanted).cumsum(-1).abs().amax((-1, -2)) / wanted.sum((-1, -2))
    yield "histogram, share moved", moved.max().item(), 2e-3 if half else 1e-3
    value, slopes = cuda.lovasz_jaccard_tables(counts)
    exact = lovasz_extension(jaccard, e, y, w)
    yield "Lovász on levels", (value - exact).abs().max().item(), 0.5 / LEVELS
    (right,) = torch.autograd.grad(exact.sum() * SCALE, leaf)
    # Scaled as in training: float16 has few digits for 1 / 2²¹.
    scale = torch.full_like(slopes[..., 0, 0], SCALE)
    gradient = cuda.histogram_backward(slopes, scale, logits, labels, weight, 255)
    yield "Lovász, gradient", relative(gradient, right), 1e-2


def check_agreement(quick: bool) -> None:
    """Print the worst error of each primitive for each kind of input."""
    print(f"\n{'agreement with float64':58}{'error':>12}{'at most':>10}   reached")
    sizes = [VOLUME_1, IMAGE_4] if quick else [VOLUME_1, VOLUME_4, IMAGE_4, VOLUME_32]
    for size in sizes:
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            for trained in (False, True):
                logits, target = data(size, trained, torch.int64)
                logits, labels = logits.flatten(2).to(dtype), target.flatten(1)
                labels[:, ::17] = 255
                weight = torch.rand(labels.shape, device="cuda")
                kind = "trained" if trained else "random"
                name = f"{'×'.join(map(str, size))} {str(dtype)[6:]} {kind}"
                forms = {
                    "": (logits, labels, None),
                    ", weighted": (logits, labels, weight),
                    ", channels last": (
                        logits.transpose(1, 2).contiguous().transpose(1, 2),
                        labels,
                        None,
                    ),
                }
                worst: dict[str, tuple[float, float]] = {}
                for extra, arguments in forms.items():
                    for what, error, most in agreement(*arguments):
                        if not error <= worst.get(what, (-1.0, most))[0]:
                            worst[what] = error, most
                        if not error <= most:
                            failures.append(f"{what}: {name}{extra}, {error:.2e}")
                for what, (error, most) in worst.items():
                    passed = "yes" if error <= most else "NO"
                    print(f"{what:24}{name:34}{error:12.2e}{most:10.0e}   {passed}")


# ---- time ----------------------------------------------------------------------------------------


def device_seconds(work: Callable[[], object], flush: Tensor, rounds: int = 15) -> float:
    """Median seconds on the device; the host has queued all before it starts."""
    seconds = []
    for turn in range(rounds + 3):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(SLEEP)
        flush.zero_()
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        if turn >= 3:
            seconds.append(start.elapsed_time(end) / 1000)
    return statistics.median(seconds)


def host_seconds(work: Callable[[], object], rounds: int = 15) -> float:
    """Median seconds until the host may go on and the device is done."""
    seconds = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def graphed(work: Callable[[], object]) -> Callable[[], object]:
    """The same kernels as one CUDA graph: possible because the host never waits."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def peak_share(work: Callable[[], object], logits: Tensor) -> float:
    """Peak memory beyond the inputs, as a share of the logits."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    size = logits.numel() * logits.element_size()
    return (torch.cuda.max_memory_allocated() - before) / size


def copy_bandwidth(flush: Tensor) -> float:
    """Bytes per second, read and written, of copying 1 GiB."""
    source = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() / device_seconds(lambda: target.copy_(source), flush)


def cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    """PyTorch's own, for one channel with the labels as floats, as it demands."""
    if x.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(x, y.unsqueeze(1).to(x.dtype))
    return F.cross_entropy(x, y.long())


def sorting(x: Tensor, y: Tensor) -> Tensor:
    """The Jaccard loss along sorted float32 errors, one image and class after the other."""
    p = x.sigmoid() if x.shape[1] == 1 else x.softmax(1)
    total = x.new_zeros(())
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            foreground = (y[b].flatten() == (c if x.shape[1] > 1 else 1)).float()
            errors, order = (foreground - p[b, c].flatten()).abs().sort(descending=True)
            wrong = foreground[order]
            n = wrong.sum()
            union = n + (1 - wrong).cumsum(0)
            loss = 1 - (n - wrong.cumsum(0)) / union
            total = total + (errors * torch.diff(loss, prepend=loss.new_zeros(1))).sum()
    return total / (x.shape[0] * x.shape[1])


WORKS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "PyTorch CE": cross_entropy,
    "sorting": sorting,
    "soft Dice": SoftDice(),
    "soft Jaccard": SoftJaccard(),
    "soft Tversky": SoftTversky(),
    "CE + soft Dice": CrossEntropy() + SoftDice(),
    "Lovász": LovaszJaccard(),
    "compiled: sDice": torch.compile(SoftDice()),
    "compiled: sum": torch.compile(CrossEntropy() + SoftDice()),
    "compiled: Lovász": torch.compile(LovaszJaccard()),
}


def measure(size: tuple[int, ...], trained: bool, labels: torch.dtype, speed: float) -> None:
    """Print one block of the table; `speed` is the copy bandwidth."""
    logits, target = data(size, trained, labels)
    flush = torch.empty(2**28, dtype=torch.uint8, device="cuda")
    read = logits.numel() * 4 + target.numel() * target.element_size()
    least = (2 * read + logits.numel() * 4) / speed
    kind = f"{'×'.join(map(str, size))}, {'trained-like' if trained else 'random'}, {labels}"
    print(f"\n{kind}; the bytes that must move take {1e6 * least:.0f} µs")
    names = ("ms", "graph", "host", "copy", "of CE", "of sort", "memory")
    print(f"{'':16}" + "".join(f"{name:>9}" for name in names) + "   reached")
    times: dict[str, float] = {}
    for name, loss in WORKS.items():
        x = logits.clone().requires_grad_()

        def work(loss=loss, x=x) -> tuple[Tensor, ...]:
            return torch.autograd.grad(loss(x, target), x)

        few = 3 if name == "sorting" else 15
        times[name] = own = device_seconds(work, flush, few)
        graph = device_seconds(graphed(work), flush) if name != "sorting" else own
        numbers = (1000 * own, 1000 * graph, 1000 * host_seconds(work, few), least / own)
        ratios = [
            own / times[other] if other in times else 0 for other in ("PyTorch CE", "sorting")
        ]
        memory = peak_share(work, logits)
        reached = memory <= (MEMORY if math.prod(size[2:]) >= 2**20 else 2)
        if name.startswith("soft") or name == "compiled: sDice":
            reached &= least / own >= SHARE
        if name.endswith("Lovász"):
            reached &= ratios[0] <= OF_CROSS_ENTROPY and ratios[1] <= OF_SORTING
        columns = "".join(f"{number:9.3f}" for number in (*numbers, *ratios, memory))
        ours = name not in {"PyTorch CE", "sorting"}
        print(f"{name:16}{columns}   {verdict(f'{name}: {kind}', reached) if ours else ''}")


# ---- what must not happen ------------------------------------------------------------------------


def check_waiting() -> None:
    """Every loss, forward and backward, where PyTorch raises if the host is made to wait."""
    print(f"\n{'the host never waits':24}")
    works = {name: loss for name, loss in WORKS.items() if name not in {"PyTorch CE", "sorting"}}
    works = {name: loss for name, loss in works.items() if not name.startswith("compiled")}
    works["class weights"] = SoftDice(class_weight=(1, 2, 3, 4), pool=("batch",), ignore_index=255)
    works["sorted"] = LovaszJaccard(exact=True)
    for name, loss in works.items():
        logits, target = data(IMAGE_4, True, torch.uint8)
        weight = torch.rand(target.shape, device="cuda")
        x = logits.requires_grad_()
        loss(x, target, weight=weight).backward()
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            loss(x, target, weight=weight).backward()
            passed, why = True, ""
        except RuntimeError as error:
            passed, why = False, str(error).splitlines()[0]
        finally:
            torch.cuda.set_sync_debug_mode("default")
        print(f"{name:24}{verdict(f'waiting: {name}', passed)} {why}")


def check_bad_labels_and_graphs() -> None:
    """Labels out of range give NaN, and a compiled loss is one graph of the same value."""
    logits, target = data(IMAGE_4, False, torch.int64)
    for name in ("soft Dice", "CE + soft Dice", "Lovász"):
        loss = WORKS[name]
        wrong = target.clone()
        wrong[0, 0, 0] = 77
        passed = bool(loss(logits, wrong).isnan())
        print(f"{name:24}bad labels give NaN: {verdict(f'bad labels: {name}', passed)}")
        x, z = (logits.clone().requires_grad_() for _ in range(2))
        value = torch.compile(loss, fullgraph=True)(x, target)
        wanted = loss(z, target)
        value.backward()
        wanted.backward()
        passed = (
            torch.allclose(value, wanted, rtol=1e-5) and relative(x.grad, z.grad.double()) < 1e-5
        )
        print(f"{name:24}one graph, compiled: {verdict(f'compiled: {name}', passed)}")


def check_training() -> None:
    """Trainings as studies run them; `train.py` beside this file times them against a bare loop."""
    try:
        from train import variants
    except ImportError as error:
        print(f"\nno trainings: {error}; install 'segrisk[study]'")
        return
    failures.extend(variants("cuda"))


def main() -> None:
    """Run all checks; the exit status says whether all passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few sizes")
    quick = parser.parse_args().quick
    if not torch.cuda.is_available():
        sys.exit(f"no CUDA device: torch {torch.__version__} sees none, so nothing was measured")
    if not operators.HAS_TRITON:
        sys.exit("Triton is not installed: the CUDA path would be the reference, not the kernels")
    flush = torch.empty(2**28, dtype=torch.uint8, device="cuda")
    speed = copy_bandwidth(flush)
    name = torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}; copying 1 GiB: {speed / 1e9:.0f} GB/s")
    check_agreement(quick)
    check_waiting()
    check_bad_labels_and_graphs()
    for size in (VOLUME_4,) if quick else (VOLUME_4, VOLUME_1, IMAGE_4, LARGE):
        for trained in (False, True):
            for labels in (torch.uint8,) if quick else (torch.uint8, torch.int64):
                measure(size, trained, labels, speed)
    check_training()
    print(f"\n{len(failures)} checks failed" + "".join(f"\n  {failure}" for failure in failures))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
