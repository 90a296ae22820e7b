"""Several raters, as QUBIQ has them: a folder for each case, with an image and numbered masks."""

import re
from collections.abc import Iterator
from pathlib import Path

from segrisk.data.folder import Folder
from segrisk.data.images import stem
from segrisk.data.layouts.found import Fault, Files, Found, lacking, subfolders, twice
from segrisk.names import some

MASK = re.compile(r"(?i)(?:(?P<target>.+?)_)?seg(?P<rater>\d+)")
IMAGE = re.compile(r"(?i)(image|img)(_\d{4})?")


def is_raters(root: Path) -> bool:
    """Whether folders of cases hold numbered masks."""
    return bool(_case_folders(root))


def raters(folder: Folder) -> Found:
    """`brain-growth/case01/image.nii.gz`, `task01_seg01.nii.gz`, `task01_seg02.nii.gz`, …"""
    root = folder.path.resolve()
    cases = _case_folders(root)
    if not cases:
        text = "has no folders of cases with masks such as task01_seg01.nii.gz"
        return Found(faults=(Fault(f"{root.name}: {text}: correct the folder"),))
    masks = {path: _masks(path) for path in cases}
    targets = sorted({target for own in masks.values() for target in own})
    target = folder.target or (targets[0] if len(targets) == 1 else "")
    if target not in targets:
        text = f"has masks of {some(targets)}: choose one, such as `target: {targets[0]}`"
        return Found(faults=(Fault(f"{root.name}: {text}"),))
    files: dict[str, Files] = {}
    faults: list[Fault] = []
    for path, own in masks.items():
        images = _images(path)
        absent = [] if images else ["image"]
        absent += [] if own.get(target) else [f"mask of {target or 'a rater'}"]
        if path.name in files:
            faults.append(twice(root, path.name))
        elif absent:
            faults.append(lacking(root, path.name, absent))
        else:
            files[path.name] = Files(path.name, path.name, images, tuple(own[target]))
    found = tuple(files[id] for id in sorted(files))
    return Found(found, tuple(faults), target=target)


def _case_folders(root: Path) -> list[Path]:
    """The folders of cases: in the task's, or in its parts such as Training."""
    own = subfolders(root)
    return own if any(_masks(path) for path in own) else list(_in_parts(own))


def _in_parts(parts: list[Path]) -> Iterator[Path]:
    for part in parts:
        own = subfolders(part)
        if any(_masks(path) for path in own):
            yield from own


def _masks(folder: Path) -> dict[str, list[Path]]:
    """The masks of each target, in the order of raters."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        parts = MASK.fullmatch(stem(path.name) or "")
        if parts and not path.name.startswith("."):
            found.setdefault(parts["target"] or "", []).append(path)
    return found


def _images(folder: Path) -> tuple[Path, ...]:
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return tuple(path for path in paths if IMAGE.fullmatch(stem(path.name) or ""))
