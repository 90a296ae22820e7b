"""A cell of a study. Nothing heavy is imported here: who only looks should not wait for PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from segrisk.data.folds import Split
    from segrisk.study.config import DecisionChoice, LossChoice


@dataclass(frozen=True)
class Cell:
    """One training, or a decision on what one training predicts.

    `loss` is None for the cross-entropy start that the others share.
    """

    key: str
    task: str
    fold: int
    seed: int
    loss: LossChoice | None
    start: str | None
    """The key of the cell whose weights this one starts from."""
    split: Split
    data: Path
    decision: DecisionChoice | None = None

    @property
    def kind(self) -> Literal["start", "loss", "decision"]:
        """What is run: two kinds of training, or no training at all."""
        if self.decision is not None:
            return "decision"
        return "start" if self.loss is None else "loss"

    @property
    def model(self) -> str:
        """What the cell's scores are called: the loss, and the decision if it is not p > 1/2."""
        name = self.loss.name if self.loss else "start"
        return f"{name} + {self.decision.name}" if self.decision else name

    @property
    def title(self) -> str:
        """How a person sees the cell named."""
        return f"{self.task} fold {self.fold} seed {self.seed} {self.model}"


def listed(record: dict[str, Any]) -> list[Cell]:
    """The cells of a store's record as they are called and begin from each other, no more."""
    return [
        Cell(
            **{name: cell[name] for name in ("key", "task", "fold", "seed", "start")},
            loss=cast("LossChoice", _called(cell["loss"])),
            decision=cast("DecisionChoice", _called(cell["decision"])),
            split=cast("Split", None),
            data=Path(cell["data"]),
        )
        for cell in record["cells"]
    ]


def _called(choice: dict[str, Any] | None) -> SimpleNamespace | None:
    return SimpleNamespace(name=choice["name"]) if choice else None
