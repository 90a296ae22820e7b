"""The commands `segrisk losses list` and `segrisk losses explain`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from segrisk.messages import clear_errors

if TYPE_CHECKING:
    from segrisk.losses.linter import Explanation, Trap

losses_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Say what a loss is and does, and which traps it holds.\n\n"
    "Example: `segrisk losses explain soft_dice --option empty=skip`",
)
WIDEST = 100
"""Columns beyond which lines are hard to read."""


def _option(text: str, **more: object) -> object:
    return typer.Option(help=text, **more)


@losses_app.command("list")
def list_losses() -> None:
    """List the registered losses and their options.

    Example: `segrisk losses list`
    """
    from segrisk.losses import LOSSES
    from segrisk.losses.registry import option_names

    table = Table(box=box.SIMPLE, pad_edge=False)
    for head in ("name", "label", "family", "options"):
        table.add_column(head, overflow="fold", no_wrap=head != "options")
    for name, loss in LOSSES.items():
        table.add_row(name, loss.label, loss.family, ", ".join(option_names(loss)))
    _console().print(table)


@losses_app.command()
def explain(
    loss: Annotated[
        str,
        typer.Argument(
            metavar="LOSS",
            help="A registered name, `package.module:Loss`, or a sum such as "
            "'0.5*cross_entropy + soft_dice'.",
            show_default=False,
        ),
    ],
    option: Annotated[
        list[str] | None,
        _option("An option of the loss; may be repeated.", metavar="NAME=VALUE"),
    ] = None,
    classes: Annotated[int, _option("Channels of the logits.")] = 1,
    labels: Annotated[str, _option("hard, soft or overlapping.")] = "hard",
    metric: Annotated[str, _option("Scores each image, or the dataset at once.")] = "image",
    scored: Annotated[str, _option("foreground (all but channel 0 of several) or all.")] = (
        "foreground"
    ),
    batch: Annotated[int, _option("Images in a step of one process.")] = 2,
    processes: Annotated[int, _option("Processes that train together.")] = 1,
    precision: Annotated[str, _option("float32, float16 or bfloat16: of the logits.")] = "float32",
    smallest: Annotated[int, _option("Voxels of the smallest object that matters.")] = 10,
) -> None:
    """Explain a loss: its formula, what it pools, what an absent class costs, and its traps.

    Everything but the formula of our own losses is measured, by calling the loss on small
    pictures: losses of MONAI or your own are explained as well.

    Examples:

    `segrisk losses explain soft_dice --option pool=batch --option ignore_index=255`

    `segrisk losses explain monai.losses:DiceLoss --option sigmoid=true --labels soft`

    `segrisk losses explain "0.5*cross_entropy + soft_dice" --classes 4 --processes 2`
    """
    with clear_errors():
        from segrisk.losses import Use
        from segrisk.losses import explain as explain_loss
        from segrisk.losses.registry import LossError, build_loss

        try:
            use = Use(classes, labels, metric, scored, batch, processes, precision, smallest)  # type: ignore[arg-type]
        except ValueError as error:
            raise LossError(str(error)) from None
        sys.path.insert(0, str(Path.cwd()))  # where a loss of one's own lies
        explanation = explain_loss(build_loss(loss, _options(option or [])), use)
    _console().print(view(explanation))


def view(explanation: "Explanation") -> Group:
    """An explanation as the terminal shows it."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    facts.add_row("for", Text(str(explanation.use)))
    for index, (label, text) in enumerate(explanation.facts()):
        if label == "summand" or index == 0:
            facts.add_row("", "")
        style = "bold" if label in {"formula", "summand"} else ""
        facts.add_row(label, Text(text, style=style))
    parts = [Text(explanation.name, style="bold"), Padding(facts, (1, 0, 1, 2))]
    if explanation.measured:
        parts.append(Text(explanation.absence))
        parts.append(Padding(_measurements(explanation), (0, 0, 0, 2)))
    if explanation.traps:
        parts.append(Padding(Text(explanation.verdict, style="bold"), (0, 0, 1, 0)))
    else:
        parts.append(Text(explanation.verdict, style="green"))
    return Group(*parts, *(_trap(trap) for trap in explanation.traps))


def _measurements(explanation: "Explanation") -> Table:
    head, *rows = explanation.table()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in head:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _trap(trap: "Trap") -> Padding:
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim", no_wrap=True)
    lines.add_column()
    lines.add_row("why", Text(trap.why))
    lines.add_row("instead", Text(trap.instead))
    return Padding(
        Group(Text(trap.code, style="bold yellow"), Padding(lines, (0, 0, 0, 2))), (0, 0, 1, 0)
    )


def _options(given: list[str]) -> dict[str, str]:
    from segrisk.losses.registry import LossError

    options = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise LossError(f"--option '{text}' must be NAME=VALUE, such as pool=batch")
        options[name.strip()] = value.strip()
    return options


def _console() -> Console:
    console = Console(highlight=False)
    console.width = min(console.width, WIDEST)
    return console
