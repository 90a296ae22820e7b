"""The page: one file that needs nothing else."""

import json
from collections.abc import Mapping, Sequence
from statistics import median

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from segrisk.report import captions
from segrisk.report.decisions import Contrast
from segrisk.report.summary import Pair, Summary, conclusions_changed
from segrisk.report.tables import Table
from segrisk.scores import RISKS, SURROGATES

PAIRS_SHOWN = 200


def page(summary: Summary, tables: Sequence[Table], pictures: Mapping[str, str]) -> str:
    """The report as HTML; `pictures` maps a figure's name to its SVG."""
    environment = Environment(
        loader=PackageLoader("segrisk.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    results = summary.results
    return environment.get_template("page.html.j2").render(
        name=results.name,
        findings=findings(summary),
        tables=tables,
        changes=conclusions_changed(summary),
        has_second_block=summary.by_dice is not None,
        pictures={name: Markup(svg) for name, svg in pictures.items()},
        curve_caption=captions.curve(summary),
        contrasts=_contrasts(summary),
        contrast_caption=captions.contrasts(summary),
        risks=summary.risks,
        risk_caption=captions.risks(),
        surrogates=summary.surrogates,
        surrogate_names=(*SURROGATES, *RISKS.values()),
        surrogate_caption=captions.surrogates(),
        efforts=_efforts(summary),
        pairs=summary.by_loss.pairs[:PAIRS_SHOWN],
        pairs_left=max(0, len(summary.by_loss.pairs) - PAIRS_SHOWN),
        labels=_labels(summary),
        margin=results.plan.margin,
        notes=results.notes,
        provenance=json.dumps(results.provenance, indent=2, sort_keys=True),
    )


def findings(summary: Summary) -> tuple[str, ...]:
    """The answer in a few sentences, each made from the numbers."""
    return tuple(_finding(summary, task.name) for task in summary.tasks)


def _finding(summary: Summary, task: str) -> str:
    plan, block = summary.results.plan, summary.by_loss
    labels = {model.name: model.label for model in summary.models}
    ranked = sorted(summary.models, key=lambda model: -block.mean(task, plan.primary, model.name))
    best = ranked[0]
    score = block.mean(task, plan.primary, best.name)
    text = f"{task}: {best.label} has the highest mean {plan.primary.capitalize()}, {score:.3f}"
    own = [pair for pair in block.pairs if (pair.task, pair.metric) == (task, plan.primary)]
    others = [_other(pair, best.name) for pair in own if best.name in (pair.a, pair.b)]
    beaten = [labels[name] for name, pair in others if _is_below(best.name, pair, plan.alpha)]
    equal = [labels[name] for name, pair in others if pair.equivalent]
    if others:
        text += f"; significantly above {_list(beaten or ['none'])} after Holm's correction"
    if equal:
        text += f"; equivalent to {_list(equal)} within ±{plan.margin:g}"
    return text + "."


def _is_below(best: str, pair: Pair, alpha: float) -> bool:
    """Whether the other model of a pair is significantly below the best, after correction."""
    return (
        pair.p_holm is not None
        and pair.p_holm < alpha
        and (pair.difference > 0) == (pair.a == best)
    )


def _other(pair: Pair, name: str) -> tuple[str, Pair]:
    return (pair.b if pair.a == name else pair.a), pair


def _list(names: Sequence[str]) -> str:
    """Names as a sentence lists them.

    >>> _list(["CE"]), _list(["CE", "wCE"]), _list(["CE", "wCE", "sDice"])
    ('CE', 'CE and wCE', 'CE, wCE and sDice')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _contrasts(summary: Summary) -> list[Contrast]:
    """What the decision adds, in the primary metric."""
    if summary.decisions is None:
        return []
    primary = summary.results.plan.primary
    return [c for c in summary.decisions.contrasts if c.metric == primary]


def _labels(summary: Summary) -> dict[str, str]:
    """Models and arms by name, as tables call them."""
    models = {model.name: model.label for model in summary.models}
    arms = {arm.name: f"{models[arm.model]}, {arm.label}" for arm in summary.results.arms}
    return {**models, **arms}


def _efforts(summary: Summary) -> list[tuple[str, list[tuple[str, int, int, int, float]]]]:
    """For each task: each loss with its median steps, chosen steps and seconds per training."""
    tables = []
    for task in summary.tasks:
        rows = []
        for model in summary.models:
            own = [
                effort
                for effort in summary.results.efforts
                if (effort.task, effort.model) == (task.name, model.name)
            ]
            if own:
                rows.append(
                    (
                        model.label,
                        round(median(effort.steps for effort in own)),
                        round(median(effort.best_step_by_loss for effort in own)),
                        round(median(effort.best_step_by_dice for effort in own)),
                        median(effort.seconds for effort in own),
                    )
                )
        if rows:
            tables.append((task.name, rows))
    return tables
