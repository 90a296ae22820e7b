"""How the cost of a loss grows with the number of voxels and of classes: a table and a picture.

make bench-cost             or: make bench-cost DEVICE=cuda
"""

import argparse
import csv
import statistics
import time
from pathlib import Path

import altair as alt
import torch

from losses import synchronise
from peers import Contender, contenders, data

VOXELS = [2**k for k in range(12, 27, 2)]
CLASSES = [1, 2, 4, 8, 16, 32]
VOXELS_OF_CLASSES = 2**18
SHOWN = {
    "PyTorch BCE": "PyTorch cross-entropy",
    "PyTorch CE": "PyTorch cross-entropy",
    "MONAI Dice": "MONAI Dice",
    "SMP Lovász": "SMP Lovász (sorts)",
    "soft Dice": "segrisk soft Dice",
    "Lovász": "segrisk Lovász",
}
ORDER = ["SMP Lovász (sorts)", "MONAI Dice", "PyTorch cross-entropy", "segrisk Lovász"]
ORDER.append("segrisk soft Dice")


def cost(contender: Contender, size: tuple[int, ...], device: str) -> float:
    """Median seconds of forward and backward."""
    logits, target = (part.to(device) for part in data(size))
    for _ in range(3):  # compilation, and threads that start
        contender.loss(logits.clone().requires_grad_(), target).backward()
    seconds = []
    began = time.perf_counter()
    while len(seconds) < 3 or (len(seconds) < 20 and time.perf_counter() - began < 1):
        x = logits.clone().requires_grad_()
        synchronise(x)
        start = time.perf_counter()
        contender.loss(x, target).backward()
        synchronise(x)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def rows(device: str) -> list[dict[str, object]]:
    """One row for each loss and size; images are one voxel high, so that any number fits."""
    sizes = [("voxels, one class", n, (1, 1, 1, n)) for n in VOXELS]
    sizes += [("classes, 2¹⁸ voxels", c, (1, c, 1, VOXELS_OF_CLASSES)) for c in CLASSES]
    found = []
    for panel, number, size in sizes:
        for contender in contenders(size[1]):
            if contender.name in SHOWN:
                seconds = cost(contender, size, device)
                found.append(
                    {
                        "panel": panel,
                        "number": number,
                        "loss": SHOWN[contender.name],
                        "milliseconds": round(1000 * seconds, 4),
                    }
                )
                print(
                    f"{panel:20} {number:9d} {SHOWN[contender.name]:24} {1000 * seconds:10.3f} ms"
                )
    return found


def chart(values: list[dict[str, object]]) -> alt.HConcatChart:
    """Two panels with logarithmic axes, one line for each loss."""

    def panel(name: str, base: int) -> alt.Chart:
        own = [row for row in values if row["panel"] == name]
        return (
            alt.Chart(alt.Data(values=own))
            .mark_line(point=True)
            .encode(
                x=alt.X("number:Q", title=name, scale=alt.Scale(type="log", base=base)),
                y=alt.Y(
                    "milliseconds:Q",
                    title="forward and backward, ms",
                    scale=alt.Scale(type="log"),
                ),
                color=alt.Color("loss:N", title=None, sort=ORDER, scale=alt.Scale(domain=ORDER)),
            )
            .properties(width=330, height=280)
        )

    names = list(dict.fromkeys(row["panel"] for row in values))
    return alt.hconcat(*(panel(name, 2) for name in names))


def main() -> None:
    """Measure, write `results/cost.csv`, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("docs/figures/cost.png"))
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    values = rows(arguments.device)
    with arguments.out.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(values[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(values)
    chart(values).save(arguments.out, scale_factor=2)


if __name__ == "__main__":
    main()
