"""Captions, made from what was actually run."""

import math
from collections.abc import Sequence

import numpy as np

from segrisk.report.pairs import Pair
from segrisk.report.paper.table1 import SAID_OF_MARKS, exceptions
from segrisk.report.ranks import Across
from segrisk.report.sizes import CASES_FOR_CURVE
from segrisk.report.summary import Block, Summary
from segrisk.report.tasks import TaskInfo
from segrisk.report.verdict import listed, number
from segrisk.statistics import MEAN_OVER, ONE_SEED

OVER_CASES = "Means and slopes here are over cases, for the size is a case's."
ONCE = (
    " A group (patient) counts once, by the mean of its cases, however many they are. Size, risks "
    "and single cases are shown over cases."
)
BY_BOOTSTRAP = (
    "Table 1's come from the paper's paired bootstrap, which rejects too often on few groups. "
    "Corrected marks and everything that is claimed rest on the sign-flip test."
)
ONE_TRAINING = "The tests speak of these trained models: trained again, the same method may differ."


def sample(summary: Summary) -> str:
    """How many cases and groups each task has.

    In words like `n = 1000 cases in 979 groups (polyps)`.
    """
    parts = []
    for task in summary.tasks:
        grouped = task.n_groups < task.n_cases
        groups = f" in {task.n_groups} groups" if grouped else ""
        parts.append(f"{task.n_cases} cases{groups} ({task.name})")
    return "n = " + ", ".join(parts)


def means(summary: Summary) -> str:
    """What the means of a table are over."""
    if summary.results.plan.unit == "case":
        return "Means over cases"
    return "Means over groups of cases (patients), each counted once by the mean of its cases"


def test(summary: Summary, block: Block) -> str:
    """Which test was run on which unit, how often resampled."""
    plan = summary.results.plan
    return (
        f"two-sided sign-flip test of the mean difference over {MEAN_OVER[plan.unit]}, flipping "
        f"{_units(summary)}, {_resamples(block.pairs)}, seed {plan.seed}"
    )


def test_of_marks(summary: Summary, block: Block) -> str:
    """The same of the test that marks by raw p-values come from."""
    plan = summary.results.plan
    if plan.marks == "sign_flip":
        return test(summary, block)
    return (
        "the paper's two-sided paired bootstrap of the mean difference over "
        f"{MEAN_OVER[plan.unit]}, resampling {_units(summary)} {plan.resamples:,} times, "
        f"seed {plan.seed}"
    )


def _units(summary: Summary) -> str:
    """What is independent."""
    grouped = any(task.n_groups < task.n_cases for task in summary.tasks)
    return "groups of cases (patients)" if grouped else "cases"


def _resamples(pairs: tuple[Pair, ...]) -> str:
    ways = []
    if any(pair.test.exact for pair in pairs):
        ways.append("all sign vectors where there are at most 16 units")
    ways += [
        f"{count:,} random sign vectors"
        for count in sorted({pair.test.resamples for pair in pairs if not pair.test.exact})
    ]
    return " and ".join(ways)


def selection(summary: Summary, block: Block) -> str:
    """How the epoch was chosen, and over how many folds and seeds the scores were collected."""
    scores = summary.results.scores
    folds, seeds = len(np.unique(scores.numbers("fold"))), len(summary.results.seeds)
    runs = f"{folds} folds" if folds > 1 else "one fold"
    runs += f", {seeds} seeds averaged for each case" if seeds > 1 else ", one seed"
    if summary.results.subject == "model":
        return f"predictions as they were given, {runs}"
    return f"epochs chosen by {block.selection}, {runs}"


def cautions(summary: Summary) -> list[str]:
    """What a reader must know before believing a mark."""
    results = summary.results
    found = []
    if results.post_hoc:
        found.append("Post hoc: the statistics were changed after the first score was there.")
    if len(results.seeds) == 1:
        found.append(ONE_SEED if results.subject == "loss" else ONE_TRAINING)
    for task in summary.tasks:
        if task.n_groups < 6:
            found.append(
                f"{task.name}: with {task.n_groups} groups a two-sided sign-flip p-value cannot "
                f"fall below 2/2^{task.n_groups} = {2 / 2**task.n_groups:.3g}."
            )
        if task.n_cases < CASES_FOR_CURVE:
            found.append(f"{task.name}: {task.n_cases} cases are few; expect wide intervals.")
    return found


def table(summary: Summary, block: Block, *, family: str, tested: str) -> str:
    """The caption of a table of means whose marks come from the p-values that `family` names.

    `tested` says of which test they are.
    """
    alpha = summary.results.plan.alpha
    marked = f"Marks: each pair at {family} p < {alpha:g}, {tested}."
    if not block.pairs:
        marked = "One model: nothing is tested."
    return " ".join(
        [
            f"{means(summary)}; {sample(summary)}; {selection(summary, block)}; "
            f"{summary.results.convention}.",
            marked,
            legend(summary),
            *cautions(summary),
        ]
    )


