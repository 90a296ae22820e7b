"""Whether there is anything at all: the probability that an image has foreground."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from segrisk.decision.tally import Tally

PENALTY = 1.0
"""Of half the squared slopes of standardised features: separable cases keep finite slopes."""


@dataclass(frozen=True)
class Presence:
    """π = sigmoid(intercept + volume_slope · log(1 + Σp) + peak_slope · max p).

    Voxels that are taken as independent make an empty image absurdly improbable as soon as there
    are many; these two numbers of the map, held against cases whose answer is known, do not.
    """

    intercept: float
    volume_slope: float
    peak_slope: float

    def __call__(self, volume: float, peak: float) -> float:
        """π of a map with Σp = `volume` and max p = `peak`."""
        return float(
            expit(self.intercept + self.volume_slope * np.log1p(volume) + self.peak_slope * peak)
        )


def fit_presence(cases: Sequence[Tally]) -> Presence:
    """The logistic regression of presence on log(1 + Σp) and max p, by penalised likelihood.

    ValueError where all cases have foreground, or none has: then they say nothing about presence.
    """
    present = np.array([case.reference_volume > 0 for case in cases])
    if present.all() or not present.any():
        kind = "have foreground" if present.all() else "are empty"
        raise ValueError(
            f"all {len(present)} cases {kind}, so the probability of presence cannot be fitted: "
            "add cases of the other kind, give `presence` yourself, or use a rule without it"
        )
    features = np.array([(np.log1p(case.volume), case.peak) for case in cases])
    centre, spread = features.mean(0), features.std(0)
    spread[spread == 0] = 1
    design = np.c_[np.ones(len(features)), (features - centre) / spread]

    def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = design @ weights
        slopes = np.r_[0, weights[1:]]
        value = np.logaddexp(0, margin).sum() - margin[present].sum()
        gradient = design.T @ (expit(margin) - present) + PENALTY * slopes
        return value + PENALTY * (slopes @ slopes) / 2, gradient

    weights = minimize(cost, np.zeros(3), jac=True, method="BFGS").x
    volume, peak = weights[1:] / spread
    return Presence(float(weights[0] - centre @ (volume, peak)), float(volume), float(peak))
