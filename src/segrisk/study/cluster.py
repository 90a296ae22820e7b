"""The Ray engine: the same cells as tasks of a Ray cluster, in the same store."""

import os
import socket
import sys
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import ray
import torch
from filelock import FileLock
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)

from segrisk import __version__
from segrisk.configuration import ConfigurationError
from segrisk.study import resources
from segrisk.study.config import Study
from segrisk.study.engine import Lost
from segrisk.study.mirror import working_folder
from segrisk.study.plan import COMPONENTS, resolve_device
from segrisk.study.remote import Remote
from segrisk.study.store import Store, StoreError
from segrisk.study.worker import Work, run_cell
from segrisk.training.device import quiet

OBJECT_STORE_BYTES = 100 * 2**20
"""Of a Ray that is started here: nothing but the description of a cell goes through it."""

LOOK_SECONDS = 5.0
"""Between two looks at what the cluster has."""


class RayPool:
    """Cells as Ray tasks, never more in flight than `workers`, or than fit into the cluster now.

    Ray itself retries nothing: the engine counts what was lost, once.
    """

    def __init__(self, needs: Mapping[str, float], workers: int | None) -> None:
        self._needs, self._workers = needs, workers
        self._running: dict[ray.ObjectRef, str] = {}
        self._fits, self._looked = 0, -LOOK_SECONDS
        self._run = ray.remote(run_on_node).options(
            num_cpus=needs["CPU"],
            num_gpus=needs.get("GPU", 0),
            memory=needs.get("memory"),
            max_retries=0,
        )

    @property
    def capacity(self) -> int:
        """How many cells may be in flight."""
        if self._workers is not None:
            return self._workers
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._fits = fitting(self._needs, _nodes())
        # With no node left one task waits for the next node to come.
        return max(1, self._fits)

    def submit(self, work: Work) -> None:
        """Begin a cell as soon as a node has what it needs."""
        here = replace(
            work,
            root=work.root.resolve(),
            cell=replace(work.cell, data=work.cell.data.resolve()),
        )
        self._running[self._run.remote(here, versions(), tuple(sys.path))] = work.cell.key

    def ended(self) -> list[tuple[str, BaseException | None]]:
        """The cells that ended."""
        done, _ = ray.wait(list(self._running), num_returns=1, timeout=0.25)
        return [(self._running.pop(task), _outcome(task)) for task in done]

    def close(self) -> None:
        """Stop what runs, and leave the cluster."""
        for task in self._running:
            with suppress(RayError):  # its node may be gone
                ray.cancel(task, force=True)
        ray.shutdown()


def _outcome(task: ray.ObjectRef) -> BaseException | None:
    try:
        ray.get(task)
    except NodeDiedError:
        return Lost("node")
    except (WorkerCrashedError, OutOfMemoryError):
        return Lost("worker")
    except RayTaskError as error:
        return error.cause or error
    except LocalRayletDiedError as error:
        raise StoreError(
            "Ray on this machine ended, and with it the way to its cluster; start it, then run the "
            "same command: finished cells are kept"
        ) from error
    except RayError as error:
        return error
    return None


def ray_pool(engine: resources.Ray, study: Study, workers: int | None) -> RayPool:
    """Join the cluster that `engine` names; ConfigurationError where none is, or none can do it."""
    _join(engine.address)
    try:
        needs = needed(engine.resources, study)
        if workers is None and fitting(needs, _nodes()) == 0:
            raise ConfigurationError(
                f"'engine.resources': no node of the Ray cluster has {_listed(needs)}, which each "
                f"cell is to get; they have {'; '.join(map(_listed, _nodes())) or 'nothing'}: ask "
                "for less, or give `workers` if the cluster grows by itself"
            )
        if study.device == "auto" and not needs.get("GPU") and ray.cluster_resources().get("GPU"):
            warnings.warn(
                "the cluster has GPUs, but `device: auto` means cpu on this machine, which has "
                "none: say `device: cuda` in the study to train on them",
                stacklevel=2,
            )
    except BaseException:
        ray.shutdown()
        raise
    return RayPool(needs, workers)


