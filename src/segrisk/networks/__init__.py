"""Networks that a study can name."""

from typing import Annotated, Any

import torch
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


@torch.no_grad()
def begin_at(network: nn.Module, prior: float) -> None:
    """Set the bias of the last layer, which gives the logit, to log(p/(1 − p)) at p = `prior`.

    `prior` is the foreground fraction of the training part.

    From p = 1/2, where networks begin otherwise, the many background voxels push every weight
    towards "no" at first. Features behind a rectifier have one sign, so such weights bound the
    logit from above: trainings ended with no voxel over p = 1/2, whatever the loss. A network whose
    last bias is not that of one logit is left as it is. Source: Lin et al. (2017), Focal Loss for
    Dense Object Detection, section 4.1.

    >>> unet = UNet(channels=(4, 8)).build(dimensions=2, channels=3)
    >>> begin_at(unet, 0.5)
    >>> list(unet.parameters())[-1].tolist()
    [0.0]
    """
    biases = [p for name, p in network.named_parameters() if name.split(".")[-1] == "bias"]
    if biases and biases[-1].numel() == 1:
        biases[-1].fill_(torch.logit(torch.tensor(prior), eps=1e-6))
