"""More cases than a page holds: a declared sample is shown, and all of them count."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from make_comparison import comparison

from segrisk.compare.doctor import gather
from segrisk.compare.request import Request
from segrisk.report import exports, shown
from segrisk.report.cases import Gallery, chosen_cases, page_data
from segrisk.report.figures import figure_cases
from segrisk.report.summary import summarise
from segrisk.report.write import write_report
from segrisk.scores import read_scores

COUNT, MOST, EXTREME = 300, 120, 20


@pytest.fixture(scope="module")
def summary():
    return summarise(comparison(count=COUNT))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(shown, "MOST", MOST)
    monkeypatch.setattr(shown, "EXTREME", EXTREME)


def columns(summary, task):
    models = [model.name for model in summary.models]
    return np.array([summary.by_loss.scores[task.name, "dice", name] for name in models])


def test_all_are_shown_where_they_fit(summary):
    for task in summary.tasks:
        assert shown.shown_cases(summary, task).tolist() == list(range(COUNT))
    assert shown.said_of_sample(summary) == ""
    assert "of" not in page_data(summary, Gallery((), ()))["targets"][0]


def test_the_sample_has_the_extremes_and_as_many_of_each_tenth_by_size(summary, small):
    for task in summary.tasks:
        found = shown.shown_cases(summary, task)
        assert len(found) == MOST and (np.diff(found) > 0).all()
        own = columns(summary, task)
        spread, quality = own.max(axis=0) - own.min(axis=0), own.mean(axis=0)
        seen = np.where(task.fractions > 0, -quality, np.inf)
        extreme = {
            *np.argsort(seen, kind="stable")[:EXTREME].tolist(),
            *np.argsort(-spread, kind="stable")[:EXTREME].tolist(),
            *np.argsort(quality, kind="stable")[:EXTREME].tolist(),
        }
        assert extreme <= set(found.tolist())
        others = np.array(sorted(set(range(COUNT)) - extreme))
        drawn = set(found.tolist()) - extreme
        by_size = others[np.argsort(task.fractions[others], kind="stable")]
        counts = [len(drawn & set(part.tolist())) for part in np.array_split(by_size, 10)]
        assert max(counts) - min(counts) <= 1
        assert shown.shown_cases(summary, task).tolist() == found.tolist()
    assert "Shown are 120 of 300 cases of ct, liver and 120 of 300 cases of ct, tumour: the 20" in (
        shown.said_of_sample(summary)
    )


def test_the_page_holds_the_sample_and_the_means_of_all(summary, small):
    data = page_data(summary, Gallery((), ()))
    for task, target in zip(summary.tasks, data["targets"], strict=True):
        found = shown.shown_cases(summary, task)
        assert target["of"] == COUNT
        assert target["cases"] == [task.cases[place] for place in found]
        assert target["groups"] == [task.groups[place] for place in found]
        own = columns(summary, task)
        np.testing.assert_allclose(target["means"], own.mean(axis=1), rtol=1e-12)
        np.testing.assert_array_equal(target["scores"]["dice"], np.round(own[:, found], 4))


def test_a_chosen_case_is_found_in_the_sample(summary, small, monkeypatch):
    monkeypatch.setattr("segrisk.report.cases._drawing", lambda results, drawing: {})
    chosen = chosen_cases(summary)
    data = page_data(summary, Gallery(tuple((one, None) for one in chosen), ()))
    numbers = {task.name: number for number, task in enumerate(summary.tasks)}
    assert len(data["looks"]) == len(chosen)
    for key, place in data["looks"].items():
        task, row = map(int, key.split())
        assert task == numbers[chosen[place].task.name]
        assert data["targets"][task]["cases"][row] == chosen[place].case


def test_the_dashed_line_is_the_mean_of_all(summary, small):
    task, names = summary.tasks[0], [m.name for m in summary.ranked[summary.tasks[0].name]]
    chart = figure_cases(summary).to_dict()
    rows = chart["datasets"]["cases"]
    a, b = (summary.by_loss.scores[task.name, "dice", name] for name in names[:2])
    assert len(rows) == MOST and {row["mean"] for row in rows} == {task.mean(a - b)}
    assert np.mean([row["difference"] for row in rows]) != pytest.approx(task.mean(a - b))
    assert chart["layer"][2]["transform"][0]["aggregate"][0]["field"] == "mean"


def test_what_is_large_is_parquet_alone_and_is_read_again(tmp_path, monkeypatch, small):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("segrisk.report.write._charts", lambda summary, folder: ())
    results = comparison(count=COUNT)
    write_report(results, tmp_path)
    assert {"scores.csv", "scores.parquet", "sizes.csv"} <= {p.name for p in tmp_path.iterdir()}
    csv = gather(Request(scores=(tmp_path,)))
    monkeypatch.setattr(exports, "CSV_ROWS", 500)
    summary = write_report(results, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"scores.parquet", "sizes.parquet"} <= names
    assert not {"scores.csv", "sizes.csv"} & names
    assert read_scores(tmp_path / "scores.parquet") == sorted(results.scores)
    parquet = gather(Request(scores=(tmp_path,)))
    assert parquet.scores == csv.scores and parquet.notes == csv.notes
    assert parquet.references == csv.references
    fractions = parquet.references.numbers("fraction")
    assert len(fractions) == 2 * COUNT and not np.isnan(fractions).any()
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "scores.parquet beside this page holds all" in text
    data = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', text, re.S)[1])
    assert [len(target["cases"]) for target in data["targets"]] == [MOST, MOST]
    assert summary.tasks[0].n_cases == COUNT


def test_without_pyarrow_all_is_text(tmp_path, monkeypatch):
    monkeypatch.setattr("segrisk.report.write._charts", lambda summary, folder: ())
    monkeypatch.setattr(exports, "CSV_ROWS", 50)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    results = comparison(count=20)
    write_report(results, tmp_path)
    assert read_scores(tmp_path / "scores.csv") == sorted(results.scores)


def test_cases_without_sizes_are_drawn_by_their_mean_score(small):
    results = comparison(count=COUNT)
    unknown = tuple(replace(info, fraction=float("nan")) for info in results.cases)
    summary = summarise(replace(results, cases=unknown))
    assert len(shown.shown_cases(summary, summary.tasks[0])) == MOST
    assert "by size, or mean score without it" in shown.said_of_sample(summary)
