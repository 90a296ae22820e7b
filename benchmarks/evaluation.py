"""How long a whole comparison of very many scores takes, and what it holds in memory, by stage.

    make bench-evaluation                       # 10⁴, 10⁵ and 10⁶ cases
    python benchmarks/evaluation.py --cases 1000000 --groups 100000 --way study

Scores of models on simulated cases are written as a user would hand them over; then the command
runs in a fresh process, in which each stage is timed. `compare` is `segrisk compare --scores` of a
Parquet file with the sizes beside it; `study` reads one CSV file for each model and fold, as
`segrisk study report` does, and writes the report of a study. Seconds of processors say what it
costs where other programs run beside it.
"""

import argparse
import contextlib
import functools
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from segrisk.frames import Frame, Text
from segrisk.parquet import write_frame
from segrisk.report.exports import KnownSize
from segrisk.scores import Score, ScoreFrame, write_scores, write_scores_parquet

STAGES = {
    "read the tables": ("segrisk.compare.run", "gather"),
    "read the cells": (__name__, "read_cells"),
    "check and hold": ("segrisk.report.results", "Results.__post_init__"),
    "means by case": ("segrisk.report.summary", "by_case"),
    "sums by group": ("segrisk.report.summary", "drawn"),
    "tests of pairs, draws": ("segrisk.report.summary", "all_pairs"),
    "intervals of means": ("segrisk.report.summary", "_intervals"),
    "curves over size": ("segrisk.report.summary", "curve"),
    "other conventions": ("segrisk.report.summary", "sensitivity"),
    "risks": ("segrisk.report.summary", "risks"),
    "write tables": ("segrisk.report.write", "_write_numbers"),
    "draw figures": ("segrisk.report.write", "_charts"),
    "write the page": ("segrisk.report.write", "page"),
}
"""What is timed: functions that do not call each other."""


def simulated(cases: int, models: int, groups: int, seed: int = 0) -> tuple[ScoreFrame, np.ndarray]:
    """Scores of Dice and Jaccard, and the size of each case; one reference of 200 is empty."""
    generator = np.random.default_rng(seed)
    sizes = np.exp(generator.uniform(-8, -1, cases))
    empty = generator.random(cases) < 0.005
    sizes[empty] = 0
    of_group = generator.integers(0, groups, cases)
    hard = generator.normal(0, 0.05, groups)[of_group] + generator.normal(0, 0.08, cases)
    values = []
    for model in range(models):
        dice = 0.8 + 0.002 * model + hard + generator.normal(0, 0.03, cases)
        dice = np.clip(dice, 0, 1)
        dice[empty] = generator.random(int(empty.sum())) < 0.7
        values += [dice, dice / (2 - dice)]
    names = [f"case-{case:07d}" for case in range(cases)]
    count = 2 * models
    columns = {
        "task": Text(("t",), np.zeros(count * cases, dtype=np.uint8)),
        "model": Text([f"m{m}" for m in range(models)], np.repeat(np.arange(models), 2 * cases)),
        "case": Text(names, np.tile(np.arange(cases), count)),
        "group": Text([f"p{g:07d}" for g in range(groups)], np.tile(of_group, count)),
        "label": Text(("1",), np.zeros(count * cases, dtype=np.uint8)),
        "fold": np.tile(np.arange(cases) % 5, count),
        "seed": np.zeros(count * cases, dtype=int),
        "metric": Text(("dice", "jaccard"), np.tile(np.repeat([0, 1], cases), models)),
        "value": np.concatenate(values),
    }
    return Frame(Score, columns), sizes


def prepare(folder: Path, cases: int, models: int, groups: int, way: str) -> None:
    """Write what the command is given."""
    scores, sizes = simulated(cases, models, groups)
    if way == "compare":
        write_scores_parquet(folder / "scores.parquet", scores)
    else:
        for model in scores.text("model").names:
            own = scores.where(model=model)
            for fold in range(5):
                path = folder / f"{model}-{fold}.csv"
                write_scores(path, own.take(own.numbers("fold") == fold))
    known = {
        "task": Text(("t",), np.zeros(cases, dtype=np.uint8)),
        "case": Text(scores.text("case").names, np.arange(cases)),
        "label": Text(("1",), np.zeros(cases, dtype=np.uint8)),
        "fraction": sizes,
    }
    write_frame(folder / "sizes.parquet", Frame(KnownSize, known))


def read_cells(folder: Path) -> ScoreFrame:
    """As the report of a study reads them."""
    from segrisk.scores import read_scores

    return Frame.joined([read_scores(path) for path in sorted(folder.glob("*.csv"))])


