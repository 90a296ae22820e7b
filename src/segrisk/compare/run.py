"""A comparison from what is asked for to the page: gather, declare, score, test, write."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from segrisk import __version__
from segrisk.compare.asked import Comparison, examine, score_plan
from segrisk.compare.doctor import Gathered, gather
from segrisk.compare.evaluate import Evaluation, ScorePlan, evaluate
from segrisk.compare.layouts import image_in
from segrisk.compare.request import refuse_if, some
from segrisk.compare.show import progress
from segrisk.compare.tables import KINDS
from segrisk.data.errors import DataError
from segrisk.files import UNFINISHED, digest, write_json
from segrisk.frames import Frame
from segrisk.metrics import CONVENTIONS
from segrisk.report.complete import Cases
from segrisk.report.results import Alternative, CaseInfo, Model, Results
from segrisk.report.summary import Summary
from segrisk.report.terminal import show_summary
from segrisk.report.views import Views
from segrisk.report.write import PAGE, write_report
from segrisk.scores import Score, ScoreFrame, as_scores

DECLARED = "comparison.json"
CACHE = "cache"


def run_comparison(comparison: Comparison, console: Console) -> Summary:
    """Score, test and report; print the tables. DataError with all faults of the input."""
    _check_folder(comparison.out)
    with progress(console) as follow:
        gathered = gather(comparison.request, follow("reading masks"))
    findings = examine(comparison, gathered)
    refuse_if(findings)
    notes = (*gathered.notes, *(finding.text for finding in findings))
    gathered = replace(gathered, notes=notes)
    for text in notes:
        console.print(f"note: {text}", highlight=False, markup=False, soft_wrap=True)
    if gathered.scores:
        results, views = _of_tables(comparison, gathered), None
    else:
        results, views = _of_masks(comparison, gathered, console)
    with console.status("testing and drawing"), _writing(comparison.out):
        summary = write_report(results, comparison.out, views)
    show_summary(summary, console)
    path = comparison.out / PAGE
    console.print(f"report: {path}", highlight=False, markup=False, soft_wrap=True)
    return summary


# What is declared before the first score


def _check_folder(out: Path) -> None:
    """The folder can be written, nobody's files are written over, and what a kill left goes."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise DataError([f"{there}: is a file: give --out a folder"])
    if not os.access(there, os.W_OK):
        raise DataError([f"{there}: may not be written: give another --out"])
    if out.exists() and any(out.iterdir()) and not (out / DECLARED).exists():
        raise DataError(
            [f"{out}: is not empty and holds no comparison: give --out a new or empty folder"]
        )
    for left in out.glob(f"{UNFINISHED}*"):  # by a kill in the midst of a report
        shutil.rmtree(left, ignore_errors=True)


def _declare(comparison: Comparison, what: dict[str, Any]) -> bool:
    """Record what is tested, before the first score; whether it was changed since scores exist."""
    path, own = comparison.out / DECLARED, digest(what)
    declared = own
    scored = any((comparison.out / f"scores.{kind}").exists() for kind in KINDS)
    if path.exists() and scored:
        try:
            declared = json.loads(path.read_text(encoding="utf-8"))["declared"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                [f"{path}: does not say what was declared before scores: give another --out"]
            ) from error
    with _writing(comparison.out):
        comparison.out.mkdir(parents=True, exist_ok=True)
        write_json(path, {"declared": declared, "used": own, **what})
    return declared != own


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """A full disk is no bug."""
    try:
        yield
    except OSError as error:
        place = error.filename or out
        text = f"{place}: cannot be written ({error.strerror}): free space, or give another --out"
        raise DataError([text]) from error


# Masks


def _of_masks(
    comparison: Comparison, gathered: Gathered, console: Console
) -> tuple[Results, Views]:
    plan = score_plan(comparison, gathered)
    what = {
        "statistics": comparison.statistics.declared,
        "scores": _described(plan),
        "models": sorted(gathered.models),
    }
    post_hoc = _declare(comparison, what)
    with progress(console) as follow:
        evaluation = evaluate(
            gathered.cases,
            plan,
            cache=comparison.out / CACHE,
            workers=comparison.workers,
            report=follow("scoring"),
        )
    results = Results(
        name=_name(comparison, gathered),
        tasks=tuple(dict.fromkeys(case.task for case in gathered.cases)),
        models=_models(gathered),
        cases=Frame.of(CaseInfo, _cases(evaluation)),
        scores=as_scores(_kept(evaluation)),
        plan=comparison.statistics,
        post_hoc=post_hoc,
        notes=(*gathered.notes, *_left_out(evaluation)),
        worst=gathered.worst,
        provenance=_provenance(what, evaluation.provenance),
        subject="model",
        convention=_words(evaluation),
        alternatives=tuple(_alternatives(evaluation, comparison.statistics.primary)),
    )
    return results, Views.of(gathered.cases, _images(comparison, gathered), plan.regions)


