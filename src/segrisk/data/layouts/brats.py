"""BraTS: a folder for each case, with a file for each modality and one for the reference."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segrisk.data.dataset import Labelling
from segrisk.data.folder import Folder
from segrisk.data.layouts.found import Fault, Found, Kinds, assembled, subfolders

REFERENCE = "seg"
GRADES = ("HGG", "LGG")
"""The folders of cases up to 2019; later their cases lie side by side."""

VISIT = re.compile(r"(?i)(?P<patient>brats1[789]_.+)_\d+|(?P<later>brats-[a-z]+-\d+)-\d+")
"""Ids up to 2019, and since 2023, end in the visit of a patient; those between do not."""


@dataclass(frozen=True)
class Naming:
    """How files are named, in the order of channels, and what their labels mean."""

    mark: str
    modalities: tuple[str, ...]
    regions: tuple[tuple[str, tuple[int, ...]], ...]
    remark: str

    @property
    def file(self) -> re.Pattern[str]:
        kinds = "|".join((*self.modalities, REFERENCE))
        return re.compile(rf"(?i)(?P<case>.+){self.mark}(?P<kind>{kinds})\.nii(\.gz)?")


BEFORE = Naming(
    "_",
    ("flair", "t1", "t1ce", "t2"),
    (("whole tumour", (1, 2, 4)), ("tumour core", (1, 4)), ("enhancing tumour", (4,))),
    "BraTS 2018 to 2021 have 1, 2 and 4; 3 is the enhancing tumour of 2023, relabel it as 4",
)
SINCE_2023 = Naming(
    "-",
    ("t2f", "t1n", "t1c", "t2w"),  # the same images in the same order
    (("whole tumour", (1, 2, 3)), ("tumour core", (1, 3)), ("enhancing tumour", (3,))),
    "BraTS 2023 has 1, 2 and 3; 4 is the enhancing tumour of earlier years, relabel it as 3",
)


def is_brats(root: Path) -> bool:
    """Whether a folder of cases has files of BraTS 2018 to 2021."""
    return _holds(root, BEFORE)


def is_brats2023(root: Path) -> bool:
    """Whether a folder of cases has files of BraTS 2023."""
    return _holds(root, SINCE_2023)


def brats(folder: Folder) -> Found:
    """2018 to 2021: `HGG/Brats18_X_1/Brats18_X_1_flair.nii.gz`, `BraTS2021_X/BraTS2021_X_…`."""
    return _found(folder.path.resolve(), BEFORE)


def brats2023(folder: Folder) -> Found:
    """2023: `BraTS-GLI-X-000/BraTS-GLI-X-000-t2f.nii.gz`."""
    return _found(folder.path.resolve(), SINCE_2023)


def patient(case: str) -> str:
    """Whose scan a case is.

    >>> [patient(case) for case in ("Brats18_TCIA04_111_1", "BraTS-GLI-00005-001")]
    ['Brats18_TCIA04_111', 'BraTS-GLI-00005']
    >>> patient("BraTS20_Training_001")
    'BraTS20_Training_001'
    """
    found = VISIT.fullmatch(case)
    return (found["patient"] or found["later"]) if found else case


def _case_folders(root: Path) -> list[Path]:
    graded = [path for path in subfolders(root) if path.name.upper() in GRADES]
    return subfolders(*graded) if graded else subfolders(root)


def _holds(root: Path, naming: Naming) -> bool:
    return any(own.keys() - {REFERENCE} for _, own in _all(root, naming))


def _all(root: Path, naming: Naming) -> Iterator[tuple[Path, Kinds]]:
    for folder in _case_folders(root):
        own: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()):
            parts = naming.file.fullmatch(path.name)
            if parts and not path.name.startswith("."):
                own.setdefault(parts["kind"].lower(), []).append(path)
        yield folder, own


def _found(root: Path, naming: Naming) -> Found:
    cases = [(path.name, patient(path.name), own) for path, own in _all(root, naming) if own]
    if not cases:
        expected = ", ".join(f"CASE{naming.mark}{kind}" for kind in (*naming.modalities, REFERENCE))
        text = f"{root.name}: has no folders of cases with files {expected}: correct the folder"
        return Found(faults=(Fault(text),))
    files, faults = assembled(root, cases, naming.modalities, REFERENCE)
    mixed = tuple(_mixed(root, cases, naming))
    labels = Labelling(naming.regions)
    return Found(files, (*faults, *mixed), labels, naming.remark, "whole tumour")


def _mixed(root: Path, cases: list[tuple[str, str, Kinds]], naming: Naming) -> Iterator[Fault]:
    for id, _, own in cases:
        paths = [path for files in own.values() for path in files]
        named = {naming.file.fullmatch(path.name)["case"] for path in paths}
        if len(named) > 1:
            first, second, *_ = sorted(named)
            text = f"holds files of {first} and of {second}: sort them, or put it into `exclude`"
            yield Fault(f"{root.name}: case {id} {text}", id)
