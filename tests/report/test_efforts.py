"""What trainings took: medians, shares of the time, and a table of all."""

import pytest

from segrisk.report.cases import Gallery
from segrisk.report.efforts import costs, effort_rows, phases
from segrisk.report.page import page
from segrisk.report.results import CaseInfo, Effort, Model, Results
from segrisk.report.summary import summarise
from segrisk.report.tables import all_tables
from segrisk.scores import Score

MODELS = (Model("ce", "CE", "pixel"), Model("dice", "sDice", "metric"))


def results(*efforts):
    cases = tuple(CaseInfo("t", f"c{i}", f"c{i}", 0.1) for i in range(8))
    scores = tuple(
        Score("t", model.name, case.case, case.case, "foreground", 0, 0, metric, 0.5 + 0.01 * i)
        for model in MODELS
        for i, case in enumerate(cases)
        for metric in ("dice", "jaccard")
    )
    return Results("s", ("t",), MODELS, cases, scores, efforts=efforts)


def effort(model, fold, seconds, **spent):
    return Effort("t", model, fold, 0, 100 + fold, 50, 60, seconds, spent)


TIMED = (
    effort("ce", 0, 10.0, data=1.0, forward=9.0),
    effort("ce", 1, 30.0, data=9.0, forward=21.0),
    effort("dice", 0, 8.0, data=2.0, forward=6.0),
)


def test_a_cost_is_the_median_of_trainings_and_the_shares_of_all_their_time():
    ce, dice = costs(results(*TIMED))
    assert (ce.model, ce.steps, ce.seconds) == ("ce", 100, 20.0)
    assert phases(results(*TIMED)) == ("data", "forward")
    assert ce.shares == pytest.approx((10 / 40, 30 / 40))
    assert dice.shares == pytest.approx((0.25, 0.75))


def text(given):
    summary = summarise(given)
    return page(summary, None, all_tables(summary), {}, Gallery((), ()), [])


def test_the_page_says_where_the_time_went():
    shown = text(results(*TIMED))
    assert "Where the time went on t" in shown and "<th>forward</th>" in shown
    assert '<td class="name">sDice</td><td>25.0 %</td><td>75.0 %</td>' in shown


def test_trainings_of_old_versions_show_their_steps_alone():
    shown = text(results(effort("ce", 0, 10.0)))
    assert "Steps taken on t" in shown and "Where the time went" not in shown
    mixed = text(results(*TIMED[:2], effort("dice", 0, 10.0)))
    assert '<td class="name">CE</td><td>25.0 %</td>' in mixed
    assert '<td class="name">sDice</td><td>100</td><td>50</td>' in mixed


def test_every_training_is_a_row():
    first, *_, old = effort_rows(results(*TIMED, effort("dice", 1, 10.0)))
    assert first == {
        "task": "t",
        "model": "ce",
        "fold": 0,
        "seed": 0,
        "steps": 100,
        "best_step_by_loss": 50,
        "best_step_by_dice": 60,
        "seconds": 10.0,
        "data_seconds": 1.0,
        "forward_seconds": 9.0,
    }
    assert old["data_seconds"] is None and old["seconds"] == 10.0
