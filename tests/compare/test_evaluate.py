"""From files to scores: equal to an independent computation, complete, cached, and in order."""

import ast
import importlib.util
import json
import math
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mask_files import case, save, scene
from segrisk.compare import measure
from segrisk.compare.evaluate import ScorePlan, evaluate
from segrisk.data import streams
from segrisk.data.errors import DataError
from segrisk.metrics import CONVENTIONS, MEASURES, Region
from segrisk.scores import read_scores, write_scores

REGIONS = (Region("1", (1,)), Region("whole", (1, 2, 3)))
PLAN = ScorePlan(regions=REGIONS)
EVERYTHING = ScorePlan(tuple(MEASURES), REGIONS, tolerance_mm=1.0)
SHAPE = (9, 8, 7)
SPACING = (1.0, 0.5, 2.0)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
DIAGONAL = math.dist((0, 0, 0), (9 * 1.0, 8 * 0.5, 7 * 2.0))


def write(folder, name, labels):
    return save(folder / f"{name}.nii.gz", labels, SPACING)


def compared(folder, count=3, models=2):
    """Cases with each model's prediction, and the arrays in the files."""
    cases, arrays = [], {}
    for index in range(count):
        y = scene(index)
        paths = {}
        for number in range(models):
            p = np.roll(y, number + 1, axis=number)
            arrays[str(index), f"m{number}"] = y, p
            paths[f"m{number}"] = write(folder / f"m{number}", str(index), p)
        cases.append(case(str(index), write(folder / "y", str(index), y), **paths))
    return cases, arrays


def table(evaluation):
    return {(s.case, s.model, s.label, s.metric): s.value for s in evaluation.scores}


def one(folder, y, p, plan=EVERYTHING):
    """The scores of one prediction, by label and metric."""
    path = None if p is None else write(folder, "p", p)
    scores = evaluate([case("c", write(folder, "y", y), m=path)], plan).scores
    return {(s.label, s.metric): s.value for s in scores}


def test_dice_and_jaccard_equal_an_independent_computation(tmp_path):
    cases, arrays = compared(tmp_path)
    values = table(evaluate(cases, PLAN))
    for (name, model), (y, p) in arrays.items():
        for region in REGIONS:
            a, b = (np.isin(mask, region.labels) for mask in (y, p))
            both = np.logical_and(a, b).sum()
            expected = 2 * both / (a.sum() + b.sum()), both / np.logical_or(a, b).sum()
            for metric, value in zip(("dice", "jaccard"), expected, strict=True):
                assert abs(values[name, model, region.name, metric] - value) <= 1e-12
    assert len(values) == 3 * 2 * 2 * 2


def test_cases_have_their_size_and_keep_their_group(tmp_path):
    cases, arrays = compared(tmp_path, count=1)
    (own,) = evaluate([replace(cases[0], group="patient")], PLAN).cases
    y, _ = arrays["0", "m0"]
    assert own.group == "patient" and own.fraction == (y > 0).mean()
    assert own.volume_ml == pytest.approx((y > 0).sum() * 1.0 / 1000)
    assert own.regions["1"].fraction == (y == 1).mean()


def test_scores_can_be_written_and_read(tmp_path):
    cases, _ = compared(tmp_path, count=1)
    scores = evaluate(cases, EVERYTHING).scores
    write_scores(tmp_path / "scores.csv", scores)
    assert read_scores(tmp_path / "scores.csv") == sorted(scores)


# ---- empty and missing masks --------------------------------------------------------------------

BEST = {"dice": 1, "instance_dice": 1, "nsd": 1, "hd95_mm": 0, "assd_mm": 0}
WORST = {"dice": 0, "instance_dice": 0, "nsd": 0, "hd95_mm": DIAGONAL, "assd_mm": DIAGONAL}


@pytest.mark.parametrize("y_empty, p_empty", [(True, True), (True, False), (False, True)])
def test_empty_masks_have_the_values_of_the_convention(tmp_path, y_empty, p_empty):
    mask = (scene(0) > 0).astype(np.uint8)
    values = one(tmp_path, mask * (not y_empty), mask * (not p_empty))
    for metric, value in (BEST if y_empty and p_empty else WORST).items():
        assert values["1", metric] == pytest.approx(value), metric
    bias = (int(y_empty) - int(p_empty)) * int(mask.sum()) / 1000
    assert values["1", "volume_bias_ml"] == pytest.approx(bias)
    assert values["1", "volume_difference_ml"] == pytest.approx(abs(bias))


