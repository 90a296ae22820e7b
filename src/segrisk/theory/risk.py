"""What a measured Dice risk says of the Jaccard risk, and the other way round."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDED = 1e-6
"""How far per-case scores may be from J = D / (2 − D); scores in float32 are this precise."""


def jaccard_loss_of(dice_loss: float) -> float:
    """φ(x) = 2x / (1 + x), Eq. 5: the Jaccard loss of a case whose Dice loss is x.

    φ is concave, so by Jensen's inequality φ(Dice risk) bounds the Jaccard risk of any cases; it
    is the least such bound, below both 2x and x + 3 − 2√2.

    >>> round(jaccard_loss_of(0.2), 4)
    0.3333
    """
    _in_range("the Dice loss", dice_loss)
    return 2 * dice_loss / (1 + dice_loss)


def dice_loss_of(jaccard_loss: float) -> float:
    """The inverse of φ, x / (2 − x): the Dice loss of a case whose Jaccard loss is x.

    >>> round(dice_loss_of(1 / 3), 4)
    0.2
    """
    _in_range("the Jaccard loss", jaccard_loss)
    return jaccard_loss / (2 - jaccard_loss)


def jaccard_risk_bounds(dice_risk: float) -> tuple[float, float]:
    """Between what the Jaccard risk lies, given the Dice risk: [x, φ(x)], Eq. 6. Both are sharp.

    The upper end also bounds what minimising the Jaccard risk gives in Dice: with minimisers f_D
    and f_J, Dice risk(f_J) ≤ Jaccard risk(f_J) ≤ Jaccard risk(f_D) ≤ φ(Dice risk(f_D)).

    >>> [round(end, 4) for end in jaccard_risk_bounds(0.2)]
    [0.2, 0.3333]
    """
    return dice_risk, jaccard_loss_of(dice_risk)


def dice_risk_bounds(jaccard_risk: float) -> tuple[float, float]:
    """Between what the Dice risk lies, given the Jaccard risk: [x / (2 − x), x].

    >>> [round(end, 4) for end in dice_risk_bounds(0.5)]
    [0.3333, 0.5]
    """
    return dice_loss_of(jaccard_risk), jaccard_risk


@dataclass(frozen=True)
class RiskChain:
    """Dice risk ≤ Jaccard risk ≤ φ(Dice risk), measured on cases."""

    dice_risk: float
    jaccard_risk: float
    bound: float
    """φ(Dice risk)."""

    @property
    def spread(self) -> float:
        """φ(Dice risk) − Jaccard risk: 0 where all cases score alike; the cost of their spread."""
        return self.bound - self.jaccard_risk


def risk_chain(dice_scores: Sequence[float], jaccard_scores: Sequence[float]) -> RiskChain:
    """The risks of a model from the two scores of each case, Eq. 6.

    The chain holds for scores of the same masks with one convention for empty ones. Raises
    ValueError where it cannot: scores outside [0, 1], of different number, or a case that breaks
    J = D / (2 − D).

    >>> chain = risk_chain([1.0, 0.5], [1.0, 1 / 3])
    >>> round(chain.dice_risk, 4), round(chain.jaccard_risk, 4), round(chain.bound, 4)
    (0.25, 0.3333, 0.4)
    """
    d, j = (np.asarray(scores, dtype=float) for scores in (dice_scores, jaccard_scores))
    if d.shape != j.shape or d.ndim != 1 or not d.size:
        raise ValueError(
            f"scores have the shapes {d.shape} and {j.shape}: give one Dice and one Jaccard score "
            "for each case"
        )
    for name, scores in (("Dice", d), ("Jaccard", j)):
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError(f"{name} scores must lie in [0, 1], got {_first_outside(scores)}")
    off = np.abs(j - d / (2 - d))
    if off.max() > ROUNDED:
        case = int(off.argmax())
        raise ValueError(
            f"case {case} has Dice {d[case]:.4g} and Jaccard {j[case]:.4g}, which no one mask has "
            f"(J = D / (2 − D) is {d[case] / (2 - d[case]):.4g}): score the same masks, with one "
            "convention for empty ones"
        )
    dice_risk = float(1 - d.mean())
    return RiskChain(dice_risk, float(1 - j.mean()), jaccard_loss_of(dice_risk))


def _first_outside(scores: np.ndarray) -> float:
    return float(scores[~((scores >= 0) & (scores <= 1))][0])


def _in_range(what: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{what} must lie in [0, 1], got {value}")