def report_of_study(folder: Path, out: Path, resamples: int) -> None:
    """The report of losses, without a store."""
    from segrisk.parquet import read_frame
    from segrisk.report.complete import CaseInfo
    from segrisk.report.results import Model, Results, StatisticsPlan
    from segrisk.report.write import write_report
    from segrisk.scores import references

    scores = sys.modules[__name__].read_cells(folder)
    own = scores.take(references(scores))
    sizes = read_frame(folder / "sizes.parquet", KnownSize)
    fractions = sizes.numbers("fraction")[own.text("case").places(sizes.text("case").names)]
    columns = {name: own.text(name) for name in ("task", "case", "group", "label")}
    columns |= {"fraction": fractions, "occupied": fractions > 0}
    cases = Frame(CaseInfo, {field.name: columns[field.name] for field in fields(CaseInfo)})
    models = tuple(
        Model(name, name, "metric" if place else "pixel")
        for place, name in enumerate(scores.text("model").names)
    )
    plan = StatisticsPlan(resamples=resamples)
    write_report(Results("simulated", ("t",), models, cases, scores, plan=plan), out)


def peak_mb() -> float:
    """What this process held at most since the mark was last cleared, on Linux."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def clear_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


Times = list[tuple[str, float, float, float]]
"""Stage, seconds, seconds of processors, peak in MB."""


def timed(stage: str, function, found: Times):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        clear_peak()
        start, spent = time.perf_counter(), time.process_time()
        made = function(*args, **kwargs)
        if hasattr(made, "__next__"):
            made = iter(list(made))
        seconds = time.perf_counter() - start, time.process_time() - spent
        found.append((stage, *seconds, peak_mb()))
        clear_peak()
        return made

    return wrapper


def child(folder: Path, out: Path, way: str, resamples: int) -> None:
    """The command, its stages timed; the times go to `out`/stages.json."""
    found: Times = []
    for stage, (module, path) in STAGES.items():
        place, *inner = [importlib.import_module(module), *path.split(".")]
        for name in inner[:-1]:
            place = getattr(place, name)
        setattr(place, inner[-1], timed(stage, getattr(place, inner[-1]), found))
    if way == "compare":
        from segrisk.cli import main as command

        table = str(folder / "scores.parquet")
        sys.argv = ["segrisk", "compare", "--scores", table, "--out", str(out)]
        sys.argv += ["--resamples", str(resamples)]
        with contextlib.redirect_stdout(None), contextlib.suppress(SystemExit):
            command()
    else:
        report_of_study(folder, out, resamples)
    (folder / "stages.json").write_text(json.dumps(found))


def measure(cases: int, groups: int, given: argparse.Namespace) -> None:
    """Simulate, run, print."""
    models, way = given.models, given.way
    with TemporaryDirectory() as place:
        folder, out = Path(place), Path(place) / "out"
        prepare(folder, cases, models, groups, way)
        start = time.perf_counter()
        command = [sys.executable, __file__, "--child", str(folder), str(out), "--way", way]
        process = subprocess.Popen([*command, "--resamples", str(given.resamples)])
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            raise SystemExit(f"the command failed with status {status}")
        stages: dict[str, np.ndarray] = {}
        for stage, *own, peak in json.loads((folder / "stages.json").read_text()):
            before = stages.get(stage, np.zeros(3))
            stages[stage] = np.array([*(before[:2] + own), max(before[2], peak)])
        print(
            f"\n{way}: {cases:,} cases in {groups:,} groups, {models} models, 2 metrics, "
            f"{given.resamples:,} resamples"
        )
        print(f"{'stage':24}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}")
        for stage, (own, spent, peak) in stages.items():
            print(f"{stage:24}{own:9.1f}{spent:9.1f}{peak:9.0f}")
        whole = np.array([seconds, usage.ru_utime + usage.ru_stime])
        rest = whole - sum(own[:2] for own in stages.values())
        print(f"{'start, the rest':24}{rest[0]:9.1f}{rest[1]:9.1f}")
        peak = max(own[2] for own in stages.values())
        print(f"{'whole command':24}{whole[0]:9.1f}{whole[1]:9.1f}{peak:9.0f}")
        sizes = {path.name: path.stat().st_size / 2**20 for path in out.iterdir()}
        told = ", ".join(f"{name} {sizes[name]:.1f}" for name in ("report.html", "scores.parquet"))
        print(f"MB written: {told}, all files {sum(sizes.values()):.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--groups", type=int, help="a tenth of the cases, if not given")
    parser.add_argument("--way", choices=["compare", "study"], default="compare")
    parser.add_argument("--resamples", type=int, default=9999)
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*given.child, given.way, given.resamples)
        return
    for cases in given.cases:
        measure(cases, given.groups or cases // 10, given)


if __name__ == "__main__":
    main()
