"""Networks that others have written: any of MONAI's, and any module by its import path."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import monai
from monai.networks import nets
from pydantic import Field
from torch import nn

from segrisk.configuration import ConfigurationError
from segrisk.imported import imported, source
from segrisk.names import nearest
from segrisk.networks.base import Count, Network


class External(Network):
    """A network that is called by others' name, with `parameters`.

    Parameters called `spatial_dims`, `in_channels` and `out_channels` that the study does not give
    are set: to the task's dimensions, its channels, and 1. The network must return logits
    (B, 1, *size) alone; `stride` says which sides it can take, as far as that is known.
    """

    network: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    stride: Count = 1

    @property
    def described(self) -> str:
        """How errors call it."""
        return f"the network '{self.network}'"

    def find(self) -> Callable[..., Any]:
        """What is called to build the network."""
        raise NotImplementedError

    def ready(self) -> Self:
        """Itself, once it is found."""
        self.find()
        return self

    def build(self, *, dimensions: int, channels: int) -> nn.Module:
        """The network, as its own code initialises it."""
        factory = self.find()
        known = inspect.signature(factory).parameters
        task = {"spatial_dims": dimensions, "in_channels": channels, "out_channels": 1}
        given = {key: value for key, value in task.items() if key in known} | self.parameters
        try:
            built = factory(**given)
        except Exception as error:  # others' code may raise anything
            shown = ", ".join(f"{key}={value!r}" for key, value in given.items())
            raise ConfigurationError(
                f"{self.described} cannot be built with ({shown}): {first_line(error)}"
            ) from error
        if not isinstance(built, nn.Module):
            raise ConfigurationError(
                f"{self.described} gives a {type(built).__name__}, not a torch.nn.Module"
            )
        return built


class Monai(External):
    """Any network of `monai.networks.nets` by its name.

    >>> import torch
    >>> network = Monai(network="SegResNet", parameters={"init_filters": 8}, stride=8)
    >>> module = network.build(dimensions=3, channels=2)
    >>> module(torch.zeros(1, 2, 8, 8, 8)).shape
    torch.Size([1, 1, 8, 8, 8])
    """

    source: ClassVar[str] = "monai.networks.nets, any by its name"

    name: Literal["monai"] = "monai"

    def find(self) -> Callable[..., Any]:
        """The class that MONAI has under this name."""
        known = {name for name, value in vars(nets).items() if inspect.isclass(value)}
        if self.network not in known:
            raise ConfigurationError(
                f"MONAI has no network '{self.network}'{nearest(self.network, known)}"
            )
        return getattr(nets, self.network)

    def identity(self) -> dict[str, Any]:
        """All that determines the network: MONAI's version too."""
        return {**self.model_dump(mode="json"), "monai": monai.__version__}


class Imported(External):
    """Any `torch.nn.Module` by its import path, `package.module:Class`.

    A function that returns a module does as well. The file may lie beside the study's.

    >>> network = Imported(network="torch.nn:Conv2d", parameters={"kernel_size": 1})
    >>> network.build(dimensions=2, channels=3)
    Conv2d(3, 1, kernel_size=(1, 1), stride=(1, 1))
    """

    source: ClassVar[str] = "your own, by its import path"

    name: Literal["module"] = "module"

    def find(self) -> Callable[..., Any]:
        """What the import path names."""
        if ":" not in self.network:
            raise ConfigurationError(
                f"network '{self.network}' must be an import path such as 'my_networks:MyNetwork'"
            )
        try:
            return imported(self.network, "network")
        except ValueError as error:
            raise ConfigurationError(str(error)) from error

    def identity(self) -> dict[str, Any]:
        """All that determines the network: the hash of its file too."""
        return {**self.model_dump(mode="json"), "source": source(self.find())}


def first_line(error: Exception) -> str:
    """What others' error says, in one line.

    >>> first_line(KeyError())
    'KeyError'
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
