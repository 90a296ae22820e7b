"""Scores that another program has computed, as rows of the one schema.

Of one model: nnU-Net's summary.json (or a folder of folds that have one each), panoptica's TSV,
segauge's JSON. Of several: challengeR's long CSV, the wide CSV of Claims Reloaded, a scores.csv of
this package, or the folder of a study. Only metrics whose worst value is known are taken.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segrisk.compare.layouts import FOLD, case_name
from segrisk.compare.request import Finding, Request, note, some
from segrisk.compare.rows import Row, read_rows
from segrisk.data.errors import DataError
from segrisk.metrics import MEASURES
from segrisk.scores import COLUMNS, Score, read_scores

METRICS = {
    "dice": "dice", "dsc": "dice", "global_bin_dsc": "dice",
    "jaccard": "jaccard", "iou": "jaccard", "global_bin_iou": "jaccard",
    "nsd": "nsd", "global_bin_nsd": "nsd",
    "hd95": "hd95_mm", "global_bin_hd95": "hd95_mm",
    "assd": "assd_mm", "global_bin_assd": "assd_mm",
}  # fmt: skip
"""What other programs call the metrics, in small letters, and what they are called here."""
SHARES = tuple(name for name, m in MEASURES.items() if m.better == "higher")
"""Metrics from 0, the worst, to 1."""
LENGTHS = tuple(name for name, m in MEASURES.items() if m.better == "lower")
"""Metrics from 0, the best, up."""

LONG = {
    "task": ("task", "dataset", "challenge"),
    "algorithm": ("algorithm", "alg_name", "alg", "model", "method", "team"),
    "case": ("case", "case_id", "testcase", "test_case", "id"),
    "value": ("value", "metricvalue", "metric_value", "score", *METRICS),
}
"""Columns of a long table, and what they may be called, in small letters."""
ABSENT = ("", "na", "nan", "null", "none")


@dataclass
class Table:
    """Scores as they are read, NaN where a value is missing, and what is to be said of them."""

    request: Request
    task: str
    scores: list[Score] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def add(self, *, metric: str, value: float, model: str, case: str, **keys: object) -> None:
        """Keep one score, its case a group of its own."""
        defaults = {"task": self.task, "group": case, "label": "1", "fold": 0, "seed": 0}
        row = {**defaults, **keys, "model": model, "case": case}
        self.scores.append(Score(metric=metric, value=value, **row))  # type: ignore[arg-type]

    def fault(self, path: Path, text: str) -> None:
        self.findings.append(Finding("table", f"{path.name}: {text}"))


def read_model(model: str, path: Path, request: Request) -> Table:
    """The scores of one model, in whichever format the file turns out to be."""
    table = Table(request, request.task or "scores")
    summaries = _summaries(path) if path.is_dir() else [(None, path)]
    if not summaries:
        table.fault(path, "holds no summary.json: give a file of scores, or also --reference")
    for fold, file in summaries:
        if file.suffix.lower() == ".csv":
            table.fault(file, "names its models itself: give it with --scores")
            continue
        if file.suffix.lower() == ".tsv":
            _panoptica(table, model, file)
            continue
        content = _json(file)
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
    return path.is_file() and path.suffix.lower() in (".json", ".tsv", ".csv")


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
                    value = table.request.empty
                keys = {"label": label, "fold": fold or 0}
                table.add(metric=metric, value=value, model=model, case=case, **keys)
    if empty:
        text = f"{model}: {path.name}: {empty} Dice of two empty masks are NaN there"
        table.findings.append(note("nan", f"{text}, taken as {table.request.empty:g}"))


# panoptica and segauge


def _panoptica(table: Table, model: str, path: Path) -> None:
    columns, rows = read_rows(path)
    if "subject_name" not in columns:
        table.fault(
            path, f"has no column subject_name (columns: {some(columns)}): is it panoptica's?"
        )
        return
    taken = {}
    for column in columns:
        group, _, name = column.rpartition("-")
        if name in METRICS:
            taken[column] = (group, METRICS[name])
    if not taken:
        table.fault(path, "has no metric that is known, such as global_bin_dsc: compute one")
    _left_out(table, model, path, [c for c in columns if c not in (*taken, "subject_name")])
    for line, row in rows:
        for column, (group, metric) in taken.items():
            value = _number(table, path, line, row[column])
            keys = {"label": "1" if group == "ungrouped" else group}
            table.add(metric=metric, value=value, model=model, case=row["subject_name"], **keys)


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
    _left_out(table, model, path, list(unknown))


def _left_out(table: Table, model: str, path: Path, names: list[str]) -> None:
    if names:
        text = f"{model}: {path.name}: leaves out {some(names)}, whose worst value is not known"
        table.findings.append(note("table", text))


# Tables of several models


def read_models(path: Path, request: Request) -> Table:
    """The scores of several models: ours, a study's folder, long or wide CSV."""
    table = Table(request, request.task or path.stem)
    if path.is_dir():
        places = (path / "scores.csv", path / "report" / "scores.csv")
        path = next((place for place in places if place.is_file()), places[0])
    columns, rows = read_rows(path)
    if set(columns) == set(COLUMNS):
        try:
            table.scores += read_scores(path)
        except (ValueError, KeyError) as error:
            table.fault(path, f"cannot be read ({error}): write it again")
    elif columns[:1] == ["case_id"] and not request.columns and not _long(columns, {}):
        _wide(table, path, columns, rows)
    elif names := _long(columns, request.columns):
        _read_long(table, path, names, rows)
    else:
        table.fault(
            path,
            f"has the columns {some(columns, 8)}: expected case_id and a column for each model, or "
            "one for the algorithm, the case and the value: say which (--column algorithm=…)",
        )
    return table


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
        value = _number(table, path, line, row[names["value"]])
        model, case = row[names["algorithm"]], row[names["case"]]
        table.add(metric=metric, value=value, model=model, case=case, task=task)


