"""A study file: what is compared, on what, how it is trained, and how it will be tested."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, cast

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from torch import nn

from segrisk.configuration import Strict
from segrisk.data.preprocessing import DEFAULT, Preprocessing
from segrisk.decision import NEED_CALIBRATION, Rule, named_rules
from segrisk.files import digest
from segrisk.imported import source
from segrisk.losses import LOSSES, PAPER
from segrisk.losses.registry import build_loss, find_loss, is_sum, option_names, terms
from segrisk.metrics import METRICS
from segrisk.names import nearest
from segrisk.networks import AnyNetwork, UNet, named
from segrisk.statistics import MarksTest, Unit
from segrisk.statistics.declared import as_declared
from segrisk.study.resources import AnyEngine, Local, Ray
from segrisk.study.task import Task
from segrisk.training.config import Augmentation, Device, Positive, Precision, Schedule

SHARED = ("preprocessing", "network", "schedule", "augmentation")
"""What a study may say for all of its tasks, and each of them otherwise, key by key."""

LATER = {"preprocessing": {}, "compile": False, "devices": 1, "engine": None, "track": None}
"""Keys that count as never written where they say no more than this: studies are older."""

Track = Literal["tensorboard", "mlflow", "wandb", "none"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


def _named(given: Any, what: str) -> dict[str, Any]:
    """A name alone is a mapping with that `name`."""
    if isinstance(given, str):
        return {"name": given}
    if not isinstance(given, dict) or "name" not in given:
        raise ValueError(f"{what}, or a mapping with a `name`")
    return given


class LossChoice(Strict):
    """A loss by its registered name, by `loss: package.module:Callable`, or as a sum of these.

    A sum, `loss: 0.5*cross_entropy + soft_dice`, gives its parameters to every loss that has them.
    A parameter called `prior` that the study does not give is set to the training part's
    foreground fraction. `label` and `family` default to what the loss itself declares.
    """

    name: Name
    loss: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    label: str
    family: Literal["pixel", "metric", "other"]

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        given = _named(given, "a loss is a registered name")
        filled = {"loss": given["name"], **given}
        # A recorded choice has both: a finished study can be read where its losses are not.
        if not {"label", "family"} <= filled.keys():
            text = str(filled["loss"])
            factory = _sum(text, {}, prior=0.5) if is_sum(text) else find_loss(text)
            filled.setdefault("label", getattr(factory, "label", str(filled["name"])))
            filled.setdefault("family", getattr(factory, "family", "other"))
        return filled

    def build(self, *, prior: float) -> nn.Module:
        """The loss, for a training part with foreground fraction `prior`.

        A class is built with the parameters; a function gets them after (logits, target).
        """
        if is_sum(self.loss):
            return _sum(self.loss, self.parameters, prior=prior)
        found = find_loss(self.loss)
        parameters = dict(self.parameters)
        if "prior" in inspect.signature(found).parameters:
            parameters.setdefault("prior", prior)
        loss = found(**parameters) if inspect.isclass(found) else partial(found, **parameters)
        return loss if isinstance(loss, nn.Module) else _Function(loss)

    def source(self) -> str | None:
        """The hash of the file that a user's loss stands in; registered losses have versions."""
        parts = terms(self.loss) if is_sum(self.loss) else [find_loss(self.loss)]
        own = [source(part) for part in parts if part not in LOSSES.values()]
        return None if not own else own[0] if len(own) == 1 else digest(own)


def _sum(text: str, parameters: dict[str, Any], *, prior: float) -> nn.Module:
    """The sum of losses that `text` writes, with the prior where one of them asks for it."""
    options = {name: str(value) for name, value in parameters.items()}
    if any("prior" in option_names(part) for part in terms(text)):
        options.setdefault("prior", str(prior))
    return cast(nn.Module, build_loss(text, options))


