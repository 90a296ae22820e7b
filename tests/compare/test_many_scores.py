"""Scores in Parquet, and gaps filled over columns as a loop over rows would fill them."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparisons import run
from segrisk.compare.completeness import complete
from segrisk.compare.doctor import doctor, gather
from segrisk.compare.request import Request
from segrisk.scores import Score, as_scores, write_scores, write_scores_parquet


def rows(count=40):
    return [
        Score("t", model, f"c{x:02}", f"p{x // 2}", "1", x % 5, 0, metric, ((x * k) % 17) / 17)
        for k, model in ((3, "A"), (5, "B"), (7, "C"))
        for x in range(count)
        for metric in ("dice", "jaccard")
    ]


def test_a_parquet_table_gives_the_comparison_of_the_csv(tmp_path):
    pytest.importorskip("pyarrow")
    write_scores(tmp_path / "scores.csv", rows())
    write_scores_parquet(tmp_path / "scores.parquet", rows())
    csv, parquet = (
        gather(Request(scores=(tmp_path / f"scores.{kind}",))) for kind in ("csv", "parquet")
    )
    assert csv.scores == parquet.scores == sorted(rows()) and csv.notes == parquet.notes
    run(tmp_path / "out", scores=(tmp_path / "scores.parquet",), resamples=99)
    for kind in ("csv", "parquet"):
        written = (tmp_path / "out" / f"scores.{kind}").read_bytes()
        assert written == (tmp_path / f"scores.{kind}").read_bytes()


def test_what_is_wrong_with_a_parquet_table_is_said(tmp_path):
    pyarrow, parquet = map(pytest.importorskip, ("pyarrow", "pyarrow.parquet"))
    parquet.write_table(pyarrow.table({"case": ["a"], "dice": [0.5]}), tmp_path / "x.parquet")
    (fault,) = doctor(Request(scores=(tmp_path / "x.parquet",))).faults[:1]
    assert "x.parquet: cannot be read" in fault.text and "task, model, group" in fault.text
    (fault,) = doctor(Request(models=(("A", tmp_path / "x.parquet"),))).faults[:1]
    assert fault.text == "x.parquet: names its models itself: give it with --scores"
    write_scores_parquet(tmp_path / "scores.parquet", rows(4))
    (tmp_path / "sizes.parquet").write_bytes(b"no")
    (fault,) = doctor(Request(scores=(tmp_path / "scores.parquet",))).faults
    assert "sizes.parquet: is no Parquet file" in fault.text


def test_a_short_line_is_named(tmp_path):
    write_scores(tmp_path / "scores.csv", rows(4))
    with (tmp_path / "scores.csv").open("a") as file:
        file.write("t,A,c9\n")
    (fault,) = doctor(Request(scores=(tmp_path / "scores.csv",))).faults[:1]
    assert "line 26 has 3 cells for 9 columns" in fault.text


def test_of_very_many_wrong_scores_the_first_are_named():
    wrong = [Score("t", "A", f"c{x}", f"c{x}", "1", 0, 0, "dice", 50.0) for x in range(1500)]
    _, _, findings = complete(as_scores(wrong), [], Request())
    assert len(findings) == 1001 and "divide per cents by 100" in findings[0].text
    assert findings[-1].text.startswith("500 more scores are such as no mask can have")


def filled(scores):
    """As a loop does it: gaps are 0, in the group and fold of the case where it is last there."""
    kept = {(s.task, s.model, s.case, s.label, s.seed, s.metric): s for s in scores}
    models = list(dict.fromkeys(s.model for s in scores))
    wanted = {(s.task, s.case, s.label, s.seed, s.metric): s for s in scores}
    full, gaps = [], {}
    for (task, case, label, seed, metric), like in wanted.items():
        for model in models:
            own = kept.get((task, model, case, label, seed, metric))
            if own is None or math.isnan(own.value):
                gaps.setdefault((model, metric), []).append(case)
                fold = own.fold if own else like.fold
                own = Score(task, model, case, like.group, label, fold, seed, metric, 0.0)
            full.append(own)
    return sorted(full), gaps


@settings(max_examples=60, deadline=None)
@given(
    removed=st.sets(st.integers(0, 35)),
    unknown=st.sets(st.integers(0, 35)),
    order=st.permutations(range(36)),
)
def test_gaps_are_filled_as_a_loop_fills_them(removed, unknown, order):
    every = rows(6)
    every += [
        Score("t", m, "x", "x", "1", 0, 0, q, 0.5) for m in "ABC" for q in ("dice", "jaccard")
    ]
    scores = [
        replace(every[k], fold=9, value=float("nan")) if k in unknown else every[k]
        for k in [*order, *range(36, len(every))]
        if k not in removed
    ]
    found, worst, findings = complete(as_scores(scores), [], Request())
    expected, gaps = filled(scores)
    assert found == expected
    assert set(worst) == {("t", model) for model, _ in gaps}
    assert [finding.text.partition(" (")[0] for finding in findings] == [
        f"{model}: has no {metric} for {len(set(cases))} cases"
        for (model, metric), cases in gaps.items()
    ]


def test_metrics_that_are_not_asked_for_list_no_case(tmp_path):
    more = [Score("t", m, "only-nsd", "p", "1", 0, 0, "nsd", 0.5) for m in "ABC"]
    more += [
        Score("t", m, f"c{x:02}", f"p{x // 2}", "1", 0, 0, "nsd", 0.5)
        for m in "ABC"
        for x in (1, 2)
    ]
    write_scores(tmp_path / "scores.csv", [*rows(), *more])
    assert len(gather(Request(scores=(tmp_path / "scores.csv",))).references) == 41
    summary = run(tmp_path / "out", scores=(tmp_path / "scores.csv",), resamples=99)
    assert summary.tasks[0].n_cases == 40
