"""Everything that is wrong with the input, said before anything is computed; and what is right."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segrisk.compare.cases import ComparedCase
from segrisk.compare.completeness import complete
from segrisk.compare.gate import pair
from segrisk.compare.geometry import resample, write_moved
from segrisk.compare.inspection import Inspected, Report, inspect
from segrisk.compare.layouts import MaskTree, find_masks, image_beside
from segrisk.compare.manifest import read_manifest
from segrisk.compare.request import RESERVED, Finding, Request, note, refuse_if, together
from segrisk.compare.sizes import agreed, lacking, read_sizes
from segrisk.compare.tables import Table, is_table, read_model, read_models
from segrisk.data.dataset import UNLABELLED, Labelling
from segrisk.data.errors import DataError
from segrisk.data.groups import read_groups
from segrisk.data.images import Header
from segrisk.files import real
from segrisk.frames import Frame, Text
from segrisk.names import UNPRINTABLE
from segrisk.report.complete import Cases, no_cases
from segrisk.report.results import Worst
from segrisk.scores import ScoreFrame, as_scores, no_scores, references

LONGEST = 100
"""A model's name stands in the head of a column, and names a folder."""
UNGROUPED = note(
    "input", "every case is taken as a group of its own: give --groups if a patient has several"
)


@dataclass(frozen=True)
class Gathered:
    """What a comparison computes on: `cases` with files, or else the `scores` of tables.

    Every model has every case. `labels` are the values besides 0 in the references of each task,
    `labelling` what a dataset.json says of them; `images` has the image of a (task, case) where
    there is one; `references` has every (task, case, label) that tables score, with what they say
    of its size; `notes` say what was resolved by policy, and belong into every report; `worst`
    counts what was resolved by the worst value.
    """

    models: tuple[str, ...]
    cases: tuple[ComparedCase, ...] = ()
    labels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    labelling: Labelling = UNLABELLED
    images: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    scores: ScoreFrame = field(default_factory=no_scores)
    references: Cases = field(default_factory=no_cases)
    notes: tuple[str, ...] = ()
    worst: Worst = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """What was found: `faults` stop a comparison, `notes` are what it would resolve by policy."""

    gathered: Gathered
    findings: tuple[Finding, ...]

    @property
    def models(self) -> tuple[str, ...]:
        return self.gathered.models

    @property
    def n_cases(self) -> int:
        if scores := self.gathered.scores:
            return scores.distinct("task", "case")
        return len({(row.task, row.case) for row in self.gathered.cases})

    @property
    def faults(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.stops)

    @property
    def notes(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.stops)


@dataclass
class _Found:
    """What is gathered, with its findings, faults or not."""

    gathered: Gathered
    findings: list[Finding]
    inspected: Inspected | None = None


def doctor(request: Request, report: Report = lambda done, of: None) -> Diagnosis:
    """Explain every fault of the input; nothing is computed, and nothing is written."""
    found = _find(request, report)
    return Diagnosis(found.gathered, tuple(found.findings))


def gather(request: Request, report: Report = lambda done, of: None) -> Gathered:
    """The cases or scores of a request; DataError with every fault, if there is one.

    Predictions that lie on another grid are resampled here, where that was asked for.
    """
    found = _find(request, report)
    refuse_if(found.findings)
    gathered = found.gathered
    if found.inspected and request.resample_to:
        cases, moved = _moved(found.inspected, request.resample_to)
        gathered = replace(gathered, cases=cases)
        found.findings += moved
    notes = (finding.text for finding in together(found.findings))
    return replace(gathered, notes=tuple(dict.fromkeys(notes)))


def _find(request: Request, report: Report) -> _Found:
    findings = _contradictions(request)
    if findings:
        return _Found(Gathered(tuple(name for name, _ in request.models)), findings)
    try:
        found = _read(request, report)
        found.findings += _unprintable(found.gathered)
        return found
    except DataError as error:
        faults = [Finding("input", text) for text in error.faults]
        return _Found(Gathered(tuple(name for name, _ in request.models)), faults)


def _read(request: Request, report: Report) -> _Found:
    if request.manifest:
        return _from_manifest(request, report)
    if request.reference:
        return _from_folders(request, report)
    return _from_tables(request)