def beside_paper(summary: Summary, tasks: Sequence[TaskInfo]) -> str:
    """What is printed beside the paper's numbers, and whether its two exceptions show here too."""
    by_loss = {model.loss: model for model in reversed(summary.models)}
    found = [
        "A task that stands for one of the paper's is of its kind: other images, network and "
        f"training. {SAID_OF_MARKS} Ours are marked as in Table 1."
    ]
    for task in tasks:
        stands_for = summary.results.stands_for[task.task]
        for own in exceptions(stands_for):
            if own.losses <= by_loss.keys() and own.metrics <= {m.name for m in summary.metrics}:
                signs = [
                    summary.by_loss.mean(task.name, metric, by_loss[a].name)
                    > summary.by_loss.mean(task.name, metric, by_loss[b].name)
                    for metric, a, b in own.orders
                ]
                here = "so does" if all(signs) else "not so"
                found.append(f"On {stands_for} {own.words}; {here} {task.name} here.")
    return " ".join(found)


def legend(summary: Summary) -> str:
    """What the marks mean; those that no model here can get are left out."""
    families = {model.family for model in summary.models}
    all_higher = all(metric.better == "higher" for metric in summary.metrics)
    higher, lower = ("higher", "lower") if all_higher else ("better", "worse")
    text = f"Bold: {higher} than all others."
    if families & {"pixel", "metric"}:
        text = (
            f"Italic: {lower} than each metric-sensitive loss. Underlined: {lower} than every "
            f"other member of its own group (pixel or metric-sensitive losses). {text}"
        )
    return text


def decisions(summary: Summary) -> str:
    """The caption of the table of decision rules."""
    return (
        f"{means(summary)}; {sample(summary)}; {summary.results.convention}. No network was "
        "trained anew: each rule was fitted on the validation part of its training and applied to "
        f"the held-out fold. Bold: above the same loss at p > 1/2, italic: below it, where the "
        f"{_level(summary)} interval of the difference excludes 0. A dash: the rule reads p as a "
        "probability, and the loss does not train one."
    )


def contrasts(summary: Summary) -> str:
    """The caption of the table of contrasts between losses and decisions."""
    return (
        f"Differences in mean {summary.primary.label} over "
        f"{MEAN_OVER[summary.results.plan.unit]}, {_level(summary)} intervals, p of the "
        "two-sided sign-flip test, each for itself. Share closed: how much of the gap between the "
        "two losses at p > 1/2 the rule closes without training, only where the gap's own interval "
        "lies above 0. All contrasts and metrics stand in decisions.csv."
    )


def _level(summary: Summary) -> str:
    return f"{100 * (1 - summary.results.plan.alpha):g} %"


def risks() -> str:
    """The caption of the table of risks."""
    return (
        "Risk: 1 − the mean score over cases. By Eq. 6 the Jaccard risk lies between the Dice risk "
        "and φ(Dice risk) = 2x/(1 + x); it reaches φ where all cases score alike, so the last "
        "column is what their spread costs."
    )


def surrogates() -> str:
    """The caption of the table of surrogates."""
    return (
        "Means over held-out cases at the network's size. That Dice and Jaccard risk are within a "
        "factor 2 of each other holds for these risks of masks; it does not hold for their "
        "surrogates, whose ratio has no bound."
    )


def time_spent() -> str:
    """The caption of where the time of trainings went."""
    return (
        "Shares of the time of all trainings of a loss. Data: the wait for a batch and its copy, "
        "not what was prepared while the device was busy; bookkeeping: progress and checkpoints."
    )


def curve(summary: Summary) -> str:
    """The caption of Figure 1."""
    own = "" if summary.results.plan.unit == "case" else f" {OVER_CASES}"
    left_out = ""
    if summary.left_out:
        names = ", ".join(summary.left_out)
        left_out = f" Left out, with fewer than {CASES_FOR_CURVE} objects of known size: {names}."
    return (
        f"{summary.primary.label} against the foreground fraction. Points: means of ten bins of "
        "equal count (dashed borders), at each bin's median. Lines: local linear means over log "
        f"size, each from the nearest half of the cases. Bands: {_level(summary)} intervals over "
        f"groups, point by point, of at least 5 groups.{own}{left_out}"
    )


def across(summary: Summary, ranked: Across) -> str:
    """What a ranking across data sets says, and what it does not."""
    return (
        f"The mean of the ranks on {listed(ranked.tasks)}, which count the same. What is uncertain "
        "are the patients: the groups of each data set are resampled on their own. The data sets "
        f"are taken as they are: nothing is said of others. {_level(summary)} intervals of the "
        "rank; P(best) is no test."
    )


def facts(summary: Summary) -> list[tuple[str, str]]:
    """What the report rests on, as (number, what it counts)."""
    cases, groups = (summary.results.cases.distinct("task", name) for name in ("case", "group"))
    tasks = len({task.task for task in summary.tasks})
    noun = {"loss": "losses", "model": "models"}[summary.results.subject]
    found = [(f"{cases:,}", "cases"), (str(len(summary.models)), noun)]
    if groups < cases:
        found.insert(1, (f"{groups:,}", "groups"))
    if tasks > 1:
        found.append((str(tasks), "data sets"))
    if len(summary.tasks) > tasks:
        found.append((str(len({task.label for task in summary.tasks})), "labels"))
    seeds = len(summary.results.seeds)
    found.append((str(seeds), "seed" if seeds == 1 else "seeds"))
    return found


