"""Decisions, risks and surrogates in the report, against hand computation."""

from dataclasses import replace

import numpy as np
import pytest

from segrisk.report.cases import Gallery
from segrisk.report.page import page
from segrisk.report.results import Arm, CaseInfo, Model, Results
from segrisk.report.summary import summarise
from segrisk.report.tables import all_tables
from segrisk.scores import RISKS, SURROGATES, Score

MODELS = (Model("ce", "CE", "pixel"), Model("dice", "sDice", "metric"))
ARMS = (Arm("t", "ce", "tuned", "tuned for dice"), Arm("t", "dice", "tuned", "tuned for dice"))
COUNT = 20


def scores(name, values):
    return tuple(
        Score("t", name, f"c{i:02d}", f"c{i:02d}", "foreground", 0, 0, metric, value)
        for i, d in enumerate(values)
        for metric, value in (("dice", d), ("jaccard", d / (2 - d)))
    )


def make(ce, tuned_ce, dice, tuned_dice, arms=ARMS):
    """Results of one task from the Dice scores of two losses and of their tuned arms."""
    cases = tuple(CaseInfo("t", f"c{i:02d}", f"c{i:02d}", 0.1) for i in range(COUNT))
    own = scores("ce", ce) + scores("dice", dice)
    tuned = scores("ce + tuned", tuned_ce) + scores("dice + tuned", tuned_dice)
    return Results("s", ("t",), MODELS, cases, own, arms=arms, arm_scores=tuned)


def around(mean, spread=0.0):
    return mean + spread * np.random.default_rng(int(1000 * mean)).normal(size=COUNT)


def contrasts(results):
    found = summarise(results).decisions.contrasts
    return {(c.question, c.a, c.b): c for c in found if c.metric == "dice"}


def test_every_question_is_asked_once():
    found = contrasts(make(around(0.6), around(0.64), around(0.7), around(0.71)))
    assert set(found) == {
        ("what the decision adds", "ce + tuned", "ce"),
        ("what the decision adds", "dice + tuned", "dice"),
        ("what a metric-sensitive loss adds to it", "dice", "ce + tuned"),
        ("both with the decision", "dice + tuned", "ce + tuned"),
    }
    differences = [round(c.difference, 6) for c in found.values()]
    assert differences == [0.04, 0.01, 0.06, 0.07]


def test_the_share_closed_is_the_rule_s_part_of_the_gap():
    found = contrasts(make(around(0.6, 0.01), around(0.64), around(0.7), around(0.71)))
    left = found["what a metric-sensitive loss adds to it", "dice", "ce + tuned"]
    gap = np.mean(around(0.7) - around(0.6, 0.01))
    assert left.closed == pytest.approx(1 - np.mean(around(0.7) - around(0.64)) / gap)
    assert 0.3 < left.closed < 0.5


@pytest.mark.parametrize("dice", [0.6, 0.5], ids=["none", "reversed"])
def test_no_share_is_given_of_a_gap_that_is_not_there(dice):
    values = around(dice, 0.05)
    found = contrasts(make(around(0.601, 0.05), around(0.61, 0.05), values, values))
    assert all(contrast.closed is None for contrast in found.values())


def test_marks_say_where_the_rule_is_above_or_below_one_half():
    results = make(around(0.6, 0.01), around(0.64), around(0.7, 0.01), around(0.65))
    table = all_tables(summarise(results))[1]
    half, tuned = table.rows[0], table.rows[1]
    assert (half.label, tuned.label) == ("t, p > 1/2", "t, tuned for dice")
    assert [cell.text for cell in tuned.cells] == ["0.640", "0.650"]
    assert tuned.cells[0].marks.bold and tuned.cells[1].marks.italic
    assert not any(cell.marks.bold or cell.marks.italic for cell in half.cells)


def test_a_loss_without_the_rule_has_a_dash():
    results = make(around(0.6), around(0.64), around(0.7), around(0.71))
    results = replace(results, arms=ARMS[:1], arm_scores=scores("ce + tuned", around(0.64)))
    assert [cell.text for cell in all_tables(summarise(results))[1].rows[1].cells] == ["0.640", "–"]


def test_an_arm_without_a_case_is_named():
    results = make(around(0.6), around(0.64), around(0.7), around(0.71))
    with pytest.raises(ValueError, match=r"case 'c00' of t has no dice for 'ce \+ tuned'"):
        replace(results, arm_scores=results.arm_scores[2:])


def test_results_without_arms_have_no_second_block():
    results = replace(make(*map(around, (0.6, 0.64, 0.7, 0.7))), arms=(), arm_scores=())
    summary = summarise(results)
    assert summary.decisions is None
    assert not any("second block" in table.title for table in all_tables(summary))


def test_the_risk_chain_is_that_of_the_scores():
    values = np.linspace(0.2, 0.8, COUNT)
    risks = {r.model: r.chain for r in summarise(make(values, values, values, values)).risks}
    dice_risk = float(1 - values.mean())
    assert risks["ce"].dice_risk == pytest.approx(dice_risk)
    assert risks["ce"].jaccard_risk == pytest.approx(float(1 - (values / (2 - values)).mean()))
    assert risks["ce"].bound == pytest.approx(2 * dice_risk / (1 + dice_risk))
    assert risks["ce"].dice_risk < risks["ce"].jaccard_risk < risks["ce"].bound


def test_scores_of_no_one_mask_are_said_to_be_so():
    results = make(*map(around, (0.6, 0.64, 0.7, 0.7)))
    wrong = tuple(replace(s, value=0.9) if s.metric == "jaccard" else s for s in results.scores)
    summary = summarise(replace(results, scores=wrong))
    assert summary.risks[0].chain is None and "which no one mask has" in summary.risks[0].fault
    shown = page(summary, None, all_tables(summary), {}, Gallery((), ()), [])
    assert "which no one mask has" in shown


def test_surrogates_are_averaged_over_cases():
    results = make(*map(around, (0.6, 0.64, 0.7, 0.7)))
    own = tuple(
        Score("t", "ce", f"c{i:02d}", f"c{i:02d}", "foreground", 0, 0, name, float(i))
        for i in range(COUNT)
        for name in (*SURROGATES, *RISKS.values())
    )
    found = summarise(replace(results, surrogates=own)).surrogates
    assert len(found) == 1 and found[0].model == "ce"
    assert set(found[0].means.values()) == {(COUNT - 1) / 2}
