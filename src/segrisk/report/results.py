"""What a report needs, however it was collected: from a study or from a comparison."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from segrisk.frames import Frame
from segrisk.losses import Family
from segrisk.metrics import MEASURES
from segrisk.report.complete import CaseInfo as CaseInfo
from segrisk.report.complete import Cases, check_complete, check_known
from segrisk.report.paper.table1 import PaperTask
from segrisk.scores import ScoreFrame, as_scores, no_scores
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
class Alternative:
    """The scores that another convention for empty masks changes; NaN where it leaves a case out.

    They may be of any model, case, label, metric and seed of the results, and of every model on
    cases that the results leave out, because the convention in force has no value there.
    """

    name: str
    scores: ScoreFrame

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", as_scores(self.scores))


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


Worst = Mapping[tuple[str, str], int]
"""Of (task, model), how many cases count as the worst value, for there was nothing to score."""


@dataclass(frozen=True)
class Results:
    """Scores of several models on the same cases, and what is known about them.

    `scores` come from the epochs that the validation loss chose, `scores_by_dice` from those that
    the validation Dice chose; the latter may be empty, and is for a comparison of predictions that
    were made elsewhere. Each (task, label) is reported on its own. Cases and scores may be given as
    any sequence, and are held as columns.
    """

    name: str
    tasks: tuple[str, ...]
    models: tuple[Model, ...]
    cases: Cases
    scores: ScoreFrame
    scores_by_dice: ScoreFrame = field(default_factory=no_scores)
    plan: StatisticsPlan = StatisticsPlan()
    post_hoc: bool = False
    efforts: tuple[Effort, ...] = ()
    surrogates: ScoreFrame = field(default_factory=no_scores)
    """Values of `scores.SURROGATES` and the risks of each held-out case, at the network's size."""
    arms: tuple[Arm, ...] = ()
    arm_scores: ScoreFrame = field(default_factory=no_scores)
    """Of each arm, under its name."""
    notes: tuple[str, ...] = ()
    worst: Worst = field(default_factory=dict)
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
        return self.scores.where(task=task).text("label").used()

    @property
    def seeds(self) -> list[int]:
        """The seeds that were trained with, sorted."""
        return np.unique(self.scores.numbers("seed")).tolist()

    def __post_init__(self) -> None:
        for name in ("scores", "scores_by_dice", "surrogates", "arm_scores"):
            object.__setattr__(self, name, as_scores(getattr(self, name)))
        object.__setattr__(self, "cases", Frame.of(CaseInfo, self.cases))
        models = [(task, model.name) for task in self.tasks for model in self.models]
        arms = [(arm.task, arm.name) for arm in self.arms]
        for scores, own in (
            (self.scores, models),
            (self.scores_by_dice, models),
            (self.arm_scores, arms),
        ):
            if scores:
                check_known(scores, self.cases, {name for _, name in own}, self.plan.metrics)
                check_complete(scores, self.cases, own, self.plan.metrics)
