"""What trainings took: steps, seconds, and where the seconds went."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from segrisk.report.results import Effort, Results


@dataclass(frozen=True)
class Cost:
    """What the trainings of one model on one task took: medians over folds and seeds."""

    task: str
    model: str
    steps: int
    best_step_by_loss: int
    best_step_by_dice: int
    seconds: float
    shares: tuple[float, ...]
    """Of the time of all its trainings, by the names of `phases`; none where it was not timed."""


def phases(results: Results) -> tuple[str, ...]:
    """What the trainings divided their time into, in the order in which they recorded it."""
    return tuple(dict.fromkeys(phase for effort in results.efforts for phase in effort.phases))


def costs(results: Results) -> tuple[Cost, ...]:
    """The cost of every task and model that has recorded efforts."""
    names = phases(results)
    found = []
    for task in results.tasks:
        for model in results.models:
            own = [e for e in results.efforts if (e.task, e.model) == (task, model.name)]
            if own:
                found.append(_cost(task, model.name, own, names))
    return tuple(found)


def _cost(task: str, model: str, own: Sequence[Effort], names: Sequence[str]) -> Cost:
    spent = [sum(effort.phases.get(name, 0.0) for effort in own) for name in names]
    total = sum(spent)
    return Cost(
        task=task,
        model=model,
        steps=round(median(effort.steps for effort in own)),
        best_step_by_loss=round(median(effort.best_step_by_loss for effort in own)),
        best_step_by_dice=round(median(effort.best_step_by_dice for effort in own)),
        seconds=median(effort.seconds for effort in own),
        shares=tuple(seconds / total for seconds in spent) if total else (),
    )


def effort_rows(results: Results) -> list[dict[str, Any]]:
    """Every training with its steps, its seconds and those of each phase, for `efforts.csv`."""
    names = phases(results)
    rows = []
    for effort in results.efforts:
        row = asdict(effort)
        spent = row.pop("phases")
        rows.append(row | {f"{name}_seconds": spent.get(name) for name in names})
    return rows
