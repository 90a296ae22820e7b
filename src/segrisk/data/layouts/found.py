"""What a layout finds in a folder: the files of each case, and what is wrong with them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segrisk.data.dataset import UNLABELLED, Labelling
from segrisk.names import some

Kinds = Mapping[str, Sequence[Path]]
"""The files of one case by what they are: a modality, or the reference."""


@dataclass(frozen=True)
class Files:
    """The files of one case: of its image one for each channel, and a mask of each rater."""

    id: str
    group: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]


@dataclass(frozen=True)
class Fault:
    """A line on what is wrong; `case` is the id of the one case that it concerns, if it is one."""

    text: str
    case: str | None = None


@dataclass(frozen=True)
class Found:
    """The cases of a folder.

    `labelling` says which values masks hold, where that is known, and `remark` what a person
    should know who meets others. `region` is what is segmented unless the study says otherwise;
    `target` is what these masks are of, where each target has files of its own. An image file
    holds `channels` volumes along its last axis. `has_patients` is false where several cases are
    of one patient and the files do not say which.
    """

    files: tuple[Files, ...] = ()
    faults: tuple[Fault, ...] = ()
    labelling: Labelling = UNLABELLED
    remark: str = ""
    region: str | None = None
    target: str | None = None
    channels: int = 1
    has_patients: bool = True

    @property
    def ids(self) -> set[str]:
        """Of all cases, sound or not."""
        return {own.id for own in self.files} | {f.case for f in self.faults if f.case is not None}


def subfolders(*folders: Path) -> list[Path]:
    """The folders in some folders, by name; hidden ones are none."""
    return sorted(
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )


def twice(root: Path, id: str) -> Fault:
    """Two folders of one case."""
    return Fault(f"{root.name}: has the case {id} twice: remove one of the two folders", id)


def lacking(root: Path, id: str, what: Iterable[str]) -> Fault:
    """A case without all of its files."""
    advice = "copy it again, or put the case into `exclude`"
    return Fault(f"{root.name}: case {id} has no {some(what)}: {advice}", id)


def assembled(
    root: Path, cases: Iterable[tuple[str, str, Kinds]], kinds: Sequence[str], reference: str
) -> tuple[tuple[Files, ...], tuple[Fault, ...]]:
    """Cases with a file of each of `kinds` and a `reference`, from (id, group, what is there)."""
    cases = list(cases)
    if cases and not any(own.get(reference) for _, _, own in cases):
        text = (
            f"{root.name}: no case has a reference ({reference}): give the training part, whose "
            "references are public"
        )
        return (), (Fault(text),)
    files: dict[str, Files] = {}
    faults: list[Fault] = []
    for id, group, own in cases:
        if id in files:
            faults.append(twice(root, id))
        wrong = list(_incomplete(root, id, own, (*kinds, reference)))
        faults += wrong
        if not wrong:
            images = tuple(own[kind][0] for kind in kinds)
            files[id] = Files(id, group, images, (own[reference][0],))
    return tuple(files[id] for id in sorted(files)), tuple(faults)


def _incomplete(root: Path, id: str, own: Kinds, needed: Sequence[str]) -> Iterator[Fault]:
    if missing := [kind for kind in needed if not own.get(kind)]:
        yield lacking(root, id, missing)
    for kind in needed:
        if len(own.get(kind, ())) > 1:
            first, second, *_ = own[kind]
            yield Fault(
                f"{root.name}: case {id} has two files of {kind} ({first.name}, {second.name}): "
                "remove one",
                id,
            )