@pytest.mark.parametrize("y_empty", [True, False])
def test_a_missing_prediction_is_the_worst_value(tmp_path, y_empty):
    mask = (scene(0) > 0).astype(np.uint8) * (not y_empty)
    values = one(tmp_path, mask, None)
    for metric, value in WORST.items():
        assert values["1", metric] == pytest.approx(value), metric
    assert values["1", "hamming"] == 0
    assert values["1", "volume_bias_ml"] == pytest.approx(-int(mask.sum()) / 1000)


def test_no_score_is_ever_nan(tmp_path):
    y, empty = write(tmp_path, "y", scene(0)), write(tmp_path, "e", scene(0) * 0)
    cases = [
        case("a", y, m=y, n=None),
        case("b", empty, m=y, n=empty),
        case("c", y, m=empty, n=y),
        case("d", empty, m=empty, n=None),
    ]
    evaluation = evaluate(cases, EVERYTHING)
    assert len(evaluation.scores) == 4 * 2 * 2 * len(MEASURES) and not evaluation.left_out
    assert all(math.isfinite(score.value) for score in evaluation.scores)


def test_the_ignored_label_counts_for_nothing(tmp_path):
    y, p = scene(0), scene(1)
    plan = ScorePlan(("dice", "nsd", "instance_dice"), REGIONS[:1], ignore=3, tolerance_mm=1.0)
    p[p == 3] = 0
    own = one(tmp_path / "a", y, p, plan)
    cut = one(tmp_path / "b", np.where(y == 3, 0, y), np.where(y == 3, 0, p), plan)
    assert own == cut


# ---- conventions --------------------------------------------------------------------------------


def test_the_numbers_of_nnunet(tmp_path):
    stored = json.loads((Path(__file__).parents[1] / "metrics/nnunet_values.json").read_text())
    cases = []
    for name, masks in stored["cases"].items():
        y, p = (
            save(
                tmp_path / kind / f"{name}.nii.gz", np.array(own, np.uint8).reshape(stored["space"])
            )
            for kind, own in masks.items()
        )
        cases.append(case(name, y, m=p))
    keys = {key: ast.literal_eval(key) for key in stored["mean"]}
    regions = tuple(
        Region(key, own if isinstance(own, tuple) else (own,)) for key, own in keys.items()
    )
    plan = ScorePlan(regions=regions, ignore=stored["ignore"], convention="nnunet")
    evaluation = evaluate(cases, plan)
    for s in evaluation.values:
        expected = stored["per_case"][s.case][s.label][("dice", "jaccard").index(s.metric)]
        assert math.isnan(s.value) if expected is None else s.value == expected
    for (_, _, label, metric), mean in evaluation.means().items():
        expected = stored["mean"][label][("dice", "jaccard").index(metric)]
        assert mean == pytest.approx(expected, abs=1e-12)


def test_the_winner_that_the_default_for_empty_masks_decides(tmp_path):
    """A is right on 2 empty cases; B is better elsewhere, but marks something in them."""
    empty, full = np.zeros((1, 1, 20), np.uint8), np.zeros((1, 1, 20), np.uint8)
    full[..., :10] = 1
    a, b = (np.roll(full, shift, axis=-1) for shift in (2, 1))
    cases = [
        case(
            str(index),
            write(tmp_path / "y", str(index), empty if index < 2 else full),
            A=write(tmp_path / "A", str(index), empty if index < 2 else a),
            B=write(tmp_path / "B", str(index), b),
        )
        for index in range(10)
    ]
    ours = evaluate(cases, ScorePlan(("dice",)))
    means = {
        name: {model: mean for (_, model, _, _), mean in ours.under(name).means().items()}
        for name in ("segrisk", "nnunet", "monai")
    }
    assert means["segrisk"] == pytest.approx({"A": 0.84, "B": 0.72})
    assert means["nnunet"] == pytest.approx({"A": 0.8, "B": 0.72})
    assert means["monai"] == pytest.approx({"A": 0.8, "B": 0.9})
    # Compared on the cases that both have a number for, and the others are named.
    nnunet = ours.under("nnunet")
    assert {s.case for s in nnunet.scores} == {str(index) for index in range(2, 10)}
    assert [(one.case, one.models) for one in nnunet.left_out] == [("0", ("A",)), ("1", ("A",))]
    assert ours.provenance["convention"] == "segrisk"
    assert nnunet.provenance["convention_source"] == "nnunetv2 2.8.1"


