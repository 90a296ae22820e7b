"""The U-Net of MONAI, read by a head that can say p > 1/2."""

from typing import Annotated, ClassVar, Literal

from monai.networks.blocks import ADN, Convolution
from monai.networks.nets import UNet as MonaiUNet
from pydantic import Field
from torch import nn

from segrisk.networks.base import Channels, Network


class UNet(Network):
    """A U-Net in 2D or 3D: `channels` filters at each level, the size halved between levels.

    `residual_units` convolutions with a skip connection replace the plain one of each level;
    0 gives the plain U-Net.

    >>> import torch
    >>> unet = UNet(channels=(4, 8)).build(dimensions=2, channels=3)
    >>> unet(torch.zeros(1, 3, 16, 16)).shape
    torch.Size([1, 1, 16, 16])
    """

    source: ClassVar[str] = "MONAI's UNet and a head of its own"

    name: Literal["unet"] = "unet"
    channels: Channels = (16, 32, 64, 128)
    residual_units: Annotated[int, Field(ge=0)] = 1

    @property
    def stride(self) -> int:
        """Every side of the input must be a multiple of this."""
        return 2 ** (len(self.channels) - 1)

    @property
    def described(self) -> str:
        """How errors call it."""
        return f"a network of {len(self.channels)} levels"

    def build(self, *, dimensions: int, channels: int) -> nn.Module:
        """The network, freshly initialised."""
        features = self.channels[0]
        unet = MonaiUNet(
            spatial_dims=dimensions,
            in_channels=channels,
            out_channels=features,
            channels=self.channels,
            strides=(2,) * (len(self.channels) - 1),
            num_res_units=self.residual_units,
        )
        # The U-Net ends in features and the logit is read from them: asked for one channel, MONAI's
        # residual U-Net normalises that channel within each image, and then no voxel of a small
        # object reaches p = 1/2, whatever the loss.
        return nn.Sequential(
            unet,
            ADN("NA", features, act="PRELU", norm="INSTANCE", norm_dim=dimensions),
            Convolution(dimensions, features, 1, kernel_size=1, conv_only=True),
        )
