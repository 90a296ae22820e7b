"""Scores of every model on every case, from files, each read once and never again."""

import importlib.util
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from segrisk.compare.cases import ComparedCase
from segrisk.compare.measure import VERSION, Measured, Unit, Wanted, measure
from segrisk.compare.values import value, worst
from segrisk.data.errors import DataError, shown
from segrisk.files import digest
from segrisk.metrics import CONVENTIONS, Convention, Measure, Region
from segrisk.metrics.measures import measures
from segrisk.names import nearest
from segrisk.processes import Died, mapped
from segrisk.scores import Score

FOREGROUND = (Region("foreground"),)


@dataclass(frozen=True)
class ScorePlan:
    """What is scored, and how.

    `metrics` are names of `segrisk.metrics.MEASURES`; `regions` say what is scored as one object,
    each under its name as label. Voxels whose reference is `ignore` count for nothing. `convention`
    names what empty masks get; `tolerance_mm` is the NSD's.

    >>> ScorePlan(metrics=("dice", "hd95"))
    Traceback (most recent call last):
    ValueError: no metric is called 'hd95'; did you mean 'hd95_mm'?
    """

    metrics: tuple[str, ...] = ("dice", "jaccard")
    regions: tuple[Region, ...] = FOREGROUND
    ignore: int | None = None
    convention: str = "segrisk"
    tolerance_mm: float | None = None

    def __post_init__(self) -> None:
        if not self.metrics or not self.regions:
            raise ValueError("a plan needs at least one metric and one region")
        names = [region.name for region in self.regions]
        twice = [name for name, count in Counter([*self.metrics, *names]).items() if count > 1]
        if twice:
            raise ValueError(f"the plan names '{twice[0]}' twice: name each metric and region once")
        if self.convention not in CONVENTIONS:
            hint = nearest(self.convention, CONVENTIONS)
            raise ValueError(f"no convention is called '{self.convention}'{hint}")
        for region in self.regions:
            if region.labels and self.ignore in region.labels:
                raise ValueError(
                    f"region '{region.name}' holds the label {self.ignore}, which is ignored: "
                    "take it out of the region, or ignore another label"
                )
        if any(one.kind == "surface" for one in self.measures) and self.tolerance_mm is None:
            raise ValueError(
                "nsd needs a tolerance: give tolerance_mm (--nsd-mm), the error that is allowed"
            )
        if self.tolerance_mm is not None and not 0 <= self.tolerance_mm < math.inf:
            raise ValueError(f"tolerance_mm must be at least 0 and finite, got {self.tolerance_mm}")

    @property
    def measures(self) -> tuple[Measure, ...]:
        return measures(self.metrics)

    @property
    def wanted(self) -> Wanted:
        """What must be measured of each pair for this plan."""
        surfaces = any(one.needs_surfaces for one in self.measures)
        return Wanted(
            self.regions,
            self.ignore,
            (self.tolerance_mm or 0.0) if surfaces else None,
            any(one.kind == "instances" for one in self.measures),
        )


@dataclass(frozen=True)
class Size:
    """How much of a case one region of its reference is."""

    fraction: float
    volume_ml: float


@dataclass(frozen=True)
class EvaluatedCase:
    """A case with the size of its reference: of all regions together, and of each."""

    task: str
    case: str
    group: str
    fraction: float
    volume_ml: float
    regions: Mapping[str, Size] = field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """What one model made of one case; a failed one was missing, and gets the worst values."""

    case: ComparedCase
    model: str
    measured: Measured
    failed: bool


@dataclass(frozen=True)
class LeftOut:
    """A case that has no number for some model under the convention, so is left out for all."""

    task: str
    case: str
    label: str
    metric: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """What was measured, and under a plan its scores; `under` scores it again without a file.

    `scores` hold only numbers. Where a convention other than `segrisk` gives a model no number,
    the case is left out for every model, label by label, and `left_out` names it.
    """

    plan: ScorePlan
    predictions: tuple[Prediction, ...]
    inputs: str
    """The digest of the contents of every file."""

    def under(self, convention: str) -> "Evaluation":
        """The same predictions scored under another convention."""
        return replace(self, plan=replace(self.plan, convention=convention))

    @property
    def convention(self) -> Convention:
        return CONVENTIONS[self.plan.convention]

    @cached_property
    def values(self) -> tuple[Score, ...]:
        """Every score as the convention gives it, which may be NaN or infinite."""
        plan = self.plan
        return tuple(
            Score(
                one.case.task,
                one.model,
                one.case.case,
                one.case.group,
                region.name,
                one.case.fold,
                one.case.seed,
                measure.name,
                worst(measure, one.measured, region, plan.ignore)
                if one.failed
                else value(measure, one.measured, region, plan.ignore, self.convention),
            )
            for one in self.predictions
            for region in plan.regions
            for measure in plan.measures
        )

    @cached_property
    def scores(self) -> tuple[Score, ...]:
        """The scores of the cases that have a number for every model."""
        out = {(one.task, one.case, one.label, one.metric) for one in self.left_out}
        return tuple(s for s in self.values if (s.task, s.case, s.label, s.metric) not in out)

    @cached_property
    def left_out(self) -> tuple[LeftOut, ...]:
        models: dict[tuple[str, str, str, str], list[str]] = {}
        for score in self.values:
            if not math.isfinite(score.value):
                key = score.task, score.case, score.label, score.metric
                models.setdefault(key, []).append(score.model)
        return tuple(LeftOut(*key, tuple(dict.fromkeys(own))) for key, own in models.items())

    def means(self) -> dict[tuple[str, str, str, str], float]:
        """The mean by (task, model, label, metric) as the convention's package would print it.

        Each model is averaged over its own cases, which is why such means may not be compared.
        """
        values: dict[tuple[str, str, str, str], list[float]] = {}
        for s in self.values:
            values.setdefault((s.task, s.model, s.label, s.metric), []).append(s.value)
        return {key: self.convention.average(own) for key, own in values.items()}

    @cached_property
    def cases(self) -> tuple[EvaluatedCase, ...]:
        """Every case once, with the size of its reference."""
        first: dict[tuple[str, str], Prediction] = {}
        for one in self.predictions:
            first.setdefault((one.case.task, one.case.case), one)
        return tuple(_sized(one, self.plan) for one in first.values())

    @property
    def provenance(self) -> dict[str, Any]:
        """What every export says of its scores, as JSON."""
        return {
            "metrics": list(self.plan.metrics),
            "regions": {region.name: region.labels for region in self.plan.regions},
            "ignore": self.plan.ignore,
            "tolerance_mm": self.plan.tolerance_mm,
            "convention": self.convention.name,
            "convention_source": self.convention.source,
            "failed_predictions": sum(one.failed for one in self.predictions),
            "inputs": self.inputs,
            "version": VERSION,
        }