def test_another_convention_reads_no_file(tmp_path):
    cases, _ = compared(tmp_path, count=1)
    evaluation = evaluate(cases, EVERYTHING)
    for path in tmp_path.rglob("*.nii.gz"):
        path.unlink()
    for name in CONVENTIONS:
        assert all(math.isfinite(score.value) for score in evaluation.under(name).scores)


# ---- processes, the cache, and faults -----------------------------------------------------------


def test_the_number_of_workers_changes_nothing(tmp_path):
    cases, _ = compared(tmp_path, count=5)
    seen = []
    alone = evaluate(cases, PLAN, report=lambda *steps: seen.append(steps))
    assert seen == [(done, 5) for done in range(1, 6)]
    shared = evaluate(cases, PLAN, workers=2)
    assert shared.scores == alone.scores and shared.provenance == alone.provenance


def test_a_reference_is_read_once_for_all_models_and_seeds(tmp_path, monkeypatch):
    cases, _ = compared(tmp_path, count=1, models=3)
    read = []
    monkeypatch.setattr(
        streams,
        "_volume",
        lambda path, stack, f=streams._volume: read.append(path) or f(path, stack),
    )
    again = [replace(cases[0], seed=seed) for seed in (0, 1)]
    assert len(evaluate(again, PLAN).scores) == 2 * 3 * 2 * 2
    assert sorted(read) == sorted([cases[0].reference, *cases[0].predictions.values()])


def count_reads(monkeypatch):
    calls = []
    plain = measure.count_pairs
    monkeypatch.setattr(measure, "count_pairs", lambda y, ps: calls.extend(ps) or plain(y, ps))
    return calls


@pytest.mark.parametrize("plan", [PLAN, EVERYTHING], ids=["overlap", "everything"])
def test_what_is_in_the_cache_is_not_read_again(tmp_path, monkeypatch, plan):
    cases, _ = compared(tmp_path)
    first = evaluate(cases, plan, cache=tmp_path / "cache")
    calls = count_reads(monkeypatch)
    again = evaluate(cases, plan, cache=tmp_path / "cache")
    assert again.scores == first.scores and again.provenance == first.provenance and not calls


def test_other_regions_and_conventions_of_overlaps_read_nothing(tmp_path, monkeypatch):
    cases, _ = compared(tmp_path)
    evaluate(cases, PLAN, cache=tmp_path / "cache")
    calls = count_reads(monkeypatch)
    other = ScorePlan(("kappa",), (Region("2", (2,)),), ignore=1, convention="monai")
    assert evaluate(cases, other, cache=tmp_path / "cache").scores == evaluate(cases, other).scores
    assert len(calls) == 6  # without a cache, that is


def test_a_file_that_changed_is_read_again_whatever_its_name_and_date(tmp_path, monkeypatch):
    cases, _ = compared(tmp_path)
    evaluate(cases, PLAN, cache=tmp_path / "cache")
    path = cases[1].predictions["m0"]
    times = path.stat()
    write(path.parent, "1", scene(7))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    calls = count_reads(monkeypatch)
    again = evaluate(cases, PLAN, cache=tmp_path / "cache")
    assert calls == [path] and again.scores == evaluate(cases, PLAN).scores


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]"])
def test_a_damaged_entry_is_measured_again(tmp_path, damage):
    cases, _ = compared(tmp_path, count=1)
    first = evaluate(cases, PLAN, cache=tmp_path / "cache")
    for path in (tmp_path / "cache").rglob("*.json"):
        text = path.read_bytes()
        path.write_bytes(damage or text.replace(b"0", b"1"))
    assert evaluate(cases, PLAN, cache=tmp_path / "cache").scores == first.scores


def test_every_fault_is_named_and_what_was_measured_is_kept(tmp_path, monkeypatch):
    cases, _ = compared(tmp_path, count=4)
    cases[0].predictions["m0"].write_bytes(b"broken")
    write(cases[1].predictions["m1"].parent, "1", scene(1)[:1])  # would broadcast
    cases[2].reference.unlink()
    with pytest.raises(DataError) as caught:
        evaluate(cases, PLAN, cache=tmp_path / "cache")
    broken, thin, absent = caught.value.faults
    assert "m0/0.nii.gz: cannot be read" in broken
    assert "m1/1.nii.gz: shape (1, 8, 7) differs from (9, 8, 7)" in thin
    assert "y/2.nii.gz: cannot be read (no such file or directory): copy it again" in absent
    calls = count_reads(monkeypatch)
    evaluate(cases[3:], PLAN, cache=tmp_path / "cache")
    assert not calls


