"""The paper's claims: one rule, every verdict of it, whatever losses are called and ordered."""

import csv
import os
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrisk.losses import LOSSES, PAPER
from segrisk.report.paper.judge import judge_claims
from segrisk.report.paper.rule import Evidence, judge, judge_order, together
from segrisk.report.paper.show import claims_markdown, words
from segrisk.report.paper.statements import STATEMENTS
from segrisk.report.paper.table1 import IMAGES, TABLE1
from segrisk.report.results import CaseInfo, Model, Results, StatisticsPlan
from segrisk.report.summary import summarise
from segrisk.report.tables import all_tables, markdown
from segrisk.report.write import write_report
from segrisk.scores import Score

ROOT = Path(__file__).parents[2]
PAPER_TEXT = Path(os.environ.get("SEGRISK_DATA", ROOT.parent / "shared" / "data")).parent

FIVE = tuple(Model(f"m{i}", LOSSES[n].label, LOSSES[n].family, n) for i, n in enumerate(PAPER))
ALIKE, ABOVE = (0.7,) * 5, (0.6, 0.5, 0.7, 0.7, 0.7)


def evidence(difference=0.0, p=1.0, equivalent=False, margin=0.01, alpha=0.05):
    ends = (difference - 0.01, difference + 0.01)
    model = "these trained models"
    return Evidence("a − b", difference, *ends, p, "", equivalent, margin, alpha, 99, 99, model)


REAL, OPEN = 0.001, 0.9


@pytest.mark.parametrize(
    ("expected", "found", "verdict"),
    [
        ("above", evidence(+0.02, REAL), "reproduced"),
        ("above", evidence(+0.002, REAL, equivalent=True), "reproduced"),
        ("above", evidence(-0.02, REAL), "not reproduced"),
        ("above", evidence(+0.002, OPEN, equivalent=True), "not reproduced"),
        ("above", evidence(+0.02, OPEN), "cannot tell"),
        ("above", evidence(-0.02, OPEN), "cannot tell"),
        ("equal", evidence(+0.002, OPEN, equivalent=True), "reproduced"),
        ("equal", evidence(+0.002, REAL, equivalent=True), "reproduced"),
        ("equal", evidence(+0.02, REAL), "not reproduced"),
        ("equal", evidence(-0.02, REAL), "not reproduced"),
        ("equal", evidence(+0.01, REAL), "not reproduced"),
        ("equal", evidence(+0.008, REAL), "cannot tell"),
        ("equal", evidence(+0.02, OPEN), "cannot tell"),
        ("equal", evidence(+0.02, REAL, margin=None), "cannot tell"),
        ("different", evidence(-0.02, REAL), "reproduced"),
        ("different", evidence(+0.002, OPEN, equivalent=True), "not reproduced"),
        ("different", evidence(+0.02, OPEN), "cannot tell"),
        ("above", evidence(0.0, REAL), "cannot tell"),
    ],
)
def test_every_verdict_of_the_rule(expected, found, verdict):
    assert judge(expected, found) == verdict


@given(
    expected=st.sampled_from(["above", "equal", "different"]),
    difference=st.floats(-1, 1),
    p=st.floats(0, 1),
    equivalent=st.booleans(),
)
def test_nothing_is_reproduced_that_is_neither_significant_nor_equivalent(
    expected, difference, p, equivalent
):
    found = evidence(difference, p, equivalent)
    verdict = judge(expected, found)
    if p >= found.alpha and not equivalent:
        assert verdict == "cannot tell"
    if expected == "above" and difference <= 0:
        assert verdict != "reproduced"


def test_an_order_is_told_only_where_both_metrics_tell_it():
    up, down, unclear = evidence(0.1, REAL), evidence(-0.1, REAL), evidence(0.1, OPEN)
    assert judge_order(up, up) == judge_order(down, down) == "reproduced"
    assert judge_order(up, down) == "not reproduced"
    assert judge_order(up, unclear) == judge_order(unclear, down) == "cannot tell"


