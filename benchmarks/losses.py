"""What losses cost: forward and backward, as ratios to named peers measured in the same run.

    make bench                  or: make bench DEVICE=cuda

Every contender takes its turn in every round, and medians are compared: float32, two threads.
"""

import argparse
import itertools
import math
import statistics
import time

import torch

from memory import peak_memory
from peers import Contender, contenders, data
from start import first_call

VOLUME_4, VOLUME_1 = (2, 4, 128, 128, 128), (2, 1, 128, 128, 128)
IMAGE_4, IMAGE_1 = (16, 4, 256, 256), (16, 1, 256, 256)
SIZES = [VOLUME_4, VOLUME_1, IMAGE_4, IMAGE_1]
SOFT = ("soft Dice", "soft Jaccard", "soft Tversky")

# (what, size, what it is compared with, at most): the promises that the tables are checked for.
TARGETS = [
    *((name, VOLUME_4, "MONAI Dice", 0.25) for name in SOFT),
    *((name, VOLUME_4, "fastest soft peer", 0.5) for name in SOFT),
    *((name, VOLUME_1, "fastest soft peer", 0.7) for name in SOFT),
    ("Lovász", VOLUME_1, "fastest sorting", 1 / 20),
    ("Lovász", VOLUME_1, "PyTorch", 1.0),
    ("Lovász", VOLUME_4, "fastest sorting", 1 / 20),
    ("Lovász", VOLUME_4, "PyTorch", 1.0),
    ("Lovász", IMAGE_1, "fastest sorting", 1 / 5),
    ("Lovász", IMAGE_1, "PyTorch", 3.0),
    ("Lovász", IMAGE_4, "fastest sorting", 1 / 5),
    ("Lovász", IMAGE_4, "PyTorch", 3.0),
    ("CE + soft Dice", VOLUME_4, "MONAI Dice + CE", 0.25),
]


def measure(
    losses: list[Contender], logits: torch.Tensor, target: torch.Tensor, rounds: int
) -> dict[str, float]:
    """Median seconds of each loss, forward and backward."""
    seconds: dict[str, list[float]] = {contender.name: [] for contender in losses}
    for turn in range(rounds + 1):
        for contender in losses:
            if contender.role == "sorting" and turn > 3:
                continue  # seconds each
            x = logits.clone().requires_grad_()
            synchronise(x)
            start = time.perf_counter()
            contender.loss(x, target).backward()
            synchronise(x)
            if turn:  # the first turn compiles
                seconds[contender.name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def synchronise(tensor: torch.Tensor) -> None:
    """Wait for the device."""
    if tensor.is_cuda:
        torch.cuda.synchronize()


def baselines(losses: list[Contender], times: dict[str, float]) -> dict[str, float]:
    """Seconds of what ours are compared with."""

    def least(role: str) -> float:
        return min(times[contender.name] for contender in losses if contender.role == role)

    return {
        "PyTorch": least("pixel"),
        "MONAI Dice": times["MONAI Dice"],
        "MONAI Dice + CE": times["MONAI Dice + CE"],
        "fastest soft peer": least("soft"),
        "fastest sorting": least("sorting"),
    }


def show(title: str, times: dict[str, float], base: dict[str, float]) -> None:
    """Print the times of one work and their ratios to the baselines."""
    print(f"\n{title}")
    print(f"{'':18}{'ms':>8}" + "".join(f"{name:>19}" for name in base))
    for name, own in times.items():
        ratios = "".join(f"{own / other:19.3f}" for other in base.values())
        print(f"{name:18}{1000 * own:8.1f}{ratios}")


def times_of_all(device: str, rounds: int) -> dict[tuple, list[float]]:
    """Print every table; gives the ratios of each target over kinds of logits and labels."""
    ratios: dict[tuple, list[float]] = {target: [] for target in TARGETS}
    dtypes = (torch.uint8, torch.int64)
    for size, trained, dtype in itertools.product(SIZES, (False, True), dtypes):
        logits, target = data(size, trained=trained, dtype=dtype)
        losses = contenders(size[1])
        times = measure(losses, logits.to(device), target.to(device), rounds)
        base = baselines(losses, times)
        kind = "trained-like" if trained else "random"
        show(f"{'×'.join(map(str, size))}, {kind} logits, {dtype} labels", times, base)
        for name, where, other, most in TARGETS:
            if where == size:
                ratios[name, where, other, most].append(times[name] / base[other])
    return ratios


def verdict(what: str, value: float, most: float) -> None:
    """Print whether a target is reached."""
    print(f"{what:66}{value:9.3f}{most:9.3f}   {'yes' if value <= most else 'NO'}")


def main() -> None:
    """Print tables, memory, first calls and whether they reach their targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    ratios = times_of_all(arguments.device, arguments.rounds)
    print(f"\n{'worst ratio over logits and labels':66}{'measured':>9}{'at most':>9}   reached")
    for (name, size, other, most), values in ratios.items():
        verdict(f"{name}, {'×'.join(map(str, size))}, of {other}", max(values), most)
    if arguments.device == "cpu":
        for size in SIZES:
            most = 1.25 if math.prod(size[2:]) >= 2**20 else 2.0
            for name in (*SOFT, "CE + soft Dice", "Lovász", "MONAI Dice"):
                what = f"peak memory beyond the inputs / logits: {name}, {'×'.join(map(str, size))}"
                verdict(what, peak_memory(name, size), most if "MONAI" not in name else math.nan)
        for cold, most in ((True, 10.0), (False, 1.0)):
            for name in ("CE + soft Dice", "Lovász"):
                cache = "cold" if cold else "warm"
                verdict(f"first call, {cache} cache, s: {name}", first_call(name, cold=cold), most)


if __name__ == "__main__":
    main()
