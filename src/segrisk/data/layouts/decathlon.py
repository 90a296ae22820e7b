"""The Medical Segmentation Decathlon: dataset.json lists the files, which may have channels."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from segrisk.data.dataset import FILE, channel_names, is_listed, labelling, leaves, listed
from segrisk.data.folder import Folder
from segrisk.data.images import stem
from segrisk.data.layouts.found import Fault, Files, Found


def is_decathlon(root: Path) -> bool:
    """Whether a dataset.json lists training cases."""
    return is_listed(root)


def decathlon(folder: Folder) -> Found:
    """`imagesTr/`, `labelsTr/`; several modalities are the last axis of one image file."""
    root = folder.path.resolve()
    pairs = list(zip(listed(root, "image"), listed(root, "label"), strict=False))
    if not pairs:
        text = f"{root.name}/{FILE}: lists no training cases with image and label: copy it again"
        return Found(faults=(Fault(text),))
    ids = [stem(Path(label).name) or label for _, label in pairs]
    faults = tuple(_faults(root, ids, pairs))
    wrong = {fault.case for fault in faults}
    files = (
        Files(id, id, (root / image,), (root / label,))
        for id, (image, label) in sorted(zip(ids, pairs, strict=True))
        if id not in wrong
    )
    return Found(tuple(files), faults, labelling(root), channels=max(1, len(channel_names(root))))


def _faults(root: Path, ids: list[str], pairs: list[tuple[str, str]]) -> Iterator[Fault]:
    for id, count in Counter(ids).items():
        if count > 1:
            yield Fault(f"{root.name}/{FILE}: lists the case {id} twice: remove one entry", id)
    for id, names in zip(ids, pairs, strict=True):
        for name in names:
            if leaves(root, name):
                yield Fault(f"{root.name}/{FILE}: {name} leaves its folder: remove it", id)
            elif not (root / name).exists():
                text = "which is not there: copy it again, or put the case into `exclude`"
                yield Fault(f"{root.name}/{FILE}: lists {name}, {text}", id)