@pytest.mark.parametrize(
    ("over", "holds", "fails", "unclear", "verdict"),
    [
        ("all", 3, 0, 0, "reproduced"),
        ("all", 2, 1, 0, "not reproduced"),
        ("all", 2, 0, 1, "cannot tell"),
        ("most", 6, 4, 0, "reproduced"),
        ("most", 5, 5, 0, "not reproduced"),
        ("most", 5, 4, 1, "cannot tell"),
        ("some", 1, 9, 0, "reproduced"),
        ("some", 0, 10, 0, "not reproduced"),
        ("some", 0, 9, 1, "cannot tell"),
        ("unopposed", 1, 0, 9, "reproduced"),
        ("unopposed", 9, 1, 0, "not reproduced"),
        ("unopposed", 0, 0, 9, "cannot tell"),
    ],
)
def test_a_claim_of_several_parts(over, holds, fails, unclear, verdict):
    parts = ["reproduced"] * holds + ["not reproduced"] * fails + ["cannot tell"] * unclear
    assert together(over, parts) == verdict


def make(levels, models=FIVE, seeds=(0,), noise=0.01, count=100, fraction=None, run=0.0):
    """Results in which loss i scores `levels[task][i]`, plus what `levels` says of a size."""
    fraction = fraction or (lambda index: 0.003 * (index + 1))
    generator = np.random.default_rng(0)
    cases, scores = [], []
    for task, own in levels.items():
        base = generator.uniform(-0.1, 0.1, count)
        runs = run * generator.normal(size=(len(models), len(seeds), 5))
        for index in range(count):
            name = f"{task}{index:03d}"
            cases.append(CaseInfo(task, name, name, fraction(index)))
            for at in range(len(PAPER)):
                level = own[at](index / count) if callable(own[at]) else own[at]
                for s, seed in enumerate(seeds):
                    d = level + base[index] + noise * generator.normal() + runs[at, s, index % 5]
                    key = (task, models[at].name, name, name, "f", index % 5, seed)
                    scores += [Score(*key, "dice", d), Score(*key, "jaccard", d / (2 - d))]
    plan = StatisticsPlan(resamples=1999)
    return Results("claims", tuple(levels), models, tuple(cases), tuple(scores), plan=plan)


def verdicts(results):
    claims = judge_claims(summarise(results))
    return {(own.statement.name, own.task): own.verdict for own in claims.judged}


def test_a_study_like_the_paper_s_reproduces_it():
    found = verdicts(make({"t": ABOVE}))
    wanted = {
        "sensitive-above-ce", "sensitive-above-wce", "sensitive-equal", "same-order",
        "wce-below-ce", "ce-dominated", "gain-beyond-small",
    }  # fmt: skip
    assert {name for (name, _), verdict in found.items() if verdict == "reproduced"} == wanted
    assert found["wce-better-in-ranges", "t"] == "not reproduced"


def test_losses_that_are_all_alike_reproduce_equality_alone():
    found = verdicts(make({"t": ALIKE}, fraction=lambda index: 0.4))
    refuted = ("sensitive-above-wce", "wce-below-ce")
    assert all(found[name, "t"] == "not reproduced" for name in refuted)
    equal = ("sensitive-equal", "ce-equal-where-balanced", "ce-equal-where-uniform")
    assert all(found[name, "t"] == "reproduced" for name in equal)
    assert found["same-order", "t"] == "cannot tell"
    assert ("sensitive-above-ce", "t") not in found  # the paper claims equality there


def test_the_other_way_is_not_reproduced():
    found = verdicts(make({"t": (0.7, 0.75, 0.6, 0.6, 0.65)}))
    for name in ("sensitive-above-ce", "sensitive-equal", "wce-below-ce", "ce-dominated"):
        assert found[name, "t"] == "not reproduced", name
    assert found["wce-better-in-ranges", "t"] == "reproduced"


def test_few_noisy_cases_cannot_tell():
    found = verdicts(make({"t": (0.69, 0.69, 0.7, 0.7, 0.7)}, noise=0.3, count=60))
    assert set(found.values()) == {"cannot tell"}


