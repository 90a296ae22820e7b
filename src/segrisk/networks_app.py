"""The command `segrisk networks`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from segrisk.messages import clear_errors

if TYPE_CHECKING:
    from segrisk.networks import Network
    from segrisk.networks.layers import Layer


def networks(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|STUDY.yaml]", help="Show the layers of this one, or these."),
    ] = None,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the images.")] = 1,
    size: Annotated[
        str, typer.Option(metavar="64,64,64", help="With a name: the size of the image.")
    ] = "128,128",
) -> None:
    """List the networks that a study can name, or the layers of one.

    Nothing is computed, and no weights are read.

    Examples:

    `segrisk networks`

    `segrisk networks isensee --size 128,128,128 --channels 4`

    `segrisk networks studies/quick.yaml`
    """
    with clear_errors("study"):
        if what is None:
            tables = [_summary(channels)]
        elif Path(what).suffix in {".yaml", ".yml"}:
            tables = _of_study(Path(what), channels)
        else:
            tables = [_of_name(what, _size(size), channels)]
        console = Console(highlight=False)
        for table in tables:
            console.print(table)


def _summary(channels: int) -> Table:
    from segrisk.networks import NETWORKS

    table = Table(
        box=box.SIMPLE,
        pad_edge=False,
        caption=f"Parameters with the defaults, at {_channels(channels)}. Every side of the image "
        "must be a multiple of the stride.",
        caption_justify="left",
    )
    for head in ("name", "parameters 2D", "3D", "stride", "source"):
        number = head not in {"name", "source"}
        table.add_column(head, justify="right" if number else "left", no_wrap=head != "source")
    for name, kind in NETWORKS.items():
        numbers = _numbers(kind(), channels) if _has_defaults(kind) else ["given"] * 3
        table.add_row(name, *numbers, kind.source)
    return table


def _has_defaults(kind: "type[Network]") -> bool:
    return not any(field.is_required() for field in kind.model_fields.values())


def _numbers(network: "Network", channels: int) -> list[str]:
    from segrisk.networks.layers import parameters

    counts = [
        f"{parameters(network.build(dimensions=dimensions, channels=channels)):,}"
        if dimensions in network.dimensions
        else "—"
        for dimensions in (2, 3)
    ]
    return [*counts, str(network.stride)]


def _of_name(name: str, size: Sequence[int], channels: int) -> Table:
    from segrisk.configuration import ConfigurationError
    from segrisk.names import nearest
    from segrisk.networks import NETWORKS
    from segrisk.networks.layers import layers

    if name not in NETWORKS:
        raise ConfigurationError(f"unknown network '{name}'{nearest(name, NETWORKS)}")
    kind = NETWORKS[name]
    if not _has_defaults(kind):
        raise ConfigurationError(
            f"'{name}' is {kind.source}: write it into a study file and give that"
        )
    network = kind()
    if len(size) not in network.dimensions or any(side % network.stride for side in size):
        raise ConfigurationError(
            f"--size {','.join(map(str, size))}: {network.described} takes images of "
            f"{' or '.join(map(str, network.dimensions))} dimensions, with sides that are "
            f"multiples of {network.stride}"
        )
    return _layers(name, layers(network, size=size, channels=channels), size, channels)


def _of_study(file: Path, channels: int) -> list[Table]:
    from segrisk.networks.layers import layers
    from segrisk.study.reading import read_study

    # A study may name a module beside it, or in the folder that the command is run from.
    sys.path[:0] = [str(file.resolve().parent), str(Path.cwd())]
    return [
        _layers(
            f"{name}: {task.network.name}",
            layers(task.network, size=task.window, channels=channels),
            task.window,
            channels,
        )
        for name, task in read_study(file).tasks.items()
    ]


def _layers(title: str, found: "Sequence[Layer]", size: Sequence[int], channels: int) -> Table:
    table = Table(
        box=box.SIMPLE,
        pad_edge=False,
        title=f"{title}, at {_channels(channels)} of {_times(size)}",
        title_justify="left",
        show_footer=True,
    )
    # A layer that runs twice is learnt once.
    total = sum({layer.name: layer.parameters for layer in found}.values())
    table.add_column("layer", "all", overflow="fold")
    table.add_column("kind", no_wrap=True)
    table.add_column("gives", justify="right", no_wrap=True)
    table.add_column("parameters", f"{total:,}", justify="right", no_wrap=True)
    for layer in found:
        shape = _times(layer.shape) if layer.shape else "—"
        table.add_row(layer.name, layer.kind, shape, f"{layer.parameters:,}")
    return table


def _size(text: str) -> tuple[int, ...]:
    from segrisk.configuration import ConfigurationError

    sides = text.split(",")
    if len(sides) not in (2, 3) or not all(
        side.strip().isdecimal() and int(side) for side in sides
    ):
        raise ConfigurationError(f"--size '{text}' must be two or three numbers, such as 64,64")
    return tuple(int(side) for side in sides)


def _times(numbers: Sequence[int]) -> str:
    return "×".join(map(str, numbers))


def _channels(count: int) -> str:
    return f"{count} channel{'s' * (count > 1)}"
