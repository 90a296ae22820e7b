"""Claims about losses, whatever the seed: only where each was trained more than once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from segrisk.report.results import Results
from segrisk.report.tasks import TaskInfo
from segrisk.statistics import LossClaim, holm, loss_claim


@dataclass(frozen=True)
class SeedClaim:
    """The difference a − b in one metric over trainings; Holm over all of that metric."""

    task: str
    a: str
    b: str
    claim: LossClaim
    narrow: LossClaim
    """At level 1 − 2·alpha, from which equivalence is read."""
    p_adjusted: float


def seed_claims(results: Results, tasks: Sequence[TaskInfo], metric: str) -> tuple[SeedClaim, ...]:
    """Every pair of losses on every task; none with one seed, or where folds differ by seed."""
    found = []
    for task in tasks:
        scores, folds = _by_seed(results, task, metric)
        shapes = {column.shape for column in scores.values()}
        if not folds or task.n_groups < 2 or any(len(s) < 2 or s[1] < 2 for s in shapes):
            continue
        for a, b in combinations(scores, 2):
            own, narrow = (
                loss_claim(scores[a], scores[b], folds, task.group_of, level=level, unit=task.unit)
                for level in (1 - results.plan.alpha, 1 - 2 * results.plan.alpha)
            )
            found.append((task.name, a, b, own, narrow))
    adjusted = holm([own.p for *_, own, _ in found]).tolist()
    return tuple(SeedClaim(*row, p_value) for row, p_value in zip(found, adjusted, strict=True))


def _by_seed(
    results: Results, task: TaskInfo, metric: str
) -> tuple[dict[str, np.ndarray], list[int]]:
    """By model, the metric (cases, seeds); and each case's fold, none where it has two."""
    own = results.scores.where(task=task.task, label=task.label, metric=metric)
    # Every case has every model and seed, once: in order of case and seed they fill a table.
    own = own.take(np.argsort(own.keys("case", "seed"), kind="stable"))
    columns = {
        model.name: own.where(model=model.name).numbers("value").reshape(task.n_cases, -1)
        for model in results.models
    }
    folds = own.numbers("fold").reshape(task.n_cases, -1)
    is_one = (folds == folds[:, :1]).all()
    return columns, folds[:, 0].tolist() if is_one else []