class _Function(nn.Module):
    """A callable of (logits, target) in the place of a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, logits: Any, target: Any, **known: Any) -> Any:
        return self.function(logits, target, **known)


class DecisionChoice(Strict):
    """A rule that turns the probabilities of trained losses into masks, beside p > 1/2.

    `metric` is what its masks should score best in; `losses` are those that it is tried on, by
    default all, or cross-entropy alone for a rule that reads p as a probability.
    """

    name: Name
    rule: str
    metric: Literal["dice", "jaccard"] = "dice"
    losses: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        given = _named(given, "a decision is the name of a rule")
        return {"rule": given["name"], **given}

    @field_validator("rule")
    @classmethod
    def _known(cls, given: str) -> str:
        known = named_rules(METRICS["dice"])
        if given not in known:
            raise ValueError(f"unknown rule '{given}'{nearest(given, known)}")
        return given

    def build(self) -> Rule:
        """The rule, which validation cases have yet to fit."""
        return named_rules(METRICS[self.metric])[self.rule]

    def suits(self, loss: LossChoice) -> bool:
        """Whether the rule is tried on the probabilities that this loss has trained."""
        if self.losses is not None:
            return loss.name in self.losses
        return self.rule not in NEED_CALIBRATION or loss.loss == "cross_entropy"


class Statistics(Strict):
    """What is tested, declared before the first score: later changes are called post hoc."""

    primary: str = "dice"
    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = ("dice", "jaccard")
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    resamples: Annotated[int, Field(ge=99)] = 9999
    seed: Annotated[int, Field(ge=0)] = 0
    unit: Unit = "case"
    marks: MarksTest = "sign_flip"
    """The test behind the marks of Table 1, by raw p; all else is said by the sign-flip test."""

    @model_serializer(mode="wrap")
    def _declared(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return as_declared(handler(self))

    @model_validator(mode="after")
    def _metrics_known(self) -> "Statistics":
        for metric in self.metrics:
            if metric not in METRICS:
                raise ValueError(f"unknown metric '{metric}'{nearest(metric, METRICS)}")
        if self.primary not in self.metrics:
            raise ValueError(
                f"the primary metric '{self.primary}' must be one of the metrics"
                f"{nearest(self.primary, self.metrics)}"
            )
        return self


class Study(Strict):
    """A grid of tasks × folds × seeds × losses."""

    name: Name
    tasks: Annotated[dict[Name, Task], Field(min_length=1)]
    losses: Annotated[tuple[LossChoice, ...], Field(min_length=1)] = tuple(
        LossChoice.model_validate(name) for name in PAPER
    )
    decisions: tuple[DecisionChoice, ...] = ()
    folds: Annotated[int, Field(ge=2)] = 5
    fold_seed: Annotated[int, Field(ge=0)] = 0
    validation: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0,)
    preprocessing: Preprocessing = DEFAULT
    network: AnyNetwork = UNet()
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    statistics: Statistics = Statistics()
    threads: Positive = 1
    precision: Precision = "32-true"
    device: Device = "auto"
    devices: Positive = 1
    """How many devices each training is spread over."""
    compile: bool = False
    engine: AnyEngine | None = None
    """What runs the cells; it is no part of what they are."""
    track: Track | None = None
    """Where trainings are looked at; None means TensorBoard where it is installed."""

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, given: Any) -> Any:
        """Tasks take what the study says for all where they say nothing."""
        tasks = given.get("tasks") if isinstance(given, dict) else None
        if not isinstance(tasks, dict):
            return given
        shared = {key: given[key] for key in SHARED if key in given}
        if "network" in shared:
            shared["network"] = named(shared["network"])
        merged = {
            name: _inherited(shared, task) if isinstance(task, dict) else task
            for name, task in tasks.items()
        }
        return {**given, "tasks": merged}

    @model_serializer(mode="wrap")
    def _without_unset(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Studies from before these keys keep their record and the hash that they had."""
        return {
            key: value
            for key, value in dump(self).items()
            if key not in LATER or value != LATER[key]
        }

    @field_validator("engine", mode="before")
    @classmethod
    def _engine_named(cls, given: Any) -> Any:
        if given is None or isinstance(given, Local | Ray):
            return given
        return _named(given, "an engine is local or ray")

    @field_validator("losses", "decisions", "seeds")
    @classmethod
    def _distinct(cls, given: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [getattr(item, "name", item) for item in given]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"'{name}' stands twice: each needs a name of its own")
        return given

    @model_validator(mode="after")
    def _devices_have_work(self) -> "Study":
        if self.devices > 1 and self.device == "mps":
            raise ValueError(f"devices: {self.devices}, but mps is one device: leave it out")
        for name, task in self.tasks.items():
            if task.schedule.batch_size < self.devices:
                raise ValueError(
                    f"devices: {self.devices} share each batch, and those of task '{name}' have "
                    f"{task.schedule.batch_size}: give a batch_size of {self.devices} or more, "
                    "best a multiple of it"
                )
        return self

    @model_validator(mode="after")
    def _decisions_have_losses(self) -> "Study":
        names = [loss.name for loss in self.losses]
        for decision in self.decisions:
            for name in decision.losses or ():
                if name not in names:
                    raise ValueError(
                        f"decision '{decision.name}' names the loss '{name}', which this study "
                        f"does not train{nearest(name, names)}"
                    )
            if not any(decision.suits(loss) for loss in self.losses):
                raise ValueError(
                    f"decision '{decision.name}' reads p as a probability, so it is for "
                    "cross_entropy, which this study does not train: name its `losses`"
                )
        return self


def _inherited(shared: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    """A task over what the study says for all; a network of another name takes nothing over."""
    network, common = task.get("network"), shared.get("network")
    if isinstance(network, str):
        network = {"name": network}
        task = {**task, "network": network}
    if isinstance(network, dict) and isinstance(common, dict):
        if network.get("name", common["name"]) != common["name"]:
            shared = {key: value for key, value in shared.items() if key != "network"}
    return merged(shared, task)


def merged(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`own` over `shared`, key by key, in mappings of mappings too."""
    result = dict(shared)
    for key, value in own.items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        result[key] = merged(below, value) if both else value
    return result


def statistics_digest(study: Study) -> str:
    """What was declared before the first score, as a hash."""
    return digest(study.statistics.model_dump(mode="json"))
