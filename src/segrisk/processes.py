"""Work spread over processes: bounded, in order, and no item lost when a process dies."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Died:
    """In place of a result: the process that worked on the item died, also when it was alone."""


class Killed(Exception):
    """A process died that others worked with, killed or out of memory: their work is lost too."""


def enter() -> None:
    """Prepare a fresh worker process."""
    # Ctrl-C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """A killed parent leaves no worker behind that would write beside the next run's."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Deaf(SpawnProcess):
    """A process that Ctrl-C does not reach while it still imports, before `enter` is called."""

    def start(self) -> None:
        if not hasattr(signal, "pthread_sigmask"):
            super().start()
            return
        # A mask is inherited, and what comes meanwhile reaches this process afterwards.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Spawning(SpawnContext):
    Process = _Deaf


def started(workers: int, initializer: Callable[[], None] = enter) -> ProcessPoolExecutor:
    """Worker processes, spawned, never forked: a fork after OpenMP has run dies inside it."""
    return ProcessPoolExecutor(workers, mp_context=_Spawning(), initializer=initializer)


def end(*pools: ProcessPoolExecutor) -> None:
    """End the workers at once, whatever they are doing."""
    processes = [process for pool in pools for process in (pool._processes or {}).values()]
    for pool in pools:
        pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + 5
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))


HEARD_SECONDS = 1.0
"""Within which a death is known here that the companions of the dead have already heard of."""


def together(function: Callable[..., R], count: int, *arguments: object) -> list[R]:
    """`function(rank, *arguments)` in `count` processes at once, each of which needs the others.

    What the first of them raises ends the others and is raised; `Killed` is raised where one dies.
    """
    pool = started(count)
    members: list[multiprocessing.Process] = []
    try:
        futures = [pool.submit(function, rank, *arguments) for rank in range(count)]
        members = list((pool._processes or {}).values())
        pending = set(futures)
        while pending:
            done, pending = wait(pending, HEARD_SECONDS, FIRST_COMPLETED)
            for future in done:
                future.result()
            # The pool does not hear of one that dies before it has begun to listen to it.
            if pending and not all(member.is_alive() for member in members):
                raise BrokenProcessPool
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise Killed from error
    except Exception as error:
        # One that dies closes its connections, at which its companions may raise what they like.
        if connection.wait([member.sentinel for member in members], HEARD_SECONDS):
            raise Killed from error
        raise
    finally:
        end(pool)


def mapped(
    function: Callable[[T], R],
    items: Sequence[T],
    workers: int,
    report: Callable[[int, int], None],
) -> list[R | Died]:
    """`function` of each item, in their order; `report(done, total)` follows each one.

    One worker is this process. More are spawned, so `function` must be importable by name. When a
    process dies, killed or out of memory, its companions in flight are tried again, each alone:
    only the item that kills its process once more is `Died`. What `function` raises is raised.
    """
    if workers < 1:
        raise ValueError(f"there must be at least 1 worker, got {workers}")
    results: dict[int, R | Died] = {}

    def keep(index: int, result: R | Died) -> None:
        results[index] = result
        report(len(results), len(items))

    if workers == 1:
        for index, item in enumerate(items):
            keep(index, function(item))
        return [results[index] for index in range(len(items))]
    waiting = list(range(len(items)))
    while waiting:
        for index in _until_a_death(function, items, waiting, workers, keep):
            suspects = [index]
            dead = _until_a_death(function, items, suspects, 1, keep)
            if dead:
                keep(index, Died())
    return [results[index] for index in range(len(items))]


def _until_a_death(
    function: Callable[[T], R],
    items: Sequence[T],
    waiting: list[int],
    workers: int,
    keep: Callable[[int, R], None],
) -> list[int]:
    """Work `waiting` off; if a process dies, give back what was in flight and leave the rest."""
    pool = started(min(workers, len(waiting)))
    running: dict[Future[R], int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                index = waiting.pop(0)
                running[pool.submit(function, items[index])] = index
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            # A result that is there counts, also of a process that died since.
            for future in [f for f in done if not isinstance(f.exception(), BrokenProcessPool)]:
                keep(running.pop(future), future.result())
            if any(future in running for future in done):
                return sorted(running.values())
        return []
    except BrokenProcessPool:  # while submitting
        return sorted({*running.values(), index})
    finally:
        end(pool)
