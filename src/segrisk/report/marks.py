"""The paper's marks: what stands out in Table 1."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from segrisk.report.results import Model


@dataclass(frozen=True)
class Marks:
    """The paper's marks of one number in Table 1."""

    italic: bool = False
    underline: bool = False
    bold: bool = False


def marks(models: Sequence[Model], better: Collection[tuple[str, str]]) -> dict[str, Marks]:
    """The marks of each model on one task and metric.

    `better` holds the significant pairs, (better, worse). Italic: worse than each metric-sensitive
    loss. Underline: worse than every other member of its own group. Bold: better than all others.
    """

    def below_all(model: Model, others: list[Model]) -> bool:
        return bool(others) and all((other.name, model.name) in better for other in others)

    result = {}
    for model in models:
        others = [other for other in models if other != model]
        metric = [other for other in others if other.family == "metric"]
        group = [other for other in others if other.family == model.family != "other"]
        result[model.name] = Marks(
            italic=model.family != "metric" and below_all(model, metric),
            underline=below_all(model, group),
            bold=bool(others) and all((model.name, other.name) in better for other in others),
        )
    return result
