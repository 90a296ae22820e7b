"""Ignored voxels and soft labels in training: in losses, patches, augmentation and validation."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from segrisk.losses import LOSSES, CrossEntropy, SoftDice
from segrisk.networks import UNet
from segrisk.training.augment import apply, draw, together
from segrisk.training.config import Augmentation, Patches, Phase
from segrisk.training.examples import Examples, PatchExamples
from segrisk.training.fit import Training, fit
from segrisk.training.labels import cost, masses, split
from segrisk.training.patches import corner

FABRIC = Fabric(accelerator="cpu", devices=1)
STILL = Augmentation(noise=0, shift=0, rotate_degrees=0, flip=())
PATCHES = Patches(size=(8, 8))


def built(name: str):
    return LOSSES[name](**({"prior": 0.3} if name == "weighted_cross_entropy" else {}))


def drawn(count=12, side=16):
    """Images, targets, and what is ignored of them: a band of every image, a few whole rows."""
    generator = np.random.default_rng(0)
    targets = np.zeros((count, 1, side, side), np.uint8)
    targets[:, :, 4:10, 5:12] = 1
    images = generator.standard_normal(targets.shape, dtype=np.float32) + 2 * targets
    ignored = np.zeros(targets.shape, bool)
    ignored[..., 8:11, :] = True
    return images, targets, ignored


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_the_voxels_that_count(name):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 1, 6, 5, generator=generator, requires_grad=True)
    y = (torch.rand(3, 1, 6, 5, generator=generator) < 0.4).float()
    ignored = torch.zeros_like(y)
    ignored[:, :, 3:] = 1
    value = cost(built(name), logits, torch.cat([y, ignored], 1))
    other = cost(built(name), logits, torch.cat([torch.where(ignored > 0, 1 - y, y), ignored], 1))
    alone = built(name)(logits[:, :, :3], y[:, :, :3])
    assert value.item() == other.item() == pytest.approx(alone.item(), rel=1e-6)
    value.backward()
    assert logits.grad[:, :, 3:].abs().max() == 0 < logits.grad[:, :, :3].abs().max()


@pytest.mark.parametrize("name", LOSSES)
def test_an_image_without_a_voxel_that_counts_is_a_differentiable_zero(name):
    logits = torch.randn(2, 1, 6, 5, requires_grad=True)
    targets = torch.ones(2, 2, 6, 5)
    value = cost(built(name), logits, targets)
    value.backward()
    assert value.item() == 0 and (logits.grad == 0).all()
    # Beside another image it takes no part in the mean.
    targets[1, 1] = 0
    assert cost(built(name), logits, targets).item() == pytest.approx(
        built(name)(logits[1:], targets[1:, :1]).item(), rel=1e-6
    )


def test_validation_counts_only_what_is_known():
    logits = torch.tensor([[[1.0, 1.0, -1.0, -1.0, 1.0, -1.0]]])
    y = torch.tensor([[[1.0, 0.0, 1.0, 0.0, 0.5, 0.75]]])
    assert [int(m) for m in masses(logits, y)] == [1, 2, 2, 1]
    ignored = torch.tensor([[[0.0, 1.0, 0.0, 0.0, 1.0, 0.0]]])
    assert [int(m) for m in masses(logits, torch.cat([y, ignored], 1))] == [1, 0, 2, 1]


@pytest.mark.parametrize("patches", [None, PATCHES])
@pytest.mark.parametrize("augmentation", [STILL, Augmentation()])
def test_labels_under_ignored_voxels_do_not_change_a_training(tmp_path, patches, augmentation):
    images, targets, ignored = drawn()
    curves = []
    for which, labels in enumerate((targets * ~ignored, targets | ignored)):
        # The foreground decides where patches lie; a prepared target is 0 where it is ignored.
        parts = (tuple(range(8)), tuple(range(8, 12)))
        if patches is None:
            source = Examples(images, labels, *parts, ignored)
        else:
            source = PatchExamples(images, targets * ~ignored, *parts, patches, ignored)
        torch.manual_seed(0)
        network = UNet(channels=(4, 8)).build(dimensions=2, channels=1)
        training = Training(Phase(learning_rate=0.01, max_epochs=2), augmentation, 4, seed=1)
        path = tmp_path / f"{which}.pt"
        state = fit(FABRIC, network, SoftDice(), source, training, checkpoint_path=path)
        curves.append([(e.train_loss, e.validation_loss, e.validation_dice) for e in state.curve])
    assert repr(curves[0]) == repr(curves[1])  # the first epoch has no training loss: NaN


def test_an_ignored_voxel_moves_with_its_image_and_nothing_comes_in_ignored():
    images, targets, ignored = drawn(4)
    images = ignored.astype(np.float32)  # what is ignored can be seen
    source = Examples(images, targets, (0, 1, 2, 3), (), ignored)
    turning = Augmentation(noise=0, shift=0.3, rotate_degrees=0, flip=(0, 1))
    image, target, draws = source.batch([0, 1, 2, 3], turning, seed=0, epoch=1)
    moved, changed = apply(together(draws), image, target)
    _, known = split(changed)
    assert ((moved > 0.5) != known).float().mean() > 0.95
    away = draw(Augmentation(shift=0.9, noise=0), (1, 16, 16), seed=0, epoch=0, case=0)
    away.matrix[:, -1] = 3.0
    _, changed = apply(together([away]), image[:1], torch.ones(1, 2, 16, 16))
    assert split(changed)[1].all() and not changed[:, 0].any()


def test_a_patch_holds_a_voxel_that_counts():
    target = np.zeros((1, 40, 40), np.uint8)
    ignored = np.ones((1, 40, 40), bool)
    ignored[0, 30:33, 5:7] = False
    for share in (0, 1):
        patches = Patches(size=(8, 8), foreground_share=share)
        for item in range(20):
            start = corner(patches, target, ignored, seed=0, epoch=0, item=item)
            inside = tuple(slice(first, first + 8) for first in start)
            assert not ignored[0, *inside].all()
    whole = np.ones_like(ignored)
    assert len(corner(patches, target, whole, seed=0, epoch=0, item=0)) == 2
    plain = corner(PATCHES, target, seed=0, epoch=0, item=3)
    assert corner(PATCHES, target, np.zeros_like(ignored), seed=0, epoch=0, item=3) == plain


def test_what_is_beyond_a_case_is_known_background():
    images, targets, ignored = (array[:1, :, :5, :5] for array in drawn(1))
    source = PatchExamples(images, targets, (0,), (), PATCHES, np.ones_like(ignored))
    _, target, _ = source.batch([0], STILL, seed=0, epoch=0)
    assert target.shape == (1, 2, 8, 8) and target[0, 1].sum() == 25


def test_soft_labels_train_to_the_share_and_windows_take_them(tmp_path):
    images, targets, _ = drawn()
    soft = (targets * np.float32(0.5)).astype(np.float32)
    soft[:, :, 6:8, 6:9] = 1
    source = PatchExamples(images, soft, tuple(range(8)), tuple(range(8, 12)), PATCHES)
    torch.manual_seed(0)
    network = UNet(channels=(4, 8)).build(dimensions=2, channels=1)
    training = Training(Phase(learning_rate=0.02, max_epochs=4), STILL, 4, seed=1)
    path = tmp_path / "c.pt"
    state = fit(FABRIC, network, CrossEntropy(), source, training, checkpoint_path=path)
    # The least cross-entropy of a label of one half is log 2 of it, not 0.
    least = float(np.mean((soft == 0.5) * np.log(2)))
    assert state.curve[0].validation_loss > state.curve[-1].validation_loss > least
    (image, target, _) = source.batch([0], STILL, seed=0, epoch=0)
    assert image.dtype == target.dtype == torch.float32 and set(target.unique().tolist()) <= {
        0,
        0.5,
        1,
    }
