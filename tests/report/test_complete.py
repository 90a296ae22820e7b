"""What is checked of millions of scores at once is what a loop over them would find."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrisk.report.results import CaseInfo, Model, Results, StatisticsPlan
from segrisk.report.tasks import by_case, task_infos
from segrisk.scores import Score

MODELS = (Model("A", "A", "other"), Model("B", "B", "other"))
METRICS = ("dice", "jaccard")


def sound(labelled):
    """Two tasks of three cases, of which one has another label too."""
    cases, scores = [], []
    for task in "tu":
        for number in (2, 0, 1):
            case, group = f"c{number}", f"p{number // 2}"
            labels = ("1", "2") if task == "u" else ("1",)
            cases += [CaseInfo(task, case, group, 0.1, x) for x in (labels if labelled else ("",))]
            scores += [
                Score(task, model.name, case, group, label, number % 2, seed, metric, number / 4)
                for label in labels
                for model in MODELS
                for metric in METRICS
                for seed in (0, 7)
            ]
    return cases, scores


def fault(cases, scores):
    """What a loop finds first, in the order of the rules; nothing where all is well."""
    groups = {(info.task, info.case): info.group for info in cases}
    for s in scores:
        place = f"case '{s.case}' of {s.task}"
        if (s.task, s.case) not in groups:
            return f"{place} is scored for '{s.model}', but is not listed"
        if s.model not in "AB":
            return f"{place} is scored for '{s.model}', which is no model here"
        if s.metric not in METRICS:
            return f"{place} has a {s.metric}, which the plan does not name"
        if s.group != groups[s.task, s.case]:
            return f"{place} is of group '{s.group}' for '{s.model}'"
        if s.value != s.value:
            return f"{place}: the {s.metric} of '{s.model}' is nan"
    found = Counter((s.task, s.model, s.metric, s.seed, s.case, s.label) for s in scores)
    if twice := [key for key, count in found.items() if count > 1]:
        return f"case '{twice[0][4]}' of {twice[0][0]} is scored twice for '{twice[0][1]}'"
    labels = {task: sorted({s.label for s in scores if s.task == task}) for task in "tu"}
    for info in cases:
        for label in [info.label] if info.label else labels[info.task]:
            for model in "AB":
                for metric in METRICS:
                    for seed in sorted({s.seed for s in scores}):
                        if (info.task, model, metric, seed, info.case, label) not in found:
                            return f"case '{info.case}' of {info.task} has no {metric}"
    return ""


changes = st.sampled_from(
    [
        {"case": "c9"}, {"task": "v"}, {"model": "C"}, {"metric": "nsd"}, {"group": "p9"},
        {"value": float("nan")}, {"seed": 3}, {"label": "2"}, {"label": "3"}, {"case": "c0"}, None,
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    labelled=st.booleans(),
    edits=st.lists(st.tuples(st.integers(0, 40), changes, st.booleans()), max_size=3),
)
def test_the_first_fault_of_a_loop_is_named(labelled, edits):
    cases, scores = sound(labelled)
    for place, change, keep in edits:
        if scores and place < len(scores):
            own = scores[place]
            changed = [replace(own, **change)] if change else []
            scores[place : place + 1] = [own, *changed] if keep else changed
    expected = fault(cases, scores)
    plan = StatisticsPlan(metrics=METRICS)
    try:
        results = Results("x", ("t", "u"), MODELS, tuple(cases), tuple(scores), plan=plan)
    except ValueError as error:
        assert expected and str(error).startswith(expected), (expected, str(error))
        return
    assert not expected
    if edits:
        return
    for task in task_infos(results):
        own = [s for s in scores if (s.task, s.label) == (task.task, task.label)]
        for model in "AB":
            column = by_case([task], results.scores)[task.name, "dice", model]
            for case, value in zip(task.cases, column, strict=True):
                values = [
                    s.value for s in own if (s.case, s.model, s.metric) == (case, model, "dice")
                ]
                assert value == pytest.approx(sum(values) / len(values))


def test_a_score_that_is_there_300_times_is_there_more_than_once():
    cases, scores = sound(False)
    with pytest.raises(ValueError, match="case 'c2' of t is scored twice for 'A'"):
        Results("x", ("t", "u"), MODELS, tuple(cases), (*scores, *[scores[0]] * 255))