def test_metrics_that_order_a_pair_oppositely_refute_the_same_order():
    results = make({"t": ABOVE})
    turned = tuple(
        replace(s, value=s.value + 0.3) if (s.metric, s.model) == ("jaccard", "m1") else s
        for s in results.scores
    )
    claims = judge_claims(summarise(replace(results, scores=turned)))
    own = next(one for one in claims.judged if one.statement.name == "same-order")
    assert own.verdict == "not reproduced" and "the means themselves swap" in words(own)


def test_a_gain_on_small_objects_alone_is_told_from_one_beyond():
    small = [lambda share: 0.6 + 0.1 * (share >= 0.5), 0.5, 0.7, 0.7, 0.7]
    results = make({"t": small}, noise=0.003)
    assert verdicts(results)["gain-beyond-small", "t"] == "not reproduced"
    claims = judge_claims(summarise(results))
    bins = next(one for one in claims.judged if one.statement.name == "ce-dominated")
    assert [part.is_real for part in bins.parts] == [True] * 5 + [False] * 5
    assert "above at a foreground of 0.3 to 15.2 %" in words(bins)
    assert "10 cases a bin" in words(bins) and "per doubling of size" in words(bins)


def test_wce_better_at_large_objects_alone():
    large = [0.6, lambda share: 0.5 + 0.2 * (share > 0.8), 0.7, 0.7, 0.7]
    found = verdicts(make({"t": large}))
    assert found["wce-better-in-ranges", "t"] == "reproduced"
    assert found["wce-below-ce", "t"] == "reproduced"


def test_weighting_that_helps_one_task_and_harms_another_depends_on_the_task():
    found = verdicts(make({"a": ABOVE, "b": (0.6, 0.65, 0.7, 0.7, 0.7)}))
    assert found["wce-depends-on-task", "all tasks"] == "reproduced"
    same = verdicts(make({"a": ABOVE, "b": ABOVE}))
    assert same["wce-depends-on-task", "all tasks"] == "not reproduced"


@settings(max_examples=4, deadline=None)
@given(order=st.permutations(range(5)), names=st.permutations("vwxyz"))
def test_names_and_order_of_the_models_change_no_verdict(order, names):
    results = make({"t": ABOVE}, count=60)
    called = {model.name: name for model, name in zip(FIVE, names, strict=True)}
    models = tuple(replace(FIVE[i], name=called[FIVE[i].name], label=f"L{i}") for i in order)
    scores = tuple(replace(s, model=called[s.model]) for s in results.scores)
    assert verdicts(replace(results, models=models, scores=scores)) == verdicts(results)


def test_a_claim_without_its_losses_is_left_out_with_a_word():
    results = make({"t": ABOVE})
    kept = replace(
        results,
        models=FIVE[:4],
        scores=tuple(s for s in results.scores if s.model != "m4"),
    )
    claims = judge_claims(summarise(kept))
    assert [own.statement.name for own in claims.judged] == ["wce-below-ce", "wce-better-in-ranges"]
    why = {one.statement.name: one.why for one in claims.left_out}
    assert why["sensitive-equal"] == "the study does not train lovasz_sigmoid"
    assert why["wce-depends-on-task"] == "it needs two tasks, and this study has one"
    assert {*why, "wce-below-ce", "wce-better-in-ranges"} == {own.name for own in STATEMENTS}


def test_models_that_are_no_losses_have_no_claims(tmp_path):
    models = tuple(replace(model, loss="") for model in FIVE)
    results = make({"t": ABOVE}, models, count=60)
    assert judge_claims(summarise(results)) is None
    write_report(results, tmp_path)
    assert not (tmp_path / "claims.csv").exists()
    assert 'id="claims"' not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_with_two_seeds_a_verdict_is_of_the_losses_and_shows_both_tests():
    """Where runs differ more than losses do, trained models differ: of losses it says nothing."""
    results = make({"t": ABOVE}, seeds=(0, 1), run=0.15)
    claims = judge_claims(summarise(results))
    own = next(one for one in claims.judged if one.statement.name == "sensitive-above-ce")
    assert own.verdict == "cannot tell"
    for part in own.parts:
        assert part.speaks_of == "the losses, over trainings"
        assert part.p_beside < 0.05 < part.p_adjusted
        assert part.low < part.difference < part.high
    assert "(sign-flip p = " in words(own)
    steady = verdicts(make({"t": ABOVE}, seeds=(0, 1), run=0.001))
    assert steady["sensitive-above-ce", "t"] == steady["sensitive-equal", "t"] == "reproduced"


