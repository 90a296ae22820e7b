"""What a loss is: its formula, what is pooled before its ratio, what is averaged after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from segrisk.losses.base import Loss, Sum
from segrisk.losses.linter.symbols import loss_formula
from segrisk.losses.linter.use import Use
from segrisk.losses.lovasz import Lovasz
from segrisk.losses.pointwise import CrossEntropy, Focal, TopK, WeightedCrossEntropy
from segrisk.losses.reduction import Reduction
from segrisk.losses.soft import Soft
from segrisk.losses.supervision import DeepSupervision

MASSES = {
    "l1": "tp = Σ min(p, y), fp = Σ max(p − y, 0), fn = Σ max(y − p, 0)",
    "product": "tp = Σ p·y, fp = Σ p·(1 − y), fn = Σ (1 − p)·y",
    "squared": "tp = Σ p·y, fp = Σ p·(p − y), fn = Σ y·(y − p)",
}


@dataclass(frozen=True)
class Reading:
    """One summand of a loss, in words, and the ratio in it where there is one."""

    name: str
    formula: str
    pooled: str
    averaged: str
    where: str = ""
    ratio: Soft | Lovasz | None = None
    """The same ratio in losses of ours, to ask what another option would give."""


def own_reading(loss: Loss, use: Use) -> Reading | None:
    """What a loss of this package says of itself; none for what is not one of them."""
    if isinstance(loss, Soft | Lovasz):
        return _of_ratio(loss, use)
    if isinstance(loss, CrossEntropy | Focal | TopK):
        return _of_voxels(loss, use)
    return None


def _of_ratio(loss: Soft | Lovasz, use: Use) -> Reading:
    formula = loss_formula(loss.similarity)
    if isinstance(loss, Soft):
        where = MASSES[loss.relaxation]
        if loss.curve is not None:
            where += f"; each term t becomes {_curve(loss.curve)}"
    else:
        formula = f"Lovász extension of {formula}"
        hinge = loss.errors == "hinge"
        where = f"over the errors {'max(0, 1 − (2y − 1)·logit)' if hinge else '|y − p|'}, sorted"
    pooled, averaged = pooling(loss.reduction, use.classes)
    return Reading(_name(loss), formula, pooled, averaged, where, loss)


def pooling(reduction: Reduction, classes: int) -> tuple[str, str]:
    """What is summed before the ratio, and what the ratios are averaged over."""
    across = " of all processes" if reduction.group is not None else ""
    by_batch, by_class = "batch" in reduction.pool, "class" in reduction.pool
    left = [] if by_batch else ["image"]
    left += [] if by_class or classes == 1 else ["class"]
    summed = [f"the images of the batch{across}"] if by_batch else []
    summed += ["the classes"] if by_class else []
    ratios = f"one ratio for each {' and '.join(left)}" if left else "one ratio"
    pooled = f"{' and '.join(summed) or 'nothing'}: {ratios}"
    limits = ["without channel 0"] if not reduction.background and classes > 1 else []
    limits += ["only where the reference has the class"] if reduction.empty == "skip" else []
    if reduction.class_weight is not None:
        limits.append(f"weights {_list(reduction.class_weight)} over their sum")
    kinds = {"image": "images", "class": "classes"}
    over = " and ".join(kinds[name] for name in left) or "nothing"
    return pooled, ", ".join([over, *limits])


def _of_voxels(loss: CrossEntropy | Focal | TopK, use: Use) -> Reading:
    cost = "−Σ_c y_c·log p_c" if use.exclusive else "−y·log p − (1 − y)·log(1 − p)"
    pooled, averaged, where = "nothing: a mean over voxels, no ratio", "voxels of an image", ""
    if isinstance(loss, Focal):
        cost, where = f"(1 − p_t)^{loss.gamma:g}·(−log p_t)", "p_t: the probability of what is true"
    elif isinstance(loss, TopK):
        averaged = f"the share {loss.k:g} of an image's voxels that cost most"
    elif isinstance(loss, WeightedCrossEntropy):
        cost, where = f"w·({cost})", _weights(loss, use)
    if isinstance(loss, CrossEntropy) and "batch" in loss.reduction.pool:
        return Reading(_name(loss), cost, pooled, "all voxels of the batch", where)
    channels = ", then channels" if use.classes > 1 and not use.exclusive else ""
    return Reading(_name(loss), cost, pooled, f"{averaged}{channels}, then images", where)


def _weights(loss: WeightedCrossEntropy, use: Use) -> str:
    if loss.given is not None:
        return f"w = {_list(loss.given)} by class; not divided by the sum of weights"
    rule = "1/(C·prior)" if use.exclusive else "1/(2·prior), background 1/(2 − 2·prior)"
    return f"w = {rule}, prior {_list(loss.prior or ())}; not divided by the sum of weights"


def _curve(curve: Callable[[Tensor], Tensor]) -> str:
    """A function of a term, known by its values."""
    terms = torch.tensor([0, 0.5, 1], dtype=torch.float64)
    costs = zip(terms.tolist(), curve(terms).tolist(), strict=True)
    shown = ", ".join(f"{term:g} → {cost:.3g}" for term, cost in costs)
    return f"{getattr(curve, '__qualname__', 'a curve').split('.')[0]}(t): {shown}"


def summands(loss: Callable[..., Any]) -> list[tuple[float, Callable[..., Any]]]:
    """The losses that a loss adds up, with their factors."""
    if isinstance(loss, DeepSupervision):
        return summands(loss.loss)
    if isinstance(loss, Sum):
        return list(zip(loss.factors, loss.losses, strict=True))
    return [(1.0, loss)]


def title(loss: Any) -> str:
    """A loss by its own name."""
    if isinstance(loss, DeepSupervision):
        weights = f" with weights {_list(loss.weights)}" if loss.weights else ""
        return f"{title(loss.loss)}, averaged over resolutions{weights}"
    return _name(loss)


def _name(loss: Any) -> str:
    function = getattr(loss, "func", loss)  # what a partial is of
    label = getattr(loss, "label", None)
    return label or getattr(function, "__name__", type(loss).__name__)


def _list(numbers: Sequence[float]) -> str:
    return "(" + ", ".join(f"{number:g}" for number in numbers) + ")"
