"""Patches and sliding windows: functions of (seed, epoch, item), back on the grid of the case."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning_fabric import Fabric
from torch import nn

from segrisk.losses import CrossEntropy, SoftDice
from segrisk.networks import UNet
from segrisk.training.augment import Draw, apply, draw, reach, within
from segrisk.training.config import Augmentation, Patches, Phase
from segrisk.training.examples import Examples, PatchExamples
from segrisk.training.fit import Training, fit
from segrisk.training.patches import corner, read
from segrisk.training.predict import predict, slide
from tiny_study import environment

FABRIC = Fabric(accelerator="cpu", devices=1)
CPU = torch.device("cpu")
STILL = Augmentation(noise=0, shift=0, rotate_degrees=0, flip=())

spaces = st.lists(st.integers(1, 13), min_size=2, max_size=3).map(tuple)


def cases(shapes, *, channels=1):
    generator = np.random.default_rng(0)
    images, targets = [], []
    for shape in shapes:
        target = np.zeros((1, *shape), np.uint8)
        target[0, *(slice(side // 3, side // 3 + max(1, side // 3)) for side in shape)] = 1
        noise = generator.standard_normal((channels, *shape), dtype=np.float32)
        images.append(noise + 6 * target)
        targets.append(target)
    return images, targets


# Where patches are drawn


@settings(deadline=None, max_examples=150)
@given(data=st.data(), space=spaces, share=st.sampled_from([0, 0.5, 1]), item=st.integers(0, 99))
def test_a_patch_lies_inside_and_a_smaller_case_in_its_middle(data, space, share, item):
    size = data.draw(st.tuples(*[st.integers(1, 15)] * len(space)))
    patches = Patches(size=size, foreground_share=share)
    target = np.random.default_rng(item).random((1, *space)) < 0.1
    start = corner(patches, target, seed=1, epoch=2, item=item)
    assert start == corner(patches, target, seed=1, epoch=2, item=item)
    for first, side, window in zip(start, space, size, strict=True):
        if side >= window:
            assert 0 <= first <= side - window
        else:
            assert first == -((window - side) // 2)
    inside = target[0, *(slice(max(f, 0), f + w) for f, w in zip(start, size, strict=True))]
    if share == 1 and target.any():
        assert inside.any()
    patch = read(target, start, size)
    assert patch.shape == (1, *size) and patch.sum() == inside.sum()


@settings(deadline=None, max_examples=100)
@given(data=st.data(), space=spaces)
def test_what_is_read_beyond_a_case_is_zero(data, space):
    start = data.draw(st.tuples(*[st.integers(-6, side - 1) for side in space]))
    stop = data.draw(st.tuples(*[st.integers(max(f, 0) + 1, 20) for f in start]))
    size = [last - first for first, last in zip(start, stop, strict=True)]
    array = 1 + np.arange(2 * np.prod(space)).reshape(2, *space)
    found = read(array, start, size)
    assert found.shape == (2, *size)
    for place in np.ndindex(*size):
        there = tuple(f + p for f, p in zip(start, place, strict=True))
        inside = all(0 <= t < side for t, side in zip(there, space, strict=True))
        expected = array[:, *there] if inside else 0
        assert np.array_equal(found[:, *place], np.broadcast_to(expected, 2))


def test_the_share_of_patches_at_the_foreground_is_what_was_declared():
    target = np.zeros((1, 101, 101), np.uint8)
    target[0, 50, 50] = 1
    for share in (0, 1 / 3, 1):
        patches = Patches(size=(3, 3), foreground_share=share)
        hits = sum(
            corner(patches, target, seed=0, epoch=epoch, item=7) == (49, 49)
            for epoch in range(1500)
        )
        assert hits / 1500 == pytest.approx(share, abs=0.05)


def test_anywhere_means_every_place_alike():
    patches = Patches(size=(2, 2), foreground_share=0)
    target = np.ones((1, 3, 4), np.uint8)
    starts = [corner(patches, target, seed=0, epoch=e, item=0) for e in range(1800)]
    counts = {start: starts.count(start) for start in set(starts)}
    assert len(counts) == 2 * 3 and min(counts.values()) > 240


# Batches


def test_a_batch_depends_on_seed_epoch_and_case_and_on_nothing_else():
    images, targets = cases([(20, 17), (9, 30), (12, 12)])
    examples = PatchExamples(images, targets, (0, 1, 2), (), Patches(size=(8, 8)))
    together = examples.batch([0, 1, 2], Augmentation(), seed=3, epoch=4)
    alone = examples.batch([1], Augmentation(), seed=3, epoch=4)
    for whole, one in zip(together[:2], alone[:2], strict=True):
        assert torch.equal(whole[1:2], one)
    assert np.array_equal(together[2][1].matrix, alone[2][0].matrix)
    for other in ({"seed": 3, "epoch": 5}, {"seed": 4, "epoch": 4}):
        changed = examples.batch([1], Augmentation(), **other)
        assert not torch.equal(changed[0], alone[0])


def test_several_patches_of_a_case_differ_and_every_case_has_as_many():
    images, targets = cases([(20, 17)] * 3)
    patches = Patches(size=(8, 8), per_case=4, foreground_share=0)
    examples = PatchExamples(images, targets, (0, 2), (1,), patches)
    assert [item // 4 for item in examples.train] == [0, 0, 0, 0, 2, 2, 2, 2]
    drawn, _, _ = examples.batch(examples.train, STILL, seed=0, epoch=1)
    assert len({patch.numpy().tobytes() for patch in drawn}) > 6


def test_without_augmentation_a_batch_is_what_lies_in_the_case():
    images, targets = cases([(20, 17), (5, 30)])
    patches = Patches(size=(8, 8))
    examples = PatchExamples(images, targets, (0, 1), (), patches)
    image, target, draws = examples.batch([0, 1], STILL, seed=0, epoch=1)
    image, target = apply(draws, image, target)
    for index in (0, 1):
        start = corner(patches, targets[index], seed=0, epoch=1, item=index)
        assert np.allclose(image[index], read(images[index], start, (8, 8)), atol=1e-4)
        assert np.array_equal(target[index], read(targets[index], start, (8, 8)))


@settings(deadline=None, max_examples=60)
@given(
    size=st.lists(st.integers(2, 12), min_size=2, max_size=3).map(tuple),
    degrees=st.sampled_from([0, 5, 15, 45, 90, 180]),
    shift=st.sampled_from([0, 0.1, 0.4]),
    item=st.integers(0, 1000),
)
def test_what_turns_into_a_patch_is_read_from_the_case_and_not_made_up(size, degrees, shift, item):
    # A ramp along each axis: linear interpolation is exact unless it meets the border.
    augmentation = Augmentation(noise=0, shift=shift, rotate_degrees=degrees, flip=(0, 1))
    beyond = reach(augmentation, size)
    wide = tuple(side + 2 * more for side, more in zip(size, beyond, strict=True))
    ramps = np.stack(np.meshgrid(*map(np.arange, wide), indexing="ij")).astype(np.float32)
    drawn = draw(augmentation, (len(size), *size), seed=0, epoch=1, case=item)
    blank = torch.zeros(1, 1, *wide)
    moved, _ = apply([within(drawn, beyond)], torch.from_numpy(ramps)[None], blank)
    half = np.asarray(size) / 2
    for place in np.ndindex(*size):
        point = (np.asarray(place) + 0.5 - half) / half  # in half sides from the centre
        read_at = drawn.matrix[:, :-1] @ point + drawn.matrix[:, -1]
        voxel = read_at * half + np.asarray(wide) / 2 - 0.5
        assert np.allclose(moved[0, :, *place], voxel, atol=2e-3)


def test_a_whole_image_is_changed_as_before():
    drawn = draw(Augmentation(), (1, 9, 8), seed=0, epoch=1, case=0)
    same = within(drawn, (0, 0))
    assert isinstance(same, Draw) and np.array_equal(same.matrix, drawn.matrix)


# Prediction


class Point(nn.Module):
    """A network that sees one voxel."""

    def forward(self, images):
        return images[:, :1] * 2 - 3


@settings(deadline=None, max_examples=60)
@given(data=st.data(), space=spaces, overlap=st.sampled_from([0, 0.25, 0.5, 0.75]))
def test_windows_of_a_network_that_sees_one_voxel_give_what_it_gives_at_once(data, space, overlap):
    size = data.draw(st.tuples(*[st.integers(1, 15)] * len(space)))
    image = np.random.default_rng(0).standard_normal((2, *space), dtype=np.float32)
    logits = slide(Point(), image, Patches(size=size, overlap=overlap), 3, CPU)
    assert logits.shape == (1, *space)
    assert np.allclose(logits[0], image[0] * 2 - 3, atol=1e-4)


def test_inside_of_a_window_a_small_field_of_view_is_predicted_as_in_the_whole_image():
    torch.manual_seed(0)
    network = nn.Conv2d(1, 1, 3, padding=1)
    image = np.random.default_rng(0).standard_normal((1, 24, 24), dtype=np.float32)
    with torch.no_grad():
        whole = network(torch.from_numpy(image)[None])[0, 0]
        found = slide(network, image, Patches(size=(16, 16), overlap=0.5), 2, CPU)[0]
    # Windows end at 15 and begin at 8: there alone the network sees the border of a window.
    at_edge = np.zeros((24, 24), bool)
    at_edge[[8, 15]] = at_edge[:, [8, 15]] = True
    assert torch.allclose(found[~at_edge], whole[~at_edge], atol=1e-5)
    assert not torch.allclose(found, whole, atol=1e-5)


def test_predictions_come_one_case_at_a_time_each_on_its_own_grid():
    images, _ = cases([(20, 17), (5, 30), (8, 8)], channels=2)
    found = dict(predict(FABRIC, Point(), images, [2, 0, 1], 2, Patches(size=(8, 8))))
    assert list(found) == [2, 0, 1]
    for index, logits in found.items():
        assert np.allclose(logits, images[index][:1] * 2 - 3, atol=1e-4)


# Training


@pytest.fixture(scope="module")
def examples():
    shapes = [(20, 17), (9, 30), (12, 12), (24, 20), (6, 40), (16, 16)] * 2
    images, targets = cases(shapes)
    patches = Patches(size=(8, 8), per_case=2)
    return PatchExamples(images, targets, tuple(range(8)), tuple(range(8, 12)), patches)


def train(examples, path, loss, **phase):
    torch.manual_seed(0)
    network = UNet(channels=(4, 8)).build(dimensions=2, channels=1)
    training = Training(Phase(learning_rate=0.01, **phase), Augmentation(), batch_size=4, seed=1)
    return fit(FABRIC, network, loss, examples, training, checkpoint_path=path)


@pytest.mark.parametrize("loss", [CrossEntropy, SoftDice])
def test_an_interrupted_phase_on_patches_ends_with_the_same_bits(examples, tmp_path, loss):
    whole = train(examples, tmp_path / "whole.pt", loss(), max_epochs=4)
    train(examples, tmp_path / "parts.pt", loss(), max_epochs=1)
    train(examples, tmp_path / "parts.pt", loss(), max_epochs=3)
    parts = train(examples, tmp_path / "parts.pt", loss(), max_epochs=4)
    assert whole.curve[1:] == parts.curve[1:] and whole.steps == 4 * 4
    for key, weights in whole.by_loss.weights.items():
        assert torch.equal(weights, parts.by_loss.weights[key])


def test_learns_from_patches_to_mark_whole_cases(examples, tmp_path):
    state = train(examples, tmp_path / "c.pt", CrossEntropy(), max_epochs=25)
    assert state.curve[-1].validation_dice > 0.8 > state.curve[0].validation_dice


def test_the_validation_loss_is_that_of_whole_cases_each_with_equal_weight(examples, tmp_path):
    parts = list(examples.validated(Point(), 4, CPU))
    shapes = [tuple(logits.shape[2:]) for logits, _ in parts]
    assert shapes == [examples.images[case].shape[1:] for case in examples.validation]
    for (logits, target), case in zip(parts, examples.validation, strict=True):
        assert np.allclose(logits[0], examples.images[case] * 2 - 3, atol=1e-4)
        assert np.array_equal(target[0], examples.targets[case])


def test_the_loop_treats_whole_images_and_patches_of_their_size_alike():
    images, targets = (np.stack(arrays) for arrays in cases([(8, 8)] * 4))
    whole = Examples(images, targets, (0, 1), (2, 3))
    patches = PatchExamples(images, targets, (0, 1), (2, 3), Patches(size=(8, 8)))
    changes = Augmentation(shift=0, rotate_degrees=0)
    batches = [e.batch([0, 1], changes, seed=0, epoch=1) for e in (whole, patches)]
    (image, target, draws), (same_image, same_target, same_draws) = batches
    assert torch.equal(image, same_image) and torch.equal(target, same_target)
    for one, other in zip(draws, same_draws, strict=True):
        assert np.array_equal(one.matrix, other.matrix) and np.array_equal(one.noise, other.noise)


# Memory

PROGRAM = """
import resource, sys
import numpy as np, torch
from torch import nn
from segrisk.data.prepare import CaseArrays
from segrisk.training.config import Augmentation, Patches
from segrisk.training.examples import PatchExamples
from pathlib import Path
folder, count = Path(sys.argv[1]), 12
shapes = ((96, 96, 64),) * count
for name, width in (("images.bin", 16), ("targets.bin", 1)):
    with (folder / name).open("wb") as file:
        file.truncate(width * 96 * 96 * 64 * count)
images = CaseArrays(folder / "images.bin", np.float32, 4, shapes)
targets = CaseArrays(folder / "targets.bin", np.uint8, 1, shapes)
network = nn.Conv3d(4, 1, 1)
patches = Patches(size=(32, 32, 32))
examples = PatchExamples(images, targets, tuple(range(count)), tuple(range(count)), patches)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def once(cases):
    for case in cases:
        examples.batch([case], Augmentation(), seed=0, epoch=1)
    part = PatchExamples(images, targets, (), tuple(cases), patches)
    with torch.no_grad():
        for logits, target in part.validated(network, 2, torch.device("cpu")):
            pass
once([0])
before = peak()
once(range(count))
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_number_of_cases(tmp_path):
    if sys.platform != "linux":
        pytest.skip("resident memory is measured as Linux counts it")
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment() | {"OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    # Each case has 9 MiB of image: eleven more would be 100.
    assert float(result.stdout) < 30
