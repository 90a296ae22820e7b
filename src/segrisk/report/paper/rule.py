"""The one rule that judges every claim."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["reproduced", "not reproduced", "cannot tell"]

Expected = Literal["above", "equal", "different"]
"""What is claimed of a difference a − b."""

Over = Literal["all", "most", "some", "unopposed"]
"""How many of its parts a claim is of; unopposed: one at least, and none against it."""

Test = Literal["these trained models", "the losses, over trainings"]
"""What a verdict speaks of."""


@dataclass(frozen=True)
class Evidence:
    """A difference a − b, positive where a is better, and all that the rule needs of it."""

    contrast: str
    difference: float
    low: float | None
    high: float | None
    p_adjusted: float
    """Holm's, over `family`."""
    family: str
    equivalent: bool
    """Whether two one-sided tests place it within ±margin."""
    margin: float | None
    """None where none was declared: nothing is then equivalent."""
    alpha: float
    n_cases: int
    n_groups: int
    speaks_of: Test
    p_beside: float | None = None
    """With several seeds the Holm-adjusted p of the sign-flip test, of the trained models alone."""

    @property
    def is_real(self) -> bool:
        """Whether it is significant after correction."""
        return self.p_adjusted < self.alpha and self.difference != 0


def judge(expected: Expected, evidence: Evidence) -> Verdict:
    """Whether one difference is what was expected.

    | expected | reproduced | not reproduced |
    |---|---|---|
    | above | significant, a above b | significant, b above a; or equivalent |
    | equal | equivalent | significant, and the difference at least the margin |
    | different | significant, either way | equivalent |

    Else it cannot be told. The first column that holds decides: a difference that is significant
    and yet within the margin is above, and is equal. A difference of the margin that is not
    significant, or is significant and smaller, does not refute equality.
    """
    real, margin = evidence.is_real, evidence.margin
    holds, fails = {
        "above": (
            real and evidence.difference > 0,
            evidence.equivalent or (real and evidence.difference < 0),
        ),
        "equal": (
            evidence.equivalent,
            real and margin is not None and abs(evidence.difference) >= margin,
        ),
        "different": (real, evidence.equivalent),
    }[expected]
    return "reproduced" if holds else "not reproduced" if fails else "cannot tell"


def judge_order(first: Evidence, second: Evidence) -> Verdict:
    """Whether two metrics order a pair alike: told only where each orders it after correction."""
    if not (first.is_real and second.is_real):
        return "cannot tell"
    alike = (first.difference > 0) == (second.difference > 0)
    return "reproduced" if alike else "not reproduced"


def together(over: Over, verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim of all, most (more than half), some or unopposed of its parts.

    >>> together("all", ["reproduced", "cannot tell"]), together("most", ["reproduced"] * 6)
    ('cannot tell', 'reproduced')
    """
    if not verdicts:
        raise ValueError("no verdicts: a claim has at least one part")
    count = len(verdicts)
    holds, fails = verdicts.count("reproduced"), verdicts.count("not reproduced")
    if over == "unopposed" and fails:
        return "not reproduced"
    needed = {"all": count, "most": count // 2 + 1, "some": 1, "unopposed": 1}[over]
    if holds >= needed:
        return "reproduced"
    return "not reproduced" if fails > count - needed else "cannot tell"