def _join(address: str) -> None:
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "auto")
    elif address != "local" and ":" not in address:
        address += ":6379"
    own: dict[str, Any] = {}
    if address == "local":
        # Ray reports to its makers what a cluster is used for unless it is told not to.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ConfigurationError(
            f"'engine.address': no Ray cluster answers at '{address}' ({error}): start one with "
            "`ray start --head`, or say `address: local` for one on this machine; where it was "
            "started with a token, export RAY_AUTH_MODE=token"
        ) from error


def needed(given: resources.Resources, study: Study) -> dict[str, float]:
    """What Ray sets aside for each cell of a study, by Ray's names.

    >>> study = Study.model_validate({"name": "a", "device": "cuda", "threads": 4, "tasks": {
    ...     "molar": {"phantom": "molar", "size": [64, 64]}}})
    >>> needed(resources.Resources(gpus=0.5), study)
    {'CPU': 4, 'GPU': 0.5}
    """
    on_gpus = study.devices if resolve_device(study.device) == "cuda" else 0
    gpus = on_gpus if given.gpus is None else given.gpus
    if on_gpus > 1 and gpus != on_gpus:
        raise ConfigurationError(
            f"'engine.resources.gpus': {gpus:g}, but with `devices: {study.devices}` each cell "
            f"trains on {study.devices} GPUs: leave it out"
        )
    cpus = given.cpus or study.threads * study.devices
    needs = {"CPU": cpus, "GPU": gpus, "memory": given.memory}
    return {name: amount for name, amount in needs.items() if amount}


def fitting(needs: Mapping[str, float], nodes: list[dict[str, float]]) -> int:
    """How many cells fit into the nodes at once, each within one of them.

    >>> fitting({"CPU": 2, "GPU": 0.5}, [{"CPU": 16, "GPU": 2}, {"CPU": 3, "GPU": 1}, {"CPU": 8}])
    5
    """
    return sum(
        min(int(node.get(name, 0) / amount + 1e-9) for name, amount in needs.items())
        for node in nodes
    )


def _nodes() -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _listed(amounts: Mapping[str, float]) -> str:
    named = (f"{name} {amounts[name]:g}" for name in ("CPU", "GPU", "memory") if name in amounts)
    return ", ".join(named)


def versions() -> dict[str, Any]:
    """What must be the same on every node for scores to be."""
    return {"segrisk": __version__, "torch": torch.__version__, "components": COMPONENTS}


def run_on_node(work: Work, planned: dict[str, Any], paths: tuple[str, ...]) -> None:
    """Run a cell on whatever node Ray has chosen."""
    # Losses of one's own may lie beside the study file.
    sys.path += [path for path in paths if path not in sys.path]
    quiet()
    if versions() != planned:
        raise StoreError(
            f"{socket.gethostname()} has {versions()}, but the study was planned with {planned}: "
            "install the same there, for the same bits"
        )
    work = _here(work)
    store, key = Store(work.root), work.cell.key
    (store.root / "cells").mkdir(parents=True, exist_ok=True)
    # A node that Ray has lost may live on. Then its worker ends the cell, and this one waits.
    claim = FileLock(store.root / "cells" / f".{key}.lock")
    with claim:
        if not _is_done(work, store):
            run_cell(work)
        os.unlink(claim.lock_file)


def _here(work: Work) -> Work:
    """The work as this node sees it: in the shared folder, or in its own mirror of a URL."""
    if work.remote is None:
        if not (work.root / "study.json").exists():
            raise StoreError(
                f"{socket.gethostname()} does not see the results folder {work.root}: give --out a "
                "folder that all nodes share, or object storage such as s3://bucket/run"
            )
        return work
    root = working_folder(work.remote)
    return replace(
        work, root=root, cell=replace(work.cell, data=root / "data" / work.cell.data.name)
    )


def _is_done(work: Work, store: Store) -> bool:
    """Whether another worker came first, or this node failed only to upload the cell."""
    cell, remote = work.cell, Remote.at(work.remote) if work.remote else None
    if remote is not None:
        remote.provide(cell.start, cell.data, store.root)
    store.discard_stale([cell])
    is_done = store.is_finished(cell.key) if cell.decision else store.has_weights(cell.key)
    if is_done and remote is not None:
        remote.push_cell(store.finished(cell.key), cell.key)
    return is_done
