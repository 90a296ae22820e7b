"""What a study says of a difference at each size of the object."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segrisk.report.paper.rule import Evidence
from segrisk.report.summary import Summary
from segrisk.report.tasks import TaskInfo
from segrisk.statistics import (
    bin_means,
    equivalence_test,
    holm,
    paired_bootstrap,
    sign_flip_test,
    size_bins,
    size_slope,
)
from segrisk.statistics.equivalence import GROUPS_FOR_EQUIVALENCE

ONE_TEST = "1 test"
"""The family of what is tested alone."""


def mean_difference(
    summary: Summary, task: TaskInfo, pairs: Sequence[tuple[str, str]]
) -> np.ndarray:
    """The mean over `pairs` of a − b (cases,), positive where a is better."""
    primary, scores = summary.primary, summary.by_loss.scores
    found = [
        scores[task.name, primary.name, a] - scores[task.name, primary.name, b] for a, b in pairs
    ]
    return primary.sign * np.mean(found, axis=0)


def of_bins(summary: Summary, task: TaskInfo, difference: np.ndarray) -> list[Evidence]:
    """The difference in each of ten bins of size; Holm over the bins.

    A bin's mean and interval are those of Figure 1. Its p is the sign-flip test's, of the case
    differences times what each case counts in the bin.
    """
    plan, sizes = summary.results.plan, np.array(task.fractions)
    chance = {"resamples": plan.resamples, "seed": plan.seed}
    filled = sizes > 0
    groups = [name for name, keep in zip(task.groups, filled, strict=True) if keep]
    bins, difference = size_bins(sizes[filled]), difference[filled]
    wide, narrow = (
        bin_means(bins, difference, groups, level=level)
        for level in (1 - plan.alpha, 1 - 2 * plan.alpha)
    )
    edges = [float(sizes[filled].min()), *bins.edges, float(sizes.max())]
    found = []
    for index, (row, at, near) in enumerate(zip(bins.weights, wide, narrow, strict=True)):
        inside = np.flatnonzero(row)
        part = (row * difference)[inside]
        names = [groups[i] for i in inside]
        test = sign_flip_test(part, np.zeros_like(part), names, **chance)
        enough = near.n_groups >= GROUPS_FOR_EQUIVALENCE
        within = near.low is not None and -plan.margin < near.low and near.high < plan.margin
        found.append(
            Evidence(
                contrast=f"{100 * edges[index]:.3g} to {100 * edges[index + 1]:.3g} %",
                difference=at.mean,
                low=at.low,
                high=at.high,
                p_adjusted=test.p,
                family=f"{len(wide)} bins of size",
                equivalent=bool(enough and within),
                margin=plan.margin,
                alpha=plan.alpha,
                n_cases=bins.n_cases[index],
                n_groups=at.n_groups,
                speaks_of="these trained models",
            )
        )
    adjusted = holm([one.p_adjusted for one in found]).tolist()
    return [replace(one, p_adjusted=p) for one, p in zip(found, adjusted, strict=True)]


def of_larger_half(summary: Summary, task: TaskInfo, difference: np.ndarray) -> Evidence:
    """The difference over the cases whose object is larger than the median one: a single test."""
    plan, sizes = summary.results.plan, np.array(task.fractions)
    large = sizes > np.median(sizes[sizes > 0])
    part = difference[large]
    zero = np.zeros_like(part)
    groups = [name for name, keep in zip(task.groups, large, strict=True) if keep]
    chance = {"resamples": plan.resamples, "seed": plan.seed}
    test = sign_flip_test(part, zero, groups, **chance)
    interval = paired_bootstrap(part, zero, groups, level=1 - plan.alpha, **chance)
    same = equivalence_test(part, zero, plan.margin, groups, alpha=plan.alpha, **chance)
    return Evidence(
        contrast="objects above the median size",
        difference=test.difference,
        low=interval.low,
        high=interval.high,
        p_adjusted=test.p,
        family=ONE_TEST,
        equivalent=same.equivalent,
        margin=plan.margin,
        alpha=plan.alpha,
        n_cases=test.n_cases,
        n_groups=test.n_groups,
        speaks_of="these trained models",
    )


def slope_words(summary: Summary, task: TaskInfo, difference: np.ndarray) -> str:
    """How the difference changes with size, by the CR2 slope."""
    zero = np.zeros_like(difference)
    try:
        found = size_slope(
            difference, zero, task.fractions, task.groups, level=1 - summary.results.plan.alpha
        )
    except ValueError:
        return "a slope that cannot be told"
    low, at, high = (np.log(2) * end for end in (found.low, found.slope, found.high))
    return f"{at:+.3f} [{low:+.3f}, {high:+.3f}] per doubling of size, p = {found.p:.2g}".replace(
        "-", "−"
    )
