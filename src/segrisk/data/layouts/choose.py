"""Which layout a folder has, and its cases with their groups: only names are read."""

import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

from segrisk.data.errors import DataError, DataWarning, shown
from segrisk.data.folder import Folder
from segrisk.data.groups import read_groups
from segrisk.data.images import is_volume
from segrisk.data.layouts import brats, isles, pairs
from segrisk.data.layouts.decathlon import decathlon, is_decathlon
from segrisk.data.layouts.found import Files, Found
from segrisk.data.layouts.raters import is_raters, raters
from segrisk.names import nearest, some

LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Folder], Found]]] = {
    "task": (pairs.is_task, pairs.task),
    "nnunet": (pairs.is_nnunet, pairs.nnunet),
    "decathlon": (is_decathlon, decathlon),
    "brats": (brats.is_brats, brats.brats),
    "brats2023": (brats.is_brats2023, brats.brats2023),
    "isles2017": (isles.is_isles2017, isles.isles2017),
    "isles2018": (isles.is_isles2018, isles.isles2018),
    "raters": (is_raters, raters),
    "pictures": (pairs.is_pictures, pairs.pictures),
}
"""The first that applies is the one."""


def layout_of(root: Path) -> str:
    """The name of a folder's layout; that of our own, whose faults are plain, where none applies.

    DataError where there is no such folder.
    """
    if not root.is_dir():
        raise DataError([f"{root}: there is no such folder: correct the task's folder"])
    return next((name for name, (applies, _) in LAYOUTS.items() if applies(root)), "task")


def find_cases(folder: Folder) -> Found:
    """The cases of a task in the order of their ids, without the excluded ones.

    DataError has all faults of names, pairs and groups together.
    """
    found_layout = layout_of(folder.path.resolve())  # which says so where there is no folder
    layout = folder.layout or found_layout
    _, read = LAYOUTS[layout]
    found = read(folder)
    faults = [fault.text for fault in found.faults if fault.case not in folder.exclude]
    faults += _exclusion_faults(folder, found)
    files = [own for own in found.files if own.id not in folder.exclude]
    faults += _format_faults(folder, files)
    groups, group_faults = _groups(folder, found)
    faults += group_faults
    if faults:
        raise DataError(faults)
    if not (found.has_patients or groups):
        warnings.warn(
            f"{folder.path.name}: has several cases of one patient, and does not say which: name a "
            "file with the columns id and group in `groups`, or folds will share patients",
            DataWarning,
            stacklevel=3,
        )
    grouped = (replace(own, group=groups.get(own.id, own.group)) for own in files)
    return replace(found, files=tuple(grouped), faults=())


def _exclusion_faults(folder: Folder, found: Found) -> Iterator[str]:
    for id in folder.exclude:
        if found.ids and id not in found.ids:
            yield (
                f"{folder.path.name}: `exclude` names {id}, and there is no such case"
                f"{nearest(id, found.ids)}"
            )
    if found.ids and not found.ids - set(folder.exclude):
        yield f"{folder.path.name}: `exclude` names every case: leave some"


def _format_faults(folder: Folder, cases: Collection[Files]) -> Iterator[str]:
    masks = [path for own in cases for path in own.masks]
    files = [*(path for own in cases for path in own.images), *masks]
    volumes = [path for path in files if is_volume(path)]
    if volumes and len(volumes) < len(files):
        picture = next(path for path in files if not is_volume(path))
        yield (
            f"{folder.path.resolve().name}: mixes 3D files ({shown(volumes[0])}) and 2D files "
            f"({shown(picture)}): make a task of each"
        )
    lossy = [path for path in masks if path.suffix.lower() in (".jpg", ".jpeg")]
    if lossy and folder.threshold is None:
        text = f"{some(shown(path) for path in lossy)}: JPEG changes label values: "
        images = {path.suffix.lower() for own in cases for path in own.images}
        if len(lossy) == len(masks) and not images & {".jpg", ".jpeg"}:
            text += "are images and masks in each other's folder? If not, "
        yield f"{text}save masks as PNG, or set `threshold: 127`"


def _groups(folder: Folder, found: Found) -> tuple[dict[str, str], list[str]]:
    """The group of each case where a file says it, and what is wrong with that file."""
    kept = sorted(found.ids - set(folder.exclude))
    root = folder.path.resolve()
    index = root / "index.csv"
    if folder.groups is None and not index.exists():
        named = [path.name for path in root.iterdir() if path.name.lower() == index.name]
        return {}, [f"{root.name}/{name}: rename it to index.csv" for name in named]
    known = None if folder.groups else found.ids.union(folder.exclude)
    try:
        return dict(zip(kept, read_groups(folder.groups or index, kept, known), strict=True)), []
    except DataError as error:
        return {}, list(error.faults)
