"""The networks: shapes, and where they begin."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from segrisk.networks import VGG16, Isensee, Network, UNet, begin_at


@pytest.mark.parametrize("dimensions", [2, 3])
def test_logits_have_the_size_of_the_image(dimensions: int) -> None:
    network = UNet(channels=(4, 8, 16))
    unet = network.build(dimensions=dimensions, channels=3)
    size = (network.stride * 4,) * dimensions
    assert unet(torch.zeros(2, 3, *size)).shape == (2, 1, *size)


@pytest.mark.parametrize(
    "network", [UNet(), Isensee(channels=(4, 8)), VGG16()], ids=lambda network: network.name
)
@pytest.mark.parametrize("prior", [0.001, 0.1, 0.5, 0.9])
def test_the_prior_is_added_to_every_logit(network: Network, prior: float) -> None:
    torch.manual_seed(0)
    module = network.build(dimensions=2, channels=1).eval()
    images = torch.randn(2, 1, 32, 32)
    begin_at(module, 0.5)  # a bias of 0
    before = module(images).detach()
    begin_at(module, prior)
    added = module(images).detach() - before
    torch.testing.assert_close(added, torch.logit(torch.tensor(prior)).expand_as(added))


def test_a_network_without_a_bias_of_one_logit_is_left_as_it_is() -> None:
    other = nn.Conv2d(1, 2, 1)
    before = other.bias.clone()
    begin_at(other, 0.1)
    assert torch.equal(other.bias, before)


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_a_prior_without_the_other_class_stays_finite(prior: float) -> None:
    unet = UNet(channels=(4, 8)).build(dimensions=2, channels=1)
    begin_at(unet, prior)
    assert unet(torch.zeros(1, 1, 8, 8)).isfinite().all()


def small_objects() -> tuple[Tensor, Tensor]:
    """Images whose squares of 1 % of the area a threshold would find, and the squares."""
    target = torch.zeros(8, 1, 32, 32)
    for case in range(8):
        row, column = torch.randint(0, 29, (2,)).tolist()
        target[case, 0, row : row + 3, column : column + 3] = 1
    return 3 * target + 0.3 * torch.randn(target.shape), target


def train(unet: nn.Module, images: Tensor, target: Tensor, steps: int) -> Tensor:
    """The mask that cross-entropy leads to."""
    optimizer = torch.optim.Adam(unet.parameters(), 5e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(unet(images), target).backward()
        optimizer.step()
    return unet(images).detach() > 0


@pytest.mark.parametrize("seed", range(4))
def test_small_objects_are_soon_marked(seed: int) -> None:
    torch.manual_seed(seed)
    images, target = small_objects()
    unet = UNet(channels=(8, 16, 32)).build(dimensions=2, channels=1)
    begin_at(unet, 0.01)
    marked = train(unet, images, target, steps=30)
    assert (marked & (target > 0)).sum() > 0.6 * target.sum()
    assert (marked & (target == 0)).sum() < 0.2 * target.sum()
