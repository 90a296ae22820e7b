"""Options that `segrisk doctor` and `segrisk compare` share: what is compared, and the policies."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from segrisk.compare.request import Request
    from segrisk.metrics import Region

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


def request(
    *,
    model: list[str] | None,
    scores: list[Path] | None,
    labels: str | None,
    column: list[str] | None,
    **given: Any,
) -> "Request":
    """The request that options make; DataError where one cannot be read."""
    from segrisk.compare.request import Request, numbers, pairs

    return Request(
        models=tuple((name, Path(path)) for name, path in pairs("--model", model or ())),
        scores=tuple(scores or ()),
        labels=numbers(labels or ""),
        columns=dict(pairs("--column", column or ())),
        **given,
    )


def regions(texts: Iterable[str]) -> "tuple[Region, ...]":
    """The regions that `--region` names; DataError where one cannot be read."""
    from segrisk.compare.request import numbers, pairs
    from segrisk.data.errors import DataError
    from segrisk.metrics import Region

    try:
        return tuple(Region(name, numbers(values)) for name, values in pairs("--region", texts))
    except ValueError as error:
        raise DataError([f"--region: {error}"]) from error
