"""Whole studies of labels that are not plain: ignored voxels, and several raters."""

import csv
import io
import json
import shutil
import sys

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import image_trees as trees
from segrisk.commands import app
from segrisk.configuration import ConfigurationError
from segrisk.data.errors import DataError
from segrisk.data.prepare import load_prepared
from segrisk.decision.rules import Threshold
from segrisk.scores import read_scores
from segrisk.similarity import confusion, dice
from segrisk.study import worker
from segrisk.study.config import Study
from segrisk.study.plan import prepare_tasks, restore
from segrisk.study.reading import load_study
from segrisk.study.run import predict_study, report_study, run_study
from tiny_study import TINY

IGNORE = 200
SIDE = 24


def noisy(label: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(60, 25, label.shape)
    return (noise + 120 * (label == 255)).clip(0, 255).astype(np.uint8)


def sparse(root, count=8):
    """Pictures of which a third is not annotated; what is drawn there must not matter."""
    for index in range(count):
        label = np.zeros((SIDE, SIDE), np.uint8)
        label[6 : 14 + index % 3, 5:15] = 255
        image = noisy(label, index)
        label[:, 16 + index % 2 :] = IGNORE
        trees.picture(root / f"images/c{index}.png", image)
        trees.picture(root / f"labels/c{index}.png", label)
    return root


def rated(root, count=8):
    """Pictures that three raters drew, each wider than the one before."""
    for index in range(count):
        folder = root / f"case{index:02d}"
        for rater in range(3):
            label = np.zeros((SIDE, SIDE), np.uint8)
            label[6 : 14 + index % 3, 5 : 12 + 2 * rater] = 255
            trees.picture(folder / f"task01_seg{rater + 1:02d}.png", label)
        trees.picture(folder / "image.png", noisy(label, index))
    return root


def study(folder, task, **changes) -> dict:
    return {**TINY, "tasks": {"t": {"folder": str(folder), **task}}, **changes}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One study of both kinds of labels, of whole images and of patches, and what it predicts."""
    folder = tmp_path_factory.mktemp("labels")
    both = {
        "sparse": {"folder": str(sparse(folder / "sparse")), "ignore": IGNORE},
        "rated": {"folder": str(rated(folder / "rated")), "train_on": "raters"},
    }
    tasks = {}
    for name, task in both.items():
        tasks[f"{name}_whole"] = {**task, "size": [16, 16]}
        tasks[f"{name}_parts"] = {**task, "patch": [8, 8]}
    content = {**TINY, "tasks": tasks, "decisions": ["half-dice"]}
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    console = Console(file=io.StringIO())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        assert run_study(file, folder / "out", console=console, workers=1)
    predict_study(folder / "out", folder / "masks", False, console)
    return folder


def prepared(folder, task):
    record = json.loads((folder / "out/study.json").read_text())
    key = next(cell["data"] for cell in record["cells"] if cell["task"] == task)
    return load_prepared(folder / "out/data" / key)


def read(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def by_hand(folder) -> dict:
    """The Dice score of every mask that was written, where the reference is known."""
    found = {}
    with (folder / "masks/manifest.csv").open() as file:
        for row in csv.DictReader(file):
            reference = read(folder / "masks" / row["reference"])
            known = reference != 128
            for model in [name for name in row if name not in
                          ("task", "case", "group", "fold", "seed", "reference")]:  # fmt: skip
                mask = read(folder / "masks" / row[model]) > 0
                pair = confusion(mask[known], (reference == 255)[known])
                found[row["task"], model, row["case"]] = float(dice(pair))
    return found


def recorded(folder) -> dict:
    scores = read_scores(folder / "out/report/scores.csv")
    return {(s.task, s.model, s.case): s.value for s in scores if s.metric == "dice"}


def test_every_score_is_that_of_the_written_masks_where_the_label_is_known(done):
    assert by_hand(done) == pytest.approx(recorded(done), abs=1e-12)
    assert len(recorded(done)) == 4 * 2 * 8


def test_ignored_voxels_count_in_no_score_nor_size(done):
    label = read(done / "sparse/labels/c0.png")
    written = read(done / "masks/sparse_whole/labels/c0.png")
    np.testing.assert_array_equal(written == 128, label == IGNORE)
    assert prepared(done, "sparse_parts").ignores
    for entry in prepared(done, "sparse_whole").entries:
        label = read(done / f"sparse/labels/{entry.id}.png")
        known = label != IGNORE
        assert entry.fraction == (label == 255).sum() / known.sum()
        assert entry.ignored == (~known).sum()


@pytest.mark.parametrize("name", ["sparse_whole", "rated_parts"])
def test_surrogates_and_priors_are_those_of_the_known_reference(done, monkeypatch, name):
    cells = restore(json.loads((done / "out/study.json").read_text()), done / "out/data")
    cell = next(cell for cell in cells if cell.task == name and cell.kind == "loss")
    task = prepared(done, name)
    work = worker.Work(cell, None, done / "out", 1, "32-true", "cpu")
    generator = torch.Generator().manual_seed(0)
    logits = {i: torch.randn(task.targets[i].shape, generator=generator) for i in cell.split.test}
    monkeypatch.setattr(worker, "_logits", lambda *_: logits.items())
    for index, values in worker._surrogates(work, None, None):
        x, y = logits[index].numpy(), np.asarray(task.targets[index]) > 0.5
        known = np.ones(y.shape, bool) if task.ignored is None else ~task.ignored[index]
        x, y = x[known].astype(float), y[known]
        assert values["1 - dice"] == pytest.approx(
            1 - 2 * (y & (x > 0)).sum() / (y.sum() + (x > 0).sum())
        )
        entropy = np.where(y, np.log1p(np.exp(-x)), np.log1p(np.exp(x))).mean()
        assert values["cross_entropy"] == pytest.approx(entropy, rel=1e-6)
    shares = []
    for index in cell.split.train:
        known = slice(None) if task.ignored is None else ~task.ignored[index]
        shares.append(np.asarray(task.targets[index], float)[known].mean())
    assert worker._prior(cell, task) == pytest.approx(np.mean(shares), rel=1e-9)


def test_a_rule_is_fitted_on_what_is_known(done, monkeypatch):
    cells = restore(json.loads((done / "out/study.json").read_text()), done / "out/data")
    cell = next(c for c in cells if c.task == "sparse_whole" and c.kind == "decision")
    task = prepared(done, "sparse_whole")
    seen = []

    class Rule:
        def fit(self, cases):
            seen.extend(cases)
            return Threshold(0.5)

    def maps(work, fabric, network, part, at):
        for index in part:
            # Wherever the label is unknown, p is 0.9: it must reach no rule and no score.
            reference, known = np.asarray(task.mask(index)), task.known(index)
            yield index, np.where(known, np.where(reference, 0.8, 0.2), 0.9)

    monkeypatch.setattr(worker, "_maps", maps)
    monkeypatch.setattr(worker, "_network", lambda *_: None)
    monkeypatch.setattr(type(cell.decision), "build", lambda self: Rule())
    folder = done / "out" / "again"
    folder.mkdir()
    worker._decide(worker.Work(cell, None, done / "out", 1, "32-true", "cpu"), folder)
    assert {score.value for score in read_scores(folder / "scores.csv")} == {1.0}
    for (p, reference), index in zip(seen, cell.split.validation, strict=True):
        assert p.size == reference.size == task.known(index).sum() and 0.9 not in p


def test_the_report_says_what_the_labels_are_and_shows_them(done):
    page = done / "out/report/report.html"
    text = page.read_text()
    assert "sparse_whole: 8 of 8 cases have voxels whose label is ignored, 31.2% of all" in text
    assert "rated_whole: trained on the share of raters, scored against what most of them" in text
    report_study(done / "out", Console(file=io.StringIO()), done / "masks")
    assert 'class="view"' in page.read_text()


def test_compare_gives_the_same_scores_from_the_files(done, tmp_path):
    masks = done / "masks/sparse_whole"
    models = [f"--model={name}={masks / name}" for name in TINY["losses"]]
    asked = ["--labels", "255,128", "--ignore", "128", "--out", str(tmp_path)]
    result = CliRunner().invoke(
        app, ["compare", "--reference", str(masks / "labels"), *models, *asked]
    )
    assert result.exit_code == 0, result.output
    found = [s for s in read_scores(tmp_path / "scores.csv") if s.metric == "dice"]
    assert len(found) == 16
    for score in found:
        expected = recorded(done)["sparse_whole", score.model, score.case]
        assert score.value == pytest.approx(expected, abs=1e-12)


def test_raters_train_softly_and_their_majority_is_the_reference(done):
    task = prepared(done, "rated_parts")
    shares = np.unique(np.concatenate([np.unique(task.targets[index]) for index in range(8)]))
    np.testing.assert_allclose(shares, [0, 1 / 3, 2 / 3, 1], atol=1e-6)
    second = read(done / "rated/case00/task01_seg02.png") > 0
    np.testing.assert_array_equal(read(done / "masks/rated_whole/labels/case00.png") > 0, second)
    record = json.loads((done / "out/study.json").read_text())["study"]
    assert record["tasks"]["rated_whole"]["train_on"] == "raters"
    assert record["tasks"]["rated_whole"]["reference"] == "majority"


def test_labels_under_the_ignored_voxels_are_nothing_to_a_study(tmp_path):
    # Another label there (the foreground's) is another file: what is ignored must be what differs.
    root = sparse(tmp_path / "a")
    plain = Study.model_validate(study(root, {"size": [16, 16], "ignore": IGNORE}))
    one = prepare_tasks(plain, tmp_path / "1")["t"]
    for path in sparse(tmp_path / "b").glob("labels/*.png"):
        label = read(path).copy()
        label[label == IGNORE] = 7
        trees.picture(path, label)
    changed = Study.model_validate(study(tmp_path / "b", {"size": [16, 16], "ignore": 7}))
    assert prepare_tasks(changed, tmp_path / "2")["t"].key == one.key


# Bad input


def refused(tmp_path, content, text):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(ConfigurationError, match=text):
        load_study(file)


def test_losses_that_take_no_soft_labels_are_named_before_anything_is_read(tmp_path):
    task = {"size": [16, 16], "train_on": "raters"}

    def check(loss, text):
        refused(tmp_path, study("nowhere", task, losses=["cross_entropy", loss]), text)

    check("lovasz_sigmoid", "'tasks.t.train_on': loss 'lovasz_sigmoid' takes no soft labels .*"
          "train on what most raters marked")  # fmt: skip
    check({"name": "both", "loss": "soft_dice + lovasz_sigmoid"}, "loss 'both' takes no soft")
    product = {"name": "mine", "loss": "soft_dice", "parameters": {"relaxation": "product"}}
    check(product, "loss 'mine' with relaxation 'product' is not least where")
    check({**product, "loss": "cross_entropy + soft_dice"}, "loss 'mine' with relaxation 'product'")
    file = tmp_path / "study.yaml"
    good = ["cross_entropy", "weighted_cross_entropy", "soft_dice", "soft_jaccard"]
    file.write_text(yaml.safe_dump(study("nowhere", task, losses=good)))
    assert load_study(file).tasks["t"].is_soft


def test_losses_that_cannot_leave_voxels_out_are_named(tmp_path, monkeypatch):
    (tmp_path / "my_losses.py").write_text(
        "def plain(logits, target):\n"
        "    return ((logits.sigmoid() - target) ** 2).mean()\n"
        "def deaf(logits, target, mask=None):\n"
        "    return plain(logits, target)\n"
        "def good(logits, target, mask=None):\n"
        "    error = (logits.sigmoid() - target) ** 2\n"
        "    return error.mean() if mask is None else (error * mask).sum() / mask.sum()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    root = sparse(tmp_path / "data")

    def prepared_with(text):
        loss = {"name": "mine", "loss": text}
        content = study(root, {"size": [16, 16], "ignore": IGNORE}, losses=["soft_dice", loss])
        return prepare_tasks(Study.model_validate(content), tmp_path / "out")

    with pytest.raises(ConfigurationError, match=r"loss 'mine' cannot leave them out .*`mask`"):
        prepared_with("my_losses:plain")
    with pytest.raises(ConfigurationError, match="loss 'mine' changes with the labels under"):
        prepared_with("my_losses:deaf")
    with pytest.raises(ConfigurationError, match="hands it to no part of a sum that is not"):
        prepared_with("soft_dice + my_losses:good")
    assert prepared_with("my_losses:good")["t"].ignores
    # Where nothing is ignored, no loss is asked for a mask.
    for path in root.glob("labels/*.png"):
        trees.picture(path, np.where(read(path) == 255, 255, 0).astype(np.uint8))
    content = study(root, {"size": [16, 16]}, losses=[{"name": "m", "loss": "my_losses:plain"}])
    assert not prepare_tasks(Study.model_validate(content), tmp_path / "out")["t"].ignores


def test_a_study_names_what_is_wrong_with_ignored_labels_and_raters(tmp_path):
    size = {"size": [16, 16]}
    raters = {**size, "train_on": "raters"}

    def fails(folder, task, text):
        content = Study.model_validate(study(folder, task, losses=["soft_dice"]))
        with pytest.raises(DataError, match=text):
            prepare_tasks(content, tmp_path / "out")

    root = sparse(tmp_path / "sparse")
    both = {**size, "ignore": IGNORE, "foreground": [255, IGNORE]}
    refused(tmp_path, study(root, both), f"'tasks.t'.* has {IGNORE}, which `ignore` leaves out")
    one = {**raters, "foreground": [255]}
    fails(root, one, "no case has masks of several raters: leave out `train_on: raters`")
    root = rated(tmp_path / "rated")
    for rater in (2, 3):
        (root / f"case03/task01_seg{rater:02d}.png").unlink()
    fails(root, raters, "case03: has the mask of one rater, and `train_on: raters` needs")
    shutil.rmtree(root / "case03")
    trees.picture(root / "case01/task01_seg02.png", np.zeros((SIDE, 9), np.uint8))
    fails(root, raters, r"case01/task01_seg02\.png: shape \(24, 9\) differs from \(24, 24\)")


def test_keys_that_are_not_set_are_not_recorded():
    task = Study.model_validate(study("x", {"size": [16, 16]})).model_dump(mode="json")["tasks"][
        "t"
    ]
    assert not {"ignore", "train_on", "reference"} & task.keys()
    phantom = {"phantom": "molar", "size": [16, 16], "ignore": 3, "train_on": "majority"}
    with pytest.raises(ValueError, match="a phantom has no ignore and no train_on"):
        Study.model_validate({**TINY, "tasks": {"a": phantom}})
