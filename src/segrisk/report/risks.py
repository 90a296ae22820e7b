"""What the Dice risk of each model says of its Jaccard risk, checked on every score."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from segrisk.report.results import Results
from segrisk.scores import ScoreFrame
from segrisk.theory import RiskChain, risk_chain


@dataclass(frozen=True)
class Risk:
    """Dice risk ≤ Jaccard risk ≤ φ(Dice risk), Eq. 6, of one model on one task."""

    task: str
    model: str
    chain: RiskChain | None
    fault: str
    """Why there is no chain: scores that were made elsewhere may be of no one mask."""


def risks(results: Results) -> tuple[Risk, ...]:
    """The chain of each task and model; none where Dice or Jaccard was not scored.

    Every case and seed counts once: averages over seeds do not lie on J = D / (2 − D).
    """
    if not {"dice", "jaccard"} <= set(results.plan.metrics):
        return ()
    dice, jaccard = dice_and_jaccard(results.scores)
    values, tasks, models = dice.numbers("value"), dice.text("task"), dice.text("model")
    found = []
    for task in tasks.used():
        of_task = tasks.equals(task)
        for model in dice.take(of_task).text("model").used():
            rows = of_task & models.equals(model)
            found.append(_risk(task, model, values[rows], jaccard[rows]))
    return tuple(found)


def dice_and_jaccard(scores: ScoreFrame) -> tuple[ScoreFrame, np.ndarray]:
    """The Dice of every mask, and its Jaccard (rows,)."""
    dice, jaccard = scores.where(metric="dice"), scores.where(metric="jaccard")
    of_mask = ("model", "task", "case", "label", "seed")
    order, its = (np.argsort(own.keys(*of_mask), kind="stable") for own in (dice, jaccard))
    paired = np.empty(len(dice))
    paired[order] = jaccard.numbers("value")[its]
    return dice, paired


def _risk(task: str, model: str, dice: np.ndarray, jaccard: np.ndarray) -> Risk:
    try:
        chain = risk_chain(dice, jaccard)
    except ValueError as error:
        return Risk(task, model, None, str(error))
    return Risk(task, model, chain, "")


@dataclass(frozen=True)
class Surrogates:
    """Mean values of every surrogate on held-out cases, beside the risks, of one trained loss."""

    task: str
    model: str
    means: Mapping[str, float]
    """By the names of `scores.SURROGATES` and `scores.RISKS`."""


def surrogates(results: Results) -> tuple[Surrogates, ...]:
    """The means over cases and seeds of each task and model; none where they were not recorded."""
    found, recorded = [], results.surrogates.sorted()
    for task in recorded.text("task").used():
        of_task = recorded.where(task=task)
        for model in of_task.text("model").used():
            own = of_task.where(model=model)
            means = {
                metric: fmean(own.where(metric=metric).numbers("value").tolist())
                for metric in own.text("metric").seen()
            }
            found.append(Surrogates(task, model, means))
    return tuple(found)
