"""Images in one folder, masks in another, paired by name: the task folder, nnU-Net, pictures."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

from segrisk.data.dataset import FILE, channel_names, described, labelling
from segrisk.data.errors import shown
from segrisk.data.folder import Folder
from segrisk.data.images import PICTURES, VOLUMES, is_volume, stem
from segrisk.data.layouts.found import Fault, Files, Found
from segrisk.names import some

CHANNEL = re.compile(r"(?P<id>.+)_(?P<channel>\d{4})")
IMAGES = ("images", "image", "imgs", "img", "original", "radiographs", "jpegimages", "frames")
MASKS = (
    "masks", "mask", "labels", "ground truth", "ground_truth", "groundtruth", "gt",
    "annotations", "segmentation", "segmentations",
)  # fmt: skip
RATER = re.compile(r"(segmentation|mask|masks|rater|gt|annotator)_?\d+")
ADDED = re.compile(r"_(mask|segmentation|seg|label|gt|lesion)$", re.IGNORECASE)
"""What sets of pictures add to the name of an image to name its mask."""

ByStem = dict[str, list[Path]]


# The task folder.


def is_task(root: Path) -> bool:
    """Whether there are both folders of a task."""
    return (root / "images").is_dir() and (root / "labels").is_dir()


def task(folder: Folder) -> Found:
    """`images/` and `labels/`."""
    root = folder.path.resolve()
    if not (root / "images").is_dir() and not (root / "labels").is_dir():
        return Found(faults=(Fault(_no_folders(root)),))
    if faults := tuple(Fault(text) for text in _folder_faults(root, "images", "labels")):
        return Found(faults=faults)
    return _paired(folder, root / "images", root / "labels")


def _no_folders(root: Path) -> str:
    there = some(sorted(path.name + "/" for path in root.iterdir() if path.is_dir())) or "no folder"
    return (
        f"{root.name}: holds {there}: rename the folder of images to images/ (or "
        f"{', '.join(IMAGES[1:])}) and that of masks to labels/ (or {', '.join(MASKS)})"
    )


# nnU-Net.


def is_nnunet(root: Path) -> bool:
    """Whether there are nnU-Net's folders, with channels in the names of images."""
    folder = root / "imagesTr"
    names = (stem(path.name) for path in folder.iterdir()) if folder.is_dir() else ()
    return any(name and CHANNEL.fullmatch(name) for name in names)


def nnunet(folder: Folder) -> Found:
    """nnUNet_raw/DatasetNNN_NAME: `imagesTr/`, `labelsTr/` and what dataset.json says of them."""
    root = folder.path.resolve()
    if faults := tuple(Fault(text) for text in _folder_faults(root, "imagesTr", "labelsTr")):
        return Found(faults=faults)
    found = _paired(folder, root / "imagesTr", root / "labelsTr")
    added = tuple(Fault(text) for text in _description_faults(root, found))
    return replace(found, faults=(*found.faults, *added), labelling=labelling(root))


def _description_faults(root: Path, found: Found) -> Iterator[str]:
    content, names = described(root), channel_names(root)
    if not content:
        yield f"{root.name}: has no {FILE} that can be read: copy it again"
    ending = content.get("file_ending")
    if isinstance(ending, str) and ending.lower() not in VOLUMES + PICTURES:
        yield (
            f"{root.name}/{FILE}: file_ending {ending} is not read by studies: convert the files "
            "to .nii.gz"
        )
    number = content.get("numTraining")
    if isinstance(number, int) and number != len(found.ids):
        yield (
            f"{root.name}/{FILE}: says numTraining {number}, there are {len(found.ids)} cases: "
            "copy the set again, or correct the number"
        )
    volumes = next((own for own in found.files if is_volume(own.images[0])), None)
    if volumes and names and len(names) != len(volumes.images):
        yield (
            f"{root.name}/{FILE}: names {len(names)} channels ({', '.join(names)}), "
            f"{volumes.id} has {len(volumes.images)}: add the missing files, or correct it"
        )


# Pictures, as sets of endoscopy, radiographs and skin come.


def is_pictures(root: Path) -> bool:
    """Whether there is a folder of pictures and at least one of masks, by their names."""
    return bool(_picture_folders(root))


def pictures(folder: Folder) -> Found:
    """Kvasir-SEG, CVC-ClinicDB and others: a folder of pictures, one of masks or of each rater."""
    root = folder.path.resolve()
    folders = _picture_folders(root)
    if not folders:
        return Found(faults=(Fault(_no_folders(root)),))
    images, *masks = folders
    first, *others = (_paired(folder, images, own, _plain) for own in masks)
    files = {own.id: own for own in first.files}
    for other in others:
        for own in other.files:
            if own.id in files:
                rated = files[own.id]
                files[own.id] = replace(rated, masks=(*rated.masks, *own.masks))
    faults = [fault for found in (first, *others) for fault in found.faults]
    return replace(first, files=tuple(files.values()), faults=tuple(dict.fromkeys(faults)))


