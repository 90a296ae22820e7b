"""Harm a tiny study in every way that we can think of, and see that it ends with the same bytes.

    python tests/chaos/run.py --kills 100 --seed 0

First come kills of controllers and workers at random moments, then each fault by name, `--rounds`
times. It prints what was injected, survived and lost, and ends with 1 if anything was lost. A fault
is survived when the same command, given again, ends with the reports of an undisturbed run, byte
for byte, and no cell that was finished before was lost or run again.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from faults import FAULTS  # noqa: E402
from field import REPORTS, Field, Lost, Run  # noqa: E402
from warm import Warm  # noqa: E402

from tiny_study import environment  # noqa: E402

AT_ONCE = 8
"""Random kills of one study at most, before it is let to its end and compared."""


def undisturbed(place: Field) -> float:
    """Remember what an undisturbed run reports; the seconds that it took to train.

    The second run counts: in the first one Python's `forkserver` still imports.
    """
    for _ in range(2):
        run = place.fresh().start()
        run.until("cells")
        begun = time.monotonic()
        run.until("report/*")
        took = time.monotonic() - begun
        if run.end() != 0:
            raise Lost(run.words)
    place.expected = {name: (run.out / "report" / name).read_bytes() for name in REPORTS}
    return took


def kill_one(run: Run, chance: random.Random) -> str:
    """Kill the controller or one of its workers; which one is returned."""
    workers = run.place.warm.workers()
    if workers and chance.random() < 0.5:
        run.remember()
        os.kill(chance.choice(workers), signal.SIGKILL)
        return "worker"
    run.kill()
    return "controller"


def harm_one(
    place: Field, kills: int, chance: random.Random, took: float, counts: Counter[str]
) -> None:
    """One study with up to `kills` kills, each after a random part of what it takes undisturbed."""
    run, most = place.fresh(), counts.total() + kills
    while counts.total() < most:
        if run.pid is None:
            run.start()
            run.until("cells")
        time.sleep(chance.expovariate(3 / took))
        if run.pid is None or run.code() is not None:
            if "report:" in run.words:
                break
            continue  # a cell has lost its worker three times; the next run takes it up again
        counts[kill_one(run, chance)] += 1
    run.finish()


def line(name: str, injected: int, lost: int) -> str:
    """A row of the table that is printed."""
    return f"| {name} | {injected} | {injected - lost} | {lost} |"


def random_kills(place: Field, kills: int, chance: random.Random, took: float) -> tuple[str, int]:
    """Studies with kills at random moments, until `kills` of them are done; what to print, lost."""
    counts, studies, lost = Counter(), 0, 0
    while counts.total() < kills:
        try:
            harm_one(place, min(AT_ONCE, kills - counts.total()), chance, took, counts)
        except Lost as error:
            lost += 1
            print(f"LOST by random kills: {error}", file=sys.stderr)
        studies += 1
        print(f"{counts.total()} of {kills} kills, {studies} studies", file=sys.stderr, flush=True)
    who = f"{counts['controller']} controllers, {counts['worker']} workers"
    return line(f"kills at random moments of {studies} studies: {who}", counts.total(), lost), lost


def named(place: Field, rounds: int, chance: random.Random) -> tuple[list[str], int]:
    """Every fault by name, `rounds` times; what to print, and how many were lost."""
    lines, all_lost = [], 0
    for name, fault in FAULTS.items():
        if "tmpfs" in name and os.getuid() != 0:
            lines.append(f"| {name} | 0: needs root | | |")
            continue
        lost = 0
        for _ in range(rounds):
            try:
                fault(place, chance)
            except Lost as error:
                lost += 1
                print(f"LOST by {name}: {error}", file=sys.stderr)
        print(f"{name}: {lost} of {rounds} lost", file=sys.stderr, flush=True)
        lines.append(line(name, rounds, lost))
        all_lost += lost
    return lines, all_lost


def main() -> None:
    """Harm, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1, help="of each fault by name")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance, begun = random.Random(given.seed), time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="chaos-"))
    warm = Warm({**environment(), "OMP_NUM_THREADS": "1"})
    lines, lost = [], 0
    try:
        place = Field(root, warm)
        took = undisturbed(place)
        if given.kills:
            row, lost = random_kills(place, given.kills, chance, took)
            lines.append(row)
        rows, more = named(place, given.rounds, chance)
        lost += more
    finally:
        warm.close()
    print("| fault | injected | survived | lost |\n|---|---:|---:|---:|")
    print("\n".join([*lines, *rows]))
    print(f"\nin {(time.monotonic() - begun) / 60:.0f} minutes; a study took {took:.1f} s to train")
    if lost:
        sys.exit(f"{lost} lost: see {root}")
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
