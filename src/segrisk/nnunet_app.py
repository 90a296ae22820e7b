"""The commands `segrisk nnunet folder` and `segrisk nnunet install`."""

from pathlib import Path
from typing import Annotated

import typer

from segrisk.messages import clear_errors

nnunet_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Let nnU-Net v2 find `nnUNetTrainerSegrisk`.\n\n"
    "Example: `export nnUNet_extTrainer=$(segrisk nnunet folder)`",
)


@nnunet_app.command()
def folder() -> None:
    """Print the folder that nnU-Net's variable `nnUNet_extTrainer` should name.

    Example: `export nnUNet_extTrainer=$(segrisk nnunet folder)`
    """
    with clear_errors():
        from segrisk.integrations.nnunet import trainers_folder

        print(trainers_folder())


@nnunet_app.command()
def install(
    package: Annotated[
        Path | None,
        typer.Argument(metavar="[NNUNETV2_FOLDER]", help="The package, if it lies elsewhere."),
    ] = None,
) -> None:
    """Copy the trainer into nnU-Net, for versions that do not know `nnUNet_extTrainer`.

    Example: `segrisk nnunet install`
    """
    with clear_errors():
        from segrisk.integrations import nnunet

        try:
            print(f"installed {nnunet.install(package)}")
        except (ValueError, OSError) as error:
            raise nnunet.LossError(str(error)) from None