def _unprintable(gathered: Gathered) -> list[Finding]:
    """Names that no table, page or figure can show: better renamed than changed in silence."""
    rows = {
        what: gathered.scores.text(what).seen()
        if gathered.scores
        else dict.fromkeys(getattr(case, what) for case in gathered.cases)
        for what in ("task", "case", "group")
    }
    names = {"model": gathered.models, **rows, "label": gathered.scores.text("label").seen()}
    bad = {what: [n for n in own if UNPRINTABLE.search(n)] for what, own in names.items()}
    # A case that is a group of its own is named once.
    bad["group"] = [name for name in bad["group"] if name not in bad["case"]]
    text = "holds a control character, or bytes that are no UTF-8: rename it"
    return [Finding("input", f"{what} {n}: {text}") for what, own in bad.items() for n in own]


def _contradictions(request: Request) -> list[Finding]:
    """What cannot be meant, seen without opening a file."""
    texts = []
    if request.manifest and (request.reference or request.models or request.scores):
        texts.append("a manifest says it all: leave out --reference, --model and --scores")
    if request.scores and request.reference:
        texts.append("--scores are computed already: leave out --reference, or --scores")
    if not (request.manifest or request.models or request.scores):
        texts.append("no model is given: give --reference and --model NAME=FOLDER, or --manifest")
    if request.sizes and (request.reference or request.manifest):
        texts.append("masks say how large their objects are: leave out --sizes")
    places: dict[Path, str] = {}
    for name, path in request.models:
        same = places.setdefault(real(path), name)
        if same != name:
            texts.append(f"{same} and {name} are the same folder, {path}: correct one")
        if request.reference and real(path) == real(request.reference):
            texts.append(f"{name}: is the folder of the references itself: correct it")
        if request.reference and is_table(path):
            text = f"{name}: {path} is a table of scores: leave out --reference"
            texts.append(f"{text}, or give the folder of its masks")
    return [Finding("input", text) for text in texts] + _bad_names(n for n, _ in request.models)


def _bad_names(models: Iterable[str]) -> list[Finding]:
    """Names become folders and columns, so they must be able to."""
    models = list(models)
    bad = [m for m in models if m in RESERVED or m.startswith(".") or set(m) & set("/\\")]
    text = "cannot name a model: give a name without slashes that is no column of a manifest"
    long = f"is too long to name a model: give at most {LONGEST} letters"
    return [
        *(Finding("input", f"{model!r} {text}") for model in bad),
        *(Finding("input", f"'{m[:20]}…' {long}") for m in models if len(m) > LONGEST),
    ]


def _from_folders(request: Request, report: Report) -> _Found:
    reference = find_masks(request.reference)
    trees = {model: find_masks(path) for model, path in request.models}
    findings = [replace(f, text=f"reference {f.text}") for f in reference.findings]
    for model, tree in trees.items():
        findings += [replace(f, text=f"{model}: {f.text}") for f in tree.findings]
    models = tuple(trees)
    if any(finding.stops and finding.kind == "input" for finding in findings):
        return _Found(Gathered(models), findings)
    if not request.groups and not any(file.group for file in reference.files):
        findings.append(UNGROUPED)
    task = request.task or real(request.reference).name
    cases, paired = pair(task, reference, trees, request)
    labelling, contradictions = _labelling(reference, *trees.values())
    findings += [*contradictions, *paired]
    return _inspected(request, report, cases, models, labelling, {}, findings)


def _labelling(*trees: MaskTree) -> tuple[Labelling, list[Finding]]:
    """What the first dataset.json says of labels, the references' before the models'."""
    said = [tree for tree in trees if tree.labelling.regions]
    if not said:
        return UNLABELLED, []
    first = said[0]
    text = f"dataset.json of {first.root} and of {{}} differ in labels: the first is taken"
    others = [tree.root for tree in said[1:] if tree.labelling != first.labelling]
    return first.labelling, [note("labels", text.format(other)) for other in others]


def _from_manifest(request: Request, report: Report) -> _Found:
    manifest = read_manifest(request.manifest, root=request.root, task=request.task)
    findings = [*manifest.findings, *_bad_names(manifest.models)]
    each_its_own = all(case.group == case.case for case in manifest.cases)
    if not request.groups and (each_its_own or not manifest.grouped):
        findings.append(UNGROUPED)
    return _inspected(
        request, report, manifest.cases, manifest.models, UNLABELLED, manifest.images, findings
    )


