"""Scores that other programs have computed: read as they write them, and made complete."""

import math

import pytest

from score_files import NAN, entry, segauge, summary
from segrisk.compare.doctor import UNGROUPED, doctor, gather
from segrisk.compare.request import Request
from segrisk.data.errors import DataError
from segrisk.scores import Score, write_scores


def values(found, metric="dice"):
    return {(s.model, s.case): s.value for s in found.scores if s.metric == metric}


def ask(*models, **options):
    return Request(models=models, **options)


def fault(request):
    faults = doctor(request).faults
    assert len(faults) == 1, faults
    with pytest.raises(DataError):
        gather(request)
    return faults[0].text


def test_nnunet_summaries_of_two_models(tmp_path):
    a = summary(tmp_path / "a" / "summary.json", entry("c1", 0.9, 0.8), entry("c2", 0.5, 0.3))
    b = summary(tmp_path / "b" / "summary.json", entry("c1", 0.8, 0.7), entry("c2", 0.6, 0.4))
    found = gather(ask(("A", a), ("B", b.parent)))
    assert found.models == ("A", "B") and found.notes == (UNGROUPED.text,)
    assert values(found) == {
        ("A", "c1"): 0.9, ("A", "c2"): 0.5, ("B", "c1"): 0.8, ("B", "c2"): 0.6,
    }  # fmt: skip
    assert values(found, "jaccard")["B", "c2"] == 0.4
    first = found.scores[0]
    assert (first.task, first.group, first.label, first.fold, first.seed) == (
        "scores", "c1", "1", 0, 0,
    )  # fmt: skip


def test_two_empty_masks_are_1_and_named_for_every_model_alike(tmp_path):
    """nnU-Net leaves out NaN, so that each model has a mean of its own set of cases."""
    full = [entry(f"c{i}", 0.8, 0.7) for i in range(8)]
    better = [entry(f"c{i}", 0.85, 0.75) for i in range(8)]
    empty = [entry(f"e{i}", NAN, NAN, n_ref=0, n_pred=0) for i in range(2)]
    wrong = [entry(f"e{i}", 0.0, 0.0, n_ref=0) for i in range(2)]
    a = summary(tmp_path / "a.json", *full, *empty)
    b = summary(tmp_path / "b.json", *better, *wrong)
    found = gather(ask(("A", a), ("B", b)))
    means = {m: sum(v for (n, _), v in values(found).items() if n == m) / 10 for m in "AB"}
    assert means == pytest.approx({"A": 0.84, "B": 0.68})
    assert "A: a.json: 2 Dice of two empty masks are NaN there, taken as 1" in found.notes
    declared = gather(ask(("A", a), ("B", b), empty=0.0))
    assert values(declared)["A", "e0"] == 0


def test_folds_and_regions_of_nnunet(tmp_path):
    for fold, name in ((0, "a"), (1, "b")):
        file = tmp_path / "T__P__C" / f"fold_{fold}" / "validation" / "summary.json"
        summary(
            file, entry(name, 0.9, 0.8, key="(1, 2)", folder="C:\\data\\labelsTr\\".strip("\\"))
        )
    summary(tmp_path / "T__P__C" / "fold_all" / "validation" / "summary.json", entry("a", 1, 1))
    found = gather(ask(("A", tmp_path / "T__P__C")))
    assert {(s.case, s.fold, s.label) for s in found.scores} == {("a", 0, "1+2"), ("b", 1, "1+2")}


def test_one_case_in_two_folds_is_refused(tmp_path):
    for fold in (0, 1):
        summary(tmp_path / f"fold_{fold}" / "validation" / "summary.json", entry("a", 0.9, 0.8))
    text = fault(ask(("A", tmp_path)))
    assert text == "A: case a: has more than one score in scores: keep one row"


def test_panoptica_has_a_row_per_subject(tmp_path):
    head = ["subject_name", *(f"{g}-{m}" for g in ("liver", "spleen")
                              for m in ("tp", "sq_dsc", "global_bin_dsc"))]  # fmt: skip
    rows = [head, ["s1", 1, 0.7, 0.8, 1, 0.6, 0.9], ["s2", 1, 0.7, 0.7, 0, "", ""]]
    path = tmp_path / "a.tsv"
    path.write_text("\n".join("\t".join(map(str, row)) for row in rows) + "\n")
    found = gather(ask(("A", path)))
    assert {(s.case, s.label): s.value for s in found.scores} == {
        ("s1", "liver"): 0.8, ("s1", "spleen"): 0.9, ("s2", "liver"): 0.7, ("s2", "spleen"): 0.0,
    }  # fmt: skip
    assert found.notes == (
        UNGROUPED.text,
        "A: a.tsv: leaves out liver-tp, liver-sq_dsc, spleen-tp, spleen-sq_dsc, whose worst value "
        "is not known",
        "A: has no dice for 1 cases (s2): 0, the worst, is taken",
    )
    refused = fault(ask(("A", path), missing="refuse"))
    assert refused == "A: has no dice for 1 cases (s2): compute it"


