"""The one schema: what is written is read back, equal scores are equal bytes."""

import csv
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segrisk.scores import COLUMNS, Score, read_scores, write_scores

names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)
names |= st.text("=+-@'\t\r1", min_size=1, max_size=4)
scores = st.builds(
    Score, names, names, names, names, names, st.integers(0, 9), st.integers(0, 9),
    st.sampled_from(["dice", "jaccard"]), st.floats(0, 1),
)  # fmt: skip


@given(rows=st.lists(scores, max_size=8))
def test_what_is_written_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    write_scores(path, rows)
    assert read_scores(path) == sorted(rows)
    shuffled = random.Random(0).sample(rows, len(rows))
    before = path.read_bytes()
    write_scores(path, shuffled)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "'=1"])
def test_no_cell_can_become_a_formula(tmp_path, text):
    write_scores(tmp_path / "x.csv", [Score(*[text] * 5, 0, 0, "bias", -0.5)])
    with (tmp_path / "x.csv").open(newline="") as file:
        _, row = csv.reader(file)
    assert row == [f"'{text}"] * 5 + ["0", "0", "bias", "-0.5"]
    assert read_scores(tmp_path / "x.csv")[0].case == text


def test_the_columns_are_the_schema():
    assert COLUMNS == (
        "task", "model", "case", "group", "label", "fold", "seed", "metric", "value",
    )  # fmt: skip


def test_another_table_is_refused_by_its_columns(tmp_path):
    (tmp_path / "x.csv").write_text("case,dice\na,0.5\n")
    with pytest.raises(ValueError, match=r"x\.csv: the columns are \['case', 'dice'\]"):
        read_scores(tmp_path / "x.csv")
