"""Augmentation: a function of (seed, epoch, case), and the maps that it claims to be."""

import numpy as np
import pytest
import torch

from segrisk.training.augment import apply, draw, together
from segrisk.training.config import Augmentation

STILL = Augmentation(noise=0, shift=0, rotate_degrees=0, flip=())


def change(augmentation, image, target, **key):
    drawn = draw(augmentation, tuple(image.shape), **{"seed": 0, "epoch": 0, "case": 0, **key})
    images, targets = apply(together([drawn]), image[None], target[None])
    return images[0], targets[0]


@pytest.fixture(params=[(12, 16), (8, 10, 6)], ids=["2D", "3D"])
def pair(request):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, *request.param, generator=generator)
    return image, (image[:1] > 0).float()


def test_nothing_drawn_changes_nothing(pair):
    image, target = change(STILL, *pair)
    torch.testing.assert_close(image, pair[0], atol=1e-5, rtol=0)
    assert torch.equal(target, pair[1])


def test_is_a_function_of_seed_epoch_and_case(pair):
    augmentation = Augmentation()
    key = {"seed": 3, "epoch": 5, "case": 7}
    first = change(augmentation, *pair, **key)
    again = change(augmentation, *pair, **key)
    assert all(map(torch.equal, first, again))
    for other in ({"seed": 4}, {"epoch": 6}, {"case": 8}):
        assert not torch.equal(first[0], change(augmentation, *pair, **{**key, **other})[0])


def test_does_not_depend_on_the_rest_of_the_batch(pair):
    image, target = pair
    draws = [draw(Augmentation(), tuple(image.shape), seed=0, epoch=1, case=c) for c in range(4)]
    batch = apply(together(draws), image.expand(4, *image.shape), target.expand(4, *target.shape))
    for case in range(4):
        alone = apply(together(draws[case : case + 1]), image[None], target[None])
        assert torch.equal(batch[0][case], alone[0][0]) and torch.equal(batch[1][case], alone[1][0])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_flip_is_a_flip_of_image_and_target(pair, axis):
    augmentation = STILL.model_copy(update={"flip": (axis,)})
    image, target = pair
    seen = set()
    for case in range(20):
        moved, marked = change(augmentation, image, target, case=case)
        flipped = not torch.equal(marked, target)
        seen.add(flipped)
        expected = image.flip(axis + 1) if flipped else image
        torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)
    assert seen == {True, False}


def test_a_shift_moves_the_mass_by_whole_voxels_at_most_as_far_as_told():
    target = torch.zeros(1, 40, 40)
    target[0, 18:22, 18:22] = 1
    moves = []
    for case in range(50):
        _, marked = change(STILL.model_copy(update={"shift": 0.25}), target, target, case=case)
        assert marked.sum() == 16
        moves.append(marked[0].nonzero().float().mean(0) - 19.5)
    furthest = torch.stack(moves).abs().max()
    assert 7 < furthest <= 10


def test_a_rotation_keeps_the_shape_of_an_object_where_the_sides_differ():
    # A disc stays a disc only if the rotation is one in voxels, not in half sides.
    rows, columns = np.mgrid[:40, :80]
    disc = torch.from_numpy((rows - 19.5) ** 2 + (columns - 39.5) ** 2 < 100).float()[None]
    augmentation = STILL.model_copy(update={"rotate_degrees": 180.0})
    for case in range(10):
        _, marked = change(augmentation, disc, disc, case=case)
        assert (marked != disc).float().mean() < 0.02


def test_rotation_in_3d_stays_in_the_plane_of_the_first_two_axes():
    volume = torch.arange(6.0).expand(1, 8, 8, 6)
    moved, _ = change(STILL.model_copy(update={"rotate_degrees": 90.0}), volume, volume)
    torch.testing.assert_close(moved, volume)


def test_noise_has_at_most_the_deviation_told():
    flat = torch.zeros(1, 64, 64)
    deviations = [
        change(STILL.model_copy(update={"noise": 0.2}), flat, flat, case=case)[0].std()
        for case in range(50)
    ]
    assert 0.15 < max(deviations) < 0.21 and min(deviations) < 0.05
