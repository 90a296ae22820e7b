"""Tables of scores made complete: one score of every metric for every model and case."""

import math
from collections.abc import Iterable, Iterator, Mapping

from segrisk.compare.request import Finding, Request, note, some
from segrisk.compare.tables import Table
from segrisk.metrics import MEASURES
from segrisk.scores import Score

SHARES = tuple(name for name, m in MEASURES.items() if m.better == "higher")
"""Metrics from 0, the worst, to 1."""
LENGTHS = tuple(name for name, m in MEASURES.items() if m.better == "lower")
"""Metrics from 0, the best, up."""


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
        text = f"{model}: case {case}: has more than one score in {task}: keep one row"
        findings.append(Finding("duplicate", text, cases=(case,), one=f"case {case}", many="cases"))
    findings += _nameless(kept.values())
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


def _nameless(scores: Iterable[Score]) -> Iterator[Finding]:
    for what in ("model", "case"):
        if count := sum(not getattr(score, what) for score in scores):
            yield Finding("table", f"the tables hold {count} scores of no {what}: fill in its name")


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
        one = f"case {score.case}"
        own = f"{score.model}: {one}: {score.metric} is {score.value:g}"
        if score.metric in SHARES and (score.value < 0 or score.value > 1):
            advice = "divide per cents by 100" if 2 < score.value <= 100 else "compute it again"
            yield Finding(
                "table",
                f"{own}, where 0 to 1 is possible: {advice}",
                True,
                (score.case,),
                one,
                "cases",
            )
        elif math.isinf(score.value) or (score.metric in LENGTHS and score.value < 0):
            advice = "give the diagonal of the image for an object that was missed"
            yield Finding("table", f"{own}: {advice}", True, (score.case,), one, "cases")


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
