"""What a report needs, however it was collected: from a study or from a comparison."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from segrisk.losses import Family
from segrisk.metrics import MEASURES
from segrisk.report.paper.table1 import PaperTask
from segrisk.scores import Score
from segrisk.statistics import MarksTest, Unit
from segrisk.statistics.declared import as_declared


@dataclass(frozen=True)
class Model:
    """What is compared; in a study, a loss. `family` decides which marks it can get."""

    name: str
    label: str
    family: Family
    loss: str = ""
    """The registered loss that it is, with its defaults; "" for anything else."""


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
class Metric:
    """How a metric is read and printed, and where its best value lies."""

    name: str
    label: str
    better: Literal["higher", "lower", "zero"] = "higher"
    unit: str = ""
    digits: int = 3

    @property
    def sign(self) -> int:
        """1 where higher is better, −1 where lower is, 0 where no mean is better for its sign."""
        return {"higher": 1, "lower": -1, "zero": 0}[self.better]

    @property
    def title(self) -> str:
        """The label with the unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


LABELS: Mapping[str, str] = {
    "dice": "Dice score",
    "jaccard": "Jaccard index",
    "nsd": "Surface Dice",
    "hd95_mm": "HD95",
    "assd_mm": "ASSD",
    "volume_difference_ml": "Volume difference",
    "volume_bias_ml": "Volume bias",
}
"""What tables call metrics; others are called by their names."""


def metric_named(name: str) -> Metric:
    """How a metric is read and printed: by its unit and direction in `segrisk.metrics`.

    One that is not known there is taken to be a share, better when higher.

    >>> metric_named("hd95_mm").title, metric_named("f1_of_mine").label
    ('HD95 (mm)', 'f1 of mine')
    """
    label, known = LABELS.get(name, name.replace("_", " ")), MEASURES.get(name)
    if known is None:
        return Metric(name, label)
    return Metric(name, label, known.better, known.unit, 2 if known.unit else 3)


@dataclass(frozen=True)
class CaseInfo:
    """A case with the foreground fraction of its reference, which orders Figure 1.

    Where labels of a task differ in it, there is one for each label; "" stands for all of them.
    Where the fraction is not known (NaN), `occupied` may yet say that there is an object.
    """

    task: str
    case: str
    group: str
    fraction: float
    label: str = ""
    occupied: bool = False


@dataclass(frozen=True)
class Alternative:
    """The scores that another convention for empty masks changes; NaN where it leaves a case out.

    They may be of any model, case, label, metric and seed of the results, and of every model on
    cases that the results leave out, because the convention in force has no value there.
    """

    name: str
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class StatisticsPlan:
    """What is tested, as it was declared."""

    primary: str = "dice"
    metrics: tuple[str, ...] = ("dice", "jaccard")
    alpha: float = 0.05
    margin: float = 0.01
    resamples: int = 9999
    seed: int = 0
    unit: Unit = "case"
    """What every mean, difference, test and ranking is over."""

    marks: MarksTest = "sign_flip"
    """The test behind the marks by raw p-values; all else is said by the sign-flip test."""

    @property
    def declared(self) -> dict[str, Any]:
        """What is hashed before the first score."""
        return as_declared(asdict(self))


@dataclass(frozen=True)
class Effort:
    """What one training took, and which steps the two criteria chose.

    `phases` says where its seconds went; trainings of old versions did not record it.
    """

    task: str
    model: str
    fold: int
    seed: int
    steps: int
    best_step_by_loss: int
    best_step_by_dice: int
    seconds: float
    phases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """Scores of several models on the same cases, and what is known about them.

    `scores` come from the epochs that the validation loss chose, `scores_by_dice` from those that
    the validation Dice chose; the latter may be empty, and is for a comparison of predictions that
    were made elsewhere. Each (task, label) is reported on its own.
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
    subject: Literal["loss", "model"] = "loss"
    """What is compared: losses, trained here, or models whose predictions were given."""
    convention: str = "both masks empty scores 1, one empty scores 0, in Dice and Jaccard alike"
    """What empty masks score, in words."""
    alternatives: tuple[Alternative, ...] = ()
    stands_for: Mapping[str, PaperTask] = field(default_factory=dict)
    """By task, the data set of the paper that it stands for, where it says one."""
    factors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By task, its place in a 2 × 2 design: factor to level."""

    def labels(self, task: str) -> tuple[str, ...]:
        """The labels of a task that were scored."""
        return tuple(sorted({score.label for score in self.scores if score.task == task}))

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
        found = Counter((s.task, s.model, s.metric, s.seed, s.case, s.label) for s in scores)
        twice = next((key for key, count in found.items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"case '{twice[4]}' of {twice[0]} is scored twice for '{twice[1]}'")
        seeds = sorted({score.seed for score in scores})
        labels = {task: sorted({s.label for s in scores if s.task == task}) for task in self.tasks}
        wanted = (
            (info.task, model, metric, seed, info.case, label)
            for info in self.cases
            for label in ([info.label] if info.label else labels[info.task])
            for task, model in models
            if task == info.task
            for metric in self.plan.metrics
            for seed in seeds
        )
        for task, model, metric, seed, case, label in wanted:
            if (task, model, metric, seed, case, label) not in found:
                of_label = f" of label '{label}'" if len(labels[task]) > 1 else ""
                raise ValueError(
                    f"case '{case}' of {task} has no {metric}{of_label} for '{model}', "
                    f"seed {seed}: every model needs every case"
                )
