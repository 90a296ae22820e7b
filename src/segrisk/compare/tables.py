"""Scores that another program has computed, as rows of the one schema.

Of one model: nnU-Net's summary.json (or a folder of folds that have one each), panoptica's TSV,
segauge's JSON. Of several: challengeR's long CSV, the wide CSV of Claims Reloaded, a scores.csv or
scores.parquet of this package, or the folder of a study. Only metrics whose worst value is known
are taken. Where a table counts the voxels of its references, their sizes are taken as well.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

from segrisk.compare.layouts import FOLD, case_name
from segrisk.compare.panoptica import read_panoptica
from segrisk.compare.request import Request, some
from segrisk.compare.rows import Row, header, read_rows
from segrisk.compare.sizes import Size
from segrisk.compare.table import METRICS, Table
from segrisk.data.dataset import read_object
from segrisk.parquet import is_parquet
from segrisk.report.write import SIZES
from segrisk.scores import COLUMNS, read_scores

LONG = {
    "task": ("task", "dataset", "challenge"),
    "algorithm": ("algorithm", "alg_name", "alg", "model", "method", "team"),
    "case": ("case", "case_id", "testcase", "test_case", "id"),
    "value": ("value", "metricvalue", "metric_value", "score", *METRICS),
}
"""Columns of a long table, and what they may be called, in small letters."""
KINDS = ("csv", "parquet")
"""How a report writes its tables; where both are there they hold the same."""


def read_model(model: str, path: Path, request: Request) -> Table:
    """The scores of one model, in whichever format the file turns out to be."""
    table = Table(request, request.task or "scores")
    summaries = _summaries(path) if path.is_dir() else [(None, path)]
    if not summaries:
        table.fault(path, "holds no summary.json: give a file of scores, or also --reference")
    for fold, file in summaries:
        if file.suffix.lower() == ".csv" or is_parquet(file):
            table.fault(file, "names its models itself: give it with --scores")
            continue
        if file.suffix.lower() == ".tsv":
            read_panoptica(table, model, file)
            continue
        content = read_object(file, "export it again")
        try:
            if "metric_per_case" in content:
                _nnunet(table, model, file, content, fold)
            elif "per_case" in content:
                _segauge(table, model, file, content)
            else:
                table.fault(
                    file,
                    f"is no table of scores that is known (keys: {some(content) or 'none'}): give "
                    "nnU-Net's summary.json, panoptica's .tsv or segauge's .json",
                )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            table.fault(file, f"is not as its program writes it ({reason}): export it again")
    return table


def is_table(path: Path) -> bool:
    """Whether a path that is given for a model leads to scores rather than to masks."""
    return path.is_file() and (path.suffix.lower() in (".json", ".tsv", ".csv") or is_parquet(path))


# nnU-Net


def _summaries(root: Path) -> list[tuple[int | None, Path]]:
    """The summary.json of a folder, or of each of its folds."""
    if (root / "summary.json").is_file():
        return [(None, root / "summary.json")]
    found = []
    for path in sorted(root.glob("fold_*/validation*/summary.json")):
        number = FOLD.fullmatch(path.parent.parent.name)
        if number and number[1] != "all":
            found.append((int(number[1]), path))
    return found


def _nnunet(table: Table, model: str, path: Path, content: dict, fold: int | None) -> None:
    empty = 0
    for entry in content["metric_per_case"]:
        file = Path(entry["reference_file"].replace("\\", "/"))  # of Windows, too
        case = case_name(file) or file.stem
        for key, metrics in entry["metrics"].items():
            label = "+".join(re.findall(r"\d+", key)) or key
            both_empty = metrics.get("n_ref") == 0 and metrics.get("n_pred") == 0
            for name, metric in (("Dice", "dice"), ("IoU", "jaccard")):
                value = metrics.get(name)
                value = math.nan if value is None else float(value)
                if both_empty and math.isnan(value):
                    empty += metric == "dice"
                    value = table.of_two_empty(metric)
                keys = {"label": label, "fold": fold or 0}
                table.add(metric=metric, value=value, model=model, case=case, **keys)
            if "n_ref" in metrics:
                counts = _counted(case, metrics)
                table.sizes.append(Size.counted(model, (table.task, case, label), *counts))
    table.say_empty(model, path, empty)


def _counted(case: str, metrics: Mapping[str, float]) -> tuple[int, int | None]:
    """The voxels of a reference, and of its image without what is ignored."""
    voxels = int(metrics["n_ref"])
    if not {"TP", "FP", "FN", "TN"} <= metrics.keys():
        return voxels, None
    tp, fp, fn, tn = (int(metrics[name]) for name in ("TP", "FP", "FN", "TN"))
    if voxels != tp + fn:
        raise ValueError(f"n_ref of {case} is {voxels}, and TP + FN is {tp + fn}")
    return voxels, tp + fp + fn + tn


# segauge


def _segauge(table: Table, model: str, path: Path, content: dict) -> None:
    unknown: dict[str, None] = {}
    for row in content["per_case"]:
        for name, value in row.items():
            if name in METRICS:
                value = math.nan if value is None else float(value)
                metric = METRICS[name]
                table.add(metric=metric, value=value, model=model, case=str(row["case_id"]))
            elif name != "case_id":
                unknown[name] = None
    table.left_out(model, path, list(unknown))


# Tables of several models


def read_models(path: Path, request: Request) -> Table:
    """The scores of several models: ours, a study's folder, long or wide CSV."""
    table = Table(request, request.task or path.stem)
    if path.is_dir():
        places = (folder / f"scores.{kind}" for folder in (path, path / "report") for kind in KINDS)
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            table.fault(path, "holds no scores.csv, nor report/scores.csv: give a file of scores")
            return table
        path = found
    if is_parquet(path) or set(header(path)) == set(COLUMNS):
        _read_ours(table, path)
        return table
    columns, rows = read_rows(path)
    if columns[:1] == ["case_id"] and not request.columns and not _long(columns, {}):
        _wide(table, path, columns, rows)
    elif names := _long(columns, request.columns):
        _read_long(table, path, names, rows)
    else:
        table.fault(
            path,
            f"has the columns {some(columns, shown=8)}: expected case_id and a column for each "
            "model, or one for the algorithm, the case and the value: say which "
            "(--column algorithm=…)",
        )
    return table


