"""What means are over, and the ranking across data sets: one estimand in every number."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from segrisk.files import digest
from segrisk.report import captions
from segrisk.report.cases import Gallery, page_data
from segrisk.report.figures import figure_cases
from segrisk.report.forest import places, places_across
from segrisk.report.results import Alternative, Arm, CaseInfo, Model, Results, StatisticsPlan
from segrisk.report.summary import summarise
from segrisk.report.tables import all_tables
from segrisk.report.verdict import verdicts
from segrisk.report.write import PAGE, write_report
from segrisk.scores import Score
from segrisk.statistics import (
    bootstrap_test,
    effect,
    equivalence_test,
    loss_claim,
    max_t,
    paired_bootstrap,
    paired_sums,
    ranking,
    ranking_across,
    sign_flip_test,
)
from segrisk.statistics.power import minimum_detectable

MODELS = (Model("a", "A", "pixel"), Model("b", "B", "metric"), Model("c", "C", "metric"))
PLAN = StatisticsPlan(metrics=("dice",), resamples=199, unit="group_mean")
CHANCE = {"resamples": 199, "seed": 0}


def make(tasks=("ct",), labels=("organ",), patients=60, seeds=(0,), plan=PLAN, empty=0):
    """A is better on the patients of one scan, B on those of four: the unit decides."""
    generator = np.random.default_rng(0)
    cases, scores = [], []
    for task in tasks:
        for patient in range(patients):
            for scan in range(4 if patient % 3 == 0 else 1):
                case, group = f"c{patient:03d}-{scan}", f"p{patient:03d}"
                fraction = 0.0 if patient < empty else 0.05 + 0.001 * patient
                cases.append(CaseInfo(task, case, group, fraction))
                gain = -0.06 if patient % 3 == 0 else 0.08
                for label in labels:
                    for model, shift in (("a", gain), ("b", 0.0), ("c", -0.1)):
                        for seed in seeds:
                            value = 0.7 + shift + 0.02 * generator.normal()
                            value = value if fraction else float(model == "a")
                            key = (task, model, case, group, label, patient % 4, seed)
                            scores.append(Score(*key, "dice", value))
    return Results("units", tasks, MODELS, tuple(cases), tuple(scores), plan=plan, subject="model")


def columns(results, task="ct", label="organ"):
    """By model the scores of one task in the order of the cases, and the groups."""
    own = sorted(
        (s.case, s.group, s.model, s.value)
        for s in results.scores
        if (s.task, s.label) == (task, label)
    )
    groups = [group for _, group, model, _ in own if model == "a"]
    by_model = {
        name: np.array([v for *_, model, v in own if model == name]) for name in ("a", "b", "c")
    }
    return by_model, groups


def mean_by_loops(values, groups):
    own = {}
    for value, group in zip(values, groups, strict=True):
        own.setdefault(group, []).append(value)
    return sum(sum(v) / len(v) for v in own.values()) / len(own)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_mean_that_table_1_prints_is_the_one_that_is_tested():
    results = make()
    summary, (values, groups) = summarise(results), columns(results)
    cells = dict(zip("abc", all_tables(summary)[0].rows[0].cells, strict=True))
    for name, own in values.items():
        wanted = mean_by_loops(own, groups)
        assert summary.by_loss.mean("ct", "dice", name) == pytest.approx(wanted, abs=1e-12)
        assert cells[name].text == f"{wanted:.3f}"
        interval = paired_bootstrap(own, np.zeros_like(own), groups, unit="group_mean", **CHANCE)
        assert cells[name].interval == f"{interval.low:.3f} to {interval.high:.3f}"
    for pair in summary.by_loss.pairs:
        a, b = values[pair.a], values[pair.b]
        means = [summary.by_loss.mean("ct", "dice", name) for name in (pair.a, pair.b)]
        assert pair.difference == pytest.approx(means[0] - means[1], abs=1e-12)
        test = sign_flip_test(a, b, groups, unit="group_mean", **CHANCE)
        assert (pair.test.p, pair.test.unit) == (test.p, "group_mean")
        assert (pair.test.n_cases, pair.test.n_groups) == (120, 60)
        interval = paired_bootstrap(a, b, groups, unit="group_mean", **CHANCE)
        assert (pair.low, pair.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
        same = equivalence_test(a, b, 0.01, groups, unit="group_mean", **CHANCE)
        narrow = pair.equivalence.interval
        ends = (same.interval.low, same.interval.high)
        assert (narrow.low, narrow.high) == pytest.approx(ends, abs=1e-12)
        assert pair.effect == effect(a, b, groups, unit="group_mean")
        assert pair.p_bootstrap == bootstrap_test(a, b, groups, unit="group_mean", **CHANCE).p
        sums = paired_sums(a, b, groups, unit="group_mean")
        assert pair.detectable == minimum_detectable(sums)
    family = {(p.a, p.b): values[p.a] - values[p.b] for p in summary.by_loss.pairs}
    together = max_t(family, groups, unit="group_mean", **CHANCE).p_adjusted
    assert {(p.a, p.b): p.p_max_t for p in summary.by_loss.pairs} == together


def test_the_unit_turns_winner_marks_and_ranking():
    by_group, by_case = (
        summarise(make(plan=replace(PLAN, unit=u))) for u in ("group_mean", "case")
    )
    assert [model.name for model in by_group.ranked["ct"]] == ["a", "b", "c"]
    assert [model.name for model in by_case.ranked["ct"]] == ["b", "a", "c"]
    assert by_group.by_loss.corrected["ct", "dice", "a"].bold
    assert not by_case.by_loss.corrected["ct", "dice", "a"].bold
    values, groups = columns(make())
    wanted = ranking(values, groups, unit="group_mean", **CHANCE)
    assert by_group.ranks["ct"] == wanted
    assert [place.mean for place in places(by_group, "ct")] == [f"{one.mean:.3f}" for one in wanted]


def test_words_name_the_unit():
    summary = summarise(make())
    caption = all_tables(summary)[0].caption
    assert caption.startswith(
        "Means over groups of cases (patients), each counted once by the mean of its cases; "
        "n = 120 cases in 60 groups (ct)"
    )
    assert "sign-flip test of the mean difference over group means, flipping groups" in caption
    assert "A has the best mean Dice score over group means on ct" in verdicts(summary)[0].finding
    words = dict(captions.conventions(summary))
    assert words["Difference"].startswith("Mean over group means of one model minus")
    assert "A group (patient) counts once" in words["Difference"]
    assert words["Declared"].startswith("Dice score, means over group means, the margin ±0.01")
    assert words["Rank"].startswith("By the mean over group means.")
    assert "Means and slopes here are over cases" in captions.curve(summary)
    before = summarise(make(plan=replace(PLAN, unit="case")))
    assert all_tables(before)[0].caption.startswith("Means over cases; ")
    assert "over cases, for the size" not in captions.curve(before)


def test_page_and_exports_hold_the_unit(tmp_path):
    summary = write_report(make(), tmp_path)
    for name in ("tests", "means", "ranking"):
        assert {row["mean_over"] for row in rows(tmp_path / f"{name}.csv")} == {"group_mean"}
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["plan"]["unit"] == "group_mean" and content["ranking_across"] == []
    page = (tmp_path / PAGE).read_text()
    assert "Dashed: the mean over group means." in page
    assert "Carried by: the fewest group means" in page and "lower count groups" in page
    found = [row["model"] for row in rows(tmp_path / "ranking.csv")]
    assert found == [model.name for model in summary.ranked["ct"]]
    assert not (tmp_path / "ranking_across.csv").exists()


def test_the_dashed_line_among_the_cases_is_the_difference_that_is_tested():
    summary = summarise(make())
    drawn = figure_cases(summary).datasets["cases"]
    weights = np.array([row["weight"] for row in drawn])
    line = np.average([row["difference"] for row in drawn], weights=weights)
    best = next(pair for pair in summary.by_loss.pairs if pair.of("a", "b"))
    assert line == pytest.approx(best.difference, abs=1e-12)
    assert page_data(summary, Gallery((), ()))["targets"][0]["weights"] == pytest.approx(weights)


def test_decisions_follow_the_unit():
    results = make()
    arm = Arm("ct", "a", "tuned", "tuned")
    tuned = tuple(
        replace(s, model=arm.name, value=s.value + (0.03 if s.case[-1] == "3" else 0.0))
        for s in results.scores
        if s.model == "a"
    )
    found = summarise(replace(results, arms=(arm,), arm_scores=tuned)).decisions
    gain = found.gain(arm, "dice")
    assert gain.difference == pytest.approx(20 / 60 * 0.03 / 4) and gain.mean_over == "group_mean"
    means = found.means["ct", "dice", arm.name], found.means["ct", "dice", "a"]
    assert gain.difference == pytest.approx(means[0] - means[1], abs=1e-12)


def test_other_conventions_follow_the_unit():
    results = make(empty=3)
    (values, groups), summary = columns(results), summarise(results)
    row = next(row for row in summary.sensitivity if "left out (as MONAI)" in row.convention)
    kept = [index for index, group in enumerate(groups) if group > "p002"]
    for name, own in values.items():
        wanted = mean_by_loops(own[kept], [groups[index] for index in kept])
        assert row.means[name] == pytest.approx(wanted, abs=1e-12)
    infinite = tuple(replace(s, value=float("inf")) for s in results.scores if s.case == "c000-1")
    changed = replace(results, alternatives=(Alternative("infinite", infinite),))
    assert summarise(changed).sensitivity[0].means["a"] == float("inf")


def test_claims_about_losses_follow_the_unit():
    results = replace(make(seeds=(0, 1)), subject="loss")
    claims = summarise(results).seed_claims
    own = next(claim for claim in claims if (claim.a, claim.b) == ("a", "b"))
    table = {(s.case, s.model, s.seed): s.value for s in results.scores}
    cases = sorted(results.cases, key=lambda info: info.case)
    a, b = (
        np.array([[table[info.case, m, seed] for seed in (0, 1)] for info in cases]) for m in "ab"
    )
    folds, groups = zip(*((int(i.group[1:]) % 4, i.group) for i in cases), strict=True)
    assert own.claim == loss_claim(a, b, folds, groups, unit="group_mean")


def test_what_was_declared_without_a_unit_keeps_its_hash():
    # The hash that the committed studies recorded before there was a choice.
    recorded = "e71a29b542601b056788342f2202b7f2c35c8a0b684fb640047120b7ffcb2ae8"
    assert digest(StatisticsPlan().declared) == recorded
    assert StatisticsPlan(unit="group_mean").declared["unit"] == "group_mean"


# Across data sets


@pytest.mark.parametrize("unit", ["case", "group_mean"])
def test_the_ranking_across_is_that_of_the_statistics(tmp_path, unit):
    results = make(("ct", "mr"), plan=replace(PLAN, unit=unit))
    summary = write_report(results, tmp_path)
    own = {task: columns(results, task) for task in ("ct", "mr")}
    wanted = ranking_across(
        {task: values for task, (values, _) in own.items()},
        {task: groups for task, (_, groups) in own.items()},
        unit=unit,
        **CHANCE,
    )
    (across,) = summary.across
    assert (across.label, across.tasks, across.places) == ("", ("ct", "mr"), wanted)
    shown = places_across(summary, across)
    assert [place.mean for place in shown] == [f"{one.mean:.2f}" for one in wanted]
    assert [place.p_best for place in shown] == [one.p_best for one in wanted]
    assert [place.interval for place in shown] == [f"{p.low:g} to {p.high:g}" for p in wanted]
    written = rows(tmp_path / "ranking_across.csv")
    assert [row["model"] for row in written] == [one.model for one in wanted]
    for row, one in zip(written, wanted, strict=True):
        for field in ("mean", "rank", "p_best", "low", "high"):
            assert float(row[field]) == getattr(one, field)
        assert (row["tasks"], row["n_data_sets"], row["mean_over"]) == ("ct; mr", "2", unit)
    (saved,) = json.loads((tmp_path / "report.json").read_text())["ranking_across"]
    assert [place["mean"] for place in saved["places"]] == [one.mean for one in wanted]
    page = (tmp_path / PAGE).read_text()
    assert "Across data sets" in page and "mean rank" in page
    assert (
        "The mean of the ranks on ct and mr, which count the same. What is uncertain are the "
        "patients: the groups of each data set are resampled on their own. The data sets are taken "
        "as they are: nothing is said of others."
    ) in page


def test_labels_of_one_task_are_no_data_sets():
    assert summarise(make(labels=("organ", "tumour"))).across == ()
    both = summarise(make(("ct", "mr"), ("organ", "tumour"))).across
    assert [(one.label, one.tasks) for one in both] == [
        ("organ", ("ct", "mr")), ("tumour", ("ct", "mr"))
    ]  # fmt: skip


def test_one_model_is_not_ranked_across():
    results = make(("ct", "mr"))
    own = tuple(score for score in results.scores if score.model == "a")
    assert summarise(replace(results, models=MODELS[:1], scores=own)).across == ()
