"""`segrisk compare` from folders to the files that everything else relies on."""

import json
import re
import subprocess

import numpy as np
import pytest
from typer.testing import CliRunner

from comparisons import disc, folders, overlapping, rows, run, scores, write_mask
from segrisk.commands import app
from segrisk.data.errors import DataError
from segrisk.metrics import Region
from segrisk.scores import COLUMNS
from tiny_study import command, environment

TESTS = (
    "task label metric model_a model_b difference low high "
    "test method p p_adjusted n_cases n_groups"
).split()


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Twenty discs, two models and the command line."""
    root = tmp_path_factory.mktemp("compared")
    generator = np.random.default_rng(0)
    for index in range(20):
        radius = generator.uniform(4, 9)
        write_mask(root / f"labels/c{index:02d}.png", 255 * disc(32, radius))
        write_mask(
            root / f"A/c{index:02d}.png", 255 * disc(32, radius + generator.normal(0, 1), 0.5)
        )
        write_mask(
            root / f"B/c{index:02d}.png", 255 * disc(32, radius + generator.normal(0, 1), 2.5)
        )
    options = ["--reference", root / "labels", "--model", f"A={root / 'A'}"]
    options += ["--model", f"B={root / 'B'}", "--out", root / "out", "--resamples", 999]
    result = subprocess.run(
        command("compare", *options), capture_output=True, text=True, env=environment()
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return root, result.stdout


def test_scores_have_the_schema_of_studies_and_the_values_of_numpy(compared):
    root, _ = compared
    assert tuple(rows(root / "out/scores.csv")[0]) == COLUMNS
    from PIL import Image

    for model, own in scores(root / "out").items():
        assert len(own) == 20
        for case, value in own.items():
            y = np.asarray(Image.open(root / f"labels/{case}.png")) > 0
            mask = np.asarray(Image.open(root / f"{model}/{case}.png")) > 0
            assert value == pytest.approx(2 * (y & mask).sum() / (y.sum() + mask.sum()), abs=1e-12)


def test_tests_say_what_was_tested(compared):
    root, output = compared
    found = rows(root / "out/tests.csv")
    assert list(found[0])[: len(TESTS)] == TESTS
    dice = next(row for row in found if row["metric"] == "dice")
    means = {model: np.mean(list(own.values())) for model, own in scores(root / "out").items()}
    assert float(dice["difference"]) == pytest.approx(means["A"] - means["B"])
    assert float(dice["low"]) < float(dice["difference"]) < float(dice["high"])
    assert (dice["n_cases"], dice["n_groups"]) == ("20", "20") and float(dice["p"]) < 0.05
    assert "report.html" in output and "every case is taken as a group of its own" in output


def test_the_page_and_its_files_are_there_and_valid(compared):
    out = compared[0] / "out"
    assert {"scores.csv", "tests.csv", "report.html"} <= {path.name for path in out.iterdir()}
    for path in out.glob("*.json"):
        json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))


def test_faults_are_on_standard_error_and_the_status_is_2(compared, tmp_path):
    root, _ = compared
    options = ["--reference", root / "labels", "--model", f"A={tmp_path}", "--out", tmp_path / "o"]
    result = subprocess.run(
        command("compare", *options), capture_output=True, text=True, env=environment()
    )
    assert result.returncode == 2 and result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr and not (tmp_path / "o").exists()


def labelled(root, shift=0):
    """Six cases of three labels each, as volumes."""
    for index in range(6):
        volume = np.zeros((10, 10, 4), np.uint8)
        volume[1:4, 1:9], volume[4:7, 1:9], volume[7:9, 1:9] = 1, 2, 3
        write_mask(root / f"labels/c{index}.nii.gz", volume)
        for model, by in (("A", shift), ("B", shift + 1)):
            write_mask(root / f"{model}/c{index}.nii.gz", np.roll(volume, by, axis=1))


def test_each_label_is_scored_or_the_regions_that_are_asked_for(tmp_path):
    labelled(tmp_path)
    run(tmp_path / "labels_out", **folders(tmp_path, "A", "B"))
    assert {row["label"] for row in rows(tmp_path / "labels_out/scores.csv")} == {"1", "2", "3"}
    regions = (Region("whole", (1, 2, 3)), Region("core", (2,)))
    run(tmp_path / "out", **folders(tmp_path, "A", "B"), regions=regions)
    found = rows(tmp_path / "out/tests.csv")
    assert {row["label"] for row in found} == {"whole", "core"}
    assert scores(tmp_path / "out", label="core")["A"] == {f"c{i}": 1.0 for i in range(6)}


def test_groups_are_flipped_together(tmp_path):
    for index in range(12):
        y, mask = overlapping(50, 40, 50)
        write_mask(tmp_path / f"labels/c{index:02d}.png", y)
        write_mask(tmp_path / f"A/c{index:02d}.png", mask)
        write_mask(tmp_path / f"B/c{index:02d}.png", overlapping(50, 30 - index, 50)[1])
    groups = tmp_path / "groups.csv"
    groups.write_text("case,group\n" + "".join(f"c{i:02d},p{i // 4}\n" for i in range(12)))
    run(tmp_path / "out", **folders(tmp_path, "A", "B"), groups=groups)
    dice = next(row for row in rows(tmp_path / "out/tests.csv") if row["metric"] == "dice")
    assert (dice["n_cases"], dice["n_groups"], float(dice["p"])) == ("12", "3", 2 / 2**3)


def test_seeds_of_a_manifest_are_averaged_within_their_case(tmp_path):
    lines = ["case,group,fold,seed,reference,A,B"]
    for index in range(8):
        write_mask(tmp_path / f"labels/c{index}.png", overlapping(50, 40, 50)[0])
        for seed in (0, 1):
            for model, hits in (("A", 40 + seed), ("B", 30 + 4 * seed)):
                mask = overlapping(50, hits, 50)[1]
                write_mask(tmp_path / f"{model}/seed{seed}/c{index}.png", mask)
            files = ",".join(f"{m}/seed{seed}/c{index}.png" for m in "AB")
            lines.append(f"c{index},g{index},{index % 2},{seed},labels/c{index}.png,{files}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    run(tmp_path / "out", manifest=tmp_path / "manifest.csv")
    dice = next(row for row in rows(tmp_path / "out/tests.csv") if row["metric"] == "dice")
    assert dice["n_cases"] == "8"
    assert float(dice["difference"]) == pytest.approx((0.8 + 0.82 - 0.6 - 0.68) / 2)
    page = (tmp_path / "out/report.html").read_text()
    note = (
        "outlines and the scores beside them are of seed 0, where cases were chosen by means over 2"
    )
    assert page.count(note) == 1
    beside = re.findall(r'<figcaption><span>([AB])</span><span class="mute">([^<]*)<', page)
    assert set(beside) == {("A", "0.800"), ("B", "0.600")}  # and not 0.810, 0.640


def test_what_is_tested_is_declared_before_the_first_score(tmp_path):
    labelled(tmp_path)
    run(tmp_path / "out", **folders(tmp_path, "A", "B"))
    page = tmp_path / "out/report.html"
    assert "Post hoc" not in page.read_text()
    run(tmp_path / "out", **folders(tmp_path, "A", "B"), primary="jaccard")
    assert "Post hoc" in page.read_text()
    declared = json.loads((tmp_path / "out/comparison.json").read_text())
    assert declared["declared"] != declared["used"]


def grouped(root):
    """Twelve cases of four patients, of 6, 2, 2 and 2 scans, and the file of their groups."""
    labelled_cases = [f"c{index:02d}" for index in range(12)]
    for index, case in enumerate(labelled_cases):
        write_mask(root / f"labels/{case}.png", overlapping(50, 40, 50)[0])
        write_mask(root / f"A/{case}.png", overlapping(50, 45 - 2 * (index < 6), 50)[1])
        write_mask(root / f"B/{case}.png", overlapping(50, 44, 50)[1])
    groups = root / "groups.csv"
    of = ["p0"] * 6 + [f"p{1 + index // 2}" for index in range(6)]
    lines = "".join(f"{case},{group}\n" for case, group in zip(labelled_cases, of, strict=True))
    groups.write_text("case,group\n" + lines)
    return groups


def test_the_unit_is_an_option_and_a_change_of_it_is_post_hoc(tmp_path):
    options = ["--groups", grouped(tmp_path), "--reference", tmp_path / "labels"]
    options += [f"--model={name}={tmp_path / name}" for name in "AB"]
    options += ["--out", tmp_path / "out", "--resamples", 199, "--workers", 1]

    def dice(*more):
        result = CliRunner().invoke(app, ["compare", *map(str, [*options, *more])])
        assert result.exit_code == 0, result.output
        return next(r for r in rows(tmp_path / "out/tests.csv") if r["metric"] == "dice")

    by_case = dice()
    # A's Dice is .86 on six cases of one patient and .9 on six of three; B's is .88 on all.
    assert float(by_case["difference"]) == pytest.approx(0, abs=1e-12)
    assert (by_case["mean_over"], by_case["post_hoc"]) == ("case", "False")
    assert "unit" not in json.loads((tmp_path / "out/comparison.json").read_text())["statistics"]
    by_group = dice("--unit", "group_mean")
    assert float(by_group["difference"]) == pytest.approx((3 * 0.02 - 0.02) / 4)
    assert (by_group["mean_over"], by_group["post_hoc"]) == ("group_mean", "True")
    assert (by_group["n_cases"], by_group["n_groups"]) == ("12", "4")
    declared = json.loads((tmp_path / "out/comparison.json").read_text())
    assert declared["statistics"]["unit"] == "group_mean"
    assert "each counted once by the mean of its cases" in (tmp_path / "out/table1.md").read_text()


def test_means_of_groups_need_groups(tmp_path):
    labelled(tmp_path)
    with pytest.raises(DataError, match=r"every case is a group of its own: give --groups \(col"):
        run(tmp_path / "out", **folders(tmp_path, "A", "B"), unit="group_mean")
    assert not (tmp_path / "out").exists()
    table = tmp_path / "wide.csv"
    table.write_text("case_id,alg_01,alg_02\nc1,0.5,0.6\nc2,0.7,0.8\n")
    with pytest.raises(DataError, match="--unit group_mean is over the means of groups, but"):
        run(tmp_path / "out", scores=(table,), unit="group_mean")


def test_nobody_s_files_are_written_over(tmp_path):
    labelled(tmp_path)
    with pytest.raises(DataError, match="is not empty and holds no comparison"):
        run(tmp_path / "A", **folders(tmp_path, "A", "B"))


def test_a_second_run_measures_nothing_again(tmp_path, monkeypatch):
    labelled(tmp_path)
    run(tmp_path / "out", **folders(tmp_path, "A", "B"))
    before = (tmp_path / "out/scores.csv").read_bytes()
    monkeypatch.setattr(
        "segrisk.compare.measure.count_pairs", lambda *_: pytest.fail("measured again")
    )
    (tmp_path / "out/.unfinished-x").mkdir()  # as a kill in the midst of a report leaves it
    run(tmp_path / "out", **folders(tmp_path, "A", "B"))
    assert (tmp_path / "out/scores.csv").read_bytes() == before
    assert not (tmp_path / "out/.unfinished-x").exists()


def test_another_convention_is_printed_and_leaves_the_same_cases_out_for_all(tmp_path):
    for index in range(8):
        y, mask = overlapping(50, 40, 50)
        nothing = np.zeros((20, 20))
        write_mask(tmp_path / f"labels/c{index}.png", nothing if index < 2 else y)
        write_mask(tmp_path / f"A/c{index}.png", nothing if index < 2 else mask)
        write_mask(tmp_path / f"B/c{index}.png", mask)
    summary = run(tmp_path / "out", **folders(tmp_path, "A", "B"), convention="nnunet")
    found = scores(tmp_path / "out")
    assert found["A"].keys() == found["B"].keys() == {f"c{i}" for i in range(2, 8)}
    assert any("2 cases are left out for every model" in note for note in summary.results.notes)
    assert "nnunetv2" in (tmp_path / "out/report.html").read_text()
    by_name = {row.convention.partition(" ")[0]: row for row in summary.sensitivity}
    # What is left out here counts elsewhere, also where nothing that is kept changes; and the
    # package itself averages B over the two cases that A has no value for.
    assert by_name["segrisk"].n_cases == 8
    assert by_name["segrisk"].means == pytest.approx({"A": (2 + 6 * 0.8) / 8, "B": 6 * 0.8 / 8})
    assert "A and B differ" not in by_name["segrisk"].changes
    assert by_name["nnunet"].means == pytest.approx({"A": 0.8, "B": 6 * 0.8 / 8})
    assert "in force" in by_name["nnunet"].convention and by_name["nnunet"].n_cases == 6
    assert not [name for name in by_name if name.startswith("monai")], "it leaves them out as well"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"metrics": ("dcie",)}, "no metric is called 'dcie'; did you mean 'dice'"),
        ({"primary": "nsd"}, "the primary metric 'nsd' is not among the metrics"),
        ({"convention": "nn-unet"}, "no convention is called 'nn-unet'; did you mean 'nnunet'"),
        ({"metrics": ("nsd",)}, "nsd needs a tolerance"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, given, text):
    labelled(tmp_path)
    with pytest.raises(DataError, match=text):
        run(tmp_path / "out", **folders(tmp_path, "A", "B"), **given)


def test_tables_have_no_sizes_and_say_so(tmp_path):
    table = tmp_path / "wide.csv"
    lines = [f"c{index},{0.5 + index / 200},{0.6 + index / 300}" for index in range(60)]
    table.write_text("case_id,alg_01,alg_02\n" + "\n".join(lines) + "\n")
    summary = run(tmp_path / "out", scores=(table,))
    assert summary.results.plan.metrics == ("dice",) and not summary.curves
    with pytest.raises(DataError, match="the tables have no jaccard: they hold dice"):
        run(tmp_path / "other", scores=(table,), primary="jaccard")
