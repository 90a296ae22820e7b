"""The plain U-Net of MONAI."""

from typing import ClassVar, Literal

from monai.networks.nets import UNet as MonaiUNet
from torch import nn

from segrisk.networks.base import Channels, Levels


class UNet(Levels):
    """A U-Net in 2D or 3D: `channels` filters at each level, the size halved between levels.

    Of MONAI's residual units it has none: that of the last level normalises the one logit within
    each image.

    >>> import torch
    >>> unet = UNet(channels=(4, 8)).build(dimensions=2, channels=3)
    >>> unet(torch.zeros(1, 3, 16, 16)).shape
    torch.Size([1, 1, 16, 16])
    """

    source: ClassVar[str] = "MONAI's UNet"

    name: Literal["unet"] = "unet"
    channels: Channels = (16, 32, 64, 128)

    def build(self, *, dimensions: int, channels: int) -> nn.Module:
        """The network, freshly initialised."""
        return MonaiUNet(
            spatial_dims=dimensions,
            in_channels=channels,
            out_channels=1,
            channels=self.channels,
            strides=(2,) * (len(self.channels) - 1),
        )