def _read_ours(table: Table, path: Path) -> None:
    """The tidy schema, as columns, and the sizes that lie beside it."""
    try:
        table.whole = read_scores(path)
    except (ValueError, OSError) as error:
        table.fault(path, f"cannot be read ({error}): write it again")
        return
    beside = (path.with_name(f"{SIZES}.{kind}") for kind in KINDS)
    table.size_files += [file for file in beside if file.is_file()][:1]


def _long(columns: list[str], declared: Mapping[str, str]) -> dict[str, str]:
    """The columns of a long table by what they are; nothing where it is none."""
    small = {column.lower(): column for column in columns}
    found = {}
    for what, names in LONG.items():
        name = declared.get(what) or next((small[n] for n in names if n in small), None)
        if name in columns:
            found[what] = name
    return found if {"algorithm", "case", "value"} <= found.keys() else {}


def _read_long(
    table: Table, path: Path, names: dict[str, str], rows: list[tuple[int, Row]]
) -> None:
    metric = METRICS.get(names["value"].lower(), table.request.metric)
    for line, row in rows:
        task = row[names["task"]] if "task" in names else table.task
        value = table.number(path, line, row[names["value"]])
        model, case = row[names["algorithm"]], row[names["case"]]
        table.add(metric=metric, value=value, model=model, case=case, task=task)


def _wide(table: Table, path: Path, columns: list[str], rows: list[tuple[int, Row]]) -> None:
    if "ground_truth" in columns:
        table.fault(path, "has a column ground_truth, so it is of classification: give Dice scores")
        return
    for line, row in rows:
        for model in columns[1:]:
            value = table.number(path, line, row[model])
            metric = table.request.metric
            table.add(metric=metric, value=value, model=model, case=row["case_id"])
