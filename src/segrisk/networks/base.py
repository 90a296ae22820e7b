"""What every network that a study can name has in common."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field
from torch import nn

from segrisk.configuration import Strict

Count = Annotated[int, Field(ge=1)]
Channels = Annotated[tuple[Count, ...], Field(min_length=2)]


class Network(Strict):
    """A network from (B, channels, *size) to logits (B, 1, *size).

    Each kind has a `name`, and a `stride` of which every side of the input must be a multiple.
    """

    dimensions: ClassVar[tuple[int, ...]] = (2, 3)
    """The dimensions of the images that it can take."""
    source: ClassVar[str]
    """Where it comes from."""

    name: str

    @property
    def described(self) -> str:
        """How errors call it."""
        return f"the network '{self.name}'"

    def build(self, *, dimensions: int, channels: int) -> nn.Module:
        """The network, with random weights."""
        raise NotImplementedError

    def ready(self) -> Self:
        """The network as this machine can train it, once what it names is found and checked."""
        return self

    def pretrain(self, module: nn.Module) -> None:
        """Give what `build` made the weights that training starts from, if they are not random."""

    def identity(self) -> dict[str, Any]:
        """All that determines what `build` and `pretrain` make, as JSON."""
        return self.model_dump(mode="json")


class Levels(Network):
    """A network whose levels have `channels` filters each, the size halved between them."""

    channels: Channels

    @property
    def stride(self) -> int:
        """Every side of the input must be a multiple of this."""
        return 2 ** (len(self.channels) - 1)

    @property
    def described(self) -> str:
        """How errors call it."""
        return f"a network of {len(self.channels)} levels"
