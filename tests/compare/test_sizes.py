"""Sizes of references in tables of scores: taken where they are, refused where they disagree."""

import csv
import math

import pytest
from test_score_tables import ask, fault

from comparisons import run
from score_files import entry, segauge, summary
from segrisk.compare.doctor import UNGROUPED, doctor, gather
from segrisk.compare.request import Request
from segrisk.compare.sizes import Size


def known(gathered):
    """(task, case, label) to fraction, of what is known."""
    return {
        (info.task, info.case, info.label): info.fraction
        for info in gathered.references
        if not math.isnan(info.fraction)
    }


def sizes(request):
    """(case, label) to fraction."""
    return {(case, label): value for (_, case, label), value in known(gather(request)).items()}


def table(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def wide(tmp_path):
    return table(tmp_path / "w.csv", "case_id,A,B", "c1,.5,.4", "c2,.3,.4")


def test_nnunet_counts_voxels_of_the_reference_and_of_the_image(tmp_path):
    one = [entry("c1", 0.9, 0.8, n_ref=10), entry("c2", 0.5, 0.3, n_ref=250, key="(1, 2)")]
    other = [entry("c1", 0.7, 0.6, n_ref=10, n_pred=44), entry("c2", 0, 0, n_ref=250, key="(1, 2)")]
    a, b = summary(tmp_path / "a.json", *one), summary(tmp_path / "b.json", *other)
    found = sizes(ask(("A", a), ("B", b)))
    assert found["c1", "1"] == 10 / 1000 and found["c2", "1+2"] == 250 / 1000


def test_an_empty_reference_is_known_without_the_size_of_its_image(tmp_path):
    entries = [entry("c1", 0.9, 0.8), entry("c2", 0.0, 0.0, n_ref=0)]
    for one in entries:
        del one["metrics"]["1"]["TN"]
    found = sizes(ask(("A", summary(tmp_path / "a.json", *entries))))
    assert found == {("c2", "1"): 0}


def test_counts_that_no_mask_can_have_are_refused(tmp_path):
    wrong = entry("c1", 0.9, 0.8, n_ref=10)
    wrong["metrics"]["1"]["FN"] = 5
    text = fault(ask(("A", summary(tmp_path / "a.json", wrong))))
    assert "a.json: is not as its program writes it" in text
    assert "n_ref of c1 is 10, and TP + FN is 15" in text


def test_summaries_of_different_references_are_refused_by_name(tmp_path):
    a = summary(tmp_path / "a.json", *(entry(f"c{i}", 0.9, 0.8) for i in range(3)))
    other = [entry(f"c{i}", 0.8, 0.7, n_ref=10 + i % 2) for i in range(3)]
    b = summary(tmp_path / "b.json", *other)
    assert fault(ask(("A", a), ("B", b))) == (
        "A and B: the references of 1 cases differ in size (c1; c1 has 10 of 1000 voxels in A, "
        "11 of 1000 voxels in B): give scores against the same references"
    )


def test_references_on_another_grid_are_refused(tmp_path):
    finer = entry("c1", 0.9, 0.8)
    finer["metrics"]["1"]["TN"] += 7000
    a = summary(tmp_path / "a.json", entry("c1", 0.9, 0.8))
    b = summary(tmp_path / "b.json", finer)
    text = fault(ask(("A", a), ("B", b)))
    assert "c1 has 10 of 1000 voxels in A, 10 of 8000 voxels in B" in text


def panoptica(path, *rows, name="ungrouped-global_bin_volume_ref"):
    lines = ["\t".join(map(str, row)) for row in rows]
    return table(path, f"subject_name\t{name}\tungrouped-global_bin_dsc", *lines)


def test_panoptica_counts_references_but_not_images(tmp_path):
    a = panoptica(tmp_path / "a.tsv", ("s1", "12.0", 0.5), ("s2", 0, 1), ("s3", "", 0.2))
    found = gather(ask(("A", a)))
    assert found.notes == (UNGROUPED.text,)  # a count is no score that is left out
    by_case = {info.case: info.fraction for info in found.references}
    assert math.isnan(by_case["s1"]) and by_case["s2"] == 0 and math.isnan(by_case["s3"])
    assert [info.occupied for info in found.references] == [True, False, False]
    b = panoptica(tmp_path / "b.tsv", ("s1", 13, 0.5), ("s2", 0, 1), ("s3", 4, 0.1))
    text = fault(ask(("A", a), ("B", b)))
    assert "(s1; s1 has 12 voxels in A, 13 voxels in B)" in text
    wrong = panoptica(tmp_path / "c.tsv", ("s1", "1.5", 0.5))
    assert fault(ask(("A", wrong))) == ("c.tsv: line 2: 1.5 can be no number of voxels: correct it")


@pytest.mark.parametrize("name", ["n_ref_instances", "num_ref_instances"])
def test_instances_say_whether_a_reference_is_empty(tmp_path, name):
    name = f"ungrouped-{name}"
    a = panoptica(tmp_path / "a.tsv", ("s1", 2, 0.5), ("s2", 0, 0), ("s3", "", 0), name=name)
    found = gather(ask(("A", a)))
    assert known(found) == {("scores", "s2", "1"): 0}
    assert [info.case for info in found.references if info.occupied] == ["s1"]
    b = panoptica(tmp_path / "b.tsv", ("s1", 0, 0.5), ("s2", 0, 0), ("s3", 1, 0))
    assert "s1 has an object in A, 0 voxels in B" in fault(ask(("A", a), ("B", b)))


VERSION_2 = (
    "subject_name\tungrouped-n_ref_instances\tungrouped-n_pred_instances\tungrouped-pq\t"
    "ungrouped-global_bin_volume_pred\tungrouped-global_bin_volume_ref\tungrouped-global_bin_dsc\t"
    "ungrouped-global_bin_iou\tungrouped-global_bin_assd"
)
"""Columns that panoptica 2.1.7 writes; the rows below are what it writes for such masks."""


def test_two_empty_masks_are_blank_in_panoptica_and_no_failure(tmp_path):
    rows = (
        "s0\t2.0\t1.0\t0.67\t100.0\t164.0\t0.76\t0.61\t1.5",
        "s1\t0.0\t0.0\t\t0.0\t0.0\t\t\t",
        "s2\t0.0\t1.0\t0.0\t125.0\t0.0\t0.0\t0.0\t9.5",
    )
    found = gather(ask(("A", table(tmp_path / "a.tsv", VERSION_2, *rows))))
    values = {(s.case, s.metric): s.value for s in found.scores}
    assert [values[f"s{i}", "dice"] for i in range(3)] == [0.76, 1.0, 0.0]
    assert [values[f"s{i}", "jaccard"] for i in range(3)] == [0.61, 1.0, 0.0]
    assert [values[f"s{i}", "assd_mm"] for i in range(3)] == [1.5, 0.0, 9.5]
    assert "A: a.tsv: 1 Dice of two empty masks are NaN there, taken as 1" in found.notes
    blank = table(tmp_path / "b.tsv", VERSION_2, rows[0], "s1\t1.0\t0.0\t\t0.0\t5.0\t\t\t9.5")
    lost = {s.case: s.value for s in gather(ask(("A", blank))).scores if s.metric == "dice"}
    assert lost == {"s0": 0.76, "s1": 0.0}  # with an object to find, a blank is a failure


def test_the_page_knows_what_panoptica_says(tmp_path):
    names = [f"s{i}" for i in range(6)]
    a = panoptica(tmp_path / "a.tsv", *((name, 5, 0.5 + i / 99) for i, name in enumerate(names)))
    b = panoptica(tmp_path / "b.tsv", *((name, 5, 0.4 + i / 99) for i, name in enumerate(names)))
    run(tmp_path / "out", models=(("A", a), ("B", b)), metrics=("dice",))
    text = (tmp_path / "out/report.html").read_text()
    assert "for no reference here is empty" in text and "cannot be told" not in text
    assert "How large the references are is not known: scores by size need a table" in text


def test_segauge_says_nothing_of_size(tmp_path):
    a = segauge(tmp_path / "a.json", [{"case_id": "c1", "dice": 0.9}])
    assert sizes(ask(("A", a))) == {}


def test_a_file_gives_what_tables_lack(tmp_path, wide):
    file = table(tmp_path / "s.csv", "case;fraction", "c1;0,02", "c2;0", "c9;.5")
    request = Request(scores=(wide,), sizes=file)
    assert sizes(request) == {("c1", "1"): 0.02, ("c2", "1"): 0}
    assert gather(request).notes == (
        UNGROUPED.text,
        "s.csv: has 1 cases without scores (c9): left out",
    )


def test_a_row_is_of_one_label_and_task_or_of_all(tmp_path):
    long = tmp_path / "l.csv"
    rows = [f"{t},{m},c1,.5" for t in "TU" for m in "AB"]
    table(long, "task,model,case,dice", *rows)
    file = table(tmp_path / "s.csv", "task,case,label,fraction", "T,c1,,.1", ",c1,1,.2")
    found = known(gather(Request(scores=(long,), sizes=file)))
    assert found == {("T", "c1", "1"): 0.1, ("U", "c1", "1"): 0.2}


BAD = {
    "c1,x": "s.csv: line 2: fraction 'x' is no number from 0 to 1: correct it",
    "c1,": "s.csv: line 2: fraction '' is no number from 0 to 1: correct it",
    "c1,nan": "s.csv: line 2: fraction 'nan' is no number from 0 to 1: correct it",
    "c1,1.2": "s.csv: line 2: fraction '1.2' is no number from 0 to 1: correct it",
    "c1,-.1": "s.csv: line 2: fraction '-.1' is no number from 0 to 1: correct it",
    ",.1": "s.csv: line 2: has no case: name it",
    "c2,.1\nc1,.1\nc2,.1": "s.csv: line 4: c2 has a size already: keep one row",
    "c1,.1": "s.csv: has no size for 1 cases (c2): add their rows",
    "c1,.1,7": "s.csv: line 2: has 3 cells for 2 columns: correct it",
}


@pytest.mark.parametrize("rows", BAD)
def test_bad_rows_are_named_by_file_and_line(tmp_path, wide, rows):
    file = table(tmp_path / "s.csv", "case,fraction", rows)
    assert fault(Request(scores=(wide,), sizes=file)) == BAD[rows]


def test_columns_that_are_missing_are_named(tmp_path, wide):
    file = table(tmp_path / "s.csv", "name,share", "c1,.1")
    assert fault(Request(scores=(wide,), sizes=file)) == (
        "s.csv: has no column case and fraction: add it"
    )
    both = [entry("c1", 0.9, 0.8), entry("c1", 0.5, 0.4, key="2")]
    both[0]["metrics"] |= both.pop()["metrics"]
    a = summary(tmp_path / "a.json", *both)
    file = table(tmp_path / "s.csv", "case,fraction", "c1,.1")
    assert fault(ask(("A", a), sizes=file)) == (
        "s.csv: has no column label, where scores are of 1, 2: say which each row is of"
    )


def test_a_file_may_round_what_a_table_counts_but_not_contradict_it(tmp_path):
    a = summary(tmp_path / "a.json", entry("c1", 0.9, 0.8, n_ref=333))
    file = table(tmp_path / "s.csv", "case,fraction", "c1,.333")
    assert sizes(ask(("A", a), sizes=file)) == {("c1", "1"): 0.333}
    table(file, "case,fraction", "c1,.3")
    assert "c1 has 333 of 1000 voxels in A, a fraction of 0.3 in s.csv" in fault(
        ask(("A", a), sizes=file)
    )


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        (Size.counted("A", ("t", "c", "1"), 5), Size("f", ("t", "c", "1"), 0.0, 0), True),
        (Size.counted("A", ("t", "c", "1"), 5), Size("f", ("t", "c", "1"), 0.1), False),
        (Size.counted("A", ("t", "c", "1"), 0, 9), Size("f", ("t", "c", "1"), 1e-9), True),
        (Size.counted("A", ("t", "c", "1"), 5, 9), Size.counted("B", ("t", "c", "1"), 5), False),
    ],
)
def test_what_is_not_known_contradicts_nothing(one, other, contradict):
    assert one.contradicts(other) is other.contradicts(one) is contradict


