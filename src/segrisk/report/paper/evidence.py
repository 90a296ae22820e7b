"""What a study's tests say about the pairs that a claim names."""

from collections.abc import Sequence
from dataclasses import replace

from segrisk.report.pairs import Pair
from segrisk.report.paper.rule import Evidence
from segrisk.report.seeds import SeedClaim
from segrisk.report.summary import Summary
from segrisk.report.tasks import TaskInfo
from segrisk.statistics.equivalence import GROUPS_FOR_EQUIVALENCE


def of_pair(
    summary: Summary,
    task: TaskInfo,
    metric: str,
    a: str,
    b: str,
    claims: Sequence[SeedClaim],
) -> Evidence:
    """The difference a − b of two models, over trainings where `claims` hold the pair."""
    pair = next(pair for pair in summary.by_loss.of(task.name, metric) if pair.of(a, b))
    own = next((c for c in claims if c.task == task.name and {c.a, c.b} == {a, b}), None)
    found = _over_cases(summary, task, pair)
    if own is not None:
        found = _over_trainings(found, own, (own.a, own.b) != (pair.a, pair.b))
    labels = summary.labels
    named = replace(found, contrast=f"{labels[pair.a]} − {labels[pair.b]}")
    turned = (pair.a != a) != (pair.metric.sign < 0)
    named = _turn(named) if turned else named
    return replace(named, contrast=f"{labels[a]} − {labels[b]}")


def _over_cases(summary: Summary, task: TaskInfo, pair: Pair) -> Evidence:
    plan = summary.results.plan
    count = sum(other.metric == pair.metric for other in summary.by_loss.pairs)
    return Evidence(
        contrast="",
        difference=pair.difference,
        low=pair.low,
        high=pair.high,
        p_adjusted=pair.p_adjusted,
        family=f"{count} comparisons of {pair.metric.name}",
        equivalent=pair.equivalent,
        margin=plan.margin if pair.metric == summary.primary else None,
        alpha=plan.alpha,
        n_cases=task.n_cases,
        n_groups=task.n_groups,
        speaks_of="these trained models",
    )


def _over_trainings(found: Evidence, own: SeedClaim, is_turned: bool) -> Evidence:
    """The same difference with the variance between trainings added, in the pair's direction."""
    claim, narrow, margin = own.claim, own.narrow, found.margin
    result = replace(
        found,
        difference=claim.difference,
        low=claim.low,
        high=claim.high,
        p_adjusted=own.p_adjusted,
        equivalent=margin is not None
        and -margin < narrow.low
        and narrow.high < margin
        and narrow.n_groups >= GROUPS_FOR_EQUIVALENCE,
        speaks_of="the losses, over trainings",
        p_beside=found.p_adjusted,
    )
    return _turn(result) if is_turned else result


def _turn(found: Evidence) -> Evidence:
    """The difference b − a."""
    low, high = found.low, found.high
    return replace(
        found,
        difference=-found.difference,
        low=None if high is None else -high,
        high=None if low is None else -low,
    )
