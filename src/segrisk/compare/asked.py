"""What is asked of masks or scores, and whether they can answer it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from segrisk.compare.doctor import Gathered
from segrisk.compare.evaluate import FOREGROUND, ScorePlan
from segrisk.compare.request import Finding, Request, note, some
from segrisk.data.errors import DataError
from segrisk.metrics import Region
from segrisk.metrics.measures import measures
from segrisk.names import nearest
from segrisk.report.results import StatisticsPlan
from segrisk.statistics import Unit, no_group_means


@dataclass(frozen=True)
class Comparison:
    """What `segrisk compare` is asked for.

    Without `regions`, those of a dataset.json are scored, or each label of the references.
    """

    request: Request
    out: Path
    statistics: StatisticsPlan
    regions: tuple[Region, ...] = ()
    ignore: int | None = None
    convention: str = "segrisk"
    surface_tolerance_mm: float | None = None
    images: Path | None = None
    workers: int = 1


def comparison(
    request: Request,
    out: Path,
    *,
    metrics: tuple[str, ...] = (),
    primary: str | None = None,
    margin: float = 0.01,
    alpha: float = 0.05,
    resamples: int = 9999,
    seed: int = 0,
    unit: Unit = "case",
    workers: int | None = None,
    **given: Any,
) -> Comparison:
    """A comparison with its defaults filled in; DataError where what is asked makes no sense.

    No file is read for that: who waits for masks to be read should not learn of a typing error.
    """
    metrics = metrics or StatisticsPlan.metrics
    with _said():
        measures(metrics)
    primary = primary or metrics[0]
    if primary not in metrics:
        hint = nearest(primary, metrics)
        raise DataError([f"the primary metric '{primary}' is not among the metrics{hint}"])
    plan = StatisticsPlan(primary, metrics, alpha, margin, resamples, seed, unit)
    workers = workers or len(os.sched_getaffinity(0))
    asked = Comparison(replace(request, workers=workers), out, plan, workers=workers, **given)
    if request.reference or request.manifest:
        _plan(asked, asked.regions or FOREGROUND, asked.ignore)
    return asked


def examine(comparison: Comparison, gathered: Gathered) -> list[Finding]:
    """Why what was gathered cannot answer what is asked; nothing where all is well."""
    if gathered.scores:
        faults = [*_only_of_masks(comparison), *_absent_primary(comparison, gathered)]
    else:
        faults = [*_absent_regions(comparison, gathered), *_wrong_ignore(comparison, gathered)]
        faults += [] if faults else _no_plan(comparison, gathered)
    faults += _no_groups(comparison.statistics.unit, gathered)
    findings = [Finding("input", text) for text in faults]
    held = {value for own in gathered.labels.values() for value in own}
    if gathered.cases and comparison.ignore not in {None, *held}:
        text = f"no reference holds {comparison.ignore}, which is to be ignored"
        findings.append(note("labels", text))
    return findings


def score_plan(comparison: Comparison, gathered: Gathered) -> ScorePlan:
    """What is scored of masks; DataError where it makes no sense."""
    labelling = gathered.labelling
    regions = comparison.regions or tuple(Region(*region) for region in labelling.regions)
    ignore = labelling.ignore if comparison.ignore is None else comparison.ignore
    return _plan(comparison, regions or _each_label(gathered, ignore), ignore)


def _plan(comparison: Comparison, regions: tuple[Region, ...], ignore: int | None) -> ScorePlan:
    with _said():
        return ScorePlan(
            metrics=comparison.statistics.metrics,
            regions=regions,
            ignore=ignore,
            convention=comparison.convention,
            tolerance_mm=comparison.surface_tolerance_mm,
        )


@contextmanager
def _said() -> Iterator[None]:
    """What makes no sense is a fault of what was asked."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        raise DataError([str(error)]) from error


def _each_label(gathered: Gathered, ignore: int | None) -> tuple[Region, ...]:
    """A region for each label, or the foreground where there is one, whatever its value."""
    labels = {
        task: tuple(value for value in own if value != ignore)
        for task, own in gathered.labels.items()
    }
    if all(len(own) <= 1 for own in labels.values()):
        return (Region("foreground"),)
    if len(set(labels.values())) > 1:
        held = "; ".join(f"{task}: {some(map(str, own))}" for task, own in labels.items())
        raise DataError(
            [
                f"the tasks hold different labels ({held}): say what is scored in all of them "
                "(--region NAME=1,2), or compare them one by one"
            ]
        )
    return tuple(Region(str(value), (value,)) for value in next(iter(labels.values())))


def _only_of_masks(comparison: Comparison) -> Iterator[str]:
    asked = {
        "--region": bool(comparison.regions),
        "--ignore": comparison.ignore is not None,
        "--images": comparison.images is not None,
        "--nsd-mm": comparison.surface_tolerance_mm is not None,
        "--convention": comparison.convention != "segrisk",
    }
    for option, given in asked.items():
        if given:
            yield f"{option}: tables of scores hold no masks: leave it out, or give --reference"


def _absent_primary(comparison: Comparison, gathered: Gathered) -> Iterator[str]:
    found, primary = gathered.scores.text("metric").used(), comparison.statistics.primary
    if primary not in found:
        yield (
            f"the tables have no {primary}: they hold {some(sorted(found))}; name one with "
            "--primary"
        )


def _absent_regions(comparison: Comparison, gathered: Gathered) -> Iterator[str]:
    """Regions that no reference holds: every model would score 1 for marking nothing."""
    for region in comparison.regions:
        for task, held in gathered.labels.items():
            if region.labels and not set(region.labels) & set(held):
                own = some(map(str, region.labels))
                yield (
                    f"--region {region.name}: no reference of {task} holds {own}: it holds "
                    f"{some(map(str, held))}: correct the labels, or leave the region out"
                )


def _wrong_ignore(comparison: Comparison, gathered: Gathered) -> Iterator[str]:
    ignore = comparison.ignore
    if ignore == 0:
        yield (
            "--ignore 0: is the background, without which no false positive counts: give the "
            "value of what nobody labelled"
        )
    for task, held in gathered.labels.items():
        if set(held) == {ignore}:
            yield f"--ignore {ignore}: is the only label of {task}: nothing is left to score"


def _no_plan(comparison: Comparison, gathered: Gathered) -> list[str]:
    try:
        score_plan(comparison, gathered)
    except DataError as error:
        return list(error.faults)
    return []


def _groups(gathered: Gathered) -> Iterator[tuple[str, str] | int]:
    """The group of each case."""
    if scores := gathered.scores:
        _, first = np.unique(scores.keys("task", "case"), return_index=True)
        yield from scores.take(first).keys("task", "group").tolist()
    else:
        cases = {(case.task, case.case): (case.task, case.group) for case in gathered.cases}
        yield from cases.values()


def _no_groups(unit: Unit, gathered: Gathered) -> Iterator[str]:
    if reason := no_group_means(unit, _groups(gathered)):
        yield (
            f"--unit {reason}: give --groups (columns case and group) or a manifest with a column "
            "group, or leave out --unit"
        )
