"""Options that `segrisk doctor` and `segrisk compare` share: what is compared, and the policies."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Reference = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="The references: a folder of masks.")
]
Models = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=PATH", help="A model's predictions, or its table of scores."),
]
Manifest = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="Instead: columns case, reference, one per model."),
]
Scores = Annotated[
    list[Path] | None,
    typer.Option(metavar="PATH", help="Instead: scores of several models, or a study."),
]
Groups = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="Columns case and group: the patient of each case."),
]
Root = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="What no path of a manifest may leave (default: its own)."),
]
Labels = Annotated[
    str | None,
    typer.Option(metavar="1,2,4", help="Values of masks (default: those of the references)."),
]
Missing = Annotated[
    Literal["worst", "refuse"],
    typer.Option(help="A prediction that is missing, unreadable or holds NaN."),
]
Unpredicted = Annotated[
    Literal["refuse", "worst", "leave-out"],
    typer.Option(help="A reference that no model predicted."),
]
Extra = Annotated[
    Literal["refuse", "leave-out"], typer.Option(help="A prediction without reference.")
]
CheckAge = Annotated[
    bool, typer.Option("--check-age", help="Refuse predictions older than their reference.")
]
Tolerance = Annotated[
    float | None,
    typer.Option(min=0, help="How far the corner of a volume may be off (default: rounding)."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(metavar="algorithm=NAME", help="Of a long table; also task, case and value."),
]