def test_segauge_has_rows_per_case(tmp_path):
    row = {"case_id": "c1", "dice": 0.9, "iou": 0.8, "hd95": 2.5, "assd": 0.5, "nsd": 1.0}
    path = segauge(tmp_path / "a.json", [{**row, "det_f1": 1.0, "meta.site": "x"}])
    found = gather(ask(("A", path)))
    assert {s.metric: s.value for s in found.scores} == {
        "dice": 0.9, "jaccard": 0.8, "hd95_mm": 2.5, "assd_mm": 0.5, "nsd": 1.0,
    }  # fmt: skip
    assert "leaves out det_f1, meta.site, whose worst" in found.notes[1]


def test_an_infinite_distance_is_not_dropped(tmp_path):
    rows = [
        {"case_id": "c1", "dice": 0.0, "hd95": math.inf},
        {"case_id": "c2", "hd95": 1.0, "dice": 1},
    ]
    path = segauge(tmp_path / "a.json", rows)
    assert fault(ask(("A", path))) == (
        "A: case c1: hd95_mm is inf: give the diagonal of the image for an object that was missed"
    )


def test_metrics_that_only_some_have_are_left_out(tmp_path):
    a = segauge(tmp_path / "a.json", [{"case_id": "c1", "dice": 0.9, "iou": 0.8, "hd95": 3}])
    b = summary(tmp_path / "b.json", entry("c1", 0.8, 0.7))
    found = gather(ask(("A", a), ("B", b)))
    assert {s.metric for s in found.scores} == {"dice", "jaccard"} and len(found.scores) == 4
    assert found.notes == (UNGROUPED.text, "hd95_mm is not given for every model: left out")


def long(path, rows, head="task,alg_name,value,case"):
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_challenger_has_a_row_per_score(tmp_path):
    path = long(tmp_path / "m.csv", ["T1,A1,0.9,1", "T1,A2,0.8,1", "T2,A1,NA,1", "T2,A2,0.7,1"])
    found = gather(Request(scores=(path,)))
    assert found.models == ("A1", "A2")
    assert {(s.task, s.model): s.value for s in found.scores} == {
        ("T1", "A1"): 0.9, ("T1", "A2"): 0.8, ("T2", "A1"): 0.0, ("T2", "A2"): 0.7,
    }  # fmt: skip
    assert found.notes == (
        UNGROUPED.text,
        "A1: has no dice for 1 cases (1): 0, the worst, is taken",
    )


@pytest.mark.parametrize(
    ("head", "columns"),
    [
        ("Task,Algorithm,MetricValue,TestCase", {}),
        ("dataset,team,dsc,id", {}),
        ("t,a,v,c", {"task": "t", "algorithm": "a", "value": "v", "case": "c"}),
    ],
)
def test_columns_are_detected_or_named(tmp_path, head, columns):
    path = long(tmp_path / "m.csv", ["T1,A1,0.9,1", "T1,A2,0.8,1"], head)
    found = gather(Request(scores=(path,), columns=columns))
    assert values(found) == {("A1", "1"): 0.9, ("A2", "1"): 0.8}
    assert {s.task for s in found.scores} == {"T1"}


def test_r_and_spreadsheets_of_germany(tmp_path):
    path = long(tmp_path / "m.csv", ["1;T1;A1;0,9;1", "2;T1;A2;0,8;1"], ";task;alg_name;value;case")
    assert values(gather(Request(scores=(path,)))) == {("A1", "1"): 0.9, ("A2", "1"): 0.8}


def test_duplicate_rows_after_running_again_are_refused(tmp_path):
    path = long(tmp_path / "m.csv", ["T1,A1,0.93,1", "T1,A1,0.93,1"])
    assert (
        fault(Request(scores=(path,))) == "A1: case 1: has more than one score in T1: keep one row"
    )


def test_claims_reloaded_has_a_column_per_algorithm(tmp_path):
    path = long(tmp_path / "c.csv", ["1,0.92,0.87", "2,0.68,"], "case_id,alg_01,alg_02")
    found = gather(Request(scores=(path,)))
    assert values(found) == {
        ("alg_01", "1"): 0.92, ("alg_01", "2"): 0.68, ("alg_02", "1"): 0.87, ("alg_02", "2"): 0,
    }  # fmt: skip
    assert found.scores[0].task == "c"
    wrong = long(tmp_path / "d.csv", ["1,1,1"], "case_id,ground_truth,alg_01")
    assert "d.csv: has a column ground_truth, so it is of classification" in fault(
        Request(scores=(wrong,))
    )