def _inspected(
    request: Request,
    report: Report,
    cases: Sequence[ComparedCase],
    models: tuple[str, ...],
    labelling: Labelling,
    images: Mapping[tuple[str, str], Path],
    findings: list[Finding],
) -> _Found:
    cases = list(cases)
    if request.groups and cases:
        groups = read_groups(request.groups, [case.case for case in cases])
        cases = [replace(c, group=group) for c, group in zip(cases, groups, strict=True)]
    inspected = inspect(cases, request, labelling, report)
    own = {(c.task, c.case): image for c in cases if (image := image_beside(c.reference))}
    gathered = Gathered(
        models,
        inspected.cases,
        inspected.labels,
        labelling,
        images={**own, **images},
        worst=_unscored(inspected.cases),
    )
    return _Found(gathered, [*findings, *inspected.findings], inspected)


def _unscored(cases: Iterable[ComparedCase]) -> Worst:
    """How many cases of each (task, model) have no prediction that could be read."""
    lacking = {
        (case.task, model, case.case)
        for case in cases
        for model, path in case.predictions.items()
        if path is None
    }
    return Counter((task, model) for task, model, _ in lacking)


def _from_tables(request: Request) -> _Found:
    tables = [read_model(model, path, request) for model, path in request.models]
    tables += [read_models(path, request) for path in request.scores]
    every = Frame.joined([frame for t in tables for frame in (t.whole, as_scores(t.scores))])
    models = every.text("model").seen()
    findings = [finding for table in tables for finding in table.findings]
    scores, worst, findings = complete(every, findings, request)
    cases, groups = scores.text("case"), scores.text("group")
    if not request.groups and (groups.places(cases.names) == cases.codes).all():
        findings = [UNGROUPED, *findings]
    if request.groups and scores:
        names = cases.seen()
        of_name = Text.of(read_groups(request.groups, names))
        scores = scores.replaced(group=of_name.take(cases.places(names)))
    cases, faults = _sizes(tables, scores.take(references(scores)), request)
    gathered = Gathered(models, scores=scores, references=cases, worst=worst)
    return _Found(gathered, [*findings, *faults])


def _sizes(
    tables: Sequence[Table], scored: ScoreFrame, request: Request
) -> tuple[Cases, list[Finding]]:
    """Every reference that was scored, with its size from tables and from files of sizes."""
    if not scored:
        return no_cases(), []
    known = [size for table in tables for size in table.sizes]
    files = [path for table in tables for path in table.size_files]
    files += [request.sizes] if request.sizes else []
    given, findings = [], list[Finding]()
    for path in dict.fromkeys(files):
        own, faults = read_sizes(path, scored)
        given.append((path.name, own))
        findings += faults
    cases, contradictions = agreed(known, given, scored)
    findings += contradictions
    if request.sizes and not any(finding.stops for finding in findings):
        findings += lacking(request.sizes, cases)
    return cases, findings


def _moved(inspected: Inspected, folder: Path) -> tuple[tuple[ComparedCase, ...], list[Finding]]:
    """The cases with resampled predictions in place of those on another grid, and what was done."""
    elsewhere: dict[tuple[str, str, int], list[str]] = {}
    for case, model in inspected.elsewhere:
        elsewhere.setdefault((case.task, case.case, case.seed), []).append(model)
    cases, findings = [], []
    for case in inspected.cases:
        predictions = dict(case.predictions)
        for model in elsewhere.get((case.task, case.case, case.seed), ()):
            grid: Header = inspected.headers[case.reference]
            moved = resample(predictions[model], grid)
            name = f"{case.case}.nii.gz" if not case.seed else f"{case.case}_seed{case.seed}.nii.gz"
            predictions[model] = folder / model / case.task / name
            write_moved(predictions[model], moved, grid)
            lost = f"; {moved.lost} foreground voxels lie outside it" if moved.lost else ""
            one = f"case {case.case}"
            text = f"{model}: {one}: was resampled (nearest voxel) to its reference's grid{lost}"
            findings.append(note("geometry", text, [case.case], one=one, many="cases"))
        cases.append(replace(case, predictions=predictions))
    return tuple(cases), findings
