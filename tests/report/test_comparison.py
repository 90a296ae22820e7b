"""A comparison's report: labels, metrics that are better when lower, empty masks, exports."""

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from make_comparison import HOSTILE, MODELS, comparison

from segrisk.metrics import MEASURES
from segrisk.report import captions
from segrisk.report.exports import finite
from segrisk.report.forest import forest, places, significance_map
from segrisk.report.page import script_json
from segrisk.report.results import (
    LABELS,
    Alternative,
    CaseInfo,
    Metric,
    Model,
    Results,
    StatisticsPlan,
    metric_named,
)
from segrisk.report.summary import summarise
from segrisk.report.tables import all_tables
from segrisk.report.verdict import verdicts
from segrisk.report.write import write_report
from segrisk.scores import Score, read_scores
from segrisk.statistics import equivalence_test, ranking, sign_flip_test, size_slope

REQUIRED = [
    "task", "label", "metric", "model_a", "model_b", "difference", "low", "high", "test", "method",
    "p", "p_adjusted", "n_cases", "n_groups",
]  # fmt: skip


def plain(values, fractions=None, groups=None, models=None, **plan):
    """Results of models whose scores are given, by name, on one task."""
    count = len(next(iter(values.values())))
    fractions = fractions or [0.1 + 0.001 * index for index in range(count)]
    groups = groups or [f"g{index:03d}" for index in range(count)]
    names = [f"c{index:03d}" for index in range(count)]
    metric = plan.get("primary", "dice")
    scores = tuple(
        Score("t", model, case, group, "1", 0, 0, metric, float(value))
        for model, column in values.items()
        for case, group, value in zip(names, groups, column, strict=True)
    )
    cases = zip(names, groups, fractions, strict=True)
    return Results(
        "plain",
        ("t",),
        models or tuple(Model(name, name.upper(), "other") for name in values),
        tuple(CaseInfo("t", *case) for case in cases),
        scores,
        plan=StatisticsPlan(**{"metrics": (metric,), "resamples": 199, **plan}),
        subject="model",
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return folder, write_report(comparison(), folder)


def test_each_label_is_reported_on_its_own(written):
    _, summary = written
    assert [task.name for task in summary.tasks] == ["ct, liver", "ct, tumour"]
    assert len(summary.by_loss.pairs) == 2 * 2 * 3
    results = comparison()
    for task in summary.tasks:
        own = {
            (s.model, s.case): s.value
            for s in results.scores
            if (s.label, s.metric) == (task.label, "dice")
        }
        for model in MODELS:
            mean = np.mean([own[model.name, case] for case in task.cases])
            assert summary.by_loss.mean(task.name, "dice", model.name) == pytest.approx(mean)


def test_tests_csv_has_the_columns_that_others_rely_on(written):
    folder, summary = written
    with (folder / "tests.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[: len(REQUIRED)] == REQUIRED
    assert {(row["task"], row["label"]) for row in rows} == {("ct", "liver"), ("ct", "tumour")}
    means = {}
    for score in read_scores(folder / "scores.csv"):
        means.setdefault((score.label, score.metric, score.model), []).append(score.value)
    for row in rows:
        a, b = (means[row["label"], row["metric"], row[f"model_{x}"]] for x in "ab")
        assert float(row["difference"]) == pytest.approx(np.mean(a) - np.mean(b))
        assert float(row["low"]) <= float(row["difference"]) <= float(row["high"])
        assert (row["n_cases"], row["n_groups"], row["test"]) == ("60", "30", "sign_flip")
        assert row["method"].endswith("199 random sign vectors")
        assert 0 < float(row["p"]) <= float(row["p_adjusted"]) <= 1
        assert row["convention"] == summary.results.convention


def test_no_cell_of_an_export_can_become_a_formula(tmp_path):
    values = np.linspace(0.2, 0.9, 12)
    models = (Model("=cmd|' /C calc'!A0", "A", "other"), Model("@b", "B", "other"))
    results = plain({model.name: values for model in models}, models=models)
    cases = tuple(replace(info, case=f"-{info.case}") for info in results.cases)
    scores = tuple(replace(score, case=f"-{score.case}") for score in results.scores)
    write_report(replace(results, cases=cases, scores=scores), tmp_path)
    for name in ("scores.csv", "tests.csv", "means.csv"):
        with (tmp_path / name).open(newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    assert cell[:1] not in set("=+@\t\r")
                    assert not cell.startswith("-") or float(cell) < 0
    assert read_scores(tmp_path / "scores.csv") == sorted(scores)


def test_the_json_is_valid_and_has_no_nan(written):
    folder, _ = written

    def refuse(constant):
        raise AssertionError(constant)

    content = json.loads((folder / "report.json").read_text(), parse_constant=refuse)
    assert len(content["tests"]) == 12 and len(content["means"]) == 12
    assert content["sensitivity"] and content["provenance"]["name"] == HOSTILE
    assert finite([float("inf"), {"a": (np.float64("nan"), 1)}]) == [None, {"a": [None, 1]}]
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json([float("nan")])


def test_parquet_has_the_same_rows(written):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    folder, _ = written
    rows = parquet.read_table(folder / "scores.parquet").to_pylist()
    assert [Score(**row) for row in rows] == read_scores(folder / "scores.csv")
    assert parquet.read_table(folder / "tests.parquet").num_rows == 12


def test_without_pyarrow_parquet_is_left_out_with_a_note(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    write_report(plain({"a": [0.5, 0.6, 0.7]}), tmp_path)
    assert not list(tmp_path.glob("*.parquet"))
    assert "Parquet files are left out" in (tmp_path / "report.html").read_text()


def test_where_lower_is_better_the_lower_model_wins():
    generator = np.random.default_rng(0)
    near = generator.normal(5, 1, 60)
    results = plain({"far": near + 3, "near": near}, primary="hd95_mm", margin=1.0)
    summary = summarise(results)
    assert [model.name for model in summary.ranked["t"]] == ["near", "far"]
    assert summary.by_loss.raw["t", "hd95_mm", "near"].bold
    assert not summary.by_loss.raw["t", "hd95_mm", "far"].bold
    (pair,) = summary.by_loss.pairs
    assert pair.difference == pytest.approx(3) and pair.better == "near" and pair.effect.wins == 0
    (verdict,) = verdicts(summary)
    assert "NEAR has the best mean HD95 on t" in verdict.finding
    assert "3.00 mm below FAR" in verdict.finding and "better than it" in verdict.finding
    assert all_tables(summary)[0].rows[0].section == "HD95 (mm)"
    assert "Bold: better than all others." in captions.legend(summary)


def test_a_bias_makes_no_model_better():
    values = np.linspace(-1, 1, 60)
    results = plain({"a": values + 2, "b": values}, primary="volume_bias_ml")
    summary = summarise(results)
    assert not any(mark.bold for mark in summary.by_loss.raw.values())
    assert "B is nearest to 0" in verdicts(summary)[0].finding


def test_the_verdict_says_what_is_shown_and_what_is_not():
    generator = np.random.default_rng(0)
    a = generator.uniform(0.6, 0.9, 80)
    same, worse = a - 0.0001 + np.tile([0.004, -0.004], 40), a - 0.1
    (verdict,) = verdicts(summarise(plain({"a": a, "same": same, "worse": worse})))
    assert verdict.finding.startswith("A has the best mean Dice score on t, 0.7")
    assert "(95\u00a0% interval of the difference" in verdict.finding
    assert "better than" in verdict.finding and "WORSE" in verdict.finding
    assert "Within ±0.01 it is equivalent to SAME" in verdict.limits
    assert "with 80 cases a true difference below" in verdict.limits


def test_the_verdict_says_that_cases_without_a_prediction_are_in_the_means():
    results = plain({"a": [0.8] * 10 + [0.0] * 10, "b": [0.7] * 20})
    (verdict,) = verdicts(summarise(replace(results, worst={("t", "a"): 10, ("u", "b"): 3})))
    assert verdict.finding.startswith(
        "10 of 20 cases of A had nothing to score and count as the worst value. So counted, B has"
    )


def test_a_copy_is_recognised():
    scores = np.linspace(0.5, 0.9, 20)
    (verdict,) = verdicts(summarise(plain({"a": scores, "b": scores})))
    assert "as B has in every case (is one a copy of the other?); after" in verdict.finding
    assert "true difference" not in verdict.limits
    models = {"a": scores, "b": scores, "c": scores - 0.3}
    (verdict,) = verdicts(summarise(plain(models)))
    assert "as B has in every case (is one a copy of the other?); after" in verdict.finding
    assert "better than C" in verdict.finding


def test_the_verdict_of_five_groups_says_that_no_mark_is_possible():
    (verdict,) = verdicts(summarise(plain({"a": [0.9] * 5, "b": [0.1, 0.2, 0.3, 0.2, 0.1]})))
    assert "not shown to be better than any" in verdict.finding
    assert "no mark is possible: with 5 groups" in verdict.limits.lower()


def test_one_model_and_one_group_give_a_page(tmp_path):
    write_report(plain({"a": [0.5, 0.6]}, groups=["p", "p"]), tmp_path / "one")
    write_report(plain({"a": [0.5, 0.6], "b": [0.4, 0.2]}, groups=["p", "p"]), tmp_path / "two")
    page = (tmp_path / "one" / "report.html").read_text()
    assert "With one model nothing is compared." in page
    assert (tmp_path / "one" / "tests.csv").read_text() == ",".join(REQUIRED) + "\n"


def test_two_patients_of_two_sizes_tell_no_slope_and_the_page_is_there(tmp_path):
    values = np.linspace(0.4, 0.9, 60)
    sizes, groups = [0.1] * 30 + [0.2] * 30, ["p"] * 30 + ["q"] * 30
    results = plain({"a": values, "b": values**2}, fractions=sizes, groups=groups)
    summary = write_report(results, tmp_path)
    assert len(summary.curves) == 1 and summary.curves[0].trends == ()
    assert "Size of the object" in (tmp_path / "report.html").read_text()


def test_forest_map_and_places_show_what_the_tests_say():
    generator = np.random.default_rng(1)
    a = generator.uniform(0.6, 0.9, 80)
    results = plain({"a": a, "b": a + generator.normal(0, 0.002, 80), "c": a - 0.2})
    summary = summarise(results)
    lines = {line.title: line for line in forest(summary, "t").lines}
    scale = forest(summary, "t")
    assert lines["A − B"].words == "same within ±0.01" and not lines["A − B"].is_real
    assert lines["A − C"].words == "A better" and lines["A − C"].at > scale.zone[1]
    assert scale.zone[0] < lines["A − B"].low < lines["A − B"].high < scale.zone[1]
    field = significance_map(summary, "t")
    glyphs = {
        (field.labels[i], field.labels[j]): cell and cell.glyph
        for i, row in enumerate(field.rows)
        for j, cell in enumerate(row)
    }
    assert glyphs["A", "C"] == "▲" and glyphs["C", "A"] == "▼"
    assert glyphs["A", "B"] == glyphs["B", "A"] == "≈" and glyphs["A", "A"] is None
    own = ranking({"a": a, "b": summary.by_loss.scores["t", "dice", "b"], "c": a - 0.2},
                  [f"g{i:03d}" for i in range(80)], resamples=199)  # fmt: skip
    assert [place.p_best for place in places(summary, "t")] == [one.p_best for one in own]


def test_numbers_are_those_of_the_statistics():
    generator = np.random.default_rng(2)
    a, b = generator.uniform(0.5, 1, (2, 60))
    results = plain({"a": a, "b": b}, resamples=499)
    summary = summarise(results)
    (pair,), groups = summary.by_loss.pairs, summary.tasks[0].groups
    assert pair.test.p == sign_flip_test(a, b, groups, resamples=499).p
    assert pair.equivalence == equivalence_test(a, b, 0.01, groups, resamples=499)
    (curve,) = summary.curves
    slope = size_slope(a, b, summary.tasks[0].fractions, groups)
    assert curve.trends[0].slope.p == pytest.approx(slope.p)


# Empty masks


def test_another_convention_that_turns_the_winner_is_named():
    # B finds something in the two empty references, and is better everywhere else.
    a = np.array([0.8] * 18 + [1.0, 1.0])
    b = np.array([0.81] * 18 + [0.0, 0.0])
    results = plain({"a": a, "b": b}, fractions=[0.1] * 18 + [0.0, 0.0])
    rows = {row.convention: row for row in summarise(results).sensitivity}
    left_out = rows["reference empty: left out (as MONAI)"]
    assert left_out.means == pytest.approx({"a": 0.8, "b": 0.81}) and left_out.n_cases == 18
    assert "B is best, not A" in left_out.changes
    nnunet = rows["both masks empty: left out (as nnU-Net)"]
    assert nnunet.means == pytest.approx({"a": 0.8, "b": b.mean()}) and nnunet.n_cases == 18


def test_without_empty_references_no_convention_changes_anything(tmp_path):
    results = plain({"a": [0.8] * 20, "b": [0.0] + [0.7] * 19})
    assert summarise(results).sensitivity == ()
    write_report(results, tmp_path)
    assert "no reference here is empty" in (tmp_path / "report.html").read_text()


def test_given_conventions_are_used_instead():
    results = plain({"a": [0.8] * 20, "b": [0.7] * 20})
    changed = tuple(replace(s, value=float("inf")) for s in results.scores if s.case == "c003")
    own = replace(results, alternatives=(Alternative("infinite", changed),))
    (row,) = summarise(own).sensitivity
    assert (row.convention, row.n_cases) == ("infinite", 19)


def test_what_a_convention_gives_back_counts_in_means_tests_and_changes():
    # 18 cases are kept; in 6 more, B is right where A finds what is not there.
    results = plain({"a": [0.81] * 18, "b": [0.8] * 18})
    back = tuple(
        Score("t", model, f"d{index}", f"d{index}", "1", 0, 0, "dice", value)
        for model, value in {"a": 0.0, "b": 1.0}.items()
        for index in range(6)
    )
    own = replace(results, alternatives=(Alternative("all count", back),))
    (row,) = summarise(own).sensitivity
    assert row.n_cases == 24
    assert row.means == pytest.approx({"a": 18 * 0.81 / 24, "b": (18 * 0.8 + 6) / 24})
    assert "B is best, not A" in row.changes


# What a page says of itself


def test_labels_of_one_task_are_no_data_sets_and_every_case_counts():
    results = plain({"a": [0.8] * 20, "b": [0.7] * 20})
    second = tuple(replace(s, label="2") for s in results.scores if s.case != "c003")
    first = tuple(replace(s, label="1") for s in results.scores)
    cases = tuple(
        replace(info, label=label)
        for info in results.cases
        for label in ("1", "2")
        if (info.case, label) != ("c003", "2")
    )
    both = replace(results, scores=first + second, cases=cases)
    found = {what: count for count, what in captions.facts(summarise(both))}
    assert found == {"cases": "20", "models": "2", "labels": "2", "seed": "1"}


def test_no_mean_is_said_to_reach_beyond_what_its_metric_can_be():
    results = plain({"a": [0.995 + 0.0001 * (i % 3) for i in range(59)] + [0.0], "b": [0.9] * 60})
    summary = summarise(results)
    interval = next(own for (_, _, name), own in summary.by_loss.intervals.items() if name == "a")
    assert interval.low >= 0 and interval.high == 1


# Reading metrics


@pytest.mark.parametrize("name", MEASURES)
def test_metrics_have_the_direction_and_unit_that_measuring_gives_them(name):
    found = metric_named(name)
    assert (found.better, found.unit) == (MEASURES[name].better, MEASURES[name].unit)


def test_every_label_is_of_a_metric_and_others_are_called_by_their_name():
    assert LABELS.keys() <= MEASURES.keys()
    assert metric_named("my_score") == Metric("my_score", "my score")


def test_a_label_that_lacks_a_score_is_named():
    results = comparison()
    lacking = tuple(s for s in results.scores if (s.label, s.case) != ("tumour", "case-0007"))
    with pytest.raises(ValueError, match="has no dice of label 'tumour' for 'a', seed 0"):
        replace(results, scores=lacking)