def evaluate(
    cases: Sequence[ComparedCase],
    plan: ScorePlan,
    *,
    cache: Path | None = None,
    workers: int = 1,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Score every model on every case; the result is the same for any number of workers.

    A case is the work of one process, which reads its reference once for all models. What is
    measured is kept in the folder `cache` by the contents of both files, so that a run that was
    stopped goes on, and another convention, or other regions of overlaps, read nothing. DataError
    names every file that cannot be read and every case whose process died, after all others were
    measured: no case is dropped.
    """
    _check(cases)
    if plan.wanted.tolerance_mm is not None and importlib.util.find_spec("monai") is None:
        raise ImportError("distances between surfaces need MONAI: pip install 'segrisk[compare]'")
    by_reference: dict[Path, dict[Path | None, None]] = {}
    for case in cases:
        own = by_reference.setdefault(case.reference, {})
        own.update(dict.fromkeys(case.predictions.values()))
    units = [Unit(path, tuple(own), plan.wanted, cache) for path, own in by_reference.items()]
    outcomes = mapped(measure, units, workers, report)
    found: dict[tuple[Path, Path | None], Measured] = {}
    faults: list[str] = []
    contents: list[list[str]] = []
    for unit, outcome in zip(units, outcomes, strict=True):
        if isinstance(outcome, Died):
            faults.append(_death(unit))
            continue
        faults.extend(outcome.faults)
        contents.append(list(outcome.digests))
        for path, measured in zip(unit.predictions, outcome.measured, strict=True):
            if measured is not None:
                found[unit.reference, path] = measured
    if faults:
        raise DataError(faults)
    return Evaluation(
        plan,
        tuple(
            Prediction(case, model, found[case.reference, path], path is None)
            for case in cases
            for model, path in case.predictions.items()
        ),
        digest(contents),
    )


def _check(cases: Sequence[ComparedCase]) -> None:
    if not cases:
        raise ValueError("there is no case to score")
    models = set(cases[0].predictions)
    if not models:
        raise ValueError(f"case '{cases[0].case}' of {cases[0].task} has no model to score")
    for case in cases:
        if set(case.predictions) != models:
            odd = sorted(models ^ set(case.predictions))
            raise ValueError(
                f"case '{case.case}' of {case.task} differs from others in the models {odd}: every "
                "model needs every case; give None where a prediction is missing"
            )
    keys = Counter((case.task, case.case, case.seed) for case in cases)
    (task, name, seed), count = keys.most_common(1)[0]
    if count > 1:
        raise ValueError(f"case '{name}' of {task} is given {count} times for seed {seed}")


def _death(unit: Unit) -> str:
    return (
        f"{shown(unit.reference)}: the process that scored it died, also alone, killed or out of "
        "memory: free memory, or check this file and its predictions"
    )


def _sized(one: Prediction, plan: ScorePlan) -> EvaluatedCase:
    sizes = {region.name: _size(one.measured, region, plan.ignore) for region in plan.regions}
    labels = None
    if all(region.labels is not None for region in plan.regions):
        labels = tuple({label for region in plan.regions for label in region.labels or ()})
    whole = _size(one.measured, Region("all", labels), plan.ignore)
    case = one.case
    return EvaluatedCase(case.task, case.case, case.group, whole.fraction, whole.volume_ml, sizes)


def _size(measured: Measured, region: Region, ignore: int | None) -> Size:
    masses = measured.counts.confusion(region, ignore)
    share = masses.positives / masses.total if masses.total else 0.0
    return Size(share, masses.positives * measured.voxel_ml)
