"""Silent errors of public tools, as input: each must come out right here, or be refused.

Every test says what other programs make of the same files.
"""

import csv
import json

import numpy as np
import pytest
from scipy.stats import wilcoxon

from comparisons import disc, folders, overlapping, rows, run, scores, write_mask
from mask_files import case
from segrisk.compare.evaluate import ScorePlan, evaluate
from segrisk.compare.run import _kept
from segrisk.data.errors import DataError
from segrisk.metrics import CONVENTIONS, Region
from segrisk.statistics import group_sums, paired_bootstrap, sign_flip, sign_flip_test


def test_the_winner_does_not_hang_on_an_empty_default_in_silence(tmp_path):
    # A finds nothing where nothing is, B does. Elsewhere A scores .80 and B .85. A mean that skips
    # empty references says B, one that skips only pairs of empty masks says A on fewer cases.
    good_a, good_b = overlapping(50, 40, 50), overlapping(40, 34, 40)
    for index in range(8):
        y = good_a[0]
        write_mask(tmp_path / f"labels/c{index}.png", y)
        write_mask(tmp_path / f"A/c{index}.png", good_a[1])
        b = np.zeros(400, bool)
        b[:42], b[60:67] = True, True
        write_mask(tmp_path / f"B/c{index}.png", b.reshape(20, 20))
    for index in (8, 9):
        nothing = np.zeros((20, 20))
        write_mask(tmp_path / f"labels/c{index}.png", nothing)
        write_mask(tmp_path / f"A/c{index}.png", nothing)
        write_mask(tmp_path / f"B/c{index}.png", good_b[1])
    summary = run(tmp_path / "out", **folders(tmp_path, "A", "B"))
    found = scores(tmp_path / "out")
    assert {model: len(own) for model, own in found.items()} == {"A": 10, "B": 10}
    means = {model: np.mean(list(own.values())) for model, own in found.items()}
    assert means["A"] == pytest.approx(0.84) and means["B"] < 0.7
    changed = [s for s in summary.sensitivity if any("B is best" in text for text in s.changes)]
    assert changed, "the page must say that another convention turns the order"
    assert "monai" in " ".join(s.convention for s in changed)


@pytest.mark.parametrize("ending", ["npy", "nii.gz"])
def test_shapes_are_never_broadcast(tmp_path, ending):
    # (1, 8, 8) against (10, 8, 8): broadcasting gives a Dice score of 1.818.
    for index in range(3):
        write_mask(tmp_path / f"labels/c{index}.{ending}", np.ones((10, 8, 8)))
        write_mask(tmp_path / f"A/c{index}.{ending}", np.ones((1, 8, 8)))
    with pytest.raises(DataError, match=r"shape \(1, 8, 8\) differs from \(10, 8, 8\)"):
        run(tmp_path / "out", **folders(tmp_path, "A"))
    assert not (tmp_path / "out" / "scores.csv").exists()


def moved(matrix=None, offset=(0, 0, 0)):
    affine = np.diag([1.0, 1.0, 2.0, 1.0]) if matrix is None else matrix.astype(float)
    affine[:3, 3] += offset
    return affine


AFFINES = {
    "shifted by -100 mm": moved(offset=(-100, 0, 0)),
    "shifted so that the sum is 0": moved(offset=(50, -50, 0)),
    "of half the spacing": moved(np.diag([0.5, 0.5, 1.0, 1.0])),
    "flipped": moved(np.diag([-1.0, 1.0, 2.0, 1.0])),
    "turned": moved(np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])),
}


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_a_misplaced_prediction_is_refused(tmp_path, affine):
    # A signed sum of differences lets all but +100 mm pass; most tools never look.
    mask = np.zeros((8, 8, 4))
    mask[2:5, 2:5, 1:3] = 1
    for index in range(3):
        write_mask(tmp_path / f"labels/c{index}.nii.gz", mask, moved())
        write_mask(tmp_path / f"A/c{index}.nii.gz", mask, affine if index == 1 else moved())
    with pytest.raises(DataError, match=r"A/c1\.nii\.gz") as caught:
        run(tmp_path / "out", **folders(tmp_path, "A"))
    assert "c0" not in str(caught.value) and "mend the header" in str(caught.value)


