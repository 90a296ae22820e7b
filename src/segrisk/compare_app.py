"""The commands `segrisk compare` and `segrisk doctor`."""

import typer
from rich.console import Console

from segrisk import options
from segrisk.messages import clear_errors


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
        from segrisk.compare.run import comparison, run_comparison

        asked = comparison(
            options.request(given),
            out,
            metrics=tuple(metric or ()),
            regions=options.regions(region or ()),
            surface_tolerance_mm=nsd_mm,
            **{name: given[name] for name in options.OF_A_COMPARISON},
        )
        run_comparison(asked, Console())


def doctor(
    reference: options.Reference = None,
    model: options.Models = None,
    manifest: options.Manifest = None,
    scores: options.Scores = None,
    sizes: options.Sizes = None,
    groups: options.Groups = None,
    root: options.Root = None,
    labels: options.Labels = None,
    missing: options.Missing = "worst",
    unpredicted: options.Unpredicted = "refuse",
    extra: options.Extra = "refuse",
    check_age: options.CheckAge = False,
    tolerance_mm: options.Tolerance = None,
    column: options.Columns = None,
) -> None:
    """Explain what is wrong with references, predictions and tables before they are compared.

    Nothing is written. The exit status is 2 if there is a fault.

    Example: `segrisk doctor --reference labels --model A=runs/a --model B=runs/b`
    """
    given = locals()
    with clear_errors("compare"):
        from segrisk.compare.show import diagnose

        ok = diagnose(options.request(given), Console())
    raise typer.Exit(0 if ok else 2)
