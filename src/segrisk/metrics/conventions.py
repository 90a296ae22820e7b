"""What a score is where a mask is empty: the conventions of public packages, as data.

No formula says what the overlap with nothing is, every package decides it, and the decision can
change which model wins. So it stands here as a table with a name, and the name is printed.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from segrisk.metrics.measures import Measure

FORMULA = "formula"
"""As the formula says, with 0/0 = 1."""
DIAGONAL = "diagonal"
"""The diagonal of the image in mm, which no distance in it exceeds."""
NAN, INF = math.nan, math.inf

Value = float | Literal["formula", "diagonal"]


@dataclass(frozen=True)
class Empty:
    """The value where both masks, only the reference, or only the prediction is empty."""

    both: Value
    reference: Value
    prediction: Value

    def of(self, reference: bool, prediction: bool) -> Value:
        """The value, given which masks are empty; one of them must be."""
        if reference and prediction:
            return self.both
        return self.reference if reference else self.prediction


Means = Literal["every case", "cases with a value"]


@dataclass(frozen=True)
class Convention:
    """The value of each kind of measure where a mask is empty, and how cases are averaged.

    `rules` are looked up by the measure's name, then by its kind; without a rule the formula
    decides. `mean` says whether a case without a value (NaN) makes the mean NaN or is left out of
    it, of each model's mean for itself; `nothing` is the mean where no case has a value. `source`
    names the package and version that does so, and `evidence` how that is known.

    >>> CONVENTIONS["nnunet"].average([0.8, math.nan, 0.6])
    0.7
    """

    name: str
    source: str
    evidence: str
    rules: Mapping[str, Empty] = field(default_factory=dict)
    mean: Means = "cases with a value"
    nothing: float = NAN

    def rule(self, measure: Measure) -> Empty:
        """What holds for a measure; a similarity of the background is defined without objects."""
        formula = Empty(FORMULA, FORMULA, FORMULA)
        if measure.kind == "overlap" and not measure.similarity.of_foreground:
            return formula
        return self.rules.get(measure.name, self.rules.get(measure.kind, formula))

    def average(self, values: Iterable[float]) -> float:
        """The mean over cases, as this package takes it."""
        array = np.fromiter(values, float)
        if self.mean == "cases with a value":
            array = array[~np.isnan(array)]
            if not array.size:
                return self.nothing
        return float(array.mean())


NONE = Empty(NAN, NAN, NAN)
"""There is no such measure in the package, or it raises an error: no value."""
NO_SURFACES = {"surface": NONE, "distance": NONE, "instances": NONE}

CONVENTIONS = {
    convention.name: convention
    for convention in (
        Convention(
            "segrisk",
            "this package: two empty masks agree, one is the worst value",
            "defined here",
            {
                "overlap": Empty(1.0, FORMULA, FORMULA),
                "instances": Empty(1.0, 0.0, 0.0),
                "surface": Empty(1.0, 0.0, 0.0),
                "distance": Empty(0.0, DIAGONAL, DIAGONAL),
            },
            mean="every case",
        ),
        Convention(
            "nnunet",
            "nnunetv2 2.8.1",
            "its own summary of a small tree, stored with the tests",
            {"overlap": Empty(NAN, 0.0, 0.0), **NO_SURFACES},
        ),
        Convention(
            "monai",
            "MONAI 1.6.1 with its defaults: a case without reference does not count",
            "run by the tests",
            {
                "overlap": Empty(NAN, NAN, 0.0),
                "surface": Empty(NAN, 0.0, 0.0),
                "assd_mm": Empty(NAN, INF, INF),
                "hd95_mm": NONE,
                "instances": NONE,
            },
            nothing=0.0,
        ),
        Convention(
            "torchmetrics",
            "torchmetrics 1.9.0; its MeanIoU marks a class without value by −1",
            "run by the tests",
            {"overlap": Empty(NAN, 0.0, 0.0), **NO_SURFACES},
        ),
        Convention(
            "metrics_reloaded_2025",
            "MetricsReloaded before April 2026: Dice 1 and Jaccard without a value",
            "its published code, whose numbers the tests derive",
            {
                "overlap": Empty(1.0, 0.0, 0.0),
                "jaccard": Empty(NAN, 0.0, 0.0),
                "surface": Empty(1.0, 0.0, 0.0),
                "distance": Empty(0.0, NAN, NAN),
                "instances": NONE,
            },
        ),
        Convention(
            "metrics_reloaded_2026",
            "MetricsReloaded since April 2026: no value without a reference",
            "its change note, not run",
            {
                "overlap": Empty(NAN, NAN, 0.0),
                "jaccard": Empty(NAN, 0.0, 0.0),
                "surface": Empty(NAN, NAN, 0.0),
                "distance": NONE,
                "instances": NONE,
            },
        ),
        Convention(
            "medpy",
            "MedPy 0.5.2, which raises an error for the distance to an empty mask",
            "run by the tests",
            {
                "overlap": Empty(1.0, 0.0, 0.0),
                "surface": NONE,
                "distance": NONE,
                "instances": NONE,
            },
        ),
    )
}
"""Conventions by name; `segrisk` is the one in force where none is named."""
