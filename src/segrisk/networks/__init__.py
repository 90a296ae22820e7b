"""Networks that a study can name."""

from typing import Annotated, Literal

from monai.networks.nets import UNet
from pydantic import Field
from torch import nn

from segrisk.configuration import Strict

Count = Annotated[int, Field(ge=1)]


class Network(Strict):
    """A U-Net in 2D or 3D: `channels` filters at each level, the size halved between levels.

    `residual_units` convolutions with a skip connection replace the plain one of each level;
    0 gives the plain U-Net.
    """

    name: Literal["unet"] = "unet"
    channels: Annotated[tuple[Count, ...], Field(min_length=2)] = (16, 32, 64, 128)
    residual_units: Annotated[int, Field(ge=0)] = 1

    @property
    def stride(self) -> int:
        """Every side of the input must be a multiple of this."""
        return 2 ** (len(self.channels) - 1)


def build(network: Network, *, dimensions: int, channels: int) -> nn.Module:
    """A network from (B, channels, *size) to logits (B, 1, *size), freshly initialised.

    >>> import torch
    >>> unet = build(Network(channels=(4, 8)), dimensions=2, channels=3)
    >>> unet(torch.zeros(1, 3, 16, 16)).shape
    torch.Size([1, 1, 16, 16])
    """
    return UNet(
        spatial_dims=dimensions,
        in_channels=channels,
        out_channels=1,
        channels=network.channels,
        strides=(2,) * (len(network.channels) - 1),
        num_res_units=network.residual_units,
    )
