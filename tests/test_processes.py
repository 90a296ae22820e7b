"""Work in processes comes back in order and whole, whatever becomes of the processes."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from segrisk.processes import Died, Killed, mapped, started, together


def square(number):
    time.sleep(0.01 * (number % 3))  # so that they do not end in their order
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def refuse(number):
    raise ValueError(f"no {number}")


def quiet(done, total):
    pass


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_each_is_reported(workers):
    seen = []
    results = mapped(square, range(8), workers, lambda *steps: seen.append(steps))
    assert results == [number * number for number in range(8)]
    assert seen == [(done, 8) for done in range(1, 9)]


def test_of_many_only_those_that_kill_are_dead():
    seen = []
    results = mapped(square, [1, -1, 2, 3, -2, 4, 5], 2, lambda *steps: seen.append(steps))
    assert results == [1, Died(), 4, 9, Died(), 16, 25]
    assert seen == [(done, 7) for done in range(1, 8)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_function_raises_is_raised(workers):
    with pytest.raises(ValueError, match="no 3"):
        mapped(refuse, [3], workers, quiet)


def test_nothing_gives_nothing_and_no_worker_is_refused():
    assert mapped(square, [], 2, quiet) == []
    with pytest.raises(ValueError, match="there must be at least 1 worker, got 0"):
        mapped(square, [1], 0, quiet)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no masks of signals here")
def test_ctrl_c_does_not_reach_a_process_that_is_just_starting():
    pool = started(1)
    future = pool.submit(square, 2)
    for process in pool._processes.values():
        for _ in range(20):  # while it imports
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.01)
    assert future.result(timeout=60) == 4
    pool.shutdown()


def member(rank, folder, what):
    """One of two: it leaves its number, and ends as `what` says; the other would wait for long."""
    (folder / f"{rank}.part").write_text(str(os.getpid()))
    (folder / f"{rank}.part").rename(folder / str(rank))
    if rank == 1 and what == "raises":
        raise ValueError("no")
    if rank == 1 and what == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hears of it first":
        # As from a connection that is closed before anybody else knows of the death.
        if rank == 1:
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("connection closed by peer")
    if what != "ends":
        time.sleep(600)
    return rank


def pids(folder):
    """The processes of the two, once they are there."""
    deadline = time.monotonic() + 60
    while not {"0", "1"} <= {path.name for path in folder.iterdir()}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [int((folder / rank).read_text()) for rank in "01"]


def are_gone(pids):
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.01)
    return True


def test_those_that_work_together_return_by_rank(tmp_path):
    assert together(member, 2, tmp_path, "ends") == [0, 1]
    assert are_gone(pids(tmp_path))


@pytest.mark.parametrize(
    ("what", "raised"),
    [("raises", ValueError), ("is killed", Killed), ("hears of it first", Killed)],
)
def test_one_that_fails_ends_the_others(tmp_path, what, raised):
    began = time.monotonic()
    with pytest.raises(raised, match="no" if raised is ValueError else None):
        together(member, 2, tmp_path, what)
    assert time.monotonic() - began < 60 and are_gone(pids(tmp_path))


def test_those_whose_parent_is_killed_end(tmp_path):
    parent = multiprocessing.get_context("spawn").Process(
        target=together, args=(member, 2, tmp_path, "waits")
    )
    parent.start()
    members = pids(tmp_path)
    parent.kill()
    assert are_gone(members)
