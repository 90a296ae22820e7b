"""Which cases a page shows one by one, where there are more than it can hold."""

import numpy as np

from segrisk.report.summary import Summary
from segrisk.report.tasks import TaskInfo

MOST = 5000
"""Cases of one task that the page holds; of more it holds a sample of so many."""
EXTREME = 1000
"""Of them the best, as many of the worst, and as many of the most disputed."""
STRATA = 10


def is_sampled(task: TaskInfo) -> bool:
    """Whether the page shows a part of the cases."""
    return task.n_cases > MOST


def quality_and_spread(summary: Summary, task: TaskInfo) -> tuple[np.ndarray, np.ndarray]:
    """Of each case the mean over models, higher when better, and their largest difference."""
    metric = summary.primary
    columns = np.array(
        [summary.by_loss.scores[task.name, metric.name, model.name] for model in summary.models]
    )
    # Where no value is better for its sign, near 0 is.
    quality = (metric.sign * columns if metric.sign else -abs(columns)).mean(axis=0)
    return quality, columns.max(axis=0) - columns.min(axis=0)


def orders(summary: Summary, task: TaskInfo) -> dict[str, np.ndarray]:
    """The places of the cases, from the best, the worst and the most disputed on; ties in order.

    Cases without an object come last among the best: there is nothing to see.
    """
    quality, spread = quality_and_spread(summary, task)
    order = {
        "best": np.where(task.fractions == 0, np.inf, -quality),
        "worst": quality,
        "most disputed": -spread,
    }
    return {kind: np.argsort(own, kind="stable") for kind, own in order.items()}


def shown_cases(summary: Summary, task: TaskInfo) -> np.ndarray:
    """The places of the cases to show, in their order: all of them, or a sample.

    The sample has the best, the worst and the most disputed cases, and of the others the same
    number from each tenth, by size or, where sizes are not known, by the mean score.
    """
    if not is_sampled(task):
        return np.arange(task.n_cases)
    extremes = orders(summary, task)
    chosen = np.zeros(task.n_cases, dtype=bool)
    chosen[np.concatenate([order[:EXTREME] for order in extremes.values()])] = True
    by_size = task.fractions if task.has_sizes else quality_and_spread(summary, task)[0]
    order = np.argsort(by_size, kind="stable")
    others = order[~chosen[order]]
    generator = np.random.default_rng(summary.results.plan.seed)
    left = MOST - int(chosen.sum())
    for stratum, part in enumerate(np.array_split(others, STRATA)):
        count = left * (stratum + 1) // STRATA - left * stratum // STRATA
        chosen[generator.choice(part, min(count, len(part)), replace=False)] = True
    return np.flatnonzero(chosen)


def said_of_sample(summary: Summary) -> str:
    """How many cases are shown and which; nothing where all are."""
    sampled = [task for task in summary.tasks if is_sampled(task)]
    if not sampled:
        return ""
    counts = " and ".join(f"{MOST:,} of {task.n_cases:,} cases of {task.name}" for task in sampled)
    tenths = "size" if all(task.has_sizes for task in sampled) else "size, or mean score without it"
    return (
        f"Shown are {counts}: the {EXTREME:,} best and the {EXTREME:,} worst by the mean over "
        f"models, the {EXTREME:,} on which the models differ most, and of the others a random "
        f"sample, as many from each tenth by {tenths}. Means and tests are over all cases."
    )
