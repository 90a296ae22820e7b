"""The U-Net-like network of the paper's MR, CT and dental tasks."""

from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from monai.networks.blocks import ADN, Convolution, UpSample
from pydantic import Field
from torch import Tensor, nn

from segrisk.networks.base import Channels, Levels

ACTIVATION = ("LEAKYRELU", {"negative_slope": 0.01})
SEGMENTED = 3
"""Levels whose logits are added up, counted from the image's own."""


class Isensee(Levels):
    """The network of Isensee et al. (BraTS 2017) with fewer filters and 7 levels, in 2D or 3D.

    Bertels, Eelbode et al. say: U-Net-like, after a top-ranked implementation of BraTS, "with less
    filters and an encoder depth of 7 layers". From Isensee et al. are: at each level of the
    encoder a 3×3×3 convolution, of stride 2 from the second on, and a residual block of two
    convolutions, activated before, with dropout 0.3 between; upsampling by repetition and a
    convolution; after each concatenation a 3×3×3 and a 1×1×1 convolution that halves the filters;
    logits of the three finest levels added up; instance normalisation and leaky ReLU of slope 0.01.

    The paper leaves open, and chosen here are:

    - the filters: half of Isensee's 16, 32, 64, 128, 256, and 128 at the two levels that are added;
    - what a layer of depth is: a level, at half the size of the one before, so sides are multiples
      of 64. An axis too short for that asks for fewer `channels`;
    - 2D: the same with 3×3 and 1×1 convolutions;
    - dropout that drops voxels of single channels, not whole channels;
    - logits that are repeated, not interpolated, from level to level;
    - the finest level like the others, its last convolution included;
    - PyTorch's random weights.

    >>> import torch
    >>> isensee = Isensee(channels=(2, 4, 8)).build(dimensions=3, channels=4)
    >>> isensee(torch.zeros(1, 4, 8, 8, 16)).shape
    torch.Size([1, 1, 8, 8, 16])
    """

    source: ClassVar[str] = "Isensee et al., BraTS 2017 (arXiv 1802.10508), fewer filters"

    name: Literal["isensee"] = "isensee"
    channels: Channels = (8, 16, 32, 64, 128, 128, 128)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3

    def build(self, *, dimensions: int, channels: int) -> nn.Module:
        """The network, with random weights."""
        return _Isensee(dimensions, channels, self.channels, self.dropout)


class _Isensee(nn.Module):
    def __init__(
        self, dimensions: int, channels: int, filters: tuple[int, ...], dropout: float
    ) -> None:
        super().__init__()
        norm = partial(_activated, dimensions)
        conv = partial(Convolution, dimensions, adn_ordering="NA", act=ACTIVATION)
        plain = partial(Convolution, dimensions, conv_only=True)
        self.enter, self.context = nn.ModuleList(), nn.ModuleList()
        before = channels
        for level, own in enumerate(filters):
            self.enter.append(plain(before, own, strides=2 if level else 1))
            self.context.append(
                nn.Sequential(
                    norm(own), plain(own, own), nn.Dropout(dropout), norm(own), plain(own, own)
                )
            )
            before = own
        self.activate = nn.ModuleList(norm(own) for own in filters)
        self.rise, self.localise, self.segment = (nn.ModuleList() for _ in range(3))
        self.repeat = UpSample(
            dimensions, mode="nontrainable", interp_mode="nearest", align_corners=None
        )
        for level in reversed(range(len(filters) - 1)):
            own = filters[level]
            self.rise.append(conv(filters[level + 1], own))
            self.localise.append(
                nn.Sequential(conv(2 * own, 2 * own), conv(2 * own, own, kernel_size=1))
            )
            if level < SEGMENTED:
                self.segment.append(plain(own, 1, kernel_size=1))

    def forward(self, images: Tensor) -> Tensor:
        encoded, x = [], images
        for enter, context, activate in zip(self.enter, self.context, self.activate, strict=True):
            x = enter(x)
            x = x + context(x)
            encoded.append(activate(x))
            x = encoded[-1]
        decoded, x = [], encoded.pop()
        for rise, localise in zip(self.rise, self.localise, strict=True):
            x = localise(torch.cat([rise(self.repeat(x)), encoded.pop()], dim=1))
            decoded.append(x)
        coarsest, *finer = [
            segment(features)
            for segment, features in zip(self.segment, decoded[-len(self.segment) :], strict=True)
        ]
        logits = coarsest
        for own in finer:
            logits = self.repeat(logits) + own
        return logits


def _activated(dimensions: int, channels: int) -> nn.Module:
    return ADN("NA", channels, act=ACTIVATION, norm="INSTANCE", norm_dim=dimensions)