def _picture_folders(root: Path) -> list[Path]:
    """The folder of images, then those of masks; nothing where one kind is lacking."""
    by_name = {p.name.lower(): p for p in sorted(root.iterdir()) if p.is_dir()}
    images = next((by_name[name] for name in IMAGES if name in by_name), None)
    masks = next(([by_name[name]] for name in MASKS if name in by_name), [])
    masks = masks or [path for name, path in by_name.items() if RATER.fullmatch(name)]
    return [images, *masks] if images and masks else []


def _plain(name: str, images: Collection[str]) -> str:
    """The id of a mask's picture: its name, without what such sets add to it."""
    return name if name in images else ADDED.sub("", name)


# Pairing.


def _paired(
    folder: Folder,
    images: Path,
    labels: Path,
    mask_id: Callable[[str, Collection[str]], str] = lambda name, images: name,
) -> Found:
    pictures = _by_stem(images)
    masks: ByStem = {}
    for name, files in _by_stem(labels).items():
        masks.setdefault(mask_id(name, pictures), []).extend(files)
    channels = _by_channel(pictures, masks)
    left_out = set(folder.exclude)
    faults = tuple(_pairing_faults(images, labels, channels, masks, left_out))
    wrong = {fault.case for fault in faults}
    files = (
        Files(id, id, tuple(own[0] for _, own in sorted(channels[id].items())), (masks[id][0],))
        for id in sorted(channels.keys() & masks.keys())
        if id not in wrong
    )
    return Found(tuple(files), faults)


def _by_stem(directory: Path) -> ByStem:
    """The image files of a directory by their name without extension."""
    found: ByStem = {}
    for path in _files(directory):
        found.setdefault(stem(path.name) or "", []).append(path)
    return found


def _files(directory: Path) -> list[Path]:
    return sorted(
        path
        for path in directory.iterdir()
        if not path.name.startswith(".")
        and stem(path.name) is not None
        and not path.is_dir()  # a link that leads nowhere is kept, and reported when it is read
    )


def _folder_faults(root: Path, *names: str) -> Iterator[str]:
    for name in names:
        if not (root / name).is_dir():
            yield f"{root.name}: has no folder {name}/: add it, with a file for each case"
        elif not _files(root / name):
            expected = ", ".join(PICTURES + VOLUMES)
            yield f"{root.name}/{name}: is empty: add a file for each case ({expected})"


def _by_channel(images: ByStem, ids: Collection[str]) -> dict[str, dict[int, list[Path]]]:
    """The image files by id and channel; a name that a mask has exactly is an id itself."""
    channels: dict[str, dict[int, list[Path]]] = {}
    for name, files in images.items():
        parts = CHANNEL.fullmatch(name)
        if name not in ids and parts and parts["id"] in ids:
            id, channel = parts["id"], int(parts["channel"])
        else:
            id, channel = name, 0
        channels.setdefault(id, {}).setdefault(channel, []).extend(files)
    return channels


def _pairing_faults(
    images: Path,
    labels: Path,
    channels: dict[str, dict[int, list[Path]]],
    masks: ByStem,
    left_out: Collection[str],
) -> Iterator[Fault]:
    for id in sorted(channels.keys() - masks.keys()):
        path = next(iter(channels[id].values()))[0]
        text = f"has no mask in {labels.name}/: add the mask, or remove the image"
        parts = CHANNEL.fullmatch(id)  # without a mask nothing tells a channel from an id
        excluded = parts is not None and parts["id"] in left_out
        yield Fault(f"{shown(path)}: {text}", parts["id"] if excluded else id)
    for id in sorted(masks.keys() - channels.keys()):
        text = f"has no image in {images.name}/: add the image, or remove the mask"
        yield Fault(f"{shown(masks[id][0])}: {text}", id)
    every = [*masks.items(), *((id, own) for id, by in channels.items() for own in by.values())]
    for id, (first, *others) in every:
        for other in others:
            text = f"{shown(first)} and {other.name} have the same id: remove or rename one"
            yield Fault(text, id)
    paired = sorted((channels.keys() & masks.keys()) - set(left_out))
    kinds = Counter(tuple(sorted(channels[id])) for id in paired)
    usual = max(kinds, key=kinds.__getitem__, default=())
    for id in paired:
        own = tuple(sorted(channels[id]))
        if own != usual:
            yield Fault(
                f"{images.parent.name}/{images.name}/{id}: has the channels {_numbers(own)}, other "
                f"cases have {_numbers(usual)}: every case needs a file for each of the same "
                "channels",
                id,
            )


def _numbers(channels: tuple[int, ...]) -> str:
    return ", ".join(f"{channel:04d}" for channel in channels)