def test_one_nan_never_reaches_a_test(tmp_path):
    # Comparisons with NaN are false, so that a permutation test counts no sign as extreme and says
    # p = 0.001, in either direction.
    a = np.linspace(0.5, 0.9, 20)
    b = a.copy()
    b[3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        sign_flip_test(a, b)
    table = tmp_path / "wide.csv"
    lines = [
        f"c{i},{x},{'' if np.isnan(y) else y}" for i, (x, y) in enumerate(zip(a, b, strict=True))
    ]
    table.write_text("case_id,alg_01,alg_02\n" + "\n".join(lines) + "\n")
    run(tmp_path / "out", scores=(table,), metrics=("dice",))
    found = scores(tmp_path / "out")
    assert found["alg_02"]["c3"] == 0.0 and len(found["alg_02"]) == 20
    (test,) = rows(tmp_path / "out/tests.csv")
    assert float(test["p"]) == 1.0, "one case cannot make a difference significant"


def test_the_distance_to_a_missed_object_is_the_worst_and_not_0(tmp_path):
    # Of an empty mask there is no surface: some tools say 0, the best, others drop the case.
    for index in range(3):
        write_mask(tmp_path / f"labels/c{index}.nii.gz", disc(16, 4)[..., None], moved())
        found = disc(16, 4) if index else np.zeros((16, 16))
        write_mask(tmp_path / f"A/c{index}.nii.gz", found[..., None], moved())
    run(
        tmp_path / "out",
        **folders(tmp_path, "A"),
        metrics=("dice", "hd95_mm", "nsd"),
        surface_tolerance_mm=1.0,
    )
    out = tmp_path / "out"
    assert scores(out, "hd95_mm")["A"]["c0"] == pytest.approx(np.sqrt(16**2 + 16**2 + 2**2))
    assert scores(out, "hd95_mm")["A"]["c1"] == 0.0
    assert scores(out, "dice")["A"]["c0"] == scores(out, "nsd")["A"]["c0"] == 0.0


def distances(path, *misses):
    """The HD95 of four cases, of which a model misses some; one reference is empty."""
    cases = []
    for index in range(4):
        y = np.zeros((16, 16, 1)) if index == 3 else disc(16, 4)[..., None]
        mask = np.zeros_like(y) if index in misses else disc(16, 4, index)[..., None]
        files = {"reference": path / f"labels/c{index}.nii.gz", "A": path / f"A/c{index}.nii.gz"}
        write_mask(files["reference"], y, moved())
        write_mask(files["A"], mask, moved())
        cases.append(case(f"c{index}", **files))
    return {s.case: s.value for s in evaluate(cases, ScorePlan(("hd95_mm",))).scores}


def test_the_distance_grows_with_every_object_that_is_missed(tmp_path):
    # Where a missed object has no distance, HD95 falls from one miss to the next. An object that
    # is found where none is has distance 0 in one tool, and none in others.
    means = []
    for count in range(4):
        values = distances(tmp_path / str(count), *range(count))
        assert len(values) == 4 and values["c3"] == pytest.approx(np.sqrt(16**2 + 16**2 + 2**2))
        means.append(np.mean(list(values.values())))
    assert means == sorted(set(means))


def test_dice_and_jaccard_are_means_over_the_same_cases(tmp_path):
    # One package says 1 and no value for the same two empty masks, so that its means of Dice and
    # of Jaccard are of different cases.
    cases = []
    for index, mask in enumerate([disc(16, 4), disc(16, 5), np.zeros((16, 16))]):
        files = {"reference": tmp_path / f"labels/c{index}.png", "A": tmp_path / f"A/c{index}.png"}
        for path in files.values():
            write_mask(path, mask)
        cases.append(case(f"c{index}", **files))
    evaluation = evaluate(cases, ScorePlan())
    for name in CONVENTIONS:
        kept = {}
        for score in _kept(evaluation.under(name)):
            kept.setdefault(score.metric, set()).add(score.case)
        assert kept["dice"] == kept["jaccard"], name
    package = evaluation.under("metrics_reloaded_2025")
    assert [one.metric for one in package.left_out] == ["jaccard"]


def test_differences_that_are_all_equal_have_an_interval():
    # The bias-corrected bootstrap has none, and a share of resamples above 0 says one half.
    a = np.linspace(0.5, 0.9, 20)
    same = paired_bootstrap(a, a)
    assert (same.difference, same.low, same.high, sign_flip_test(a, a).p) == (0, 0, 0, 1)
    more = paired_bootstrap(a + 0.05, a)
    assert more.low == pytest.approx(0.05) and more.high == pytest.approx(0.05)


def test_a_test_of_ranks_does_not_make_the_worse_mean_better():
    # A wins 94 of 100 cases by .004 and loses 6 by .35: a signed-rank test says A at p < 1e-9.
    difference = np.where(np.arange(100) < 94, 0.004, -0.35)
    assert wilcoxon(difference).pvalue < 1e-9 and np.median(difference) > 0
    found = paired_bootstrap(difference, np.zeros(100))
    assert found.difference < 0 and found.high < 0


def test_a_region_that_no_reference_holds_is_no_success(tmp_path):
    # Both masks empty in every case: 1 for every model, by half of the conventions.
    for index in range(3):
        for folder in ("labels", "A"):
            write_mask(tmp_path / f"{folder}/c{index}.png", disc(16, 4))
    with pytest.raises(DataError, match="--region x: no reference of labels holds 7"):
        run(tmp_path / "out", **folders(tmp_path, "A"), regions=(Region("x", (7,)),))


def test_rows_that_a_second_run_appended_are_refused(tmp_path):
    table = tmp_path / "long.csv"
    table.write_text(
        "task,algorithm,case,score\nt,A,c1,0.8\nt,B,c1,0.7\nt,A,c2,0.6\nt,B,c2,0.5\nt,A,c1,0.8\n"
    )
    with pytest.raises(DataError, match="c1"):
        run(tmp_path / "out", scores=(table,), metrics=("dice",))


def test_a_missing_prediction_is_the_worst_value_and_no_smaller_n(tmp_path):
    # A loop over the files that are there gives B the mean of its five easy cases.
    for index in range(6):
        y, mask = overlapping(50, 40 - index, 50)
        write_mask(tmp_path / f"labels/c{index}.png", y)
        write_mask(tmp_path / f"A/c{index}.png", mask)
        if index < 5:
            write_mask(tmp_path / f"B/c{index}.png", mask)
    summary = run(tmp_path / "out", **folders(tmp_path, "A", "B"))
    found = scores(tmp_path / "out")
    assert len(found["A"]) == len(found["B"]) == 6 and found["B"]["c5"] == 0.0
    note = "B: has no prediction for 1 of 6 cases (c5): scored as the worst value"
    assert note in summary.results.notes
    assert note in (tmp_path / "out/report.html").read_text()


def test_scans_of_one_patient_are_not_independent():
    # 20 patients, 10 scans each, ICC 0.5: a test of 200 cases finds a difference that is not there
    # in about 4 of 10 studies.
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 10)
    naive = grouped = 0
    for _ in range(200):
        d = generator.normal(size=20)[patients] + generator.normal(size=200)
        naive += sign_flip(group_sums(d, range(200)), resamples=199).p < 0.05
        grouped += sign_flip(group_sums(d, patients), resamples=199).p < 0.05
    assert naive / 200 > 0.3
    assert grouped / 200 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_names_that_a_spreadsheet_would_run_are_neutralised(tmp_path):
    name = "=cmd|' /c calc'!A0"
    table = tmp_path / "long.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "algorithm", "case", "score"])
        for case in (name, "+1", "-2", "@SUM(A1)"):
            writer.writerows([["t", "A", case, 0.5], ["t", "B", case, 0.6]])
    run(tmp_path / "out", scores=(table,), metrics=("dice",))
    for path in (tmp_path / "out").rglob("*.csv"):
        for row in csv.reader(path.read_text(encoding="utf-8").splitlines()):
            for cell in row:
                assert _is_number(cell) or cell[:1] not in ("=", "+", "-", "@"), (path.name, cell)


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return cell != "+1" and cell != "-2"


