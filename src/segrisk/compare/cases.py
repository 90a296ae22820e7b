"""A case as it is compared: one reference, and what each model made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ComparedCase:
    """One reference with the prediction of every model.

    `group` is the unit that is never split and always resampled together (the patient). `fold` and
    `seed` are 0 where there are none. A prediction is None where it is missing or failed: it is
    scored as the worst value.
    """

    task: str
    case: str
    group: str
    fold: int
    seed: int
    reference: Path
    predictions: Mapping[str, Path | None]
