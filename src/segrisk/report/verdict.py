"""The answer in two sentences for each task, made from the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from segrisk.report.pairs import Pair
from segrisk.report.results import Metric, Model
from segrisk.report.summary import Summary
from segrisk.report.tasks import TaskInfo
from segrisk.statistics import MEAN_OVER, no_mark_possible
from segrisk.statistics.equivalence import GROUPS_FOR_EQUIVALENCE


@dataclass(frozen=True)
class Verdict:
    """What is best and whether that is real, then what is the same and what cannot be told."""

    task: str
    finding: str
    limits: str


def verdicts(summary: Summary) -> tuple[Verdict, ...]:
    """The verdict on every task, in the primary metric."""
    return tuple(_verdict(summary, task) for task in summary.tasks)


def _verdict(summary: Summary, task: TaskInfo) -> Verdict:
    metric = summary.primary
    best, *others = summary.ranked[task.name]
    mean = number(summary.by_loss.mean(task.name, metric.name, best.name), metric)
    worst = _worst(summary, task)
    if not others:
        finding = f"{best.label} has a mean {metric.label}{over(task)} of {mean} on {task.name}."
        return Verdict(task.name, worst + finding, "With one model nothing is compared.")
    pairs = summary.by_loss.of(task.name, metric.name)
    if metric.better == "zero":
        what = f"the mean of |{metric.label}|{over(task)}"
        finding = f"{best.label} is nearest to 0 on {task.name} in {what}."
        return Verdict(
            task.name, worst + finding, "No mean of it is better for its sign: see the tables."
        )
    own = {other.name: next(p for p in pairs if p.of(best.name, other.name)) for other in others}
    return Verdict(
        task.name,
        worst + _finding(summary, task, best, others, own, mean),
        _limits(summary, task, best, others, own),
    )


def _finding(
    summary: Summary,
    task: TaskInfo,
    best: Model,
    others: Sequence[Model],
    own: dict[str, Pair],
    mean: str,
) -> str:
    """What is best, by how much, and whether that is real after correction."""
    metric, plan, second = summary.primary, summary.results.plan, others[0]
    pair = own[second.name]
    ends = [end for end in (pair.low, pair.high) if end is not None]
    if pair.a != best.name:
        ends = [-end for end in reversed(ends)]
    side = "above" if metric.better == "higher" else "below"
    extra = max(_extra_digits(value, metric) for value in (pair.difference, *ends))
    lead = f"{number(abs(pair.difference), metric, extra=extra)} {side} {second.label}"
    if ends:
        low, high = (number(end, metric, signed=True, extra=extra) for end in ends)
        lead += f" ({100 * (1 - plan.alpha):g} % interval of the difference {low} to {high})"
    real = [other for other in others if own[other.name].real(plan.alpha)]
    if len(real) == len(others):
        largest = max(own[other.name].p_adjusted for other in others)
        whom = "every other" if len(others) > 1 else "it"
        claim = f"after correction it is better than {whom} ({p_text(largest)})"
    elif real:
        claim = (
            f"after correction it is better than {listed([other.label for other in real])}, which "
            f"is not shown for {listed([o.label for o in others if o not in real])}"
        )
    else:
        smallest = min(own[other.name].p_adjusted for other in others)
        claim = f"after correction it is not shown to be better than any ({p_text(smallest)})"
    what = f"mean {metric.label}{over(task)}"
    if pair.effect.wins == pair.effect.losses == 0:
        lead = f"as {second.label} has in every case (is one a copy of the other?)"
    return f"{best.label} has the best {what} on {task.name}, {mean}, {lead}; {claim}."


def _worst(summary: Summary, task: TaskInfo) -> str:
    """That scores of nothing are among the means: with them a verdict may be of the gaps alone."""
    counts = {
        model: summary.results.worst.get((task.task, model.name), 0) for model in summary.models
    }
    gaps = [f"{n} of {task.n_cases} cases of {model.label}" for model, n in counts.items() if n]
    if not gaps:
        return ""
    return f"{listed(gaps)} had nothing to score and count as the worst value. So counted, "


def _limits(
    summary: Summary, task: TaskInfo, best: Model, others: Sequence[Model], own: dict[str, Pair]
) -> str:
    """What is the same as the best for practice, and what so many groups cannot tell."""
    metric, plan = summary.primary, summary.results.plan
    equal = [other.label for other in others if own[other.name].equivalent]
    open_ = [
        other
        for other in others
        if not own[other.name].equivalent and not own[other.name].real(plan.alpha)
    ]
    family = sum(pair.metric.name == metric.name for pair in summary.by_loss.pairs)
    cannot = no_mark_possible(
        task.n_groups, family=family, level=plan.alpha, resamples=plan.resamples
    )
    parts = []
    if equal:
        parts.append(f"within ±{plan.margin:g} it is equivalent to {listed(equal)}")
    if open_:
        names = listed([other.label for other in open_])
        parts.append(f"whether it differs from {names} or is the same stays open")
    if open_ and task.n_groups < GROUPS_FOR_EQUIVALENCE:
        parts.append(f"below {GROUPS_FOR_EQUIVALENCE} groups nothing is claimed to be the same")
    if cannot:
        parts.append(cannot)
    gaps = [own[other.name].detectable for other in others if own[other.name].detectable]
    if gaps and not cannot:
        unit = f" {metric.unit}" if metric.unit else ""
        parts.append(
            f"with {units(task)} a true difference below {max(gaps):.2g}{unit} would often go "
            "unseen (power 80 %)"
        )
    if not parts:
        parts = [f"{units(task)} support neither an interval nor a claim"]
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def over(task: TaskInfo) -> str:
    """What a mean is over, where that is not the cases.

    >>> over(TaskInfo("t", ("a", "b"), ("p", "p"), (0.1, 0.2), "t", "1", "group_mean"))
    ' over group means'
    """
    return "" if task.unit == "case" else f" over {MEAN_OVER[task.unit]}"


def units(task: TaskInfo) -> str:
    """How many cases, in how many groups where these are fewer.

    >>> units(TaskInfo("t", ("a", "b"), ("p", "p"), (0.1, 0.2), "t", "1"))
    '2 cases in 1 groups'
    """
    grouped = task.n_groups < task.n_cases
    return f"{task.n_cases} cases" + (f" in {task.n_groups} groups" if grouped else "")


def number(value: float, metric: Metric, *, signed: bool = False, extra: int = 0) -> str:
    """A number as the metric is printed, with a true minus and no sign before zero.

    >>> number(-0.5, Metric("dice", "Dice score")), number(3, Metric("a", "A", unit="mm", digits=1))
    ('−0.500', '3.0 mm')
    """
    text = f"{value:{'+' if signed else ''}.{metric.digits + extra}f}"
    text = text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")
    return f"{text} {metric.unit}" if metric.unit else text


def _extra_digits(value: float, metric: Metric) -> int:
    """How many more digits a small difference needs to be seen, at most two."""
    if value == 0:
        return 0
    return next((more for more in (0, 1) if abs(value) >= 0.5 * 10 ** -(metric.digits + more)), 2)


def p_text(p_value: float) -> str:
    """A p-value in words.

    >>> p_text(0.0314), p_text(0.00002)
    ('p = 0.031', 'p < 0.0001')
    """
    return "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them.

    >>> listed(["CE"]), listed(["CE", "wCE"]), listed(["CE", "wCE", "sDice"])
    ('CE', 'CE and wCE', 'CE, wCE and sDice')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
