"""Decision rules as arms of a study: fitted on validation cases, scored on held-out ones."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from lightning_fabric import Fabric

from segrisk.configuration import ConfigurationError
from segrisk.data.prepare import load_prepared
from segrisk.decision import TunedThreshold, tally
from segrisk.losses import LovaszJaccard, SoftJaccard
from segrisk.networks import UNet
from segrisk.scores import read_scores
from segrisk.similarity import Confusion, dice, jaccard
from segrisk.study.plan import restore
from segrisk.study.reading import load_study
from segrisk.study.store import Store
from segrisk.training import checkpoint
from segrisk.training.predict import predict
from tiny_study import TINY

DECISIONS = ["tuned", {"name": "tuned-jaccard", "rule": "tuned", "metric": "jaccard"}, "exact"]


@pytest.fixture(scope="module")
def decided(segrisk, tmp_path_factory):
    """The tiny study with decisions, run once."""
    folder = tmp_path_factory.mktemp("decided")
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump({**TINY, "decisions": DECISIONS}, sort_keys=False))
    result = segrisk("study", "run", file, "--out", folder / "out")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, result.stdout


def cells(out):
    store = Store(out)
    return restore(store.read(), store.data)


def test_trainings_begin_at_the_prior_of_their_training_part(decided):
    folder, _ = decided
    starts = [cell for cell in cells(folder / "out") if cell.kind == "start"]
    assert starts
    for cell in starts:
        task, store = load_prepared(cell.data), Store(folder / "out")
        p = np.mean([task.targets[index].mean() for index in cell.split.train])
        entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)  # what p everywhere costs
        with (store.finished(cell.key) / "curve.csv").open() as file:
            first = next(csv.DictReader(file))
        assert first["epoch"] == "0"
        assert float(first["validation_loss"]) == pytest.approx(entropy, abs=0.1)


def probabilities(out, cell, part):
    """Each case of a part with its probabilities, predicted anew from the stored weights."""
    task = load_prepared(cell.data)
    network = UNet(channels=(4, 8)).build(dimensions=2, channels=task.channels)
    weights = checkpoint.load(Store(out).finished(cell.start) / "weights.pt")
    network.load_state_dict(weights)
    fabric = Fabric(accelerator="cpu", devices=1)
    for index, logits in predict(fabric, network, task.images, part, 4):
        yield index, torch.sigmoid(logits[0]).numpy(), np.asarray(task.mask(index))


def test_tuned_is_for_every_loss_and_exact_for_cross_entropy_alone(decided):
    found = {cell.model for cell in cells(decided[0] / "out") if cell.kind == "decision"}
    losses, tuned = ("cross_entropy", "soft_dice"), ("tuned", "tuned-jaccard")
    expected = {f"{loss} + {rule}" for loss in losses for rule in tuned}
    assert found == expected | {"cross_entropy + exact"}


def test_a_rule_is_fitted_on_the_cell_s_own_validation_part(decided):
    out = decided[0] / "out"
    for cell in cells(out):
        if cell.kind == "decision" and cell.decision.rule == "tuned":
            similarity = {"dice": dice, "jaccard": jaccard}[cell.decision.metric]
            tallies = [tally(p, y) for _, p, y in probabilities(out, cell, cell.split.validation)]
            stored = json.loads((Store(out).finished(cell.key) / "rule.json").read_text())
            assert stored["value"] == TunedThreshold(similarity).fit(tallies).value


def test_scores_are_those_of_the_rule_on_held_out_cases(decided):
    out = decided[0] / "out"
    for cell in cells(out):
        if cell.kind == "decision" and cell.decision.rule == "tuned":
            store = Store(out).finished(cell.key)
            threshold = json.loads((store / "rule.json").read_text())["value"]
            found = {
                s.case: s.value for s in read_scores(store / "scores.csv") if s.metric == "dice"
            }
            task = load_prepared(cell.data)
            assert len(found) == len(cell.split.test)
            for index, p, y in probabilities(out, cell, cell.split.test):
                mask = p > threshold
                expected = 2 * (mask & y).sum() / max(mask.sum() + y.sum(), 1)
                assert found[task.entries[index].id] == pytest.approx(expected, abs=1e-12)


def test_table_1_has_a_second_block_and_every_contrast_is_exported(decided):
    out, output = decided[0] / "out", decided[1]
    assert "second block" in output and "molar, tuned for dice" in output
    assert "–" in (out / "report/table1.md").read_text()
    with (out / "report/decisions.csv").open() as file:
        rows = list(csv.DictReader(file))
    gains = [row for row in rows if row["question"] == "what the decision adds"]
    assert len(gains) == 2 * 5 and all(row["closed"] == "" for row in gains)
    page = (out / "report/report.html").read_text()
    assert "Loss or decision?" in page and "(sDice) − (CE, exact dice)" in page
    assert len(read_scores(out / "report/scores_by_decision.csv")) == 5 * 2 * 12


def test_one_more_rule_runs_only_itself(decided, segrisk, tmp_path):
    out, file = tmp_path / "out", tmp_path / "study.yaml"
    shutil.copytree(decided[0] / "out", out)
    more = {**TINY, "decisions": [*DECISIONS, "half-dice"]}
    file.write_text(yaml.safe_dump(more, sort_keys=False))
    result = segrisk("study", "run", file, "--out", out)
    assert "16 of 18 cells need no training, 2 do" in result.stdout, result.stderr
    assert "half of D*" in (out / "report/table1.md").read_text().replace("\\", "")


def test_a_rule_needs_the_weights_that_an_export_leaves_out(decided, segrisk, tmp_path):
    kept, out, file = tmp_path / "kept", tmp_path / "out", tmp_path / "study.yaml"
    segrisk("study", "export", "--out", decided[0] / "out", "--to", kept)
    file.write_text(yaml.safe_dump({**TINY, "decisions": ["tuned"]}, sort_keys=False))
    result = segrisk("study", "run", file, "--out", out, "--reuse", kept)
    assert "10 of 10 cells need no training, 0 do" in result.stdout, result.stderr
    file.write_text(yaml.safe_dump({**TINY, "decisions": ["half-dice"]}, sort_keys=False))
    result = segrisk("study", "run", file, "--out", out)
    # Two decisions, the two losses that they stand on, and the starts of those.
    assert "2 of 8 cells need no training, 6 do" in result.stdout, result.stderr


def test_a_rule_that_cannot_be_fitted_is_named_and_its_task_still_reported(
    segrisk, tmp_path, write
):
    # Every mask has foreground, so presence cannot be fitted.
    file = write(decisions=["hurdle", "tuned"])
    result = segrisk("study", "run", file, "--out", tmp_path / "out")
    assert result.returncode == 1
    text = " ".join(result.stdout.split())
    assert "so the probability of presence cannot be fitted" in text
    assert "cross_entropy + hurdle on molar is left out" in text
    assert "molar, tuned for dice" in text


@pytest.mark.parametrize(
    ("decisions", "text"),
    [
        (["tuend"], "unknown rule 'tuend'; did you mean 'tuned'"),
        (["tuned", "tuned"], "'tuned' stands twice"),
        ([{"rule": "tuned"}], "a decision is the name of a rule, or a mapping with a `name`"),
        ([{"name": "a", "rule": "tuned", "losses": ["soft_dcie"]}], "did you mean 'soft_dice'"),
        ([{"name": "a", "rule": "tuned", "metric": "hd95"}], "metric"),
    ],
)
def test_a_decision_that_cannot_be_is_refused(write, decisions, text):
    with pytest.raises(ConfigurationError) as caught:
        load_study(write(decisions=decisions))
    assert text in str(caught.value)


def test_a_rule_for_cross_entropy_needs_it_or_names_its_losses(write):
    with pytest.raises(ConfigurationError, match="reads p as a probability"):
        load_study(write(losses=["soft_dice"], decisions=["exact"]))
    named = {"name": "exact", "losses": ["soft_dice"]}
    assert load_study(write(losses=["soft_dice"], decisions=[named])).decisions[0].rule == "exact"


def test_surrogates_are_recorded_beside_the_risks_at_the_network_s_size(decided):
    out = decided[0] / "out"
    for cell in cells(out):
        if cell.kind == "decision" and cell.decision.rule == "exact":
            task = load_prepared(cell.data)
            stored = read_scores(Store(out).finished(cell.start) / "surrogates.csv")
            found = {(s.case, s.metric): s.value for s in stored}
            assert len(found) == 6 * len(cell.split.test)
            for index, p, _ in probabilities(out, cell, cell.split.test):
                case, y = task.entries[index].id, task.targets[index][0].astype(bool)
                logits = torch.logit(torch.from_numpy(p).double())[None, None]
                target = torch.from_numpy(y)[None]
                for name, loss in (
                    ("soft_jaccard", SoftJaccard()),
                    ("lovasz_sigmoid", LovaszJaccard()),
                ):
                    assert found[case, name] == pytest.approx(float(loss(logits, target)), abs=1e-4)
                mask = p > 0.5
                masses = Confusion((mask & y).sum(), (mask & ~y).sum(), (~mask & y).sum(), 0)
                assert found[case, "1 - jaccard"] == pytest.approx(1 - float(jaccard(masses)))
    assert "Surrogates beside what they stand for" in (out / "report/report.html").read_text()
