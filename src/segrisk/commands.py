"""The command line: `segrisk compare`, `study`, `losses`, `networks`, `bounds` and others."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from segrisk import __version__, compare_app, networks_app
from segrisk.losses_app import losses_app
from segrisk.messages import clear_errors
from segrisk.nnunet_app import nnunet_app

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
study_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Train every loss from one cross-entropy start, cross-validated, and test the "
    "difference.\n\nExample: `segrisk study run studies/quick.yaml --out results/quick`",
)
app.add_typer(study_app, name="study")
app.add_typer(losses_app, name="losses")
app.add_typer(nnunet_app, name="nnunet")

StudyFile = Annotated[
    Path, typer.Argument(metavar="FILE.yaml", help="The study file.", show_default=False)
]
Out = Annotated[
    str,
    typer.Option(
        "--out",
        metavar="FOLDER|URL",
        help="The results folder, or object storage such as s3://bucket/run.",
        show_default=False,
    ),
]


def _version(asked: bool) -> None:
    if asked:
        print(f"segrisk {__version__}")
        raise typer.Exit


@app.callback()
def segrisk(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Which loss makes a segmentation score best in Dice and Jaccard, and is it real?

    Example: `segrisk study run studies/quick.yaml --out results/quick`
    """


@app.command()
def bounds(
    masks: Annotated[
        Path,
        typer.Argument(metavar="MASKS_FOLDER", help="The folder of masks.", show_default=False),
    ],
    foreground: Annotated[
        str | None,
        typer.Option(metavar="1,2,4", help="The label values that are foreground, merged."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Instead: foreground is what exceeds this.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that read (default: one per processor).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the figure and CSV files here.")
    ] = None,
) -> None:
    """What a loss can promise on your masks: which similarity stands for which, and the worst case.

    Reads NIfTI, PNG, TIFF and NumPy masks. Also says which cross-entropy weight means which
    threshold.

    Example: `segrisk bounds mine/labels --out results/bounds`
    """
    with clear_errors():
        from segrisk.bounds.run import bound_masks

        bound_masks(
            masks,
            Console(),
            foreground=foreground,
            threshold=threshold,
            workers=workers,
            out=out,
        )


@study_app.command()
def run(
    file: StudyFile,
    out: Out,
    engine: Annotated[
        Literal["local", "ray"] | None,
        typer.Option(help="Processes here, or a Ray cluster (default: what FILE says, or local)."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Trainings at once (default: one per processor, or per GPU; what a cluster fits).",
        ),
    ] = None,
    reuse: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Continue from finished cells of the same study."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read and check the data, and train nothing.")
    ] = False,
) -> None:
    """Run what is missing of a study, then write and print its report.

    The same command continues an interrupted run, or adds what the file has gained.

    Example: `segrisk study run studies/quick.yaml --out results/quick`
    """
    with clear_errors("study"):
        from segrisk.study.run import run_study

        ok = run_study(
            file,
            out,
            console=Console(),
            engine=engine,
            workers=workers,
            reuse=reuse,
            check=check,
        )
    raise typer.Exit(0 if ok else 1)


@study_app.command()
def status(out: Out) -> None:
    """Show which cells of a study are done, running, failed and left.

    Example: `segrisk study status --out results/quick`
    """
    with clear_errors("study"):
        from segrisk.study.glance import print_status

        print_status(out, Console())


@study_app.command()
def report(
    out: Out,
    predictions: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="What `predict` wrote: the page then shows cases."),
    ] = None,
) -> None:
    """Write the report again from what is there: tables, tests, figures and the page.

    Example: `segrisk study report --out results/quick`
    """
    with clear_errors("study"):
        from segrisk.study.run import report_study

        report_study(out, Console(), predictions)


@study_app.command()
def export(
    out: Out,
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to.", show_default=False)],
) -> None:
    """Copy finished cells without weights: small enough to commit, enough to continue from.

    Example: `segrisk study export --out results/quick --to studies/results/quick`
    """
    with clear_errors("study"):
        from segrisk.study.run import export_study

        export_study(out, to, Console())


@study_app.command()
def predict(
    out: Out,
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to.", show_default=False)],
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="For `segrisk decide`, instead of masks.")
    ] = False,
) -> None:
    """Write the masks of all held-out cases, and the manifest that `segrisk compare` reads.

    Example: `segrisk study predict --out results/quick --to predictions`
    """
    with clear_errors("study"):
        from segrisk.study.run import predict_study

        predict_study(out, to, probabilities, Console())


@app.command()
def decide(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="PROBABILITIES_FOLDER",
            help="Probability maps: .nii.gz, nnU-Net's .npz, .npy, or 8- and 16-bit .png.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="For the masks.", show_default=False)
    ],
    metric: Annotated[
        Literal["dice", "jaccard"], typer.Option(help="What the masks will be scored with.")
    ] = "dice",
    rule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.json",
            help="half, exact, half-dice, tuned, hurdle, or a stored rule (default: exact; with "
            "--reference the best one, if it is shown to beat half).",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Labels of the same cases, to fit and judge rules."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Of cross-fitting, with --reference.")] = 5,
    groups: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Columns id and group: the patient of each case."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files in --out.")] = False,
) -> None:
    """Write the masks that are expected to score best, from anybody's probability maps.

    Example: `segrisk decide probabilities --metric dice --out masks --reference labels`
    """
    with clear_errors():
        from segrisk.decide.check import Request
        from segrisk.decide.run import decide_folder

        request = Request(folder, out, metric, rule, reference, folds, groups, overwrite)
        decide_folder(request, Console())


app.command()(compare_app.compare)
app.command()(compare_app.doctor)
app.command()(networks_app.networks)
