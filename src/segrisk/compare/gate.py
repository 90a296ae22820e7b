"""The gate: one common set of cases for all models; nothing is dropped or doubled in silence."""

import difflib
import itertools
from collections.abc import Iterator, Mapping

from segrisk.compare.cases import ComparedCase
from segrisk.compare.layouts import MaskTree
from segrisk.compare.request import Finding, Request, note, nothing_shared, some
from segrisk.data.errors import shown
from segrisk.files import real


def pair(
    task: str, reference: MaskTree, models: Mapping[str, MaskTree], request: Request
) -> tuple[list[ComparedCase], list[Finding]]:
    """The cases of a folder of references with the predictions of every model, by name."""
    findings = [*_duplicates("references", reference)]
    own = {real(file.path) for file in reference.files}
    absent = set()
    if len(models) > 1:
        absent = {c for c in reference.by_case if all(c not in t.by_case for t in models.values())}
    for model, tree in models.items():
        findings += _duplicates(model, tree)
        if same := [file.case for file in tree.files if real(file.path) in own]:
            text = f"{model}: {len(same)} of its files are references ({some(same)}): correct it"
            findings.append(Finding("input", text, cases=tuple(same)))
        findings += _partners(model, tree, reference, absent, request)
    findings += _nothing_shared(reference, models)
    if any(finding.kind == "input" for finding in findings):
        return [], findings
    findings += _lost_folds(models, request)
    if absent:
        findings.append(_unpredicted(sorted(absent), len(reference.by_case), request))
    left_out = absent if request.unpredicted == "leave-out" else set()
    cases, torn = [], []
    for name, (first, *_) in sorted(reference.by_case.items()):
        if name in left_out:
            continue
        found = {model: tree.by_case.get(name, [None])[0] for model, tree in models.items()}
        folds = {file.fold for file in found.values() if file and file.fold is not None}
        if len(folds) > 1:
            torn.append(name)
        files = {model: file and file.path for model, file in found.items()}
        fold = min(folds) if len(folds) == 1 else 0
        cases.append(ComparedCase(task, name, first.group or name, fold, 0, first.path, files))
    if torn:
        text = f"models have {len(torn)} cases in different folds ({some(torn)}): fold 0 is written"
        findings.append(note("input", text, torn))
    return cases, findings


def _nothing_shared(reference: MaskTree, models: Mapping[str, MaskTree]) -> Iterator[Finding]:
    """Models of other cases, as of unlike folds, would each be the worst on the other's."""
    own = {model: reference.by_case.keys() & tree.by_case.keys() for model, tree in models.items()}
    for a, b in itertools.combinations(own, 2):
        if own[a] and own[b] and own[a].isdisjoint(own[b]):
            yield Finding("input", nothing_shared(a, b))


def _lost_folds(models: Mapping[str, MaskTree], request: Request) -> Iterator[Finding]:
    """Whole folds that one model lacks were rather not trained, or not copied, than failed."""
    folds = {model: {f.fold for f in tree.files} - {None} for model, tree in models.items()}
    every = set[int]().union(*folds.values())
    for model, own in folds.items():
        if own and (lost := sorted(every - own)):
            what = "fold" if len(lost) == 1 else "folds"
            text = f"{model}: has no {what} {some(map(str, lost))}, which others have: copy it, or"
            text = f"{text} remove its cases from all models and give --unpredicted leave-out"
            yield Finding("missing", text, stops=request.missing == "refuse")


def _duplicates(owner: str, tree: MaskTree) -> Iterator[Finding]:
    for case, files in sorted(tree.by_case.items()):
        if len(files) > 1:
            names = " and ".join(shown(file.path) for file in files)
            advice = "remove or rename one"
            if len({file.fold for file in files}) > 1:
                advice = "keep the one of the fold that did not train on it"
            text = f"{owner}: case {case}: {names} are both of it: {advice}"
            yield Finding("duplicate", text, cases=(case,), one=f"case {case}", many="cases")


def _partners(
    model: str, tree: MaskTree, reference: MaskTree, absent: set[str], request: Request
) -> Iterator[Finding]:
    """What one model has too few or too many; `absent` are the cases that no model has."""
    missing = sorted(reference.by_case.keys() - tree.by_case.keys())
    extra = sorted(tree.by_case.keys() - reference.by_case.keys())
    if extra and len(extra) == len(tree.by_case):
        like = difflib.get_close_matches(extra[0], missing, n=1, cutoff=0) or ["none"]
        yield Finding(
            "input",
            f"{model}: none of its {len(extra)} masks has the name of a reference: it has "
            f"{extra[0]}, where a reference is {like[0]}: rename them, or write a manifest",
        )
        return
    if extra:
        what = "prediction" if len(extra) == 1 else "predictions"
        text = f"{model}: has {len(extra)} {what} without reference ({some(extra)})"
        known = {case.casefold(): case for case in missing}
        if like := difflib.get_close_matches(extra[0].casefold(), known, n=1, cutoff=0.8):
            text += f"; is {extra[0]} meant for {known[like[0]]}?"
        if request.extra == "refuse":
            advice = "rename or remove them, or leave them out (--extra leave-out)"
            yield Finding("extra", f"{text}: {advice}", cases=tuple(extra))
        else:
            yield note("extra", f"{text}: left out", extra)
    missing = [case for case in missing if case not in absent]
    if missing:
        yield unscored(model, "no prediction", missing, len(reference.by_case), request)


def unscored(model: str, what: str, cases: list[str], of: int, request: Request) -> Finding:
    """Cases of which a model gave nothing that can be scored, resolved by the policy."""
    text = f"{model}: has {what} for {len(cases)} of {of} cases ({some(cases)})"
    if request.missing == "refuse":
        return Finding("missing", f"{text}: predict them", cases=tuple(cases))
    return note("missing", f"{text}: scored as the worst value", cases)


def _unpredicted(cases: list[str], of: int, request: Request) -> Finding:
    text = f"no model has a prediction for {len(cases)} of {of} references ({some(cases)})"
    if request.unpredicted == "refuse":
        advice = "remove those references, or give --unpredicted leave-out or worst"
        return Finding("unpredicted", f"{text}: {advice}", cases=tuple(cases))
    done = "left out" if request.unpredicted == "leave-out" else "scored as the worst value"
    return note("unpredicted", f"{text}: {done}", cases)
