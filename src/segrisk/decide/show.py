"""What `segrisk decide` prints."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from segrisk.decide.table import ScoredMask
from segrisk.decision import Choice, Fitted, as_json
from segrisk.decision.choose import Candidate

WORST = 5


def print_choice(
    console: Console, metric: str, label: int, choice: Choice, used: Candidate
) -> None:
    """The rules that were tried on a label, their gains over 0.5, and which one is used."""
    groups = choice.chosen.gain.n_groups
    cases = len(choice.fold_of)
    table = Table(title=f"label {label}: {cases} cases in {groups} groups, cross-fitted")
    for heading in ("rule", f"mean {metric}", "gain over 0.5", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "rule" else "right")
    for candidate in choice.candidates:
        gain = candidate.gain
        interval = f"[{gain.low:+.4f}, {gain.high:+.4f}]"
        first = candidate is choice.candidates[0]
        table.add_row(
            candidate.name + (" (used)" if candidate is used else ""),
            f"{candidate.scores.mean():.4f}",
            "" if first else f"{gain.estimate:+.4f}",
            "" if first else interval.replace("[", r"\["),
        )
    console.print(table)
    for name, reason in choice.skipped:
        console.print(f"{name} was not tried: {reason}", highlight=False, markup=False)
    if used is choice.candidates[0] and len(choice.candidates) > 1:
        console.print("0.5 stays: no interval of a gain lies above 0", highlight=False)
    elif used.gain.low <= 0 and used is not choice.candidates[0]:
        console.print(
            f"{used.name} was asked for; its gain over 0.5 is not shown to be above 0",
            highlight=False,
            markup=False,
        )


def print_scores(
    console: Console, metric: str, rows: Sequence[ScoredMask], fitted: Mapping[int, Fitted]
) -> None:
    """The rule of each label, and the cases to look at first."""
    for label, rule in fitted.items():
        numbers = ", ".join(f"{key} {value}" for key, value in as_json(rule).items())
        console.print(f"label {label}: {numbers}", highlight=False, markup=False)
    mean = sum(row.expected for row in rows) / len(rows)
    console.print(
        f"expected {metric}: {mean:.4f} on average, if voxels err independently and p is "
        "calibrated; lowest:",
        highlight=False,
    )
    for row in sorted(rows, key=lambda row: (row.expected, row.case))[:WORST]:
        found = "" if row.score is None else f"   scored {row.score:.4f}"
        console.print(
            f"  {row.case}   label {row.label}   {row.expected:.4f}{found}",
            highlight=False,
            markup=False,
        )
