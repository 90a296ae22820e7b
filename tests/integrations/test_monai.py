"""Losses and metrics in MONAI's engines, handlers and bundles."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

pytest.importorskip("monai", reason="MONAI is not installed")

from monai.data import MetaTensor, decollate_batch
from monai.metrics import DiceMetric

from segrisk.integrations.monai import EngineLoss, OverlapMetric
from segrisk.losses import CrossEntropy, DeepSupervision, LovaszJaccard, SoftDice

ROOT = Path(__file__).resolve().parents[2]
LOSSES = [SoftDice(), LovaszJaccard(), 0.5 * CrossEntropy() + SoftDice()]


def batch(size=3, classes=3):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(size, classes, 6, 7, generator=generator)
    labels = torch.randint(0, classes, (size, 1, 6, 7), generator=generator)
    labels[0][labels[0] == 2] = 0  # a class that is absent from an image
    return logits, labels


def one_hot(labels, classes=3):
    return torch.nn.functional.one_hot(labels[:, 0], classes).movedim(-1, 1).float()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.label)
def test_a_loaders_tensors_give_the_loss_of_plain_ones(loss):
    logits, labels = batch()
    plain = logits.clone().requires_grad_()
    loss(plain, labels).backward()
    theirs = logits.clone().requires_grad_()
    value = EngineLoss(loss)(MetaTensor(theirs), MetaTensor(labels.float()))
    assert type(value) is torch.Tensor and torch.equal(value.detach(), loss(logits, labels))
    value.backward()
    assert torch.equal(theirs.grad, plain.grad)


def test_one_hot_labels_need_an_activation_and_give_the_same_loss():
    logits, labels = batch()
    loss = EngineLoss("soft_dice", activation="softmax")
    expected = float(SoftDice()(logits, labels))
    assert float(loss(logits, one_hot(labels))) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="say activation='softmax'"):
        EngineLoss(SoftDice())(logits, one_hot(labels))
    with pytest.raises(ValueError, match="give them to the loss itself"):
        EngineLoss(SoftDice(), pool="batch")


@pytest.mark.parametrize("include_background", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "mean_batch", "mean_channel", "sum", "none"])
def test_the_convention_of_monai_gives_monais_dice(reduction, include_background):
    logits, labels = batch()
    prediction = one_hot(logits.argmax(1, keepdim=True))
    options = {"include_background": include_background, "reduction": reduction}
    ours, theirs = OverlapMetric("dice", "monai", **options), DiceMetric(**options)
    for metric in (ours, theirs):
        # A decollated batch, as engines give it, and a whole one.
        metric(y_pred=decollate_batch(prediction), y=decollate_batch(one_hot(labels)))
        metric(y_pred=prediction[1:], y=one_hot(labels)[1:])
    assert torch.allclose(ours.aggregate(), theirs.aggregate(), equal_nan=True)


def test_labels_of_one_channel_are_the_same_as_one_hot():
    logits, labels = batch()
    prediction = one_hot(logits.argmax(1, keepdim=True))
    a, b = OverlapMetric("jaccard"), OverlapMetric("jaccard")
    assert torch.equal(a(prediction, labels.float()), b(prediction, one_hot(labels)))


def test_what_empty_masks_score_has_a_name():
    empty, other = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    for convention, expected in {"segrisk": [1, 0], "monai": [np.nan, np.nan]}.items():
        metric = OverlapMetric(convention=convention, reduction="none", get_not_nans=True)
        metric(y_pred=empty, y=empty)
        metric(y_pred=other, y=empty)
        values, present = metric.aggregate()
        assert np.allclose(values[:, 0], expected, equal_nan=True)
        assert present.sum() == np.isfinite(expected).sum()
        metric.reset()
        with pytest.raises(ValueError, match="nothing to aggregate"):
            metric.aggregate()


@pytest.mark.parametrize(
    "prediction, reference, message",
    [
        (torch.rand(1, 2, 3, 3), torch.zeros(1, 2, 3, 3), "other than 0 and 1: decide first"),
        (torch.ones(1, 2, 3, 3), torch.full((1, 1, 3, 3), 5.0), "none of 0 to 1, the channels"),
        (torch.ones(1, 2, 3, 3), torch.ones(1, 2, 3, 4), "y_pred has shape"),
        (torch.ones(1, 2, 3, 3), None, "y, the reference, is missing"),
        (torch.ones(2, 3), torch.ones(2, 3), r"it must be \(B, C, \*space\)"),
    ],
)
def test_what_is_no_mask_is_refused(prediction, reference, message):
    with pytest.raises(ValueError, match=message):
        OverlapMetric()(prediction, reference)


@pytest.fixture
def hippocampi(tmp_path):
    """A tiny set of the layout of the real one: a bright ball of two labels."""
    generator = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"))
    for folder in ("images", "labels_multiclass"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for case in range(4):
        centre = generator.uniform(6, 10, (3, 1, 1, 1))
        ball = ((grid - centre) ** 2).sum(0) < 20
        labels = (ball * (1 + (grid[0] > centre[0]))).astype(np.uint8)
        image = (labels + generator.normal(0, 0.1, labels.shape)).astype(np.float32)
        for array, path in (
            (image, f"images/c{case}_0000"),
            (labels, f"labels_multiclass/c{case}"),
        ):
            nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "data" / f"{path}.nii.gz")
    return tmp_path


def test_the_bundle_trains_and_scores(hippocampi):
    pytest.importorskip("ignite", reason="MONAI's engines need pytorch-ignite, not installed")
    # In a process of its own: it seeds, and logs, for all that runs beside it.
    script = ROOT / "examples" / "monai_hippocampus" / "run.py"
    options = ("cases=4", "epochs=12", "patch=[16, 16, 16]", "batch_size=3", "workers=0")
    done = subprocess.run(
        [sys.executable, str(script), hippocampi / "data", hippocampi / "out", *options],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    scores = json.loads((hippocampi / "out" / "scores.json").read_text())
    assert scores["dice"] > 0.6 and scores["jaccard"] < scores["dice"]
    assert (hippocampi / "out" / "model.pt").is_file()


def test_outputs_at_several_resolutions_go_to_deep_supervision():
    logits, labels = batch()
    outputs = [logits, logits[..., ::2, ::2]]
    loss = DeepSupervision(SoftDice())
    theirs = EngineLoss(loss)([MetaTensor(output) for output in outputs], labels.float())
    assert torch.equal(theirs, loss(outputs, labels))
    with pytest.raises(TypeError, match="wrap the loss, DeepSupervision"):
        EngineLoss(SoftDice())(outputs, labels)
    stacked = torch.stack([logits, 2 * logits], 1)  # of DynUNet, whose channels are not its outputs
    assert torch.equal(EngineLoss(loss)(stacked, labels), loss([logits, 2 * logits], labels))
    assert torch.equal(EngineLoss(loss)(logits, labels), loss([logits], labels))
    for call, target in (
        (loss, labels),
        (EngineLoss(loss), one_hot(labels)),
        (EngineLoss(loss), labels[:, 0]),
    ):
        with pytest.raises(TypeError, match="DynUNet"):
            call(stacked, target)
    with pytest.raises(ValueError, match="finest first"):
        loss(outputs[::-1], labels)
    with pytest.raises(TypeError, match="hold no output"):
        EngineLoss(loss)([], labels)


def test_a_compiled_loss_of_plain_tensors_stays_one_graph():
    logits, labels = batch()
    loss = EngineLoss("soft_dice")
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(logits, labels.float()), loss(logits, labels))


@pytest.mark.parametrize("given", [SoftDice, 3])
def test_what_is_no_loss_is_refused_when_it_is_given(given):
    with pytest.raises(TypeError, match="a loss, or its name"):
        EngineLoss(given)


def test_no_image_is_lost_between_lists():
    logits, labels = batch()
    metric = OverlapMetric()
    masks, references = list(one_hot(logits.argmax(1, keepdim=True))), list(one_hot(labels))
    with pytest.raises(ValueError, match="y_pred and y hold 3 and 2 images"):
        metric(y_pred=masks, y=references[:2])
    with pytest.raises(ValueError, match="y_pred holds no image"):
        metric(y_pred=[], y=[])
    with pytest.raises(ValueError, match=r"get one by y\[:, None\]"):
        metric(y_pred=torch.stack(masks), y=labels[:, 0])
    metric(y_pred=masks, y=references)
    with pytest.raises(ValueError, match="2 channels and had 3 before"):
        metric(y_pred=torch.stack(masks)[:, :2], y=torch.stack(references)[:, :2])
    with pytest.raises(ValueError, match="True or False, got 'false'"):
        OverlapMetric(include_background="false")
    with pytest.raises(TypeError, match="name of a similarity as text, got False"):
        OverlapMetric(False)
