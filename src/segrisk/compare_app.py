"""The commands `segrisk compare` and `segrisk doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from segrisk import options
from segrisk.messages import clear_errors

if TYPE_CHECKING:
    from segrisk.compare.asked import Comparison


def compare(
    out: options.Out,
    reference: options.Reference = None,
    model: options.Models = None,
    manifest: options.Manifest = None,
    scores: options.Scores = None,
    sizes: options.Sizes = None,
    groups: options.Groups = None,
    images: options.Images = None,
    root: options.Root = None,
    labels: options.Labels = None,
    region: options.Regions = None,
    ignore: options.Ignore = None,
    metric: options.Metrics = None,
    primary: options.Primary = None,
    nsd_mm: options.SurfaceTolerance = None,
    convention: options.ConventionName = "segrisk",
    margin: options.Margin = 0.01,
    alpha: options.Alpha = 0.05,
    resamples: options.Resamples = 9999,
    seed: options.Seed = 0,
    unit: options.MeanOver = "case",
    missing: options.Missing = "worst",
    unpredicted: options.Unpredicted = "refuse",
    extra: options.Extra = "refuse",
    check_age: options.CheckAge = False,
    tolerance_mm: options.Tolerance = None,
    resample: options.Resample = False,
    column: options.Columns = None,
    task: options.TaskName = "",
    workers: options.Workers = None,
) -> None:
    """Which model is better, by how much, and is it real? From masks or scores to the page.

    Writes scores.csv, tests.csv, report.html and more into --out. The exit status is 2 if the input
    has a fault; `segrisk doctor` lists all of them first.

    Example: `segrisk compare --reference labels --model A=runs/a --model B=runs/b --out results/ab`
    """
    given = locals()
    with clear_errors("compare"):
        from segrisk.compare.run import run_comparison

        run_comparison(_asked(given), Console())


def doctor(
    reference: options.Reference = None,
    model: options.Models = None,
    manifest: options.Manifest = None,
    scores: options.Scores = None,
    sizes: options.Sizes = None,
    groups: options.Groups = None,
    images: options.Images = None,
    root: options.Root = None,
    labels: options.Labels = None,
    region: options.Regions = None,
    ignore: options.Ignore = None,
    metric: options.Metrics = None,
    primary: options.Primary = None,
    nsd_mm: options.SurfaceTolerance = None,
    convention: options.ConventionName = "segrisk",
    margin: options.Margin = 0.01,
    alpha: options.Alpha = 0.05,
    resamples: options.Resamples = 9999,
    seed: options.Seed = 0,
    unit: options.MeanOver = "case",
    missing: options.Missing = "worst",
    unpredicted: options.Unpredicted = "refuse",
    extra: options.Extra = "refuse",
    check_age: options.CheckAge = False,
    tolerance_mm: options.Tolerance = None,
    resample: options.Resample = False,
    column: options.Columns = None,
    task: options.TaskName = "",
    workers: options.Workers = None,
    out: options.NoOut = None,
    each: options.Each = False,
) -> None:
    """Explain what is wrong with references, predictions and tables before they are compared.

    Takes all that `segrisk compare` takes, and writes nothing. Faults that are alike are told as
    one, which names the first; `--all` names each. The exit status is 2 if there is a fault.

    Example: `segrisk doctor --reference labels --model A=runs/a --model B=runs/b`
    """
    given = locals()
    with clear_errors("compare"):
        from segrisk.compare.show import diagnose

        ok = diagnose(_asked(given), Console(), each)
    raise typer.Exit(0 if ok else 2)


def _asked(given: dict[str, Any]) -> "Comparison":
    """What the options of either command ask for."""
    from segrisk.compare.asked import comparison

    return comparison(
        options.request(given),
        given["out"] or Path(),
        metrics=tuple(given["metric"] or ()),
        regions=options.regions(given["region"] or ()),
        surface_tolerance_mm=given["nsd_mm"],
        **{name: given[name] for name in options.OF_A_COMPARISON},
    )
