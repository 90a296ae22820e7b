"""What there is to look at of a study: the masks that `segrisk study predict` wrote, on images."""

import csv
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segrisk.data.errors import DataError
from segrisk.data.images import read_stored
from segrisk.data.prepare import PreparedTask
from segrisk.data.readers import image_files
from segrisk.metrics import Region
from segrisk.report.results import Results
from segrisk.report.viewer import CaseView
from segrisk.report.views import Views, upright
from segrisk.similarity import confusion, dice
from segrisk.study.config import Study
from segrisk.study.predictions import IGNORED, MANIFEST, ONE, WHITE
from segrisk.study.store import StoreError
from segrisk.study.task import task_folder

ROUNDING = 1e-6


@dataclass(frozen=True)
class Predicted:
    """The files of one case and seed, as a manifest names them."""

    task: str
    case: str
    seed: int
    reference: Path
    predictions: Mapping[str, Path]


@dataclass(frozen=True)
class Checked:
    """Views of masks that score what the study says; StoreError where one does not.

    Masks of other weights would be shown beside scores that are not theirs.
    """

    views: Views
    known: Callable[[str, str], np.ndarray | None]
    """Which voxels of the view of a case count; None where all do."""
    seeds: Mapping[tuple[str, str], int]
    dice: Mapping[tuple[str, str, str, int], float]
    folder: Path

    def __call__(self, task: str, label: str, case: str) -> CaseView | None:
        view = self.views(task, label, case)
        known = self.known(task, case) if view else None
        for model, mask in view.predictions.items() if view else ():
            expected = self.dice.get((task, model, case, self.seeds[task, case]))
            pair = [mask > 0, view.reference > 0]
            counted = pair if known is None else [voxels[known] for voxels in pair]
            found = float(dice(confusion(*counted)))
            if expected is not None and abs(found - expected) > ROUNDING:
                raise StoreError(
                    f"{self.folder}: the mask of {case} by {model} has a Dice score of "
                    f"{found:.4f}, where the study has {expected:.4f}: write the masks of this "
                    "study again with 'segrisk study predict'"
                )
        return view


def views_of(
    study: Study, tasks: Mapping[str, PreparedTask], results: Results, folder: Path
) -> Checked:
    """The views of a study whose masks are in `folder`, of the first seed.

    Images are those of the study's data; where they are no longer there, outlines lie on grey.
    StoreError for a folder without the masks of every case and loss of this study.
    """
    cases = _read(study, tasks, folder)
    images = {(name, id): path for name in study.tasks for id, path in _images(study, name).items()}
    seeds = {(own.task, own.case): own.seed for own in reversed(cases)}
    scores = {
        (score.task, score.model, score.case, score.seed): score.value
        for score in results.scores
        if score.metric == "dice"
    }
    files = {(own.task, own.case): own.reference for own in cases}
    ignoring = {(name, e.id) for name, task in tasks.items() for e in task.entries if e.ignored}

    def known(task: str, case: str) -> np.ndarray | None:
        if (task, case) not in ignoring:
            return None
        reference = read_stored(files[task, case])
        return upright(reference.values[0] != IGNORED, reference)

    views = Views.of(cases, images, [Region("foreground", (ONE, WHITE))])
    return Checked(views, known, seeds, scores, folder)


def _read(study: Study, tasks: Mapping[str, PreparedTask], folder: Path) -> list[Predicted]:
    path = folder / MANIFEST
    losses = [loss.name for loss in study.losses]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        cases = [
            Predicted(
                row["task"],
                row["case"],
                int(row["seed"]),
                folder / row["reference"],
                {loss: folder / row[loss] for loss in losses},
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise StoreError(
            f"{path}: cannot be read as the manifest of this study ({error}): give the folder that "
            "'segrisk study predict' wrote"
        ) from error
    wanted = {(name, entry.id) for name, task in tasks.items() for entry in task.entries}
    if lacking := sorted(wanted - {(own.task, own.case) for own in cases}):
        raise StoreError(
            f"{path}: has no {lacking[0][1]} of {lacking[0][0]}: give the folder that "
            "'segrisk study predict' wrote for this study"
        )
    return cases


def _images(study: Study, name: str) -> dict[str, Path]:
    """An image of each case of a task; none of phantoms, nor where the data is gone."""
    task = study.tasks[name]
    if task.folder is None:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when the data was read to train
            return image_files(task_folder(task))
    except DataError:
        return {}
