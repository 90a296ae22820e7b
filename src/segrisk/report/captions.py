"""Captions, made from what was actually run."""

from segrisk.report.summary import CASES_FOR_CURVE, Block, Pair, Summary


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
    if any(pair.exact for pair in pairs):
        ways.append("all sign vectors where there are at most 16 units")
    ways += [
        f"{count:,} random sign vectors"
        for count in sorted({pair.resamples for pair in pairs if not pair.exact})
    ]
    return " and ".join(ways)


def selection(summary: Summary, block: Block) -> str:
    """How the epoch was chosen, and over how many folds and seeds the scores were collected."""
    scores = summary.results.scores
    folds, seeds = len({s.fold for s in scores}), len({s.seed for s in scores})
    runs = f"{folds} folds" if folds > 1 else "one fold"
    runs += f", {seeds} seeds averaged for each case" if seeds > 1 else ", one seed"
    return f"epochs chosen by {block.selection}, {runs}"


def convention() -> str:
    """What an empty mask scores."""
    return "both masks empty scores 1, one empty scores 0, in Dice and Jaccard alike"


def cautions(summary: Summary) -> list[str]:
    """What a reader must know before believing a mark."""
    results = summary.results
    found = []
    if results.post_hoc:
        found.append("Post hoc: the statistics were changed after the first score was there.")
    if len({score.seed for score in results.scores}) == 1:
        found.append(
            "With one seed the tests speak of these trained models, not of the losses in general."
        )
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
            f"Means over cases; {sample(summary)}; {selection(summary, block)}; {convention()}.",
            marked,
            "Italic: lower than each metric-sensitive loss. Underlined: lower than every other "
            "member of its own group (pixel or metric-sensitive losses). Bold: higher than all "
            "others.",
            *cautions(summary),
        ]
    )


def decisions(summary: Summary) -> str:
    """The caption of the table of decision rules."""
    return (
        f"Means over cases; {sample(summary)}; {convention()}. No network was trained anew: each "
        "rule was fitted on the validation part of its training and applied to the held-out fold. "
        "Bold: above the same loss at p > 1/2, italic: below it, where the 95 % t interval over "
        "groups of the difference excludes 0. A dash: the rule reads p as a probability, and the "
        "loss does not train one."
    )


def contrasts(summary: Summary) -> str:
    """The caption of the table of contrasts between losses and decisions."""
    return (
        f"Differences in mean {summary.results.plan.primary.capitalize()}, 95 % t intervals over "
        "groups, p of the two-sided sign-flip test. Share closed: how much of the gap between the "
        "two losses at p > 1/2 the rule closes without training, only where the gap's own interval "
        "lies above 0. All contrasts and metrics stand in decisions.csv."
    )


def risks() -> str:
    """The caption of the table of risks."""
    return (
        "Risk: 1 − the mean score. By Eq. 6 the Jaccard risk lies between the Dice risk and "
        "φ(Dice risk) = 2x/(1 + x); it reaches φ where all cases score alike, so the last column "
        "is what their spread costs."
    )


def surrogates() -> str:
    """The caption of the table of surrogates."""
    return (
        "Means over held-out cases at the network's size. That Dice and Jaccard risk are within a "
        "factor 2 of each other holds for these risks of masks; it does not hold for their "
        "surrogates, whose ratio has no bound."
    )


def curve(summary: Summary) -> str:
    """The caption of Figure 1."""
    left_out = ""
    if summary.left_out:
        names = ", ".join(summary.left_out)
        left_out = f" Left out, with fewer than {CASES_FOR_CURVE} cases: {names}."
    return (
        f"{summary.results.plan.primary.capitalize()} against the foreground fraction, averaged "
        "within ten bins of equal count (dashed borders, points at each bin's median). Bands: 95 % "
        f"t intervals over groups, in bins with at least 5.{left_out}"
    )
