"""What an unknown loss is, found by comparing its values with those of losses that are known."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from segrisk.losses.door import Batch, prepare
from segrisk.losses.linter.probe import SIDE, Probe, noise, objects
from segrisk.losses.linter.reading import MASSES, Reading, pooling
from segrisk.losses.linter.symbols import loss_formula
from segrisk.losses.linter.use import Use
from segrisk.losses.pointwise import CrossEntropy
from segrisk.losses.soft import Soft
from segrisk.similarity import SIMILARITIES, tversky

KNOWN = (*SIMILARITIES.values(), tversky(0.3, 0.7), tversky(0.7, 0.3))
PREDICTIONS = 12
CLOSE = 0.005
"""Of the range of the loss: a formula that stays within this is the loss's."""
EQUAL = 1e-5
SMALL = 1e-3


@dataclass(frozen=True)
class Fit:
    """The loss as a·CE + b·ratio + c, and its largest deviation from that."""

    ce: float
    factor: float
    constant: float
    ratio: Soft
    deviation: float


def fitted_reading(probe: Probe, name: str) -> Reading:
    """What the values of a loss say that it is."""
    fit = fit_loss(probe)
    if fit is None:
        unknown = "not known: its values are those of no sum of cross-entropy and one ratio"
        return Reading(name, unknown, "not known", "not known")
    deviation = f"found by {PREDICTIONS} predictions, within {fit.deviation:.1g}"
    terms = [f"{_times(fit.ce)}CE"] if abs(fit.ce) > SMALL else []
    if abs(fit.factor) <= SMALL:
        formula = " + ".join(terms) + _constant(fit.constant)
        no_ratio = "nothing: a mean over voxels, no ratio"
        return Reading(name, formula, no_ratio, "voxels, channels and images", deviation)
    formula = loss_formula(fit.ratio.similarity)
    alone = not terms and abs(fit.factor - 1) < SMALL and abs(fit.constant) < SMALL
    terms.append(formula if alone else f"{_times(fit.factor)}({formula})")
    masses = MASSES["squared"] if fit.ratio.relaxation == "squared" else MASSES["product"]
    return Reading(
        name,
        " + ".join(terms) + _constant(fit.constant),
        *pooling(fit.ratio.reduction, probe.use.classes),
        where=f"{masses}; {deviation}",
        ratio=fit.ratio,
    )


def fit_loss(probe: Probe) -> Fit | None:
    """The best of all similarities, relaxations and poolings, if it is good enough.

    Hard labels cannot tell `l1` from `product`; `product` stands for both.
    """
    y = objects(probe.use, batch=3, device=probe.device, side=2 * SIDE)
    predictions = _predictions(y)
    values = torch.tensor([probe.value(x, y) for x in predictions], dtype=torch.float64)
    if not torch.isfinite(values).all():
        return None
    activation = _activation(probe)
    if activation == "softmax" and probe.use.labels == "overlapping":
        return None  # a trap, and no loss here takes it
    batches = [prepare(x, y, activation=activation) for x in predictions]
    ce = _column(CrossEntropy(), batches)
    fits = [_fit(values, ce, ratio, _column(ratio, batches)) for ratio in candidates(probe.use)]
    spread = float(values.max() - values.min())
    # Of those that are as good as each other, the simplest: it stands first.
    good = min(min(fit.deviation for fit in fits) + EQUAL * spread, CLOSE * spread)
    return next((fit for fit in fits if fit.deviation < good), None)


def candidates(use: Use) -> list[Soft]:
    """The ratios that a loss is compared with."""
    several = use.classes > 1
    pools = [(), ("batch",), ("class",), ("batch", "class")] if several else [(), ("batch",)]
    return [
        Soft(similarity, relaxation=relaxation, pool=pool, background=background)
        for similarity, relaxation, pool, background in itertools.product(
            KNOWN,
            ("product", "squared"),
            pools,
            (True, False) if several else (True,),
        )
        if relaxation == "product" or similarity.is_symmetric
    ]


def _predictions(y: Tensor) -> list[Tensor]:
    """Predictions from wrong to right, from hesitant to sure."""
    rows = []
    for index in range(PREDICTIONS):
        signal, sure = (-0.5, 0.5, 1.5, 4)[index % 4], (0.5, 1, 3)[index // 4]
        rows.append(sure * (signal * (2 * y - 1) + noise(y.shape, seed=index, device=y.device)))
    return rows


def _activation(probe: Probe) -> str | None:
    if probe.use.classes == 1:
        return None
    return "softmax" if probe.shifts_freely else "sigmoid"


def _column(loss: CrossEntropy | Soft, batches: list[Batch]) -> Tensor:
    with torch.no_grad():
        return torch.stack([loss.compute(batch) for batch in batches]).double().cpu()


def _fit(values: Tensor, ce: Tensor, ratio: Soft, column: Tensor) -> Fit:
    table = torch.stack([ce, column, torch.ones_like(ce)], dim=1)
    solution = torch.linalg.lstsq(table, values.unsqueeze(1), driver="gelsd").solution
    deviation = float((table @ solution - values.unsqueeze(1)).abs().max())
    a, b, c = (float(number) for number in solution)
    return Fit(a, b, c, ratio, deviation)


def _times(factor: float) -> str:
    return "" if abs(factor - 1) < SMALL else f"{factor:.3g}·"


def _constant(constant: float) -> str:
    if abs(constant) < SMALL:
        return ""
    return f" {'−' if constant < 0 else '+'} {abs(constant):.3g}"
