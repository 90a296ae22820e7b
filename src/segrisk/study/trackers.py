"""Trackers: the curves and scores of cells, where people look at trainings; nothing reads them."""

import os
import shutil
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from segrisk.configuration import ConfigurationError
from segrisk.study.config import Track
from segrisk.study.plan import Cell


class Log(Protocol):
    """What a tracker keeps of one cell."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to each curve."""
        ...

    def end(self, summary: Mapping[str, float] | None) -> None:
        """Add what the cell came to; None where it has not come to its end."""
        ...


class Tracker(Protocol):
    """Where cells are logged."""

    name: str
    where: str
    """How a person gets to see it."""

    def begin(self, cell: Cell) -> Log:
        """The log of a cell, empty: what was logged of it before has not come to its end."""
        ...


def described(cell: Cell) -> dict[str, Any]:
    """What tells a cell from the others."""
    return {
        "task": cell.task,
        "fold": cell.fold,
        "seed": cell.seed,
        "loss": cell.loss.name if cell.loss else "start",
        "decision": cell.decision.name if cell.decision else "p > 1/2",
    }


class TensorBoard:
    """A folder of events for each cell, under `tensorboard/` in the results folder."""

    name = "tensorboard"

    def __init__(self, study: str, root: Path) -> None:
        _needed("tensorboard", "'segrisk[track]'")
        self._root = root / "tensorboard"
        self.where = f"tensorboard --logdir {self._root}"

    def begin(self, cell: Cell) -> Log:
        """An empty folder, named as a person would look for the cell."""
        from lightning_fabric.loggers import TensorBoardLogger

        name = f"{cell.task}/fold {cell.fold} seed {cell.seed}/{cell.model}"
        shutil.rmtree(self._root / name, ignore_errors=True)
        return _TensorBoardLog(TensorBoardLogger(self._root, name="", version=name), cell)


class _TensorBoardLog:
    def __init__(self, logger: Any, cell: Cell) -> None:
        self._logger, self._cell = logger, cell

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self._logger.log_metrics(values, step)
        self._logger.save()

    def end(self, summary: Mapping[str, float] | None) -> None:
        if summary is not None:
            self._logger.log_hyperparams(described(self._cell), dict(summary))
        self._logger.finalize("success" if summary is not None else "interrupted")


class MLflow:
    """A run for each cell, in the experiment of the study's name.

    MLflow's own variables say where: MLFLOW_TRACKING_URI (by default `mlflow.db` in the results
    folder) and MLFLOW_EXPERIMENT_NAME.
    """

    name = "mlflow"

    def __init__(self, study: str, root: Path) -> None:
        mlflow = _needed("mlflow", "mlflow")
        uri = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{root.resolve()}/mlflow.db")
        self.where = f"mlflow ui --backend-store-uri {uri}"
        self._client = mlflow.MlflowClient(uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", study)
        found = self._client.get_experiment_by_name(name)
        self._experiment = found.experiment_id if found else self._client.create_experiment(name)

    def begin(self, cell: Cell) -> Log:
        """A new run with the cell's key as a tag; an unfinished one of before is deleted."""
        same = f"tags.cell = '{cell.key}' and attributes.status = 'RUNNING'"
        for old in self._client.search_runs([self._experiment], same):
            self._client.delete_run(old.info.run_id)
        run = self._client.create_run(
            self._experiment, run_name=cell.title, tags={"cell": cell.key}
        )
        for name, value in described(cell).items():
            self._client.log_param(run.info.run_id, name, value)
        return _MLflowLog(self._client, run.info.run_id)


class _MLflowLog:
    def __init__(self, client: Any, run: str) -> None:
        self._client, self._run = client, run

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._client.log_metric(self._run, name, value, step=step)

    def end(self, summary: Mapping[str, float] | None) -> None:
        self.metrics(summary or {}, 0)
        if summary is not None:
            self._client.set_terminated(self._run)


class Wandb:
    """A run for each cell, in the project of the study's name, under the cell's key.

    W&B's own variables say where and whether at once: WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE.
    """

    name = "wandb"

    def __init__(self, study: str, root: Path) -> None:
        self._wandb, self._root = _needed("wandb", "wandb"), root
        self._project = os.environ.get("WANDB_PROJECT", study)
        self.where = f"the project {self._project} of W&B, or wandb sync {root}/wandb"

    def begin(self, cell: Cell) -> Log:
        """The run of the cell; W&B itself leaves out the points that it has already."""
        run = self._wandb.init(
            project=self._project,
            dir=self._root,
            id=cell.key,
            name=cell.title,
            config=described(cell),
            resume="allow",
            reinit="create_new",
            settings={"silent": True},
        )
        return _WandbLog(run)


class _WandbLog:
    def __init__(self, run: Any) -> None:
        self._run = run

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def end(self, summary: Mapping[str, float] | None) -> None:
        self._run.summary.update(dict(summary or {}))
        self._run.finish()


TRACKERS = {kind.name: kind for kind in (TensorBoard, MLflow, Wandb)}


def tracker(chosen: Track | None, study: str, root: Path) -> Tracker | None:
    """The tracker of that name; TensorBoard if none is named and it is installed; None for none."""
    if chosen is None:
        chosen = "tensorboard" if find_spec("tensorboard") else "none"
    return None if chosen == "none" else TRACKERS[chosen](study, root)


def _needed(name: str, package: str) -> Any:
    """A module that is imported once somebody asks for it; ConfigurationError where it is not."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"`track: {name}` needs '{error.name}', which is not installed: pip install {package}, "
            "or say `track: none`"
        ) from error
