"""What a report needs, however it was collected: from a study or from a comparison."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from segrisk.losses import Family
from segrisk.scores import Score


@dataclass(frozen=True)
class Model:
    """What is compared; in a study, a loss. `family` decides which marks it can get."""

    name: str
    label: str
    family: Family


@dataclass(frozen=True)
class Arm:
    """A model whose probabilities a fitted rule turned into masks, instead of p > 1/2."""

    task: str
    model: str
    decision: str
    label: str
    """What the rule is called in tables."""

    @property
    def name(self) -> str:
        """What its scores are called."""
        return f"{self.model} + {self.decision}"


@dataclass(frozen=True)
class CaseInfo:
    """A case with the foreground fraction of its reference, which orders Figure 1."""

    task: str
    case: str
    group: str
    fraction: float


@dataclass(frozen=True)
class StatisticsPlan:
    """What is tested, as it was declared."""

    primary: str = "dice"
    metrics: tuple[str, ...] = ("dice", "jaccard")
    alpha: float = 0.05
    margin: float = 0.01
    resamples: int = 9999
    seed: int = 0


@dataclass(frozen=True)
class Effort:
    """What one training took, and which steps the two criteria chose."""

    task: str
    model: str
    fold: int
    seed: int
    steps: int
    best_step_by_loss: int
    best_step_by_dice: int
    seconds: float


@dataclass(frozen=True)
class Results:
    """Scores of several models on the same cases, and what is known about them.

    `scores` come from the epochs that the validation loss chose, `scores_by_dice` from those that
    the validation Dice chose; the latter may be empty.
    """

    name: str
    tasks: tuple[str, ...]
    models: tuple[Model, ...]
    cases: tuple[CaseInfo, ...]
    scores: tuple[Score, ...]
    scores_by_dice: tuple[Score, ...] = ()
    plan: StatisticsPlan = StatisticsPlan()
    post_hoc: bool = False
    efforts: tuple[Effort, ...] = ()
    surrogates: tuple[Score, ...] = ()
    """Values of `scores.SURROGATES` and the risks of each held-out case, at the network's size."""
    arms: tuple[Arm, ...] = ()
    arm_scores: tuple[Score, ...] = ()
    """Of each arm, under its name."""
    notes: tuple[str, ...] = ()
    provenance: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        models = [(task, model.name) for task in self.tasks for model in self.models]
        arms = [(arm.task, arm.name) for arm in self.arms]
        for scores, own in (
            (self.scores, models),
            (self.scores_by_dice, models),
            (self.arm_scores, arms),
        ):
            if scores:
                self._check_known(scores, {name for _, name in own})
                self._check_complete(scores, own)

    def _check_known(self, scores: tuple[Score, ...], models: set[str]) -> None:
        """No score may be of something else, in another group, or not a number."""
        groups = {(info.task, info.case): info.group for info in self.cases}
        for score in scores:
            place = f"case '{score.case}' of {score.task}"
            group = groups.get((score.task, score.case))
            if group is None:
                raise ValueError(f"{place} is scored for '{score.model}', but is not listed")
            if score.model not in models:
                raise ValueError(f"{place} is scored for '{score.model}', which is no model here")
            if score.metric not in self.plan.metrics:
                raise ValueError(f"{place} has a {score.metric}, which the plan does not name")
            if score.group != group:
                raise ValueError(
                    f"{place} is of group '{score.group}' for '{score.model}', "
                    f"but of '{group}' where the cases are listed"
                )
            if not math.isfinite(score.value):
                raise ValueError(
                    f"{place}: the {score.metric} of '{score.model}' is {score.value}; "
                    "a missing prediction needs a value, its worst"
                )

    def _check_complete(self, scores: tuple[Score, ...], models: list[tuple[str, str]]) -> None:
        """Every model must have been scored once on every case: nothing is dropped in silence."""
        found = Counter((s.task, s.model, s.metric, s.seed, s.case) for s in scores)
        twice = next((key for key, count in found.items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"case '{twice[4]}' of {twice[0]} is scored twice for '{twice[1]}'")
        seeds = sorted({score.seed for score in scores})
        wanted = (
            (info.task, model, metric, seed, info.case)
            for info in self.cases
            for task, model in models
            if task == info.task
            for metric in self.plan.metrics
            for seed in seeds
        )
        for task, model, metric, seed, case in wanted:
            if (task, model, metric, seed, case) not in found:
                raise ValueError(
                    f"case '{case}' of {task} has no {metric} for '{model}', seed {seed}: "
                    "every model needs every case"
                )
