"""The local engine: worker processes on this machine, with its GPUs in turn."""

import os
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import torch

from segrisk.configuration import ConfigurationError
from segrisk.processes import end, started
from segrisk.study.config import Study
from segrisk.study.engine import Lost
from segrisk.study.plan import resolve_device
from segrisk.study.worker import Work, enter, run_cell


class LocalPool:
    """`workers` processes that stay. The one that dies loses its own cell and no other.

    With `gpus`, as CUDA_VISIBLE_DEVICES names them, each process sees one of them, in turn; where a
    cell trains on several, such as "0,1".
    """

    def __init__(self, workers: int, gpus: Sequence[str] = ()) -> None:
        self.capacity = workers
        self._gpus = gpus
        self._processes: dict[int, ProcessPoolExecutor] = {}
        self._running: dict[Future[None], tuple[int, str]] = {}

    def submit(self, work: Work) -> None:
        """Begin a cell in an idle process, started where there is none yet."""
        taken = {seat for seat, _ in self._running.values()}
        seat = next(seat for seat in range(self.capacity) if seat not in taken)
        try:
            future = self._process(seat).submit(run_cell, work)
        except BrokenProcessPool:  # it was killed while it had nothing to do
            self._drop(seat)
            future = self._process(seat).submit(run_cell, work)
        self._running[future] = (seat, work.cell.key)

    def ended(self) -> list[tuple[str, BaseException | None]]:
        """The cells that ended."""
        results: list[tuple[str, BaseException | None]] = []
        for future in wait(self._running, timeout=0.25, return_when=FIRST_COMPLETED).done:
            seat, key = self._running.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                self._drop(seat)
                error = Lost("worker")
            results.append((key, error))
        return results

    def close(self) -> None:
        """End the processes at once."""
        end(*self._processes.values())

    def _process(self, seat: int) -> ProcessPoolExecutor:
        if seat not in self._processes:
            gpu = self._gpus[seat % len(self._gpus)] if self._gpus else None
            self._processes[seat] = started(1, partial(enter, gpu))
        return self._processes[seat]

    def _drop(self, seat: int) -> None:
        self._processes.pop(seat).shutdown(wait=False, cancel_futures=True)


def local_pool(study: Study, workers: int | None) -> LocalPool:
    """The processes that run `study` here, by default as many as this machine carries."""
    return LocalPool(workers or default_workers(study), _gpus_of_cells(study))


def check_device(study: Study) -> None:
    """ConfigurationError where the device that the study names is not here."""
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if study.device in there and not there[study.device]():
        raise ConfigurationError(
            f"'device': {study.device}, but PyTorch {torch.__version__} sees none here: install "
            "its build for your GPU, or leave `device` out"
        )


def default_workers(study: Study) -> int:
    """One worker for the GPUs of a cell, else as many as the processors carry with its threads."""
    device = resolve_device(study.device)
    if device != "cpu":
        return max(1, len(visible_gpus()) // study.devices) if device == "cuda" else 1
    return max(1, len(os.sched_getaffinity(0)) // (study.threads * study.devices))


def _gpus_of_cells(study: Study) -> list[str]:
    """The GPUs that cells which run side by side have, each as many as it trains on."""
    if resolve_device(study.device) != "cuda":
        return []
    names, each = visible_gpus(), study.devices
    if len(names) < each and each > 1:
        raise ConfigurationError(
            f"'devices': {each}, but this machine shows {len(names)} GPU{'s' * (len(names) != 1)}: "
            f"ask for no more, or run on one that has {each}"
        )
    return [",".join(names[i : i + each]) for i in range(0, len(names) - each + 1, each)]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = list(map(str, range(count))) if named is None else named.split(",")
    return [name.strip() for name in names][:count]