STOPPED = """
import os, pickle, signal, sys
from segrisk.compare.evaluate import evaluate
cases, plan, cache = pickle.load(open(sys.argv[1], "rb"))
def report(done, total):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)
evaluate(cases, plan, cache=cache, report=report)
"""


def test_a_run_that_was_killed_goes_on(tmp_path, monkeypatch):
    cases, _ = compared(tmp_path, count=4)
    (tmp_path / "work").write_bytes(pickle.dumps((cases, PLAN, tmp_path / "cache")))
    command = [sys.executable, "-c", STOPPED, str(tmp_path / "work")]
    assert subprocess.run(command, env=ENVIRONMENT).returncode == -signal.SIGKILL
    calls = count_reads(monkeypatch)
    again = evaluate(cases, PLAN, cache=tmp_path / "cache")
    assert calls == [path for case in cases[2:] for path in case.predictions.values()]
    assert again.scores == evaluate(cases, PLAN).scores


def kill_on_sight(unit):
    """Measures a unit, but dies of one, as a process does that is out of memory."""
    if unit.reference.name.startswith("2"):
        os.kill(os.getpid(), signal.SIGKILL)
    return measure.measure(unit)


def test_a_case_that_kills_its_process_is_named_and_no_other_is_lost(tmp_path, monkeypatch):
    cases, _ = compared(tmp_path, count=3)
    monkeypatch.setattr("segrisk.compare.evaluate.measure", kill_on_sight)
    with pytest.raises(DataError) as caught:
        evaluate(cases, PLAN, cache=tmp_path / "cache", workers=2)
    (fault,) = caught.value.faults
    assert "y/2.nii.gz: the process that scored it died, also alone" in fault
    monkeypatch.undo()
    calls = count_reads(monkeypatch)
    evaluate(cases, PLAN, cache=tmp_path / "cache")
    assert calls == list(cases[2].predictions.values())


# ---- the door -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"metrics": ("dise",)}, "no metric is called 'dise'; did you mean 'dice'"),
        ({"metrics": ()}, "needs at least one metric and one region"),
        ({"metrics": ("dice", "dice")}, "the plan names 'dice' twice"),
        ({"convention": "nnUnet2"}, "no convention is called 'nnUnet2'; did you mean 'nnunet'"),
        ({"regions": REGIONS, "ignore": 1}, "region '1' holds the label 1, which is ignored"),
        ({"metrics": ("nsd",)}, "nsd needs a tolerance: give tolerance_mm"),
        ({"tolerance_mm": math.nan}, "tolerance_mm must be at least 0 and finite, got nan"),
    ],
)
def test_plans_that_mean_nothing_are_refused(fields, text):
    with pytest.raises(ValueError, match=text):
        ScorePlan(**fields)


def test_cases_that_cannot_be_compared_are_refused(tmp_path):
    y = write(tmp_path, "y", scene(0))
    with pytest.raises(ValueError, match="there is no case to score"):
        evaluate([], PLAN)
    with pytest.raises(ValueError, match="case 'a' of t has no model to score"):
        evaluate([case("a", y)], PLAN)
    with pytest.raises(ValueError, match=r"case 'b' of t differs .* \['n'\]: .* give None where"):
        evaluate([case("a", y, m=y), case("b", y, m=y, n=y)], PLAN)
    with pytest.raises(ValueError, match="case 'a' of t is given 2 times for seed 0"):
        evaluate([case("a", y, m=y), case("a", y, m=y)], PLAN)
    with pytest.raises(ValueError, match="at least 1 worker, got 0"):
        evaluate([case("a", y, m=y)], PLAN, workers=0)


def test_distances_without_monai_are_refused_before_anything_is_read(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "monai" else find(name)
    )
    with pytest.raises(ImportError, match=r"need MONAI: pip install 'segrisk\[compare\]'"):
        evaluate([case("a", tmp_path / "absent.nii", m=None)], ScorePlan(("hd95_mm",)))
