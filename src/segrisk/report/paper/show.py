"""The judged claims in words: for the page, for tables, for Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from segrisk.report.paper.extents import ONE_TEST
from segrisk.report.paper.factors import Design
from segrisk.report.paper.judge import Claims, Judgement
from segrisk.report.paper.rule import Evidence
from segrisk.report.summary import Summary
from segrisk.report.verdict import listed, p_text
from segrisk.statistics import ONE_SEED

COLUMNS = (
    "claim", "sentence", "place", "task", "verdict", "part", "part_verdict", "difference", "low",
    "high", "p_adjusted", "family", "equivalent", "margin", "alpha", "n_cases", "n_groups",
    "speaks_of", "p_beside", "note",
)  # fmt: skip
"""The columns of claims.csv: one row for each part of a claim."""

RULE = (
    "Reproduced: significant after Holm's correction in the claimed direction, or equivalent "
    "within the margin where equality is claimed. Not reproduced: significant the other way, or "
    "equivalent where a difference is claimed, or significant and at least the margin where "
    "equality is claimed. Else it cannot be told. A claim of several parts is reproduced where all "
    "are, and not where one is not; a claim of most sizes where more than half are; of some, where "
    "one is."
)


def caption(summary: Summary, claims: Claims) -> str:
    """What the verdicts rest on."""
    plan = summary.results.plan
    text = f"{RULE} In {summary.primary.label}, margin ±{plan.margin:g}, alpha {plan.alpha:g}."
    if _over_trainings(claims):
        return (
            f"{text} Means of pairs are judged over trainings: the variance between seeds is added "
            "to that between cases; p of the sign-flip test, of the trained models alone, stands "
            "in brackets. Claims about sizes and between tasks speak of these trained models."
        )
    return f"{text} {ONE_SEED}"


def _over_trainings(claims: Claims) -> bool:
    return any(part.p_beside is not None for own in claims.judged for part in own.parts)


def words(own: Judgement) -> str:
    """The evidence for a verdict."""
    if own.statement.asked == "order":
        return _order(own)
    if own.statement.asked == "bins":
        return _bins(own)
    text = "; ".join(part_words(part) for part in own.parts) + sample(own.parts[0])
    return f"{text}; {own.note}" if own.note else text


def part_words(part: Evidence) -> str:
    """A difference with interval and p.

    >>> from segrisk.report.paper.rule import Evidence
    >>> part_words(
    ...     Evidence("a − b", -0.02, -0.03, -0.01, 0.001, "10 comparisons of dice", False, 0.01,
    ...              0.05, 100, 90, "these trained models"))
    'a − b −0.0200 [−0.0300, −0.0100], p = 0.001'
    """
    ends = "" if part.low is None or part.high is None else f" [{_n(part.low)}, {_n(part.high)}]"
    beside = "" if part.p_beside is None else f" (sign-flip {p_text(part.p_beside)})"
    same = ", equivalent" if part.equivalent else ""
    return f"{part.contrast} {_n(part.difference)}{ends}, {p_text(part.p_adjusted)}{beside}{same}"


def sample(part: Evidence) -> str:
    """The family of a part, and how many cases it rests on."""
    grouped = f" in {part.n_groups} groups" if part.n_groups < part.n_cases else ""
    family = "one test" if part.family == ONE_TEST else f"Holm over {part.family}"
    return f" ({family}; n = {part.n_cases} cases{grouped})"


def _n(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _order(own: Judgement) -> str:
    alike, opposite = (own.verdicts.count(v) for v in ("reproduced", "not reproduced"))
    return (
        f"{alike} of {len(own.verdicts)} pairs are ordered alike by both metrics after Holm, "
        f"{opposite} oppositely, {len(own.verdicts) - alike - opposite} not by both; {own.note}"
        f"{sample(own.parts[0])}"
    )


def _bins(own: Judgement) -> str:
    real = [part for part in own.parts if part.is_real]
    above = [part for part in real if part.difference > 0]
    below = [part for part in real if part.difference < 0]
    same = sum(part.equivalent for part in own.parts)
    signs = sum(part.difference > 0 for part in own.parts)
    text = (
        f"significantly above 0 in {len(above)} of {len(own.parts)} bins, below in {len(below)}, "
        f"equivalent in {same}; the mean is above 0 in {signs}"
    )
    for name, found in (("above", above), ("below", below)):
        if found:
            text += f"; {name} at a foreground of {listed(_ranges(own.parts, found))}"
    one = own.parts[0]
    return f"{text}; {own.note} (Holm over {one.family}; about {one.n_cases} cases a bin)"


def _ranges(bins: Sequence[Evidence], chosen: Sequence[Evidence]) -> list[str]:
    """The chosen bins, neighbours as one range, each with its smallest and largest difference."""
    runs: list[list[Evidence]] = []
    for before, part in zip([None, *bins], bins, strict=False):
        if part in chosen:
            if runs and before is runs[-1][-1]:
                runs[-1].append(part)
            else:
                runs.append([part])
    texts = []
    for run in runs:
        low, high = run[0].contrast.split(" to ")[0], run[-1].contrast.split(" to ")[1]
        ends = dict.fromkeys(_n(f([part.difference for part in run])) for f in (min, max))
        texts.append(f"{low} to {high} ({' to '.join(ends)})")
    return texts


def claim_rows(claims: Claims) -> list[dict[str, Any]]:
    """A row for each part of each claim, as claims.csv has them."""
    rows = []
    for own in claims.judged:
        # The parts of an order come two by two, Dice and Jaccard, with one verdict.
        each = len(own.parts) // len(own.verdicts)
        for index, part in enumerate(own.parts):
            fields = asdict(part)
            row: Mapping[str, Any] = {
                "claim": own.statement.name,
                "sentence": own.statement.sentence,
                "place": own.statement.place,
                "task": own.task,
                "verdict": own.verdict,
                "part": fields.pop("contrast"),
                "part_verdict": own.verdicts[index // each],
                "note": own.note,
                **fields,
            }
            rows.append({name: row[name] for name in COLUMNS})
    return rows


def claims_markdown(summary: Summary, claims: Claims) -> str:
    """All claims as Markdown, to be pasted where results are told."""
    lines = ["**The paper's claims**", ""]
    several = len(summary.tasks) > 1
    heads = ("claim, and where", *(["on"] if several else []), "verdict", "evidence")
    lines += [_line(heads), "|" + "---|" * len(heads)]
    for own in claims.judged:
        claim = f"{own.statement.sentence} ({own.statement.place})"
        on = [own.task] if several else []
        lines.append(_line((claim, *on, f"**{own.verdict}**", words(own))))
    lines += ["", caption(summary, claims), ""]
    if claims.left_out:
        lines += ["Not asked here:", ""]
        lines += [f"- {one.statement.sentence} ({one.task}): {one.why}" for one in claims.left_out]
        lines.append("")
    if claims.design is not None:
        head = f"| | {summary.primary.label} | evidence |"
        lines += [f"**{TITLE_DESIGN}**", "", head, "|---|---:|---|"]
        lines += [
            f"| {what} | {_n(part.difference)} | {part_words(part)} |"
            for what, part in design_rows(claims.design)
        ]
        lines += ["", DESIGN_CAPTION, ""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


TITLE_DESIGN = "Which factor makes the gain: metric-sensitive losses − cross-entropy"

DESIGN_CAPTION = (
    "Gain: the mean of soft Dice, soft Jaccard and Lovász minus cross-entropy. The tasks have "
    "cases of their own: Welch's t for sums of independent means, Holm over the four gains and "
    "over the three effects."
)


def design_rows(design: Design) -> list[tuple[str, Evidence]]:
    """The gains of the four tasks, then both effects and their interaction."""
    gains = [(f"gain on {task.name}", part) for task, part in design.gains]
    return [*gains, *((part.contrast.split(":")[0], part) for part in design.effects)]