def test_sizes_are_no_question_where_there_are_masks(tmp_path):
    request = Request(tmp_path, (("A", tmp_path / "A"),), sizes=tmp_path / "s.csv")
    assert [f.text for f in doctor(request).faults] == [
        "masks say how large their objects are: leave out --sizes"
    ]


def test_the_page_has_the_curve_and_its_files_are_read_again(tmp_path):
    """A comparison of summaries, of 60 cases of which 3 are empty; then one of its own scores."""
    cases = [entry(f"c{i:02}", 0.9 - i / 200, 0.8 - i / 200, n_ref=1 + i) for i in range(57)]
    cases += [entry(f"e{i}", 0.0, 0.0, n_ref=0) for i in range(3)]
    worse = [entry(f"c{i:02}", 0.9 - i / 99, 0.8 - i / 99, n_ref=1 + i) for i in range(57)]
    worse += [entry(f"e{i}", math.nan, math.nan, n_ref=0, n_pred=0) for i in range(3)]
    models = (
        ("A", summary(tmp_path / "a.json", *cases)),
        ("B", summary(tmp_path / "b.json", *worse)),
    )
    first = run(tmp_path / "out", models=models, metrics=("dice",))
    assert first.curves[0].task.fractions[3] == 4 / 1000
    assert {s.convention for s in first.sensitivity} >= {"both masks empty: left out (as nnU-Net)"}
    text = (tmp_path / "out/report.html").read_text()
    assert 'id="size"' in text and "cannot be told" not in text
    with (tmp_path / "out/sizes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60 and rows[3]["fraction"] == "0.004"
    again = known(gather(Request(scores=(tmp_path / "out",))))
    assert again == {("scores", r["case"], "1"): float(r["fraction"]) for r in rows}


def test_the_page_says_what_it_does_not_know(tmp_path, wide):
    run(tmp_path / "out", scores=(wide,), metrics=("dice",))
    text = (tmp_path / "out/report.html").read_text()
    assert "That cannot be told: the size of 2 of 2 references of w is not known." in text
    assert 'id="size"' not in text and not (tmp_path / "out/sizes.csv").exists()
