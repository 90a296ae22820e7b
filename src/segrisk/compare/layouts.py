"""Which masks a folder holds, in the layouts that people have: flat, nnU-Net, Decathlon, BIDS.

A case is known by its name: the file's without ending, in one form of Unicode; of a BIDS file
without `desc`, which says who made it, and without the suffix. Hidden files (`._a.nii.gz`, which
macOS leaves beside `a.nii.gz`) are no masks.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from segrisk.compare.request import Finding, note, some
from segrisk.data.arrays import array_names
from segrisk.data.dataset import FILE, UNLABELLED, Labelling, labelling, leaves, listed
from segrisk.data.errors import DataError
from segrisk.data.groups import read_groups
from segrisk.data.images import MASKS, stem
from segrisk.files import real

FOLD = re.compile(r"fold_(\d+|all)")
VALIDATION = ("validation", "validation_raw")
"""What nnU-Net calls the folder of a fold's predictions: version 2, version 1."""
PROBABILITIES = ("probabilities", "softmax")
LABELS, IMAGES = ("labelsTr", "labelsTs"), ("imagesTr", "imagesTs")
BIDS_SUFFIXES = ("dseg", "mask")


@dataclass(frozen=True)
class MaskFile:
    """A mask, the case it is of, and what its place in the tree says."""

    case: str
    path: Path
    group: str | None = None
    fold: int | None = None


