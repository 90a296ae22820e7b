"""Rules by the names that study files and the command line give them."""

from segrisk.decision.rules import (
    ExactIndependent,
    FixedThreshold,
    HalfDice,
    Hurdle,
    Rule,
    TunedThreshold,
)
from segrisk.similarity import Similarity


def named_rules(similarity: Similarity) -> dict[str, Rule]:
    """Every rule that has a name, for masks that are scored with `similarity`.

    >>> from segrisk.similarity import dice
    >>> for name, rule in named_rules(dice).items():
    ...     print(f"{name}: {rule.name}")
    half: 0.5
    exact: exact dice
    half-dice: half of D*
    tuned: tuned for dice
    hurdle: empty-aware dice
    """
    return {
        "half": FixedThreshold(0.5),
        "exact": ExactIndependent(similarity),
        "half-dice": HalfDice(),
        "tuned": TunedThreshold(similarity),
        "hurdle": Hurdle(similarity),
    }


NEED_CALIBRATION = ("exact", "half-dice", "hurdle")
"""Those that read p as a probability: for networks trained with cross-entropy."""
