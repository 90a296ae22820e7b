"""What the Dice risk of each model says of its Jaccard risk, checked on every score."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from segrisk.report.results import Results
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
    pairs: dict[tuple[str, str], dict[tuple[str, str, int], dict[str, float]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for score in results.scores:
        own = pairs[score.task, score.model]
        own[score.case, score.label, score.seed][score.metric] = score.value
    if not {"dice", "jaccard"} <= set(results.plan.metrics):
        return ()
    return tuple(_risk(*key, list(own.values())) for key, own in sorted(pairs.items()))


def _risk(task: str, model: str, scores: list[dict[str, float]]) -> Risk:
    try:
        chain = risk_chain([pair["dice"] for pair in scores], [pair["jaccard"] for pair in scores])
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
    values: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for score in sorted(results.surrogates):
        values[score.task, score.model][score.metric].append(score.value)
    return tuple(
        Surrogates(*key, {name: fmean(column) for name, column in own.items()})
        for key, own in sorted(values.items())
    )