def ours(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_scores(path, [Score("t", m, c, "p", "1", 2, s, "dice", v) for m, c, s, v in rows])
    return path


@pytest.mark.parametrize("inside", ["scores.csv", "report/scores.csv"])
def test_our_own_scores_keep_their_groups_folds_and_seeds(tmp_path, inside):
    rows = [(m, "c", seed, 0.5) for m in ("A", "B") for seed in (0, 1)]
    file = ours(tmp_path / "study" / inside, *rows)
    for path in (file, tmp_path / "study"):
        found = gather(Request(scores=(path,)))
        assert {(s.model, s.group, s.fold, s.seed) for s in found.scores} == {
            (m, "p", 2, seed) for m in ("A", "B") for seed in (0, 1)
        }


def test_tables_of_unlike_cases_are_refused(tmp_path):
    path = long(tmp_path / "x.csv", ["t,A,0.5,a", "t,B,0.6,b"])
    assert "A and B have no case in common" in fault(Request(scores=(path,)))


def test_one_missing_row_is_the_worst_value(tmp_path):
    file = ours(tmp_path / "s.csv", ("A", "c", 0, 0.5), ("A", "d", 0, 0.6), ("B", "c", 0, 0.7))
    found = gather(Request(scores=(file,)))
    assert values(found)["B", "d"] == 0 and len(found.scores) == 4
    assert found.notes == ("B: has no dice for 1 cases (d): 0, the worst, is taken",)


def test_our_own_metrics_have_the_range_that_they_have(tmp_path):
    """A bias may be negative, a difference may not, and what is unknown is left as it is."""

    def table(metric, value):
        row = Score("t", "A", "c", "p", "1", 0, 0, metric, value)
        write_scores(tmp_path / "s.csv", [row])
        return Request(scores=(tmp_path / "s.csv",))

    assert gather(table("volume_bias_ml", -3.0)).scores[0].value == -3
    assert gather(table("mine", 7.0)).scores[0].value == 7
    assert "case c: hd95_mm is -1: give" in fault(table("hd95_mm", -1.0))
    assert "case c: instance_dice is 1.5, where 0 to 1" in fault(table("instance_dice", 1.5))


def test_a_missing_distance_has_no_worst_value_here(tmp_path):
    a = segauge(tmp_path / "a.json", [{"case_id": "c", "hd95": 3}, {"case_id": "d", "hd95": NAN}])
    text = "A: has no hd95_mm for 1 cases (d): its worst value is not in the table: give it"
    assert fault(ask(("A", a))) == text


def test_groups_come_from_a_file(tmp_path):
    path = long(tmp_path / "c.csv", ["1,0.9", "2,0.6"], "case_id,A")
    (tmp_path / "g.csv").write_text("case,group\n1,p\n2,p\n")
    found = gather(Request(scores=(path,), groups=tmp_path / "g.csv"))
    assert {s.group for s in found.scores} == {"p"}


@pytest.mark.parametrize(
    ("rows", "head", "said"),
    [
        (
            ["1,92.5"],
            "case_id,A",
            "A: case 1: dice is 92.5, where 0 to 1 is possible: divide per cen",
        ),
        (["1,-0.1"], "case_id,A", "A: case 1: dice is -0.1, where 0 to 1 is possible: compute it"),
        (["1,inf"], "case_id,A", "A: case 1: dice is inf, where 0 to 1 is possible: compute it"),
        (["1,x"], "case_id,A", "c.csv: line 2: 'x' is no number: correct it"),
        (["1,2"], "x,y", "c.csv: has the columns x, y: expected case_id and a column for each"),
        ([], "case_id,A", "the tables hold no scores: check the files"),
        (["1,1,2"], "case_id,A", "c.csv: line 2: has 3 cells for 2 columns: correct it"),
        (
            ["T,A,1,.5", "U,A,1,.5", "T,B,1,.5"],
            "task,model,case,dice",
            "B: has no score of task U, which others have: add it, or leave the task out",
        ),
    ],
)
def test_every_fault_of_a_table_is_said(tmp_path, rows, head, said):
    assert said in fault(Request(scores=(long(tmp_path / "c.csv", rows, head),)))


def test_dice_of_1_818_cannot_be(tmp_path):
    a = segauge(tmp_path / "a.json", [{"case_id": "c", "dice": 1.818}])
    assert "case c: dice is 1.818, where 0 to 1 is possible: compute it" in fault(ask(("A", a)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "a.json: cannot be read ("),
        ("[1]", "a.json: holds a list, where an object is expected"),
        ('{"x": 1}', "a.json: is no table of scores that is known (keys: x): give nnU-Net's"),
        ('{"metric_per_case": [{}]}', "a.json: is not as its program writes it (KeyError: 'ref"),
        ('{"per_case": [3]}', "a.json: is not as its program writes it (AttributeError"),
    ],
)
def test_what_is_no_table_is_said(tmp_path, content, said):
    (tmp_path / "a.json").write_text(content)
    assert said in fault(ask(("A", tmp_path / "a.json")))


def test_masks_without_references_are_said(tmp_path):
    text = fault(ask(("A", tmp_path)))
    assert text.endswith("holds no summary.json: give a file of scores, or also --reference")
    (tmp_path / "a.csv").write_text("case_id,A\nc,0.5\n")
    text = fault(ask(("A", tmp_path / "a.csv")))
    assert text == "a.csv: names its models itself: give it with --scores"
    (tmp_path / "a.tsv").write_text("x\ty\n1\t2\n")
    assert "a.tsv: has no column subject_name" in fault(ask(("A", tmp_path / "a.tsv")))
    both = ask(("A", tmp_path / "a.tsv"), reference=tmp_path)
    assert "is a table of scores: leave out --reference" in fault(both)