def test_a_case_called_a_script_is_text(tmp_path):
    name = "</script><script>alert(1)</script>"
    table = tmp_path / "wide.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["case_id", "alg_01", "alg_02"], [name, 0.5, 0.6], ["c2", 0.7, 0.8]]
        )
    run(tmp_path / "out", scores=(table,), metrics=("dice",))
    assert name not in (tmp_path / "out/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["../secret.png", "/etc/passwd", "link/secret.png"])
def test_a_manifest_reads_nothing_outside_its_root(tmp_path, place):
    root, outside = tmp_path / "root", tmp_path / "outside"
    write_mask(root / "labels/c1.png", disc(16, 4))
    write_mask(outside / "secret.png", disc(16, 4))
    write_mask(tmp_path / "secret.png", disc(16, 4))
    (root / "link").symlink_to(outside)
    manifest = root / "manifest.csv"
    manifest.write_text(f"case,reference,A\nc1,labels/c1.png,{place}\n")
    with pytest.raises(DataError, match="leaves"):
        run(tmp_path / "out", manifest=manifest)


def test_an_archive_runs_no_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "taken"), "w"))

    write_mask(tmp_path / "labels/c1.npy", disc(16, 4))
    (tmp_path / "A").mkdir()
    np.save(tmp_path / "A/c1.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    (tmp_path / "taken").unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"c1\.npy"):
        run(tmp_path / "out", **folders(tmp_path, "A"), missing="refuse")
    assert not (tmp_path / "taken").exists()


def test_nan_in_a_summary_is_no_number_of_ours(tmp_path):
    # nnU-Net writes a bare NaN, which is no JSON, for a case that is empty twice.
    for model, dice in (("A", 0.8), ("B", 0.7)):
        per_case = [
            {
                "metrics": {"1": {"Dice": value, "IoU": value, "n_pred": size, "n_ref": size}},
                "prediction_file": f"p/c{index}.nii.gz",
                "reference_file": f"r/c{index}.nii.gz",
            }
            for index, (value, size) in enumerate([(dice, 5), (np.nan, 0), (dice, 5)])
        ]
        text = json.dumps({"metric_per_case": per_case})
        assert "NaN" in text
        (tmp_path / f"{model}.json").write_text(text)
    models = tuple((m, tmp_path / f"{m}.json") for m in "AB")
    run(tmp_path / "out", models=models, metrics=("dice",))
    assert scores(tmp_path / "out")["A"]["c1"] == 1.0
    for path in (tmp_path / "out").rglob("*.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)
