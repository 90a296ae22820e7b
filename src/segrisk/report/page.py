"""The page: one file that needs nothing else."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from segrisk.report import captions
from segrisk.report.cases import Gallery, page_data
from segrisk.report.decisions import Contrast
from segrisk.report.efforts import Cost, costs, phases
from segrisk.report.figures import Chart
from segrisk.report.forest import (
    CIRCLE,
    DIAMOND,
    forest,
    places,
    places_across,
    significance_map,
)
from segrisk.report.paper import show
from segrisk.report.paper.judge import Claims
from segrisk.report.shown import said_of_sample
from segrisk.report.styles import styles, themed
from segrisk.report.summary import Summary, conclusions_changed
from segrisk.report.tables import Table
from segrisk.report.verdict import number, p_text, verdicts
from segrisk.scores import RISKS, SURROGATES
from segrisk.statistics import MEAN_OVER

PAIRS_SHOWN = 200

QUESTIONS = {
    "loss": "Which loss makes the segmentation score best, and is the difference real?",
    "model": "Is one model really better than the others?",
}


def page(
    summary: Summary,
    claims: Claims | None,
    tables: Sequence[Table],
    charts: Mapping[str, Chart],
    pictures: Gallery,
    written: Sequence[str],
) -> str:
    """The report as HTML; `written` names the files that lie beside it."""
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            results=summary.results,
            question=QUESTIONS[summary.results.subject],
            summary=summary,
            verdicts=verdicts(summary),
            facts=captions.facts(summary),
            notes=captions.notes(summary),
            conventions=captions.conventions(summary),
            captions=captions,
            tables=[_without_repeats(table, tables[0]) for table in tables],
            changes=conclusions_changed(summary),
            forests=[forest(summary, task.name) for task in summary.tasks if summary.by_loss.pairs],
            maps=[significance_map(summary, task.name) for task in summary.tasks],
            rankings=[(task.name, places(summary, task.name)) for task in summary.tasks],
            across=[(ranked, places_across(summary, ranked)) for ranked in summary.across],
            mean_over=MEAN_OVER[summary.results.plan.unit],
            circle=CIRCLE,
            diamond=DIAMOND,
            charts=charts,
            svgs={name: Markup(themed(chart.svg)) for name, chart in charts.items()},
            specifications={
                name: Markup(themed(script_json(_bare(chart.specification))))
                for name, chart in charts.items()
            },
            styles=styles(summary.models),
            pictures=pictures,
            sampled=said_of_sample(summary),
            scores_file="scores.csv" if "scores.csv" in written else "scores.parquet",
            data=page_data(summary, pictures),
            labels=_labels(summary),
            claims=claims,
            shown=show,
            contrasts=_contrasts(summary),
            surrogate_names=(*SURROGATES, *RISKS.values()),
            costs=_by_task(costs(summary.results)),
            phases=phases(summary.results),
            pairs=summary.by_loss.pairs[:PAIRS_SHOWN],
            pairs_left=max(0, len(summary.by_loss.pairs) - PAIRS_SHOWN),
            written=written,
            style=Markup(_own("page.css")),
            script=Markup(_own("page.js")),
            library=Markup(_library()) if charts else "",
            provenance=json.dumps(summary.results.provenance, indent=2, sort_keys=True),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("segrisk.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"json": script_json, "number": number, "p": p_text}
    return environment


def _without_repeats(table: Table, first: Table) -> Table:
    """The table with those sentences of its caption that the first one's does not have."""
    if table is first:
        return table
    known = set(_sentences(first.caption))
    own = [sentence for sentence in _sentences(table.caption) if sentence not in known]
    return replace(table, caption=" ".join(own))


def _sentences(text: str) -> list[str]:
    """A text cut after every full stop that ends a sentence.

    >>> _sentences("At p < 0.05, seed 0. Bold: higher.")
    ['At p < 0.05, seed 0.', 'Bold: higher.']
    """
    return re.split(r"(?<=[.])\s+(?=[A-Z])", text)


def script_json(value: Any) -> Markup:
    """JSON inside a script element, which no text in it can close.

    >>> print(script_json("</script><!--"))
    "\\u003c/script>\\u003c!--"
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def _bare(specification: Mapping[str, Any]) -> Mapping[str, Any]:
    """A chart without the cases: the page's script puts in those that it has."""
    if "cases" in specification.get("datasets", {}):
        return {**specification, "datasets": {**specification["datasets"], "cases": []}}
    return specification


def _own(name: str) -> str:
    return (files("segrisk.report") / name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    """Vega, Vega-Lite and vega-embed as one script."""
    import altair
    import vl_convert

    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return vl_convert.javascript_bundle(vl_version=version).replace("</script", r"<\/script")


def _contrasts(summary: Summary) -> list[Contrast]:
    """What the decision adds, in the primary metric."""
    if summary.decisions is None:
        return []
    primary = summary.results.plan.primary
    return [c for c in summary.decisions.contrasts if c.metric == primary]


def _labels(summary: Summary) -> dict[str, str]:
    """Models and arms by name, as tables call them."""
    models = summary.labels
    arms = {arm.name: f"{models[arm.model]}, {arm.label}" for arm in summary.results.arms}
    return {**models, **arms}


def _by_task(found: Sequence[Cost]) -> list[tuple[str, list[Cost]]]:
    """The costs of each task that has some."""
    return [(task, list(own)) for task, own in groupby(found, lambda cost: cost.task)]
