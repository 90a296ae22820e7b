"""Tables of scores made complete: one score of every metric for every model and case."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from segrisk.compare.request import Finding, Request, note, nothing_shared, some
from segrisk.frames import Frame, Text
from segrisk.metrics import MEASURES
from segrisk.report.results import Worst
from segrisk.scores import ScoreFrame, no_scores

SHARES = tuple(name for name, m in MEASURES.items() if m.better == "higher")
"""Metrics from 0, the worst, to 1."""
LENGTHS = tuple(name for name, m in MEASURES.items() if m.better == "lower")
"""Metrics from 0, the best, up."""
NAMED = 1000
"""Scores that are wrong which are told one by one."""


def complete(
    scores: ScoreFrame, findings: Iterable[Finding], request: Request
) -> tuple[ScoreFrame, Worst, list[Finding]]:
    """One score of every metric for every model and case; what is missing becomes the worst.

    With it, how many cases of each (task, model) that are. `findings` are what was found of the
    tables before; where any stops there are no scores.
    """
    kept, twice = _once(scores)
    findings = [*findings, *twice, *_nameless(kept), *_out_of_range(kept)]
    if any(finding.stops for finding in findings):
        return no_scores(), {}, findings
    findings += _not_common(kept)
    findings += _nothing_shared(kept)
    if any(finding.stops for finding in findings):
        return no_scores(), {}, findings
    common = set.intersection(*_by_model(kept, "metric").values())
    full, gaps = _filled(kept.among("metric", common))
    by_metric: dict[tuple[str, str], list[str]] = {}
    for _, model, metric, case in gaps:
        by_metric.setdefault((model, metric), []).append(case)
    findings += [_gap(*key, cases, request) for key, cases in by_metric.items()]
    worst = Counter((task, model) for task, model, _ in {(t, m, c) for t, m, _, c in gaps})
    return full.sorted(), worst, findings


def _once(scores: ScoreFrame) -> tuple[ScoreFrame, list[Finding]]:
    """Each score once, and which cases have more than one."""
    names = ("task", "model", "case", "label", "seed", "metric")
    if scores.distinct(*names) == len(scores):
        return scores, []
    _, first = np.unique(scores.keys(*names), return_index=True)
    others = np.ones(len(scores), dtype=bool)
    others[first] = False
    doubled = scores.take(others)
    cases = zip(*(doubled.text(name).values() for name in ("task", "model", "case")), strict=True)
    findings = [
        Finding(
            "duplicate",
            f"{model}: case {case}: has more than one score in {task}: keep one row",
            cases=(case,),
            one=f"case {case}",
            many="cases",
        )
        for task, model, case in dict.fromkeys(cases)
    ]
    return scores.take(np.sort(first)), findings


def _nameless(scores: ScoreFrame) -> Iterator[Finding]:
    for what in ("model", "case"):
        if count := int(scores.text(what).equals("").sum()):
            yield Finding("table", f"the tables hold {count} scores of no {what}: fill in its name")


def _by_model(scores: ScoreFrame, what: str) -> dict[str, set[str]]:
    """What each model has scores of."""
    models, column = scores.text("model"), scores.text(what)
    return {model: set(column.take(models.equals(model)).used()) for model in models.seen()}


def _not_common(scores: ScoreFrame) -> Iterator[Finding]:
    """Metrics that only some models have are left out; tasks and labels must be common to all."""
    if not scores:
        yield Finding("table", "the tables hold no scores: check the files")
        return
    metrics = _by_model(scores, "metric").values()
    common = set.intersection(*metrics)
    others = set().union(*metrics) - common
    if not common:
        yield Finding("table", f"no metric is given for every model ({some(sorted(others))})")
    elif others:
        text = f"{some(sorted(others))} is not given for every model: left out"
        yield note("table", text)
    for what in ("task", "label"):
        own = _by_model(scores, what)
        every = set().union(*own.values())
        for model, has in own.items():
            if lacks := sorted(every - has):
                text = f"{model}: has no score of {what} {some(lacks)}, which others have"
                yield Finding("table", f"{text}: add it, or leave the {what} out")


def _nothing_shared(scores: ScoreFrame) -> Iterator[Finding]:
    """Models of other cases, as of unlike folds, would each be the worst on the other's."""
    models, cases = scores.text("model"), scores.text("case")
    has = np.zeros((len(models.names), len(cases.names)), dtype=bool)
    has[models.codes, cases.codes] = True
    for a, b in itertools.combinations(np.flatnonzero(has.any(axis=1)).tolist(), 2):
        if not (has[a] & has[b]).any():
            yield Finding("table", nothing_shared(models.names[a], models.names[b]))


def _out_of_range(scores: ScoreFrame) -> Iterator[Finding]:
    """The scores that no mask can have; of very many the first are named, and the rest counted."""
    values, metrics = scores.numbers("value"), scores.text("metric")
    is_share, is_length = (metrics.places(own) >= 0 for own in (SHARES, LENGTHS))
    outside = is_share & ((values < 0) | (values > 1))
    wrong = outside | ~is_share & (np.isinf(values) | is_length & (values < 0))
    found = np.flatnonzero(wrong)
    for score in scores.take(found[:NAMED]):
        one = f"case {score.case}"
        text = f"{score.model}: {one}: {score.metric} is {score.value:g}"
        if score.metric in SHARES:
            advice = "divide per cents by 100" if 2 < score.value <= 100 else "compute it again"
            text = f"{text}, where 0 to 1 is possible: {advice}"
        else:
            text = f"{text}: give the diagonal of the image for an object that was missed"
        yield Finding("table", text, cases=(score.case,), one=one, many="cases")
    if len(found) > NAMED:
        text = f"{len(found) - NAMED} more scores are such as no mask can have: compute them again"
        yield Finding("table", text)


def _filled(scores: ScoreFrame) -> tuple[ScoreFrame, list[tuple[str, str, str, str]]]:
    """Scores with gaps filled by the worst value; each gap's (task, model, metric, case)."""
    models = scores.text("model").seen()
    names, has_none = ("task", "case", "label", "seed", "metric"), np.isnan(scores.numbers("value"))
    if scores.distinct(*names) * len(models) == len(scores) and not has_none.any():
        return scores, []
    keys = scores.keys(*names)
    _, first, wanted = np.unique(keys, return_index=True, return_inverse=True)
    row_of = np.full((len(first), len(models)), -1)
    row_of[wanted, scores.text("model").places(models)] = np.arange(len(scores))
    # Group and fold of what is missing are those of the same case where it is last there.
    like = row_of.max(axis=1)
    gap = (row_of < 0) | has_none[row_of]
    order = np.argsort(first, kind="stable")
    place, model = np.nonzero(gap[order])
    place = order[place]
    own = row_of[place, model]
    added = scores.take(like[place])
    folds = scores.numbers("fold")
    added = added.replaced(
        model=Text(models, model),
        fold=np.where(own < 0, added.numbers("fold"), folds[own]),
        value=0.0,
    )
    columns = (added.text(name).values() for name in ("task", "model", "metric", "case"))
    return Frame.joined([scores.take(~has_none), added]), list(zip(*columns, strict=True))


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