def _wide(table: Table, path: Path, columns: list[str], rows: list[tuple[int, Row]]) -> None:
    if "ground_truth" in columns:
        table.fault(path, "has a column ground_truth, so it is of classification: give Dice scores")
        return
    for line, row in rows:
        for model in columns[1:]:
            value = _number(table, path, line, row[model])
            metric = table.request.metric
            table.add(metric=metric, value=value, model=model, case=row["case_id"])


# Files


def _json(path: Path) -> dict:
    """A JSON object; Python's reader takes the bare NaN and Infinity that others write."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError([f"{path}: cannot be read ({error}): export it again"]) from error
    if not isinstance(content, dict):
        raise DataError([f"{path}: holds a {type(content).__name__}, where an object is expected"])
    return content


def _number(table: Table, path: Path, line: int, text: str) -> float:
    """A value, NaN where the cell says that there is none; a decimal comma is read as a point."""
    if text.lower() in ABSENT:
        return math.nan
    try:
        return float(text.replace(",", "."))
    except ValueError:
        table.fault(path, f"line {line}: {text!r} is no number: correct it")
        return math.nan


# Completeness


def complete(tables: Iterable[Table], request: Request) -> tuple[list[Score], list[Finding]]:
    """One score of every metric for every model and case; what is missing becomes the worst."""
    tables = list(tables)
    findings = [finding for table in tables for finding in table.findings]
    kept: dict[tuple, Score] = {}
    twice: dict[tuple, None] = {}
    for score in (score for table in tables for score in table.scores):
        key = (score.task, score.model, score.case, score.label, score.seed, score.metric)
        if key in kept:
            twice[score.task, score.model, score.case] = None
        kept[key] = score
    for task, model, case in twice:
        text = f"{model}: has more than one score for {case} of {task}: keep one row"
        findings.append(Finding("duplicate", text, cases=(case,)))
    findings += _out_of_range(kept.values())
    if any(finding.stops for finding in findings):
        return [], findings
    findings += _not_common(kept)
    if any(finding.stops for finding in findings):
        return [], findings
    common = _common_metrics(kept)
    full, gaps = _filled({key: score for key, score in kept.items() if score.metric in common})
    for (model, metric), cases in gaps.items():
        findings.append(_gap(model, metric, cases, request))
    return sorted(full), findings


def _common_metrics(kept: Mapping[tuple, Score]) -> set[str]:
    by_model: dict[str, set[str]] = {}
    for score in kept.values():
        by_model.setdefault(score.model, set()).add(score.metric)
    return set.intersection(*by_model.values()) if by_model else set()


def _not_common(kept: Mapping[tuple, Score]) -> Iterator[Finding]:
    """Metrics that only some models have are left out; tasks and labels must be common to all."""
    scores = kept.values()
    if not scores:
        yield Finding("table", "the tables hold no scores: check the files")
        return
    common = _common_metrics(kept)
    others = {score.metric for score in scores} - common
    if not common:
        yield Finding("table", f"no metric is given for every model ({some(sorted(others))})")
    elif others:
        text = f"{some(sorted(others))} is not given for every model: left out"
        yield note("table", text)
    for what in ("task", "label"):
        own: dict[str, set[str]] = {}
        for score in scores:
            own.setdefault(score.model, set()).add(getattr(score, what))
        every = set().union(*own.values())
        for model, has in own.items():
            if lacks := sorted(every - has):
                text = f"{model}: has no score of {what} {some(lacks)}, which others have"
                yield Finding("table", f"{text}: add it, or leave the {what} out")


def _out_of_range(scores: Iterable[Score]) -> Iterator[Finding]:
    for score in scores:
        own = f"{score.model}: {score.metric} of {score.case} is {score.value:g}"
        if score.metric in SHARES and (score.value < 0 or score.value > 1):
            advice = "divide per cents by 100" if 2 < score.value <= 100 else "compute it again"
            yield Finding(
                "table", f"{own}, where 0 to 1 is possible: {advice}", cases=(score.case,)
            )
        elif math.isinf(score.value) or (score.metric in LENGTHS and score.value < 0):
            advice = "give the diagonal of the image for an object that was missed"
            yield Finding("table", f"{own}: {advice}", cases=(score.case,))


def _filled(kept: dict[tuple, Score]) -> tuple[list[Score], dict[tuple[str, str], list[str]]]:
    """Scores with gaps filled by the worst value, and the cases of the gaps by model and metric."""
    models = list(dict.fromkeys(score.model for score in kept.values()))
    wanted = {(s.task, s.case, s.label, s.seed, s.metric): s for s in kept.values()}
    full, gaps = [], {}
    for (task, case, label, seed, metric), like in wanted.items():
        for model in models:
            score = kept.get((task, model, case, label, seed, metric))
            if score is None or math.isnan(score.value):
                gaps.setdefault((model, metric), []).append(case)
                fold = score.fold if score else like.fold
                keys = (task, model, case, like.group, label, fold, seed, metric)
                score = Score(*keys, value=0.0)
            full.append(score)
    return full, gaps


def _gap(model: str, metric: str, cases: list[str], request: Request) -> Finding:
    named = tuple(dict.fromkeys(cases))
    text = f"{model}: has no {metric} for {len(named)} cases ({some(named)})"
    if metric not in SHARES:
        return Finding(
            "missing", f"{text}: its worst value is not in the table: give it", True, named
        )
    if request.missing == "refuse":
        return Finding("missing", f"{text}: compute it", True, named)
    return note("missing", f"{text}: 0, the worst, is taken", named)
