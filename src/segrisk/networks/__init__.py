"""Networks that a study can name."""

from typing import Annotated, Literal

import torch
from monai.networks.nets import UNet
from pydantic import Field
from torch import nn

from segrisk.configuration import Strict

Count = Annotated[int, Field(ge=1)]


class Network(Strict):
    """A U-Net in 2D or 3D: `channels` filters at each level, the size halved between levels."""

    name: Literal["unet"] = "unet"
    channels: Annotated[tuple[Count, ...], Field(min_length=2)] = (16, 32, 64, 128)

    @property
    def stride(self) -> int:
        """Every side of the input must be a multiple of this."""
        return 2 ** (len(self.channels) - 1)


def build(network: Network, *, dimensions: int, channels: int, prior: float) -> nn.Module:
    """A network from (B, channels, *size) to logits (B, 1, *size), freshly initialised.

    It begins by saying about p = `prior`, the foreground fraction of the training part, everywhere.

    >>> import torch
    >>> unet = build(Network(channels=(4, 8)), dimensions=2, channels=3, prior=0.1)
    >>> unet(torch.zeros(1, 3, 16, 16)).shape
    torch.Size([1, 1, 16, 16])
    """
    unet = UNet(
        spatial_dims=dimensions,
        in_channels=channels,
        out_channels=1,
        channels=network.channels,
        strides=(2,) * (len(network.channels) - 1),
    )
    begin_at(unet, prior)
    return unet


@torch.no_grad()
def begin_at(network: nn.Module, prior: float) -> None:
    """Set the bias of the last layer, which gives the logit, to log(p/(1 − p)) at p = `prior`.

    From p = 1/2, where networks begin otherwise, the many background voxels push every weight
    towards "no" at first. Features behind a rectifier have one sign, so such weights bound the
    logit from above: trainings ended with no voxel over p = 1/2, whatever the loss. Source: Lin et
    al. (2017), Focal Loss for Dense Object Detection, section 4.1.
    """
    *_, bias = (p for name, p in network.named_parameters() if name.endswith("bias"))
    bias.fill_(torch.logit(torch.tensor(prior), eps=1e-6))