def _images(comparison: Comparison, gathered: Gathered) -> dict[tuple[str, str], Path]:
    """The image of each (task, case) that has one; those of a folder that was given come first."""
    images = dict(gathered.images)
    for case in gathered.cases if comparison.images else ():
        if found := image_in(comparison.images, case.case):
            images[case.task, case.case] = found
    return images


def _described(plan: ScorePlan) -> dict[str, Any]:
    return {**asdict(plan), "regions": {region.name: region.labels for region in plan.regions}}


def _unscored(evaluation: Evaluation) -> set[tuple[str, str, str]]:
    """(task, case, label) that have no value in some metric: they count in none, for no model."""
    return {(one.task, one.case, one.label) for one in evaluation.left_out}


def _kept(evaluation: Evaluation) -> list[Score]:
    out = _unscored(evaluation)
    return [s for s in evaluation.scores if (s.task, s.case, s.label) not in out]


def _cases(evaluation: Evaluation) -> list[CaseInfo]:
    out = _unscored(evaluation)
    return [
        CaseInfo(case.task, case.case, case.group, size.fraction, region)
        for case in evaluation.cases
        for region, size in case.regions.items()
        if (case.task, case.case, region) not in out
    ]


def _left_out(evaluation: Evaluation) -> list[str]:
    by_label: dict[tuple[str, str], list[str]] = {}
    for task, case, label in sorted(_unscored(evaluation)):
        by_label.setdefault((task, label), []).append(case)
    return [
        f"{task}, {label}: {len(cases)} cases are left out for every model and metric, because "
        f"the convention '{evaluation.convention.name}' gives some of them no value: {some(cases)}"
        for (task, label), cases in by_label.items()
    ]


def _words(evaluation: Evaluation) -> str:
    """The convention, as a caption says it."""
    convention = evaluation.convention
    if convention.name == "segrisk":
        return Results.convention
    return f"empty masks as in {convention.source}"


def _alternatives(evaluation: Evaluation, primary: str) -> list[Alternative]:
    """The primary metric under every convention that has it.

    The one in force among them: its package averages each model over its own cases, not over those
    that all have.
    """
    found = []
    for name, convention in CONVENTIONS.items():
        values = tuple(s for s in evaluation.under(name).values if s.metric == primary)
        if any(score.value == score.value for score in values):
            in_force = ", in force" if name == evaluation.convention.name else ""
            title = f"{name} ({convention.source}{in_force})"
            found.append(Alternative(title, as_scores(values)))
    return found


# Tables of scores


def _of_tables(comparison: Comparison, gathered: Gathered) -> Results:
    found = gathered.scores.text("metric").used()
    metrics = tuple(n for n in comparison.statistics.metrics if n in found)
    statistics = replace(comparison.statistics, metrics=metrics)
    scores = gathered.scores.among("metric", metrics)
    what = {"statistics": statistics.declared, "models": sorted(gathered.models)}
    return Results(
        name=_name(comparison, gathered),
        tasks=scores.text("task").seen(),
        models=_models(gathered),
        cases=_scored_cases(gathered, scores),
        scores=scores,
        plan=statistics,
        post_hoc=_declare(comparison, what),
        notes=gathered.notes,
        worst=gathered.worst,
        provenance=_provenance(what, {}),
        subject="model",
        convention="empty masks as the tables have them",
    )


def _scored_cases(gathered: Gathered, scores: ScoreFrame) -> Cases:
    """The references that have some of the scores."""
    own, key = gathered.references, ("task", "case", "label")
    if len(scores) == len(gathered.scores):
        return own
    return own.take(np.isin(own.keys(*key), scores.keys(*key)))


# What both have


def _models(gathered: Gathered) -> tuple[Model, ...]:
    return tuple(Model(name, name, "other") for name in gathered.models)


def _name(comparison: Comparison, gathered: Gathered) -> str:
    return comparison.request.task or " · ".join(gathered.models)


def _provenance(what: dict[str, Any], scored: dict[str, Any]) -> dict[str, Any]:
    return {"segrisk": __version__, "declared": digest(what), **what, **scored}
