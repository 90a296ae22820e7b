"""From what was measured to the value of one measure under one convention."""

from segrisk.compare.measure import Measured
from segrisk.metrics import Convention, Measure, Region
from segrisk.metrics.conventions import DIAGONAL, FORMULA
from segrisk.similarity import Confusion


def value(
    measure: Measure,
    measured: Measured,
    region: Region,
    ignore: int | None,
    convention: Convention,
) -> float:
    """The value of a prediction that is there; NaN where the convention gives none."""
    masses = measured.counts.confusion(region, ignore)
    if measure.kind == "volume":
        return _volume(measure, measured, masses)
    lacking = masses.positives == 0, masses.tp + masses.fp == 0
    rule = convention.rule(measure).of(*lacking) if any(lacking) else FORMULA
    if rule == DIAGONAL:
        return measured.diagonal_mm
    if not isinstance(rule, str):
        return rule
    if measure.kind == "overlap":
        return float(measure.similarity(masses))
    shapes = measured.shapes[region.name]
    if measure.kind == "instances":
        return float(measure.similarity(shapes.components).mean())
    return shapes.surface[measure.name]


def worst(measure: Measure, measured: Measured, region: Region, ignore: int | None) -> float:
    """The value of a prediction that is missing or failed, under every convention."""
    if measure.kind == "volume":
        return _volume(measure, measured, measured.counts.confusion(region, ignore))
    return measured.diagonal_mm if measure.kind == "distance" else 0.0


def _volume(measure: Measure, measured: Measured, masses: Confusion) -> float:
    bias = (masses.fp - masses.fn) * measured.voxel_ml
    return bias if measure.better == "zero" else abs(bias)
