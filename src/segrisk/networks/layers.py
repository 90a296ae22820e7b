"""A network's layers and what it returns, seen before any training and without computing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from segrisk.configuration import ConfigurationError
from segrisk.networks.base import Network
from segrisk.networks.external import first_line

IMAGES = 2
"""In the batch that is tried."""


@dataclass(frozen=True)
class Layer:
    """A layer of a network, as it ran."""

    name: str
    kind: str
    shape: tuple[int, ...]
    """Of what it returns for one image: (channels, *size)."""
    parameters: int


def parameters(module: nn.Module) -> int:
    """How many numbers a network learns.

    >>> parameters(nn.Conv2d(3, 8, 3))
    224
    """
    return sum(tensor.numel() for tensor in module.parameters())


def normalises_batches(network: Network, *, dimensions: int, channels: int) -> bool:
    """Whether what a network makes of an image depends on the others of its batch.

    >>> from segrisk.networks import Monai, UNet
    >>> basic = Monai(network="BasicUNet", parameters={"norm": "batch"}, stride=16)
    >>> [normalises_batches(one, dimensions=2, channels=1) for one in (UNet(), basic)]
    [False, True]
    """
    module = network.build(dimensions=dimensions, channels=channels)
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


def check(network: Network, *, size: Sequence[int], channels: int) -> None:
    """Refuse, in one line, a network that does not give logits (B, 1, *size) for such images.

    >>> from segrisk.networks import UNet
    >>> check(UNet(channels=(4, 8)), size=(16, 16), channels=3)
    >>> check(UNet(channels=(4, 8)), size=(2, 2), channels=3)
    Traceback (most recent call last):
    segrisk.configuration.ConfigurationError: a network of 2 levels cannot take 3 channels at 2×2: \
Expected more than 1 spatial element when training, got input size torch.Size([2, 4, 1, 1])
    """
    layers(network, size=size, channels=channels)


def layers(network: Network, *, size: Sequence[int], channels: int) -> list[Layer]:
    """The layers of a network in the order in which they run on images of `size`.

    Tensors without content run through it, so that neither memory nor time is needed; zeros do
    through a network that looks at its numbers. Raises `ConfigurationError` like `check`.

    >>> from segrisk.networks import UNet
    >>> layers(UNet(channels=(4, 8)), size=(16, 16), channels=3)[-1]
    Layer(name='model.2.conv', kind='ConvTranspose2d', shape=(1, 16, 16), parameters=109)
    """
    where = f"{channels} channel{'s' * (channels > 1)} at {'×'.join(map(str, size))}"
    try:
        try:
            result, found = _run(network, size, channels, "meta")
        except ConfigurationError:
            raise
        except Exception:  # what needs numbers says so in many ways
            result, found = _run(network, size, channels, "cpu")
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"{network.described} cannot take {where}: {first_line(error)}"
        ) from error
    for mode, value in result.items():
        if not isinstance(value, Tensor) or value.shape != (IMAGES, 1, *size):
            raise ConfigurationError(
                f"{network.described} returns {_shown(value)} {mode} for {IMAGES} images of "
                f"{where}; wanted are logits {(IMAGES, 1, *size)} alone"
            )
    return found


def _run(
    network: Network, size: Sequence[int], channels: int, device: str
) -> tuple[dict[str, Any], list[Layer]]:
    """What comes out in training and in prediction, and the layers that ran."""
    module = network.build(dimensions=len(size), channels=channels).to(device)
    images = torch.zeros(IMAGES, channels, *size, device=device)
    found: list[Layer] = []

    def hook(name: str, part: nn.Module) -> None:
        def record(_: nn.Module, __: Any, output: Any) -> None:
            shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
            found.append(Layer(name, type(part).__name__, shape, parameters(part)))

        part.register_forward_hook(record)

    with torch.no_grad():
        result = {"in training": module.train()(images)}
        for name, part in module.named_modules():
            if not list(part.children()):
                hook(name, part)
        result["in prediction"] = module.eval()(images)
    return result, found


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)}"
    size = f" of {len(value)}" if isinstance(value, list | tuple | dict) else ""
    return f"a {type(value).__name__}{size}"
