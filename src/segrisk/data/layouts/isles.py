"""ISLES 2017 and 2018 as the SMIR archive gives them: a folder for each case and, in it, file."""

import re
from collections.abc import Iterator
from pathlib import Path

from segrisk.data.dataset import Labelling
from segrisk.data.folder import Folder
from segrisk.data.layouts.found import Fault, Found, Kinds, assembled, subfolders

FILE = re.compile(r"(VSD|SMIR)\.Brain[\w.]*?\.(?P<kind>(MR|CT)(_\w+)?|OT)\.\d+\.nii(\.gz)?")
REFERENCE = "OT"
MR = ("MR_ADC", "MR_MTT", "MR_rBF", "MR_rBV", "MR_Tmax", "MR_TTP")
CT = ("CT", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax")
SOURCE = ("MR_4DPWI", "CT_4DPWI")
"""The perfusion series that the maps were computed from; 4D, and no channel, as in the paper."""


def is_isles2017(root: Path) -> bool:
    """Whether there are maps of magnetic resonance."""
    return _holds(root, MR)


def is_isles2018(root: Path) -> bool:
    """Whether there are maps of computed tomography."""
    return _holds(root, CT)


def isles2017(folder: Folder) -> Found:
    """`training_1/VSD.Brain.XX.O.MR_ADC.128019/VSD.Brain.XX.O.MR_ADC.128019.nii`, OT."""
    return _found(folder.path.resolve(), MR)


def isles2018(folder: Folder) -> Found:
    """`case_1/SMIR.Brain.XX.O.CT_CBF.345563/SMIR.Brain.XX.O.CT_CBF.345563.nii`, OT."""
    return _found(folder.path.resolve(), CT, has_patients=False)


def _holds(root: Path, kinds: tuple[str, ...]) -> bool:
    return any(set(own) & set(kinds) for _, own in _all(root))


def _all(root: Path) -> Iterator[tuple[str, Kinds]]:
    for folder in subfolders(root):
        own: dict[str, list[Path]] = {}
        for path in sorted([*folder.glob("*.nii*"), *folder.glob("*/*.nii*")]):
            parts = FILE.fullmatch(path.name)
            if parts and not path.is_dir():
                own.setdefault(parts["kind"], []).append(path)
        yield folder.name, own


def _found(root: Path, kinds: tuple[str, ...], *, has_patients: bool = True) -> Found:
    cases = [(id, id, own) for id, own in _all(root) if own]
    if not cases:
        text = f"has no folders of cases with files such as SMIR.Brain.XX.O.{kinds[0]}.1.nii"
        return Found(faults=(Fault(f"{root.name}: {text}: correct the folder"),))
    files, faults = assembled(root, cases, kinds, REFERENCE)
    known = {*kinds, *SOURCE, REFERENCE}
    others = tuple(
        Fault(
            f"{root.name}: case {id} has {kind}, which is no channel of this layout "
            f"({', '.join(kinds)}): remove it",
            id,
        )
        for id, _, own in cases
        for kind in sorted(own.keys() - known)
    )
    lesion = Labelling((("lesion", (1,)),))
    return Found(files, (*faults, *others), lesion, region="lesion", has_patients=has_patients)
