"""Options that `segrisk doctor` and `segrisk compare` share: what is compared, and the policies."""

from collections.abc import Iterable, Mapping
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
Sizes = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="Of scores: columns case, label, fraction of the image."),
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


Out = Annotated[
    Path, typer.Option("--out", metavar="FOLDER", help="For the report.", show_default=False)
]
NoOut = Annotated[
    Path | None, typer.Option("--out", metavar="FOLDER", help="Of the comparison; not written.")
]
Each = Annotated[bool, typer.Option("--all", help="Name each of many faults that are alike.")]
Images = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Images of the cases, to look at.")
]
Regions = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=1,2,4", help="Labels scored as one (default: each alone)."),
]
Ignore = Annotated[
    int | None, typer.Option(metavar="LABEL", help="Of references: voxels that do not count.")
]
Metrics = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Scored (default: dice, jaccard).")
]
Primary = Annotated[
    str | None, typer.Option(metavar="NAME", help="The metric that decides (default: the first).")
]
SurfaceTolerance = Annotated[
    float | None, typer.Option("--nsd-mm", min=0, help="The error that surface metrics allow.")
]
ConventionName = Annotated[str, typer.Option(metavar="NAME", help="What empty masks score.")]
Margin = Annotated[
    float, typer.Option(min=0, help="A difference that does not matter, for equivalence.")
]
Alpha = Annotated[float, typer.Option(min=0, max=0.5, help="The level of the tests.")]
Resamples = Annotated[int, typer.Option(min=99, help="Of tests and intervals.")]
Seed = Annotated[int, typer.Option(min=0, help="Of all resampling.")]
MeanOver = Annotated[
    Literal["case", "group_mean"],
    typer.Option(help="What means and tests are over: cases, or groups, each by its mean."),
]
Resample = Annotated[
    bool, typer.Option("--resample", help="Move predictions to their reference's grid.")
]
TaskName = Annotated[
    str, typer.Option(metavar="NAME", help="What the task is called.", show_default=False)
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes that score (default: one per processor).")
]

POLICIES = ("missing", "unpredicted", "extra", "check_age", "tolerance_mm")
OF_A_COMPARISON = (
    "images", "ignore", "primary", "convention", "margin", "alpha", "resamples", "seed", "unit",
    "workers",
)  # fmt: skip
SHARED = ("reference", "manifest", "sizes", "groups", "root", *POLICIES)


def request(given: Mapping[str, Any]) -> "Request":
    """The request that options make, by their names; DataError where one cannot be read."""
    from segrisk.compare.request import Request, numbers, pairs

    models = pairs("--model", given["model"] or ())
    return Request(
        models=tuple((name, Path(path)) for name, path in models),
        scores=tuple(given["scores"] or ()),
        labels=numbers(given["labels"] or ""),
        columns=dict(pairs("--column", given["column"] or ())),
        task=given["task"],
        metric=next(iter(given["metric"] or ()), "dice"),
        resample_to=(given["out"] or Path()) / "resampled" if given["resample"] else None,
        **{name: given[name] for name in SHARED},
    )


def regions(texts: Iterable[str]) -> "tuple[Region, ...]":
    """The regions that `--region` names; DataError where one cannot be read."""
    from segrisk.compare.request import numbers, pairs
    from segrisk.data.errors import DataError
    from segrisk.metrics import Region

    try:
        return tuple(
            Region(name, numbers(values, f"--region {name}:"))
            for name, values in pairs("--region", texts)
        )
    except DataError:
        raise
    except ValueError as error:
        raise DataError([f"--region: {error}"]) from error
