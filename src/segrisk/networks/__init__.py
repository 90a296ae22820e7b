"""Networks that a study can name."""

from typing import Annotated, Literal

from monai.networks.blocks import ADN, Convolution
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
    features = network.channels[0]
    unet = UNet(
        spatial_dims=dimensions,
        in_channels=channels,
        out_channels=features,
        channels=network.channels,
        strides=(2,) * (len(network.channels) - 1),
        num_res_units=network.residual_units,
    )
    # The U-Net ends in features and the logit is read from them: asked for one channel, MONAI's
    # residual U-Net normalises that channel within each image, and then no voxel of a small object
    # reaches p = 1/2, whatever the loss.
    return nn.Sequential(
        unet,
        ADN("NA", features, act="PRELU", norm="INSTANCE", norm_dim=dimensions),
        Convolution(dimensions, features, 1, kernel_size=1, conv_only=True),
    )
