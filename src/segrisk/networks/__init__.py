"""Networks that a study can name."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from torch import nn

from segrisk.names import nearest
from segrisk.networks.base import Network as Network
from segrisk.networks.external import Imported, Monai
from segrisk.networks.isensee import Isensee
from segrisk.networks.unet import UNet
from segrisk.networks.vgg import VGG16

NETWORKS: dict[str, type[Network]] = {
    "unet": UNet,
    "isensee": Isensee,
    "vgg16": VGG16,
    "monai": Monai,
    "module": Imported,
}
"""Networks by the names that a study file gives them."""


def named(given: Any) -> Any:
    """A name alone is a network with that name, and a network without a name is a U-Net.

    >>> named("isensee"), named({"channels": [4, 8]})
    ({'name': 'isensee'}, {'name': 'unet', 'channels': [4, 8]})
    """
    if isinstance(given, str):
        return {"name": given}
    return {"name": "unet", **given} if isinstance(given, dict) else given


def _known(given: Any) -> Any:
    given = named(given)
    if isinstance(given, dict) and given["name"] not in NETWORKS:
        name = str(given["name"])
        raise ValueError(f"unknown network '{name}'{nearest(name, NETWORKS)}")
    return given


AnyNetwork = Annotated[
    Annotated[UNet | Isensee | VGG16 | Monai | Imported, Field(discriminator="name")],
    BeforeValidator(_known),
]
"""The configuration of any of `NETWORKS`."""


def build(network: Network, *, dimensions: int, channels: int) -> nn.Module:
    """A network from (B, channels, *size) to logits (B, 1, *size), with random weights.

    >>> import torch
    >>> unet = build(UNet(channels=(4, 8)), dimensions=2, channels=3)
    >>> unet(torch.zeros(1, 3, 16, 16)).shape
    torch.Size([1, 1, 16, 16])
    """
    return network.build(dimensions=dimensions, channels=channels)
