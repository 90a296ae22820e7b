"""How a study grows: cells per hour, what a cell costs beyond its training, and a large store.

`make bench-scale`. The first part runs a tiny study with few and with many seeds, by 1 and by 2
workers: the difference of the two is free of what a run costs once, imports and report. The second
part makes a store of many cells, each a copy of one that was trained, and times what is done to it.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
OVERHEAD_AT_MOST, STATUS_AT_MOST = 2.0, 2.0
"""Seconds of a cell beyond its training, and of `segrisk study status` of 10,000 cells."""
PER_SEED = 6
"""Cells of the tiny study: two folds, each a start and two losses."""

TINY: dict[str, Any] = {
    "name": "tiny",
    "tasks": {"molar": {"phantom": "molar", "cases": 12, "size": [16, 16]}},
    "losses": ["cross_entropy", "soft_dice"],
    "folds": 2,
    "network": {"channels": [4, 8]},
    "schedule": {
        "batch_size": 4,
        "cross_entropy": {"max_epochs": 3},
        "loss": {"learning_rate": 0.01, "max_epochs": 3},
    },
    "statistics": {"resamples": 99},
    "device": "cpu",
}


def segrisk(*arguments: object) -> float:
    """Seconds of a command, in a process of its own."""
    code = "from segrisk.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


def run(folder: Path, seeds: int, workers: int) -> tuple[float, float]:
    """Seconds of a whole run of the tiny study, and of all of its trainings."""
    file, out = folder / "study.yaml", folder / f"out-{seeds}-{workers}"
    file.write_text(yaml.safe_dump({**TINY, "seeds": list(range(seeds))}))
    took = segrisk("study", "run", file, "--out", out, "--workers", workers)
    efforts = out.glob("cells/*/effort.json")
    return took, sum(json.loads(path.read_text())["seconds"] for path in efforts)


def growth(folder: Path, seeds: int) -> bool:
    """Print what cells cost by 1 and 2 workers; whether the overhead is within its aim."""
    reached = True
    run(folder, 1, 1)  # reads modules and fonts into the system's memory; its time does not count
    shutil.rmtree(folder / "out-1-1")
    print("| workers | cells per hour | a cell | its training | overhead |")
    print("|---:|---:|---:|---:|---:|")
    for workers in (1, 2):
        few, many = run(folder, 1, workers), run(folder, seeds, workers)
        cells = PER_SEED * (seeds - 1)
        between, training = ((many[i] - few[i]) / cells for i in (0, 1))
        overhead = workers * between - training
        reached &= overhead <= OVERHEAD_AT_MOST
        print(
            f"| {workers} | {3600 / between:.0f} | {workers * between:.2f} s | {training:.2f} s "
            f"| {overhead:.2f} s |"
        )
    verdict = "yes" if reached else "NO"
    print(f"overhead of a cell beyond its training, aim ≤ {OVERHEAD_AT_MOST} s: {verdict}\n")
    return reached


def large_store(root: Path, cells: int) -> tuple[Any, Any, Any, list[Any]]:
    """A study and a store of that many finished cells, copies of the few of a small study."""
    from segrisk.configuration import validate
    from segrisk.study.config import Study
    from segrisk.study.plan import plan, prepare_tasks
    from segrisk.study.store import Store

    small = root / "small"
    run(root, 1, 1)
    (root / "out-1-1").rename(small)
    seeds = list(range(-(-cells // PER_SEED)))
    study = validate(Study, {**TINY, "seeds": seeds}, "scale")
    store = Store(root / "large")
    tasks = prepare_tasks(study, store.data)
    planned = plan(study, tasks)
    finished = {cell["key"]: cell for cell in Store(small).read()["cells"]}
    examples = {}
    for key, cell in finished.items():
        examples[cell["fold"], (cell["loss"] or {}).get("name")] = small / "cells" / key
    for cell in planned:
        example = examples[cell.fold, cell.loss.name if cell.loss else None]
        shutil.copytree(example, store.partial(cell.key))
        _of_seed(store.partial(cell.key), cell.seed)
        store.commit(cell.key)
    store.declare(study, planned)
    return study, store, tasks, planned


def _of_seed(folder: Path, seed: int) -> None:
    """Let the copied scores be those of another seed."""
    from segrisk.scores import read_scores, write_scores

    (folder / "manifest.json").unlink()
    for path in folder.glob("s*.csv"):
        write_scores(path, [replace(score, seed=seed) for score in read_scores(path)])


def timed(name: str, work: Callable[[], object]) -> float:
    """Print the seconds of a call."""
    begun = time.perf_counter()
    work()
    took = time.perf_counter() - begun
    print(f"| {name} | {took:.2f} s |", flush=True)
    return took


def operations(root: Path, cells: int) -> bool:
    """Print what is done to a store of many cells; whether `status` is within its aim."""
    from segrisk.study.collect import collect
    from segrisk.study.plan import plan, restore
    from segrisk.study.status import seconds_left, status

    study, store, tasks, planned = large_store(root, cells)
    size = sum(path.stat().st_size for path in store.root.rglob("*"))
    print(f"{len(planned)} finished cells, {size / 2**20:.0f} MB\n")
    print("| operation | time |\n|---|---:|")
    look = partial(segrisk, "study", "status", "--out", store.root)
    command = timed("`segrisk study status`", look)
    timed("plan", lambda: plan(study, tasks))
    timed("declare: write `study.json`", lambda: store.declare(study, planned))
    timed("restore: read `study.json`", lambda: restore(store.read(), store.data))
    timed("missing", lambda: store.missing(planned))
    timed("status", lambda: status(store, planned))
    timed("time left", lambda: seconds_left(store, status(store, planned), 1))
    timed("check all hashes", lambda: store.discard_damaged(planned))
    timed("check all starts", lambda: store.discard_stale(planned))
    timed("collect scores for the report", lambda: collect(study, store, tasks, planned))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    reached = command <= STATUS_AT_MOST
    print(f"\nmemory at most {peak:.1f} GB")
    print(f"status, aim ≤ {STATUS_AT_MOST} s: {'yes' if reached else 'NO'}")
    return reached


def main() -> None:
    """Measure both; the exit status says whether the aims are reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=41, help="of the larger of the two runs")
    parser.add_argument("--cells", type=int, default=10_000, help="of the large store")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        grown = growth(folder, given.seeds) if given.seeds else True
        quick = operations(folder, given.cells) if given.cells else True
    finally:
        shutil.rmtree(folder)
    sys.exit(not (grown and quick))


if __name__ == "__main__":
    main()
