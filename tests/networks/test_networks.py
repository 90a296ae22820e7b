"""The networks: shapes, and a head that can say p > 1/2."""

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from segrisk.networks import UNet, build


@pytest.mark.parametrize("residual_units", [0, 1, 2])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_logits_have_the_size_of_the_image(dimensions: int, residual_units: int) -> None:
    network = UNet(channels=(4, 8, 16), residual_units=residual_units)
    unet = build(network, dimensions=dimensions, channels=3)
    size = (network.stride * 4,) * dimensions
    assert unet(torch.zeros(2, 3, *size)).shape == (2, 1, *size)


@pytest.mark.parametrize("residual_units", [0, 1, 2])
def test_no_layer_normalises_a_single_channel(residual_units: int) -> None:
    unet = build(UNet(residual_units=residual_units), dimensions=2, channels=1)
    norms = [m for m in unet.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert norms
    assert all(norm.num_features > 1 for norm in norms)


def test_a_small_bright_object_is_soon_marked() -> None:
    """Cross-entropy alone finds 1 % of the image that any threshold of the image would find."""
    torch.manual_seed(0)
    target = torch.zeros(8, 1, 32, 32)
    for case in range(8):
        row, column = torch.randint(0, 29, (2,)).tolist()
        target[case, 0, row : row + 3, column : column + 3] = 1
    images = 3 * target + 0.3 * torch.randn(target.shape)
    unet = build(UNet(channels=(8, 16)), dimensions=2, channels=1)
    optimizer = torch.optim.Adam(unet.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(unet(images), target).backward()
        optimizer.step()
    marked = unet(images).detach() > 0
    assert (marked & (target > 0)).sum() > 0.8 * target.sum()
    assert (marked & (target == 0)).sum() < 0.2 * target.sum()
