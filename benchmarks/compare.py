"""What scoring files costs: `make bench-compare`; one table, everything measured in one run.

Times are those of the processor, so that other work on the machine counts for less.

The plain loop is what evaluators do: read the reference and the prediction of each pair with
nibabel's `get_fdata`, and compare them with one boolean pass for each class. Both sides run in
this process, on one core, and read files that the system has in its memory.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import nibabel
import numpy as np
from scipy import ndimage

from segrisk.compare.cases import ComparedCase
from segrisk.compare.evaluate import ScorePlan, evaluate
from segrisk.metrics import Region
from segrisk.metrics.counts import HAS_NUMBA

SPACE = (240, 240, 155)
CLASSES = (1, 2, 3)
MODELS = 5
TYPES = ("uint8", "int16", "float64")
PLAN = ScorePlan(regions=tuple(Region(str(label), (label,)) for label in CLASSES))
SHARES = (0.96, 0.98, 0.99)  # where the classes begin: 4 % of the voxels are foreground

T = TypeVar("T")

PEAK = """
import re, sys
from pathlib import Path
from segrisk.compare.cases import ComparedCase
from segrisk.compare.evaluate import ScorePlan, evaluate
case = ComparedCase("t", "c", "g", 0, 0, Path(sys.argv[1]), {"m": Path(sys.argv[2])})
evaluate([case], ScorePlan())
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024)
"""


DRAWN = 10
"""Cases that are drawn; further ones are these, moved along an axis: drawing 200 takes an hour."""


def scene(generator: np.random.Generator, space: tuple[int, ...], errors: float) -> np.ndarray:
    """Nested classes of a smooth field; `errors` is the share of a second field added to it."""
    coarse = tuple(-(-size // 4) for size in space)
    field = ndimage.gaussian_filter(generator.normal(size=coarse), 4)
    other = ndimage.gaussian_filter(
        np.random.default_rng(round(1000 * errors)).normal(size=coarse), 2
    )
    field = field / field.std() + errors * other / other.std()
    fine = ndimage.zoom(field, 4, order=1)[tuple(slice(size) for size in space)]
    return np.digitize(fine, np.quantile(fine, SHARES)).astype(np.uint8)


def write_cases(folder: Path, count: int, dtype: str) -> list[ComparedCase]:
    """As many cases of a reference and the predictions of every model, no two alike."""
    cases = []
    for drawn in range(min(count, DRAWN)):
        masks = [
            scene(np.random.default_rng(drawn), SPACE, 0.1 * index) for index in range(MODELS + 1)
        ]
        for case in range(drawn, count, DRAWN):
            paths = [folder / f"{case}_{index}.nii.gz" for index in range(MODELS + 1)]
            for mask, path in zip(masks, paths, strict=True):
                labels = np.roll(mask, case // DRAWN, axis=0).astype(dtype)
                nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), path)
            models = {f"m{index}": path for index, path in enumerate(paths[1:])}
            cases.append(ComparedCase("t", str(case), str(case), 0, 0, paths[0], models))
    return cases


def plain_loop(cases: list[ComparedCase]) -> list[float]:
    """Dice, class by class, as it is usually written."""
    dice = []
    for case in cases:
        for path in case.predictions.values():
            reference = nibabel.load(case.reference).get_fdata()
            prediction = nibabel.load(path).get_fdata()
            for label in CLASSES:
                y, mask = reference == label, prediction == label
                dice.append(2 * (y & mask).sum() / (y.sum() + mask.sum()))
    return dice


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of the processor, and what the work gives."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def times(count: int, dtype: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = write_cases(folder, count, dtype)
        evaluate(cases[:1], PLAN)  # compiles, and imports
        ours, evaluation = timed(lambda: evaluate(cases, PLAN, cache=folder / "cache"))
        again, _ = timed(lambda: evaluate(cases, PLAN, cache=folder / "cache"))
        plain, expected = timed(lambda: plain_loop(cases))
        dice = [score.value for score in evaluation.scores if score.metric == "dice"]
        gap = np.abs(np.array(dice) - expected).max()
    pairs = count * MODELS
    for title, spent in (("plain loop", plain), ("segrisk", ours), ("segrisk, from cache", again)):
        print(
            f"{dtype:8} {title:22} {1000 * spent / pairs:9.1f} {spent / plain:9.3f} "
            f"{spent / pairs * 1000:12.1f} {gap:10.1e}"
        )


def peaks(side: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # A slab that repeats: drawing 10⁹ voxels would take minutes, and values matter little.
        slab = scene(np.random.default_rng(0), (side, side, 8), 0.2)
        for ending in ("npy", "nii"):
            paths = [folder / f"{index}.{ending}" for index in (0, 1)]
            for index, path in enumerate(paths):
                write_volume(path, np.roll(slab, index, axis=0), side)
            command = [sys.executable, "-c", PEAK, *map(str, paths)]
            start = time.perf_counter()
            peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            spent = time.perf_counter() - start
            print(f"{side}³ uint8 pair, .{ending}: {peak:7.0f} MB at the peak, {spent:5.1f} s")
            for path in paths:
                path.unlink()


def write_volume(path: Path, slab: np.ndarray, side: int) -> None:
    """A cube that repeats a slab (side, side, n), written without holding it.

    NumPy's last axis runs fastest and NIfTI's first: the same bytes, on mirrored axes.
    """
    with path.open("wb") as file:
        if path.suffix == ".npy":
            header = {"descr": "|u1", "fortran_order": False, "shape": (side,) * 3}
            np.lib.format.write_array_header_1_0(file, header)
        else:
            header = nibabel.Nifti1Header()
            header.set_data_shape((side,) * 3)
            header.set_data_dtype(np.uint8)
            header["vox_offset"] = 352
            header.write_to(file)
            file.write(b"\0" * 4)
        for _ in range(side // slab.shape[-1]):
            slab.T.tofile(file)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=10, help="200 take a quarter of an hour")
    parser.add_argument("--stored", nargs="+", default=TYPES, choices=TYPES, help="types of voxels")
    parser.add_argument("--side", type=int, default=1024, help="of the pair for memory; 0: none")
    arguments = parser.parse_args()
    print(f"Numba: {HAS_NUMBA}; {arguments.cases} cases × {MODELS} models, {SPACE} gzip NIfTI")
    print(f"{'stored':8} {'':22} {'ms / pair':>9} {'ratio':>9} {'s / 200 × 5':>12} {'gap':>10}")
    for dtype in arguments.stored:
        times(arguments.cases, dtype)
    if arguments.side:
        peaks(arguments.side)


if __name__ == "__main__":
    main()