def notes(summary: Summary) -> list[str]:
    """What a reader must know before believing the verdict."""
    found = [*cautions(summary), *summary.results.notes]
    skewed = [
        pair
        for pair in summary.by_loss.pairs
        if pair.metric == summary.primary and pair.is_one_sided
    ]
    for task in dict.fromkeys(pair.task for pair in skewed):
        names = [
            f"{summary.labels[pair.a]} − {summary.labels[pair.b]}"
            for pair in skewed
            if pair.task == task
        ]
        found.append(
            f"{task}: the differences {_few(names)} are one-sided, and there the sign-flip test "
            "marks more often than its level says: trust the intervals."
        )
    return found


def sizes(summary: Summary) -> str:
    """Which differences change with the size of the object."""
    found = [
        (curve.task.name, trend)
        for curve in summary.curves
        for trend in curve.trends
        if trend.p_adjusted < summary.results.plan.alpha
    ]
    found.sort(key=lambda one: one[1].p_adjusted)
    changing = [
        f"{summary.labels[trend.a]} − {summary.labels[trend.b]} on {task} "
        f"({number(trend.slope.slope * math.log(2), summary.primary, signed=True)} per doubling)"
        for task, trend in found
    ]
    if not any(curve.trends for curve in summary.curves):
        return "No slope is tested: there are not two models, or too few groups."
    if not changing:
        return "No difference is shown to change with the size of the object."
    return f"Change with the size of the object, after correction: {_few(changing)}."


def unsized(summary: Summary) -> str:
    """Of how many references nobody says whether they are empty; nothing where all are known."""
    doubtful = [task for task in summary.tasks if task.doubtful]
    where = [f"{task.doubtful} of {task.n_cases} references of {task.name}" for task in doubtful]
    if not where:
        return ""
    only = " of the others" if summary.sensitivity else ""
    return (
        f"That cannot be told{only}: the size of {_few(where)} is not known. A table with the "
        "columns case, label and fraction (--sizes) says it, and is needed for scores by size."
    )


def sizeless(summary: Summary) -> str:
    """What scores by size lack, where it is known which references are empty, and no more."""
    known = unsized(summary) or all(task.has_sizes for task in summary.tasks)
    text = "a table with the columns case, label and fraction (--sizes)"
    return (
        "" if known else f"How large the references are is not known: scores by size need {text}."
    )


def _few(names: list[str]) -> str:
    """The first three names, and how many more there are.

    >>> _few(["a", "b", "c"]), _few(list("abcde"))
    ('a, b and c', 'a, b, c and 2 more')
    """
    left = len(names) - 3
    return listed([*names[:3], f"{left} more"] if left > 0 else names)


def conventions(summary: Summary) -> list[tuple[str, str]]:
    """What every number on the page means."""
    plan, primary = summary.results.plan, summary.primary.label
    over = MEAN_OVER[plan.unit]
    how = {
        "loss": "were fixed before the first score",
        "model": "are as the call declared them: choose them before looking at scores",
    }
    declared = (
        f"{primary}, means over {over}, the margin ±{plan.margin:g}, the tests and their family "
        f"{how[summary.results.subject]}."
    )
    if summary.results.post_hoc:
        declared = "Post hoc: the statistics were changed after the first score was there."
    others = () if plan.marks == "sign_flip" else (("Marks", BY_BOOTSTRAP),)
    return [
        ("Empty masks", f"{_sentence(summary.results.convention)}."),
        (
            "Difference",
            f"Mean over {over} of one model minus that of the other: exactly what Table 1 prints. "
            f"Seeds are averaged within a case first.{ONCE if plan.unit == 'group_mean' else ''}",
        ),
        (
            "Test",
            f"{_sentence(test(summary, summary.by_loss))}. It is exact where differences are "
            "symmetric; where failures are all on one side it is right only for many groups.",
        ),
        *others,
        (
            "Correction",
            f"Holm over all pairs, tasks and labels of a metric. The claims rest on {primary}; "
            "other metrics are corrected within themselves and are secondary. The max-T "
            "correction, the paper's bootstrap and Wilcoxon's test stand in tests.csv.",
        ),
        (
            "Interval",
            f"{_level(summary)}, the hull of the group t interval and the studentised bootstrap of "
            f"groups, {plan.resamples:,} resamples, seed {plan.seed}.",
        ),
        (
            "The same",
            f"The {100 * (1 - 2 * plan.alpha):g} % interval lies within ±{plan.margin:g}: two "
            "one-sided tests. Below 50 groups nothing is claimed to be the same. A difference that "
            "is not shown is no evidence of equality.",
        ),
        (
            "Rank",
            f"By the mean over {over}. P(best) and the interval of a rank come from resampled "
            "groups and say how firm the order is on patients like these; they are no test.",
        ),
        (
            "Size",
            "Slope of the difference on log size, least squares with CR2 errors over groups. Sizes "
            "are never permuted; empty references have no size and are left out.",
        ),
        ("Declared", declared),
    ]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
