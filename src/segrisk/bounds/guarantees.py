"""What similarities guarantee of each other on given masks, as frozen data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from segrisk.bounds.masks import MaskSize
from segrisk.similarity import (
    Confusion,
    clipped_hamming,
    dice,
    hamming,
    jaccard,
    weighted_hamming,
)
from segrisk.theory import (
    Approximation,
    approximation,
    approximation_on,
    balanced_weight,
    best_weight,
    threshold_of_weight,
)

CLOSE = approximation(jaccard, dice).absolute
"""What Proposition 1 promises: a weighting this near to Dice is as good as Jaccard."""
PAIRS = (
    (jaccard, dice),
    (clipped_hamming, dice),
    (weighted_hamming, dice),
    (hamming, dice),
    (clipped_hamming, jaccard),
    (weighted_hamming, jaccard),
    (hamming, jaccard),
)
REACHED = (0.9, 0.7, 0.5, 0.3)
QUANTILES = {"least": 0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95}


@dataclass(frozen=True)
class Guarantee:
    """How well `first` stands for `second` on the masks; `gamma` is that of the best Hγ."""

    first: str
    second: str
    absolute: float
    relative: float
    loss_factor: float
    """sup/inf of the ratio of the losses, the best rescaling and γ allowed."""
    gamma: float | None
    worst: str
    """A worst case of the absolute error, in words."""


@dataclass(frozen=True)
class Weight:
    """A foreground weight of cross-entropy, and the threshold it means."""

    meaning: str
    weight: float
    threshold: float


@dataclass(frozen=True)
class Findings:
    """All that the command shows."""

    sizes: tuple[MaskSize, ...]
    guarantees: tuple[Guarantee, ...]
    weights: tuple[Weight, ...]

    @property
    def fractions(self) -> np.ndarray:
        """The foreground fractions of the masks that are not empty."""
        return np.array([size.fraction for size in self.sizes if size.positives])

    @property
    def empty(self) -> int:
        """The number of empty masks."""
        return len(self.sizes) - len(self.fractions)

    @property
    def prior(self) -> float:
        """The share of foreground in all voxels."""
        return sum(s.positives for s in self.sizes) / sum(s.total for s in self.sizes)


def find(sizes: Sequence[MaskSize]) -> Findings:
    """Bounds over all predictions for exactly these references, the empty ones left out.

    One empty reference takes every guarantee from weighted Hamming (docs/theory.md): their number
    is reported instead, and how they are scored is to be settled first.
    """
    present = [(size.positives, size.total) for size in sizes if size.positives]
    names = {(size.positives, size.total): size.name for size in reversed(sizes)}
    guarantees = []
    for first, second in PAIRS:
        score = approximation_on(first, second, present)
        loss = approximation_on(first, second, present, of="loss")
        guarantees.append(
            Guarantee(
                first="best Hγ" if score.gamma is not None else score.first.replace("_", " "),
                second=score.second,
                absolute=score.absolute,
                relative=loss.relative,
                loss_factor=loss.distortion,
                gamma=score.gamma,
                worst=_in_words(score, names),
            )
        )
    findings = Findings(tuple(sizes), tuple(guarantees), ())
    rows = [("CE as it is", 1.0)]
    rows += [("balanced: the threshold is the prior", balanced_weight(findings.prior))]
    rows += [(f"best where J* = {j:g} can be reached", best_weight(j)) for j in REACHED]
    weights = tuple(Weight(what, w, threshold_of_weight(w)) for what, w in rows)
    return replace(findings, weights=weights)


def _in_words(bound: Approximation, names: dict[tuple[int, int], str]) -> str:
    """Of the worst cases the one with the smallest object."""
    cases = (case.masses for case in bound.worst.absolute)
    masses = min(cases, key=lambda c: (c.positives / c.total, -c.fp))
    return f"{names[masses.positives, masses.total]}: {_prediction(masses)}"


def _prediction(masses: Confusion) -> str:
    n = masses.positives
    if not masses.tp and not masses.fp:
        return "empty prediction"
    if not masses.tn and not masses.fn:
        return "everything marked"
    parts = [f"{masses.tp / n:.0%} of it found"]
    if masses.fp:
        share = masses.fp / n
        parts.append(f"{share:.2g} times its size marked beside it")
    return ", ".join(parts)


def verdict(findings: Findings) -> list[str]:
    """What it means, in sentences."""
    by_pair = {(g.first, g.second): g for g in findings.guarantees}
    ours, fixed = by_pair["jaccard", "dice"], by_pair["best Hγ", "dice"]
    clipped = by_pair["clipped hamming", "dice"]
    lines = [
        f"Dice and Jaccard stand for each other on any masks: scores at most {ours.absolute:.3f} "
        f"apart, losses within a factor {ours.relative + 1:.3g}. Train for either.",
    ]
    if fixed.absolute <= CLOSE:
        lines.append(
            f"Here one fixed weighting of voxels (γ = {fixed.gamma:.3g}) is as near to Dice, "
            f"{fixed.absolute:.3f}: no object is small."
        )
    else:
        low, high = findings.fractions.min(), findings.fractions.max()
        lines.append(
            f"No fixed weighting of voxels does: objects take {low:.2g} to {high:.2g} of the "
            f"image, and the best one (γ = {fixed.gamma:.3g}) can be {fixed.absolute:.3f} off in "
            f"Dice, its loss wrong by a factor {fixed.loss_factor:.3g}. A good cross-entropy "
            "promises no good Dice; choose its threshold on validation cases."
        )
    lines.append(
        f"Errors divided by each object's own size and clipped would: factor "
        f"{clipped.relative + 1:.3g}."
    )
    balanced = findings.weights[1]
    lines.append(
        f"The balanced weight {balanced.weight:.3g} means a threshold of {balanced.threshold:.2g}. "
        f"It is best only where the pooled Jaccard reaches {1 / balanced.weight:.2g}"
        + (", far below any useful model." if balanced.weight > 5 else ".")
    )
    if findings.empty:
        lines.append(
            f"{findings.empty} of {len(findings.sizes)} masks are empty. They are left out above: "
            "with them no weighting guarantees anything, and how they score decides results."
        )
    return lines
