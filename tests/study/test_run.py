"""A study from its file to its report, interrupted and not."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
import yaml

from segrisk.configuration import validate
from segrisk.files import file_digest, write_json
from segrisk.scores import COLUMNS, read_scores
from segrisk.study.config import LossChoice, Study
from segrisk.study.plan import plan, prepare_tasks
from segrisk.study.store import Store, export
from tiny_study import TINY, command, environment, kill_when

REPORT = {
    "scores.csv",
    "scores_by_validation_dice.csv",
    "tests.csv",
    "table1.md",
    "table1.tex",
    "report.html",
    "dice_jaccard.png",
    "dice_jaccard.svg",
    "provenance.json",
}


def test_the_report_is_complete(finished):
    folder, output = finished
    assert REPORT <= {path.name for path in (folder / "out" / "report").iterdir()}
    assert "Table 1" in output and "molar (12)" in output and "sDice" in output
    provenance = json.loads((folder / "out" / "report" / "provenance.json").read_text())
    assert provenance["packages"]["torch"] and provenance["data"]["molar"]
    assert provenance["statistics"]["declared"] == provenance["statistics"]["used"]


def test_every_case_is_scored_once_for_every_loss(finished):
    scores = read_scores(finished[0] / "out" / "report" / "scores.csv")
    assert COLUMNS[:4] == ("task", "model", "case", "group")
    keys = {(score.model, score.metric, score.case) for score in scores}
    assert len(scores) == len(keys) == 2 * 2 * 12
    assert {score.fold for score in scores} == {0, 1}
    assert all(0 <= score.value <= 1 for score in scores)


def test_all_losses_of_a_fold_begin_at_the_same_epoch_0(finished):
    # Epoch 0 is scored before any step: equal validation Dice shows the shared start.
    out = finished[0] / "out"
    record = json.loads((out / "study.json").read_text())
    by_start = {}
    for cell in record["cells"]:
        if cell["loss"] is not None:
            with (out / "cells" / cell["key"] / "curve.csv").open() as file:
                first = next(csv.DictReader(file))
            by_start.setdefault(cell["start"], []).append(first["validation_dice"])
    assert len(by_start) == 2
    assert all(len(values) == 2 and len(set(values)) == 1 for values in by_start.values())


def test_the_same_command_again_trains_nothing(finished, segrisk):
    folder, _ = finished
    before = (folder / "out" / "report" / "scores.csv").read_bytes()
    result = segrisk("study", "run", folder / "study.yaml", "--out", folder / "out")
    assert "6 of 6 cells need no training, 0 do" in result.stdout
    assert (folder / "out" / "report" / "scores.csv").read_bytes() == before


def test_status_counts_the_cells(finished, segrisk):
    result = segrisk("study", "status", "--out", finished[0] / "out")
    assert "6 of 6 cells done, 0 running, 0 failed, 0 left" in result.stdout


def test_one_more_loss_trains_only_itself(finished, segrisk, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished[0] / "out", out)
    file = tmp_path / "study.yaml"
    more = {**TINY, "losses": [*TINY["losses"], "lovasz_sigmoid"]}
    file.write_text(yaml.safe_dump(more, sort_keys=False))
    result = segrisk("study", "run", file, "--out", out)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "6 of 8 cells need no training, 2 do" in result.stdout


def test_changed_statistics_are_called_post_hoc(finished, segrisk, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished[0] / "out", out)
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({**TINY, "statistics": {"alpha": 0.1, "resamples": 99}}))
    segrisk("study", "run", file, "--out", out)
    assert "Post hoc: the statistics were changed" in (out / "report" / "table1.md").read_text()
    assert "Post hoc" not in (finished[0] / "out" / "report" / "table1.md").read_text()


def test_a_damaged_cell_is_run_again(finished, segrisk, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished[0] / "out", out)
    scores = sorted(out.glob("cells/*/scores.csv"))[0]
    scores.write_text(scores.read_text().replace("0.", "0.9", 1))
    result = segrisk("study", "run", finished[0] / "study.yaml", "--out", out)
    assert "damaged, run again: molar fold" in result.stdout
    final = (out / "report" / "scores.csv").read_bytes()
    assert final == (finished[0] / "out" / "report" / "scores.csv").read_bytes()


def test_exported_cells_carry_the_report_and_are_continued_from(finished, segrisk, tmp_path):
    folder, _ = finished
    kept = tmp_path / "kept"
    segrisk("study", "export", "--out", folder / "out", "--to", kept)
    assert not list(kept.rglob("*.pt")) and not list(kept.rglob("images.bin"))
    report = segrisk("study", "report", "--out", kept)
    assert report.returncode == 0, report.stderr
    result = segrisk(
        "study", "run", folder / "study.yaml", "--out", tmp_path / "out", "--reuse", kept
    )
    assert "6 of 6 cells need no training" in result.stdout
    expected = (folder / "out" / "report" / "scores.csv").read_bytes()
    for place in (kept, tmp_path / "out"):
        assert (place / "report" / "scores.csv").read_bytes() == expected


def test_another_study_takes_over_the_shared_starts_and_no_scores(finished, segrisk, tmp_path):
    file = tmp_path / "study.yaml"
    slow = {**TINY["schedule"], "loss": {"learning_rate": 1e-5, "max_epochs": 1}}
    file.write_text(yaml.safe_dump({**TINY, "name": "slow", "schedule": slow}))
    result = segrisk(
        "study", "run", file, "--out", tmp_path / "out", "--reuse", finished[0] / "out"
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert ": 2 cells" in result.stdout  # one start per fold
    assert "2 of 6 cells need no training, 4 do" in result.stdout


def test_losses_that_began_elsewhere_are_run_again_with_their_start(segrisk, finished, tmp_path):
    # As if trained on another type of processor, where the starts come to other weights.
    kept, out, file = tmp_path / "kept", tmp_path / "out", tmp_path / "study.yaml"
    segrisk("study", "export", "--out", finished[0] / "out", "--to", kept)
    for path in [*kept.glob("cells/*/manifest.json"), *kept.glob("cells/*/cell.json")]:
        content = json.loads(path.read_text())
        is_start = "scores.csv" not in content and not (path.parent / "scores.csv").exists()
        if path.name == "manifest.json" and is_start:
            content["weights.pt"] = "elsewhere"
        if "began_from" in content:
            content["began_from"] = "elsewhere"
        path.write_text(json.dumps(content))
    for path in kept.glob("cells/*/cell.json"):
        manifest = json.loads((path.parent / "manifest.json").read_text())
        manifest["cell.json"] = file_digest(path)
        (path.parent / "manifest.json").write_text(json.dumps(manifest))
    file.write_text(yaml.safe_dump({**TINY, "losses": [*TINY["losses"], "soft_jaccard"]}))
    result = segrisk("study", "run", file, "--out", out, "--reuse", kept)
    assert "4 of 8 cells need no training, 4 do" in result.stdout
    again = re.findall(r"run again  (.*): its start came out otherwise here", result.stdout)
    assert len(again) == 4 and all("cross_entropy" in t or "soft_dice" in t for t in again)
    rows = (out / "report" / "scores.csv").read_text().splitlines()
    assert set((finished[0] / "out" / "report" / "scores.csv").read_text().splitlines()) < set(rows)


def test_tasks_that_differ_in_the_second_phase_share_their_starts_and_train_each_once(tmp_path):
    molar = TINY["tasks"]["molar"]
    tasks = {
        name: {**molar, "schedule": {"loss": {"learning_rate": rate}}}
        for name, rate in (("slow", 0.001), ("fast", 0.1))
    }
    study = validate(Study, {**TINY, "tasks": tasks}, "study.yaml")
    cells = plan(study, prepare_tasks(study, tmp_path))
    starts = [cell.key for cell in cells if cell.kind == "start"]
    assert len(starts) == 4 and len(set(starts)) == 2  # two folds of two tasks
    missing = Store(tmp_path).missing(cells)
    assert len({cell.key for cell in missing}) == len(missing) == 2 + 8
    assert missing[0].kind == "start"


def test_a_sum_of_losses_is_a_loss_of_a_study():
    text = "weighted_cross_entropy + 0.5*soft_dice"
    choice = LossChoice.model_validate(
        {"name": "sum", "loss": text, "parameters": {"pool": "batch"}}
    )
    assert (choice.label, choice.family, choice.source()) == ("wCE + 0.5 sDice", "other", None)
    weighted, soft = choice.build(prior=0.2).losses
    assert weighted.prior == (0.2,) and soft.reduction.pool == ("batch",)
    pixel = LossChoice.model_validate({"name": "sum", "loss": "cross_entropy + focal"})
    assert pixel.family == "other" and pixel.build(prior=0.2).label == "CE + focal"
    with pytest.raises(ValueError, match=r"unknown loss .soft_dise.*soft_dice"):
        LossChoice.model_validate({"name": "sum", "loss": "cross_entropy + soft_dise"})


def test_an_export_does_not_say_where_the_data_lies(tmp_path):
    store = Store(tmp_path / "out")
    store.root.mkdir()
    vgg, unet = {"weights": "/home/anna/vgg16-397923af.pth"}, {"name": "unet"}
    tasks = {
        "polyps": {"folder": "/home/anna/polyps", "network": vgg},
        "molar": {"folder": None, "network": unet},
    }
    study = {"tasks": tasks, "network": unet}
    write_json(store.root / "study.json", {"study": study, "cells": []})
    export(store, tmp_path / "kept")
    kept = json.loads((tmp_path / "kept" / "study.json").read_text())
    assert kept["study"]["tasks"] == {
        "polyps": {"folder": "polyps", "network": {"weights": "vgg16-397923af.pth"}},
        "molar": {"folder": None, "network": unet},
    }


def test_killed_at_several_points_the_same_command_ends_with_the_same_bytes(finished, tmp_path):
    folder, _ = finished
    out = tmp_path / "out"
    arguments = command("study", "run", folder / "study.yaml", "--out", out, "--workers", "1")

    def count(pattern):
        return len(list(out.glob(pattern)))

    points = [
        lambda: count("data/.preparing") > 0,
        lambda: count("cells/*.partial/checkpoint.pt") > 0,
        lambda: count("cells/*/manifest.json") >= 1 and count("cells/*.partial") > 0,
        lambda: count("cells/*/manifest.json") >= 3 and count("cells/*.partial/checkpoint.pt") > 0,
        lambda: count("cells/*/scores.csv") >= 4,
    ]
    killed = 0
    for reached in points:
        process = subprocess.Popen(
            arguments,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        killed += kill_when(process, reached)
    assert killed >= 4
    last = subprocess.run(arguments, env=environment(), capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    for name in ("scores.csv", "scores_by_validation_dice.csv", "tests.csv"):
        expected = (folder / "out" / "report" / name).read_bytes()
        assert (out / "report" / name).read_bytes() == expected


def test_what_a_kill_left_in_a_write_is_no_part_of_the_cell(tmp_path):
    store = Store(tmp_path)
    folder = store.begin("key")
    (folder / "scores.csv").write_text("x")
    (folder / ".checkpoint.pt.123.tmp").write_bytes(b"half")
    store.commit("key")
    manifest = json.loads((store.finished("key") / "manifest.json").read_text())
    assert list(manifest) == ["scores.csv"]
    assert not list(store.finished("key").glob(".*.tmp"))


def test_a_killed_parent_leaves_no_worker_behind(segrisk, tmp_path):
    out = tmp_path / "out"
    slow = {**TINY, "schedule": {"cross_entropy": {"max_epochs": 10_000, "stop_after": 9_999}}}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(slow))
    process = subprocess.Popen(
        command("study", "run", file, "--out", out),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert kill_when(
        process, lambda: list(out.glob("cells/*/checkpoint.pt")) and Store(out).is_busy()
    )
    time.sleep(1.0)
    assert not Store(out).is_busy()
    assert re.search(
        "0 of 6 cells done, [12] interrupted", segrisk("study", "status", "--out", out).stdout
    )
    checkpoint = next(out.glob("cells/*/checkpoint.pt"))
    before = checkpoint.stat().st_mtime_ns
    time.sleep(1.5)
    assert checkpoint.stat().st_mtime_ns == before


def test_a_killed_worker_s_cell_is_run_again(finished, tmp_path):
    folder, _ = finished
    out = tmp_path / "out"
    process = subprocess.Popen(
        command("study", "run", folder / "study.yaml", "--out", out, "--workers", "1"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not list(out.glob("cells/*.partial/checkpoint.pt")):
        time.sleep(0.002)
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid), "-f", "spawn_main"], capture_output=True, text=True
    )
    os.kill(int(children.stdout.split()[-1]), signal.SIGKILL)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    final = (out / "report" / "scores.csv").read_bytes()
    assert final == (folder / "out" / "report" / "scores.csv").read_bytes()


@pytest.mark.parametrize("family", ["metric", None])
def test_a_study_may_bring_its_own_loss(segrisk, tmp_path, write, family):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Balanced(nn.Module):\n"
        "    def __init__(self, prior, power=1.0):\n"
        "        super().__init__()\n"
        "        self.power, self.prior = power, prior\n"
        "    def forward(self, logits, target):\n"
        "        assert 0.05 < self.prior < 0.25  # of the training part, not a default\n"
        "        return ((logits.sigmoid() - target).abs() ** self.power).mean()\n"
        "def plain(logits, target):\n"
        "    return ((logits.sigmoid() - target) ** 2).mean()\n"
    )
    balanced = {"name": "mine", "loss": "mine:Balanced", "parameters": {"power": 2.0}}
    if family:
        balanced["family"] = family
    file = write(losses=[balanced, {"name": "square", "loss": "mine:plain"}], folds=2)
    result = segrisk("study", "run", file, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stdout + result.stderr
    record = json.loads((tmp_path / "out" / "study.json").read_text())
    families = {loss["name"]: loss["family"] for loss in record["study"]["losses"]}
    assert families == {"mine": family or "other", "square": "other"}


def test_a_failing_loss_is_named_and_the_others_go_on(segrisk, tmp_path, write):
    (tmp_path / "broken.py").write_text("def boom(logits, target):\n    raise RuntimeError('no')\n")
    file = write(losses=["cross_entropy", {"name": "boom", "loss": "broken:boom"}])
    result = segrisk("study", "run", file, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "failed  molar fold 0 seed 0 boom: RuntimeError: no" in result.stdout
    assert "molar is left out: 2 of its trainings are not finished" in result.stdout
    status = segrisk("study", "status", "--out", tmp_path / "out")
    assert "4 of 6 cells done, 0 running, 2 failed, 0 left" in status.stdout
