"""Columns are the rows that they were made from: whatever is asked of them, rows answer alike."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segrisk.frames import Frame, Text, compact
from segrisk.parquet import read_frame, write_frame
from segrisk.scores import COLUMNS, Score, as_scores, read_scores, references, write_scores_parquet

few = st.sampled_from(["", "a", "b", "B", "ä", "10", "9"])
scores = st.builds(
    Score, few, few, few, few, few, st.integers(-3, 300), st.integers(0, 2**40),
    st.sampled_from(["dice", "jaccard"]), st.floats(0, 1),
)  # fmt: skip
many = st.lists(scores, max_size=12)


@given(many)
def test_a_frame_is_a_sequence_of_its_rows(rows):
    frame = as_scores(rows)
    assert list(frame) == rows and len(frame) == len(rows) and frame == rows
    assert frame.sorted() == sorted(rows)
    assert list(frame[2:5]) == rows[2:5]
    assert [frame[place] for place in range(len(rows))] == rows
    assert (frame == [*rows[1:], *rows[:1]]) == (rows == [*rows[1:], *rows[:1]])


@given(many, st.permutations(COLUMNS[:-1]), st.integers(1, 8))
def test_keys_are_equal_and_ordered_as_the_columns_are(rows, names, count):
    names = names[:count]
    values = [tuple(getattr(row, name) for name in names) for row in rows]
    keys = as_scores(rows).keys(*names).tolist()
    assert as_scores(rows).distinct(*names) == len(set(values))
    for key, value in zip(keys, values, strict=True):
        assert [key < other for other in keys] == [value < other for other in values]


def test_keys_that_no_int64_holds_are_made_smaller_first():
    rows = [
        Score(*[str(x)] * 5, x * 2**17, (7 * x) % 5 * 2**17, str(x), 0.5) for x in range(40)
    ] * 2
    frame = as_scores(rows)
    # Each column alone has 40 places: eleven of them together are more than 2^62.
    keys = frame.keys(*COLUMNS[:-1], *COLUMNS[:5])
    assert len(np.unique(keys)) == 40 and (keys[:40] == keys[40:]).all()


@given(many, many)
def test_frames_below_each_other_are_all_their_rows(first, second):
    joined = Frame.joined([as_scores(first), as_scores(second)])
    assert list(joined) == first + second
    assert joined.text("model").seen() == tuple(dict.fromkeys(s.model for s in first + second))
    assert joined.text("case").used() == tuple(sorted({s.case for s in first + second}))
    some = joined.where(model="a", metric="dice")
    assert list(some) == [s for s in first + second if (s.model, s.metric) == ("a", "dice")]
    assert list(joined.among("task", ["a", "10"])) == [
        s for s in first + second if s.task in ("a", "10")
    ]
    changed = joined.replaced(task="x", fold=7, value=0.25)
    assert list(changed) == [replace(s, task="x", fold=7, value=0.25) for s in first + second]
    seen = dict.fromkeys((s.task, s.case, s.label) for s in first + second)
    first_of = joined.take(references(joined))
    assert [(s.task, s.case, s.label) for s in first_of] == list(seen)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1))
def test_integers_are_held_as_small_as_they_are(values):
    found = compact(np.array(values))
    assert found.tolist() == values
    assert compact(np.array([-128, 127])).dtype == np.int8
    assert compact(np.array([128])).dtype == np.int16


def test_names_that_are_left_are_not_said():
    column = Text.of(["b", "a", "c"]).take([0, 2])
    assert column.used() == ("b", "c") and column.values() == ["b", "c"]
    assert column.places(["c", "x"]).tolist() == [-1, 0] and not column.equals("a").any()


@settings(deadline=None)
@given(rows=many)
def test_parquet_gives_back_what_it_was_given(tmp_path_factory, rows):
    pytest.importorskip("pyarrow")
    path = tmp_path_factory.mktemp("scores") / "scores.parquet"
    assert write_scores_parquet(path, rows)
    assert read_scores(path) == sorted(rows)


def test_parquet_is_written_piece_by_piece_and_read_as_others_write_it(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [Score("t", "m", f"c{x}", f"g{x // 2}", "1", x % 5, 0, "dice", x / 9) for x in range(9)]
    monkeypatch.setattr("segrisk.frames.Frame.chunks.__defaults__", (2,))
    write_frame(tmp_path / "x.parquet", as_scores(rows))
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table.column_names == list(COLUMNS) and table.schema.field("case").type == "string"
    assert [Score(**row) for row in table.to_pylist()] == rows
    # Other programs write categories, other numbers, more columns and other orders.
    wide = table.append_column("extra", [[None] * 9]).set_column(
        5, "fold", table["fold"].cast("int8")
    )
    wide = wide.set_column(1, "model", wide["model"].dictionary_encode())
    parquet.write_table(wide.select(wide.column_names[::-1]), tmp_path / "y.parquet")
    assert read_scores(tmp_path / "y.parquet") == rows


BAD = {
    "none": "the columns are .*; value are missing",
    "text": "the column value cannot be read",
    "null case": "1 rows have no case: fill them in",
    "null fold": "1 rows have no fold: fill them in",
    "no parquet": "is no Parquet file",
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_read_is_said(tmp_path, what):
    pyarrow, parquet = map(pytest.importorskip, ("pyarrow", "pyarrow.parquet"))

    columns = {name: ["a", "b"] for name in COLUMNS} | {"fold": [0, 1], "seed": [0, 0]}
    columns["value"] = [0.5, None]
    changes = {
        "none": {"value": None},
        "text": {"value": ["x", "y"]},
        "null case": {"case": ["a", None]},
        "null fold": {"fold": [0, None]},
    }
    columns |= changes.get(what, {})
    path = tmp_path / "x.parquet"
    if what == "no parquet":
        path.write_text("task,model")
    else:
        own = {name: column for name, column in columns.items() if column is not None}
        parquet.write_table(pyarrow.table(own), path)
    with pytest.raises(ValueError, match=BAD[what]):
        read_frame(path, Score)


def test_without_pyarrow_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    assert not write_frame(tmp_path / "x.parquet", as_scores([]))
    with pytest.raises(ValueError, match=r"pip install 'segrisk\[parquet\]'"):
        read_scores(tmp_path / "x.parquet")
