"""Single cases: the scores of all of them, and those that are worth a look."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segrisk.report.results import Results
from segrisk.report.shown import is_sampled, orders, quality_and_spread, shown_cases
from segrisk.report.summary import Summary
from segrisk.report.tasks import TaskInfo
from segrisk.report.viewer import BUDGET_MB, Drawing, MakeView, draw_within

PER_KIND = 2


@dataclass(frozen=True)
class Chosen:
    """A case to look at: where it stands, why it was chosen, what each model scored."""

    task: TaskInfo
    index: int
    kinds: tuple[str, ...]
    scores: dict[str, float]

    @property
    def case(self) -> str:
        return self.task.cases[self.index]


@dataclass(frozen=True)
class Gallery:
    """The chosen cases that could be drawn; `notes` say what was left out or thinned."""

    shown: tuple[tuple[Chosen, Drawing], ...]
    notes: tuple[str, ...]


def chosen_cases(summary: Summary) -> tuple[Chosen, ...]:
    """The best, the worst and the most disputed cases of every task, in the primary metric.

    Best and worst by the mean over models, disputed by the largest spread between them; ties go by
    the case's id. Cases without an object are never the best: there is nothing to see.
    """
    return tuple(chosen for task in summary.tasks for chosen in _chosen(summary, task))


def _chosen(summary: Summary, task: TaskInfo) -> Iterator[Chosen]:
    primary = summary.primary.name
    _, spread = quality_and_spread(summary, task)
    kinds: dict[int, list[str]] = defaultdict(list)
    for kind, order in orders(summary, task).items():
        for index in order[:PER_KIND].tolist():
            if kind != "most disputed" or spread[index] > 0:
                kinds[index].append(kind)
    for index, own in kinds.items():
        scores = {
            model.name: float(summary.by_loss.scores[task.name, primary, model.name][index])
            for model in summary.models
        }
        yield Chosen(task, index, tuple(own), scores)


def gallery(summary: Summary, views: MakeView | None) -> Gallery:
    """Draw the chosen cases, each within its share of the page's budget."""
    if views is None:
        return Gallery((), ())
    chosen = chosen_cases(summary)
    share = BUDGET_MB / max(1, len(chosen))
    shown, notes = [], []
    for one in chosen:
        view = views(one.task.task, one.task.label, one.case)
        if view is None:
            notes.append(f"{one.case} of {one.task.name} has no image to show")
            continue
        drawing = draw_within(view, share)
        if drawing is None:
            notes.append(f"{one.case} of {one.task.name} does not fit into {share:.1f} MB")
            continue
        by_seed = _by_seed(summary, one)
        if view.seed is not None and len(by_seed) > 1:  # what is outlined is what was scored
            one = replace(one, scores=by_seed[view.seed])
            notes.append(
                f"outlines and the scores beside them are of seed {view.seed}, where cases were "
                f"chosen by means over {len(by_seed)} seeds"
            )
        shown.append((one, drawing))
        if drawing.shrunk > 1:
            notes.append(f"{one.case} is shown at 1/{drawing.shrunk} of its resolution")
        if len(drawing.slices) > 1 and np.diff(drawing.slices).max() > 1:
            notes.append(f"{one.case} is shown in {len(drawing.slices)} slices, not in all")
    return Gallery(tuple(shown), tuple(dict.fromkeys(notes)))


def _by_seed(summary: Summary, one: Chosen) -> dict[int, dict[str, float]]:
    """What each model scored in each training, in the primary metric."""
    task, found = one.task, defaultdict[int, dict[str, float]](dict)
    own = summary.results.scores.where(case=one.case, metric=summary.primary.name)
    for score in own.where(task=task.task, label=task.label):
        found[score.seed][score.model] = score.value
    return found


def page_data(summary: Summary, pictures: Gallery) -> dict[str, Any]:
    """What the page's script needs, as small as it can be: columns, rounded as they are shown."""
    shown = {task.name: shown_cases(summary, task) for task in summary.tasks}
    numbers = {task.name: number for number, task in enumerate(summary.tasks)}
    looks = {}
    for place, (one, _) in enumerate(pictures.shown):
        row = int(np.searchsorted(shown[one.task.name], one.index))
        looks[f"{numbers[one.task.name]} {row}"] = place
    return {
        "primary": summary.primary.name,
        "models": [{"label": model.label} for model in summary.models],
        "metrics": [{"name": metric.name, "digits": metric.digits} for metric in summary.metrics],
        "sign": {metric.name: metric.sign for metric in summary.metrics},
        "targets": [_columns(summary, task, shown[task.name]) for task in summary.tasks],
        "looks": looks,
        "drawings": [_drawing(summary.results, drawing) for _, drawing in pictures.shown],
    }


def _columns(summary: Summary, task: TaskInfo, shown: np.ndarray) -> dict[str, Any]:
    grouped, scores = task.n_groups < task.n_cases, summary.by_loss.scores
    columns = {
        "cases": [task.cases[place] for place in shown.tolist()],
        "groups": [task.groups[place] for place in shown.tolist()] if grouped else None,
        "weights": task.weights[shown].round(9).tolist() if task.unit == "group_mean" else None,
        "sizes": [float(f"{f:.3g}") for f in task.fractions[shown].tolist()]
        if task.has_sizes
        else None,
        "scores": {
            metric.name: [
                np.round(
                    scores[task.name, metric.name, model.name][shown], metric.digits + 1
                ).tolist()
                for model in summary.models
            ]
            for metric in summary.metrics
        },
    }
    if is_sampled(task):
        primary = summary.primary.name
        columns["of"] = task.n_cases
        columns["means"] = [
            summary.by_loss.mean(task.name, primary, model.name) for model in summary.models
        ]
    return columns


def _drawing(results: Results, drawing: Drawing) -> dict[str, Any]:
    outlines = {"reference": drawing.reference}
    for index, model in enumerate(results.models):
        outlines[str(index)] = drawing.outlines.get(model.name, ("",) * len(drawing.slices))
    return {
        "slices": drawing.slices,
        "depth": drawing.depth,
        "height": drawing.height,
        "outlines": outlines,
    }
