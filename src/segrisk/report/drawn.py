"""What is resampled of one task: asked for together, because one pass over the draws serves all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from segrisk.report.ranks import columns, options
from segrisk.report.results import Results
from segrisk.report.tasks import Scores, TaskInfo
from segrisk.statistics import GroupTable, Rank, group_table
from segrisk.statistics.bootstrap import Sample
from segrisk.statistics.door import in_unit
from segrisk.statistics.paired import shares
from segrisk.statistics.ranking import ranking_of
from segrisk.statistics.resampling import Draws

PairKey = tuple[str, str, str]
"""(metric, a, b)"""


@dataclass(frozen=True)
class Drawn:
    """The tables of sums of one task, and promises of what the draws make of them."""

    differences: Mapping[PairKey, np.ndarray]
    """a − b of each case."""
    sums: GroupTable
    """Of the differences, over cases whatever the unit."""
    table: GroupTable
    """Of the differences, in the plan's unit."""
    shares: Callable[[], tuple[np.ndarray, np.ndarray]]
    """Of resampled means of differences ≤ 0, and ≥ 0."""
    pairs: Sample | None
    """For the intervals of the differences; none where there is one group."""
    models: Sample | None
    """For the intervals of the means."""
    ranks: Callable[[], tuple[Rank, ...]]


def drawn(results: Results, task: TaskInfo, scores: Scores) -> Drawn:
    """Ask for everything that the report of a task resamples."""
    plan, groups, several = results.plan, task.group_of, task.n_groups > 1
    own = {key: values for key, values in scores.items() if key[0] == task.name}
    differences = {
        (metric, a.name, b.name): own[task.name, metric, a.name] - own[task.name, metric, b.name]
        for metric in plan.metrics
        for a, b in combinations(results.models, 2)
    }
    draws = Draws(task.n_groups, plan.resamples, plan.seed)
    nothing = GroupTable((), np.empty((0, task.n_groups)), np.bincount(groups))
    sums = group_table(differences, groups) if differences else nothing
    table = in_unit(sums, task.unit)
    chosen = options(results)
    ranked = in_unit(group_table(columns(results, task, scores), groups), task.unit)
    return Drawn(
        differences,
        sums,
        table,
        shares=shares(table.sums, draws),
        pairs=Sample(table, draws) if several and differences else None,
        models=Sample(in_unit(group_table(own, groups), task.unit), draws) if several else None,
        ranks=ranking_of(ranked, draws, better=chosen["better"], level=chosen["level"]),
    )