def design(gains):
    """Four tasks: cross-entropy is `gains` below the others at (size, balance)."""
    levels = {f"{s}-{b}": (0.7 - gain, 0.5, 0.7, 0.7, 0.7) for (s, b), gain in gains.items()}
    factors = {f"{s}-{b}": {"size": s, "balance": b} for s, b in gains}
    return replace(make(levels, noise=0.02), factors=factors)


PLACES = tuple(product(("uniform", "variable"), ("even", "sparse")))


def test_a_design_tells_which_factor_makes_the_gain():
    found = judge_claims(summarise(design(dict(zip(PLACES, (0, 0.05, 0, 0.05), strict=True)))))
    size, balance, both = found.design.effects
    assert balance.contrast == "balance: sparse − even"
    assert balance.difference == pytest.approx(0.05, abs=0.01) and balance.is_real
    assert not size.is_real and size.equivalent and not both.is_real
    assert [part.is_real for _, part in found.design.gains] == [False, True, False, True]
    crossed = judge_claims(summarise(design(dict(zip(PLACES, (0, 0, 0, 0.08), strict=True)))))
    assert crossed.design.effects[2].difference == pytest.approx(0.08, abs=0.02)
    assert all(part.is_real for part in crossed.design.effects)


def test_three_tasks_are_no_design():
    results = design(dict.fromkeys(PLACES, 0.0))
    three = {task: own for task, own in results.factors.items() if task != "variable-sparse"}
    assert judge_claims(summarise(replace(results, factors=three))).design is None


# The paper's Table 1


@pytest.mark.skipif(
    not (PAPER_TEXT / "paper.txt").exists(), reason="the paper's text is not beside the data"
)
def test_the_numbers_are_those_that_the_paper_prints():
    text = (PAPER_TEXT / "paper.txt").read_text(encoding="utf-8")
    rows = re.findall(r"(BR18|IS17|IS18|MO17|PO18)((?: 0\.\d{3}){5})", text)
    assert len(rows) == 10
    for (name, numbers), metric in zip(rows, ["dice"] * 5 + ["jaccard"] * 5, strict=True):
        assert list(TABLE1[metric, name].values()) == [float(n) for n in numbers.split()]
    for name, count in IMAGES.items():
        assert f"{name}, {count} images" in text.replace("\n", " ")


def test_the_paper_s_numbers_stand_beside_ours_with_its_exceptions():
    results = make({"t": (0.60, 0.65, 0.7, 0.7, 0.62)})
    assert len(all_tables(summarise(results))) == 2
    table = all_tables(summarise(replace(results, stands_for={"t": "IS17"})))[1]
    assert table.title == "The paper's Table 1 beside ours"
    text = markdown(table)
    assert "| Dice score | IS17, paper (43) | 0.260 | 0.311 | 0.331 | 0.321 | 0.305 |" in text
    assert "wCE above Lovász in Dice and in Jaccard; so does t here." in text
    text = markdown(all_tables(summarise(replace(results, stands_for={"t": "IS18"})))[1])
    assert "wCE above CE in Dice and below it in Jaccard; not so t here." in text


def test_files_and_page_tell_the_claims(tmp_path):
    summary = write_report(make({"t": ABOVE}), tmp_path)
    claims = judge_claims(summary)
    with (tmp_path / "claims.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(own.parts) for own in claims.judged)
    for own in claims.judged:
        parts = [row for row in rows if row["claim"] == own.statement.name]
        assert [float(row["difference"]) for row in parts] == [p.difference for p in own.parts]
        assert {row["verdict"] for row in parts} == {own.verdict}
    text = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert text == claims_markdown(summary, claims)
    assert "With one seed the tests speak of these trained models" in text
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The paper&#39;s claims" in page or "The paper's claims" in page
    assert all(own.statement.sentence in page for own in claims.judged)