@dataclass(frozen=True)
class MaskTree:
    """The masks of a folder, with the layout in which they were found."""

    root: Path
    layout: str
    files: tuple[MaskFile, ...] = ()
    labelling: Labelling = UNLABELLED
    findings: tuple[Finding, ...] = ()
    by_case: dict[str, list[MaskFile]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_case: dict[str, list[MaskFile]] = {}
        for file in self.files:
            by_case.setdefault(file.case, []).append(file)
        object.__setattr__(self, "by_case", by_case)


def find_masks(root: Path) -> MaskTree:
    """The masks of a folder; what is wrong with the folder is among the findings."""
    if not root.is_dir():
        what = "is a link that leads nowhere" if root.is_symlink() else "does not exist"
        what = "is a file" if root.exists() else what
        return _nothing(root, f"{root}: {what}, where a folder of masks is expected: correct it")
    try:
        layout, read = next((name, read) for name, applies, read in LAYOUTS if applies(root))
        tree = replace(read(root), layout=layout)
    except OSError as error:
        text = f"{error.filename}: cannot be opened ({error.strerror}): change its permissions"
        return _nothing(root, text)
    except DataError as error:  # of its dataset.json
        return _nothing(root, error.faults[0])
    if not tree.files and not any(finding.stops for finding in tree.findings):
        return _nothing(root, _empty(root))
    return tree


def case_name(path: Path) -> str | None:
    """The name of the case that a mask's file is of; None for a file that is no mask.

    >>> case_name(Path("labels/scan.v2.NII.gz"))
    'scan.v2'
    """
    return stem(unicodedata.normalize("NFC", path.name), ENDINGS)


ENDINGS = (".seg.nrrd", *MASKS)  # what 3D Slicer saves ends so


def _masks_in(folder: Path, fold: int | None = None) -> tuple[MaskFile, ...]:
    """The masks of one folder; an .npz of probabilities beside them, as nnU-Net saves, is none.

    A folder that is called like a mask, as some archives unpack, is kept, to be named as a fault.
    """
    files = []
    for path in sorted(folder.iterdir()):
        case = case_name(path)
        if case and not _holds_probabilities(path):
            files.append(MaskFile(case, path, fold=fold))
    return tuple(files)


def _holds_probabilities(path: Path) -> bool:
    return path.suffix.lower() == ".npz" and bool(set(array_names(path)) & set(PROBABILITIES))


def image_beside(reference: Path) -> Path | None:
    """The image of a reference in `images/` beside `labels/`, its first channel; None without."""
    beside = {"labels": "images", "labelsTr": "imagesTr", "labelsTs": "imagesTs"}
    if reference.parent.name not in beside:
        return None
    folder = reference.parent.with_name(beside[reference.parent.name])
    return image_in(folder, case_name(reference) or "")


def image_in(folder: Path, case: str) -> Path | None:
    """The image of a case in a folder, of several channels the first; None without."""
    names = [f"{case}{channel}" for channel in ("", "_0000")]
    paths = (folder / (name + ending) for name in names for ending in MASKS)
    return next((path for path in paths if path.is_file()), None)


# nnU-Net's results: a folder for each fold.


def _folds(root: Path) -> dict[str, Path]:
    """The folder of predictions of each fold, by the fold's number or `all`."""
    found = {}
    for folder in sorted(root.iterdir()):
        number = FOLD.fullmatch(folder.name)
        inside = (folder / name for name in VALIDATION)
        validation = next((path for path in inside if path.is_dir()), None)
        if number and validation:
            found[number[1]] = validation
    return found


def _nnunet_results(root: Path) -> MaskTree:
    folds = _folds(root)
    numbered = {int(name): folder for name, folder in folds.items() if name != "all"}
    findings = []
    if "all" in folds:
        text = "fold_all was trained on every case, so its validation says nothing of new ones"
        if numbered:
            findings.append(note("input", f"{root.name}: {text}: it is left out"))
        else:
            findings.append(note("input", f"{root.name}: {text}: its scores are too good"))
            return MaskTree(root, "", _masks_in(folds["all"]), labelling(root), tuple(findings))
    files = (file for fold, folder in numbered.items() for file in _masks_in(folder, fold))
    return MaskTree(root, "", tuple(files), labelling(root), tuple(findings))


def _one_fold(root: Path) -> MaskTree:
    """What is given is the folder of one fold, or its `validation`."""
    folder = next((root / name for name in VALIDATION if (root / name).is_dir()), root)
    number = FOLD.fullmatch(real(root.parent if folder == root else root).name)
    fold = int(number[1]) if number and number[1] != "all" else None
    return MaskTree(root, "", _masks_in(folder, fold), labelling(folder))


def _is_one_fold(root: Path) -> bool:
    if FOLD.fullmatch(real(root).name):
        return any((root / name).is_dir() for name in VALIDATION)
    return real(root).name in VALIDATION and bool(FOLD.fullmatch(real(root).parent.name))


# Data sets: nnU-Net's and the Decathlon's, whose dataset.json differ; and our own.


def _dataset(root: Path) -> MaskTree:
    folders = [root / name for name in LABELS if (root / name).is_dir() and _masks_in(root / name)]
    if len(folders) > 1:
        return _nothing(
            root,
            f"{root.name}: holds masks in {folders[0].name}/ and {folders[1].name}/: give the one "
            "whose cases were predicted",
        )
    files = tuple(file for folder in folders for file in _masks_in(folder))
    findings = tuple(_listed_but_absent(root, {real(file.path) for file in files}))
    return MaskTree(root, "", files, labelling(root), findings)


def _listed_but_absent(root: Path, there: set[Path]) -> Iterator[Finding]:
    """The Decathlon lists its files in dataset.json; nnU-Net 2 gives their number only."""
    for name in listed(root, "label"):
        path = real(root / name)
        if leaves(root, name):
            yield Finding("input", f"{root.name}/dataset.json: {name} leaves its folder: remove it")
        elif path not in there and not path.exists():
            yield Finding(
                "missing",
                f"{root.name}/dataset.json: lists {name}, which is not there: copy it again, or "
                "remove the entry",
            )


def _task_folder(root: Path) -> MaskTree:
    files = _masks_in(root / "labels")
    index = root / "index.csv"
    if index.exists():
        groups = read_groups(index, [file.case for file in files])
        files = tuple(replace(f, group=g) for f, g in zip(files, groups, strict=True))
    return MaskTree(root, "", files, labelling(root))


def _flat(root: Path) -> MaskTree:
    # The labels' own folder may be given in place of its data set, whose dataset.json holds then.
    parent = real(root).parent
    told_above = real(root).name in LABELS and not (root / FILE).exists()
    return MaskTree(root, "", _masks_in(root), labelling(parent if told_above else root))


def _images(root: Path) -> MaskTree:
    labels = real(root).name.replace("images", "labels")
    return _nothing(root, f"{root}: holds the images of a data set: give its {labels}/ instead")


# BIDS derivatives.


def _bids(root: Path) -> MaskTree:
    found: dict[str, list[MaskFile]] = {suffix: [] for suffix in BIDS_SUFFIXES}
    for path in sorted(root.glob("sub-*/**/*")):
        name = case_name(path)
        entities, _, suffix = (name or "").rpartition("_")
        if suffix in found and not path.is_dir():
            parts = [part for part in entities.split("_") if not part.startswith("desc-")]
            found[suffix].append(MaskFile("_".join(parts), path, group=parts[0]))
    files = next((files for files in found.values() if files), [])
    return MaskTree(root, "", tuple(files))


def _is_bids(root: Path) -> bool:
    return any(path.is_dir() for path in root.glob("sub-*"))


LAYOUTS: tuple[tuple[str, Callable[[Path], bool], Callable[[Path], MaskTree]], ...] = (
    ("nnU-Net folds", lambda root: bool(_folds(root)), _nnunet_results),
    ("nnU-Net fold", _is_one_fold, _one_fold),
    ("images", lambda root: real(root).name in IMAGES, _images),
    ("BIDS derivatives", _is_bids, _bids),
    ("data set", lambda root: any((root / name).is_dir() for name in LABELS), _dataset),
    ("task folder", lambda root: (root / "labels").is_dir() and not _masks_in(root), _task_folder),
    ("flat folder", lambda root: True, _flat),
)
"""The first that applies is the one."""


def _nothing(root: Path, text: str) -> MaskTree:
    return MaskTree(root, "", findings=(Finding("input", text),))


def _empty(root: Path) -> str:
    below = sorted({p.parent for p in _some_masks(root)})
    if trainers := sorted({p.parents[1] for p in below if FOLD.fullmatch(p.parent.name)} - {root}):
        where = some(path.relative_to(root).as_posix() + "/" for path in trainers)
        return f"{root}: holds trained models, not masks: give one of {where} for each model"
    if below:
        where = some(path.relative_to(root).as_posix() + "/" for path in below)
        return f"{root}: holds no masks, its folder {where} does: give that one, or a manifest"
    return f"{root}: holds no masks: expected files {', '.join(MASKS)}"


def _some_masks(root: Path, most: int = 200) -> Iterable[Path]:
    for path in root.rglob("*"):
        if most and case_name(path) and path.is_file():
            most -= 1
            yield path
