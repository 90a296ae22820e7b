"""What is inside the files: each is opened once, its header judged first, then its values."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from segrisk.compare.cases import ComparedCase
from segrisk.compare.gate import unscored
from segrisk.compare.geometry import can_be_resampled, disagreement
from segrisk.compare.request import Finding, Request, note, some
from segrisk.data.content import MANY, Content, mask_content
from segrisk.data.dataset import Labelling
from segrisk.data.errors import DataError, UnreadableError, shown
from segrisk.data.images import Header, is_picture, read_header

Report = Callable[[int, int], None]
"""Told how many of how many files have been read."""
WHITE = 255


@dataclass(frozen=True)
class Opened:
    """One file: its header and content, or the finding that says why there is none."""

    path: Path
    header: Header | None = None
    content: Content | None = None
    finding: Finding | None = None


@dataclass(frozen=True)
class Inspected:
    """Cases whose files are sound: failed predictions are None, `elsewhere` lie on another grid.

    `labels` are the values besides 0 that the references of each task hold.
    """

    cases: tuple[ComparedCase, ...]
    labels: Mapping[str, tuple[int, ...]]
    headers: Mapping[Path, Header]
    elsewhere: tuple[tuple[ComparedCase, str], ...]
    findings: tuple[Finding, ...]


@dataclass
class _Gate:
    """Judges each prediction by its reference, and keeps what is found."""

    request: Request
    opened: Mapping[Path, Opened]
    allowed: Mapping[str, set[int]]
    findings: list[Finding] = field(default_factory=list)
    failed: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    placeless: dict[str, int] = field(default_factory=dict)
    elsewhere: list[tuple[ComparedCase, str]] = field(default_factory=list)

    def judge(self, case: ComparedCase) -> ComparedCase:
        """The case, its failed predictions set to None."""
        reference = self.opened[case.reference]
        kept: dict[str, Path | None] = {}
        for model, path in case.predictions.items():
            own = self.opened[path] if path else None
            kept[model] = path if own and self._sound(case, model, own, reference) else None
        return replace(case, predictions=kept)

    def _sound(self, case: ComparedCase, model: str, own: Opened, reference: Opened) -> bool:
        finding = own.finding
        if finding and finding.kind in FAILED:
            self.findings.append(
                replace(
                    finding,
                    text=f"{model}: {finding.text}",
                    stops=self.request.missing == "refuse",
                    cases=(case.case,),
                )
            )
            self.failed.setdefault((model, finding.kind), []).append(case.case)
            return False
        if finding:
            self.findings.append(replace(finding, text=f"{model}: {finding.text}"))
            return True
        if text := _unexpected(own, self.allowed[case.task]):
            self._add("labels", f"{model}: {text}", case, own)
        if self.request.check_age and _older(own.path, case.reference):
            text = f"{model}: {shown(own.path)}: is older than its reference: predict it again"
            self._add("stale", text, case, own)
        if reference.header:
            self._compare(case, model, own, reference.header)
        return True

    def _compare(self, case: ComparedCase, model: str, own: Opened, reference: Header) -> None:
        reason = disagreement(own.header, reference, self.request.tolerance_mm)
        if reason and self.request.resample_to and can_be_resampled(own.header, reference):
            self.elsewhere.append((case, model))
        elif reason:
            self._add("geometry", f"{model}: {reason}", case, own)
        elif own.header.affine is None and reference.affine is not None:
            self.placeless[model] = self.placeless.get(model, 0) + 1

    def _add(self, kind: str, text: str, case: ComparedCase, own: Opened) -> None:
        self.findings.append(Finding(kind, text, cases=(case.case,), one=shown(own.path)))

    def summary(self, of: int) -> Iterator[Finding]:
        """One line for each model, of what concerns many of its files."""
        if self.request.missing == "worst":
            for (model, kind), cases in self.failed.items():
                yield unscored(model, FAILED[kind], list(dict.fromkeys(cases)), of, self.request)
        for model, count in self.placeless.items():
            text = f"{model}: {count} files do not say where they lie: compared by shape alone"
            yield note("geometry", text)


MANY_LABELS = 20
"""More in the references than this are doubted where predictions hold few of them."""

FAILED = {"missing": "no file", "unreadable": "no readable file", "nan": "NaN or infinite values"}
"""What counts as a prediction that failed: nobody could score it."""


def inspect(
    cases: Sequence[ComparedCase],
    request: Request,
    labelling: Labelling,
    report: Report = lambda done, of: None,
) -> Inspected:
    """Open every file of the cases, and judge it by its header and its values."""
    references = list(dict.fromkeys(case.reference for case in cases))
    predictions = dict.fromkeys(p for case in cases for p in case.predictions.values() if p)
    opened = _open_all([*references, *predictions], request.workers, report)
    declared = set(request.labels) | {v for _, values in labelling.regions for v in values}
    ignored = {labelling.ignore} - {None}
    findings: list[Finding] = []
    found: dict[str, set[int]] = {}
    for task in dict.fromkeys(case.task for case in cases):
        paths = dict.fromkeys(case.reference for case in cases if case.task == task)
        found[task], faults = _references([opened[path] for path in paths], declared, ignored)
        findings += faults
        if not declared:
            guesses = {p for c in cases if c.task == task for p in c.predictions.values() if p}
            findings += _images(task, found[task], [opened[path] for path in guesses])
    gate = _Gate(
        request, opened, {task: (declared or own) | ignored for task, own in found.items()}
    )
    judged = tuple(gate.judge(case) for case in cases)
    headers = {path: own.header for path, own in opened.items() if own.header}
    findings += [*gate.findings, *gate.summary(len({(c.task, c.case) for c in cases}))]
    labels = {task: tuple(sorted(values - ignored)) for task, values in found.items()}
    return Inspected(judged, labels, headers, tuple(gate.elsewhere), tuple(findings))


def _references(
    references: Sequence[Opened], declared: set[int], ignored: set[int]
) -> tuple[set[int], list[Finding]]:
    """The values besides 0 in the references of one task, and what is wrong with these."""
    faults = [
        _of_reference(own, own.finding.kind, own.finding.text) for own in references if own.finding
    ]
    found = {value for own in references for value in _labels(own)}
    if declared:
        faults += _undeclared(references, declared | ignored)
    else:
        faults += _odd_references(references)
    if not found - ignored and not faults:
        text = "all references are empty: there is nothing to compare: check the folder"
        faults.append(Finding("labels", text))
    return found, faults


def _images(task: str, values: set[int], predictions: Iterable[Opened]) -> Iterator[Finding]:
    """References that are grey images: whole numbers, of which predictions know next to none."""
    known = {value for own in predictions for value in _labels(own)}
    if len(values) > MANY_LABELS and 2 * len(values & known) < len(values):
        text = (
            f"the references of {task} hold {len(values)} values, of which predictions hold "
            f"{len(values & known)}: they look like images: give the folder of the masks, or "
            "declare the values that are meant (--labels)"
        )
        yield Finding("labels", text)


def _open_all(paths: Sequence[Path], workers: int, report: Report) -> dict[Path, Opened]:
    opened = {}
    with ThreadPoolExecutor(max(1, workers)) as pool:  # reading leaves Python's lock
        for done, own in enumerate(pool.map(_open, paths), start=1):
            opened[own.path] = own
            report(done, len(paths))
    return opened


def _open(path: Path) -> Opened:
    """A file, as far as it can be read."""
    name = shown(path)
    fault = partial(Finding, one=name)
    header = None
    try:
        if not path.is_file():
            return Opened(path, finding=fault("missing", f"{name}: {_absence(path)}"))
        if path.suffix.lower() in (".jpg", ".jpeg"):
            text = f"{name}: JPEG changes label values: save masks as PNG"
            return Opened(path, finding=fault("labels", text))
        header = read_header(path)
        content = mask_content(path)
    except UnreadableError as error:
        return Opened(path, header, finding=fault("unreadable", error.faults[0]))
    except DataError as error:
        return Opened(path, header, finding=fault("labels", error.faults[0]))
    except ImportError as error:
        return Opened(path, finding=fault("software", str(error)))
    if content.wrong:
        text = f"{name}: holds {content.wrong} NaN or infinite values: replace them"
        return Opened(path, header, content, fault("nan", text))
    if content.fraction is not None:
        text = (
            f"{name}: holds {content.fraction:.4g}, which is no label number: save labels as whole "
            "numbers; if these are probabilities, make masks of them (segrisk decide)"
        )
        return Opened(path, header, content, fault("labels", text))
    return Opened(path, header, content)


def _absence(path: Path) -> str:
    """Why there is nothing to read where a mask is expected."""
    if path.exists():
        return "is no file, where one is expected: put the mask itself there"
    if path.is_symlink():
        return "is a link that leads to no file: copy the mask itself"
    return "does not exist: correct its name, or leave its cell empty"


def _labels(own: Opened) -> tuple[int, ...]:
    return own.content.labels if own.content else ()


def _unexpected(own: Opened, allowed: set[int]) -> str | None:
    others = [value for value in _labels(own) if value not in allowed]
    if not others:
        return None
    expected = some(map(str, sorted(allowed))) or "nothing besides 0"
    text = f"{shown(own.path)}: holds {some(map(str, others))}, where {expected} is expected"
    if is_picture(own.path) and len(own.content.labels) > 2 and WHITE in own.content.labels:
        text += "; grey borders, as of a mask that was smoothed or resized"
    return f"{text}: save the label numbers of the references, or declare what is meant (--labels)"


def _undeclared(references: Iterable[Opened], declared: set[int]) -> Iterator[Finding]:
    for own in references:
        if text := _unexpected(own, declared):
            yield _of_reference(own, "labels", text)


def _odd_references(references: Sequence[Opened]) -> Iterator[Finding]:
    """Values that nobody declared and nobody can have meant."""
    first: dict[int, Opened] = {}
    for own in references:
        values = _labels(own)
        for value in values:
            first.setdefault(value, own)
        if values and values[0] < 0:
            held = some(str(value) for value in values if value < 0)
            yield _of_reference(
                own,
                "labels",
                f"{shown(own.path)}: holds {held}, which can be no label: save labels from 0 up, "
                "or declare the values that are meant (--labels)",
            )
        if len(values) > MANY:
            yield _of_reference(
                own,
                "labels",
                f"{shown(own.path)}: holds more than {MANY} values: give masks, where this seems "
                "to be an image",
            )
        if is_picture(own.path) and WHITE in values and len(values) > 1:
            yield _of_reference(
                own,
                "labels",
                f"{shown(own.path)}: holds {some(map(str, values))}: grey borders, as of a mask "
                "that was smoothed or resized: save it hard, or declare the values that are meant "
                "(--labels)",
            )
    if {1, WHITE} <= first.keys() and not any({1, WHITE} <= set(_labels(o)) for o in references):
        yield Finding(
            "labels",
            f"references hold 1 ({first[1].path.name}) and {WHITE} ({first[WHITE].path.name}): "
            "save all in one way, or declare the values that are meant (--labels)",
        )


def _of_reference(own: Opened, kind: str, text: str) -> Finding:
    one = f"reference {shown(own.path)}"
    return Finding(kind, f"reference {text}", one=one, many="references")


def _older(path: Path, reference: Path) -> bool:
    return path.stat().st_mtime < reference.stat().st_mtime
