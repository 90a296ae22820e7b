"""Captions, made from what was actually run."""

from segrisk.report.pairs import Pair
from segrisk.report.sizes import CASES_FOR_CURVE
from segrisk.report.summary import Block, Summary
from segrisk.statistics import ONE_SEED

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


def test(summary: Summary, block: Block) -> str:
    """Which test was run on which unit, how often resampled."""
    plan = summary.results.plan
    grouped = any(task.n_groups < task.n_cases for task in summary.tasks)
    unit = "groups of cases (patients)" if grouped else "cases"
    return (
        f"two-sided sign-flip test of the mean difference over cases, flipping {unit}, "
        f"{_resamples(block.pairs)}, seed {plan.seed}"
    )


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
    folds, seeds = len({s.fold for s in scores}), len({s.seed for s in scores})
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
    if len({score.seed for score in results.scores}) == 1:
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


def table(summary: Summary, block: Block, *, family: str) -> str:
    """The caption of a table of means whose marks come from the p-values that `family` names."""
    alpha = summary.results.plan.alpha
    marked = f"Marks: each pair at {family} p < {alpha:g}, {test(summary, block)}."
    if not block.pairs:
        marked = "One model: nothing is tested."
    return " ".join(
        [
            f"Means over cases; {sample(summary)}; {selection(summary, block)}; "
            f"{summary.results.convention}.",
            marked,
            legend(summary),
            *cautions(summary),
        ]
    )


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


def curve(summary: Summary) -> str:
    """The caption of Figure 1."""
    level = f"{100 * (1 - summary.results.plan.alpha):g} %"
    left_out = ""
    if summary.left_out:
        names = ", ".join(summary.left_out)
        left_out = f" Left out, with fewer than {CASES_FOR_CURVE} objects: {names}."
    return (
        f"{summary.primary.label} against the foreground fraction. Points: means of ten bins of "
        "equal count (dashed borders), at each bin's median. Lines: local linear means over log "
        f"size, each from the nearest half of the cases. Bands: {level} intervals over groups, "
        f"point by point, of at least 5 groups.{left_out}"
    )
