"""What every loss shares: logits in, a scalar out, a family, and how losses add up."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from segrisk.losses.door import Activation, Batch, prepare

Family = Literal["pixel", "metric", "other"]
"""What a loss adds up: voxels, a score of whole images, or something else."""


class Loss(nn.Module):
    """A loss of `logits` (B, C, *space) against `target`, a scalar in float32 or better.

    | C | target | activation |
    |---|---|---|
    | 1 | (B, *space) or (B, 1, *space): bool, integer, or float in [0, 1] | sigmoid |
    | > 1 | integer classes (B, *space) or (B, 1, *space) | softmax |
    | > 1 | the shape of the logits: soft or overlapping labels | `activation` must be given |

    Voxels whose target equals `ignore_index` count for nothing. `mask` (boolean) and `weight`
    (floating), both (B, *space), say which voxels count, and how many times; `annotated` (B, C)
    which classes were looked for in an image. `label` is the name in tables. `family` says what
    the loss surrogates: `pixel` the (weighted) Hamming loss, `metric` the Dice or Jaccard loss;
    the marks of Table 1 compare these two groups.

    Losses add up, and numbers scale them: `0.25 * CrossEntropy() + 0.75 * SoftJaccard()`.
    """

    label: str
    family: Family = "other"

    def __init__(
        self, *, activation: Activation | None = None, ignore_index: int | None = None
    ) -> None:
        super().__init__()
        if activation not in {None, "sigmoid", "softmax"}:
            raise ValueError(f"activation must be 'sigmoid' or 'softmax', got {activation!r}")
        self.activation, self.ignore_index = activation, ignore_index

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        mask: Tensor | None = None,
        weight: Tensor | None = None,
        annotated: Tensor | None = None,
    ) -> Tensor:
        batch = prepare(
            logits,
            target,
            activation=self.activation,
            ignore_index=self.ignore_index,
            mask=mask,
            weight=weight,
            annotated=annotated,
        )
        return _rounded(self.compute(batch), logits)

    def compute(self, batch: Batch) -> Tensor:
        """The loss of checked input, a scalar."""
        raise NotImplementedError

    def __add__(self, other: Any) -> "Sum":
        return Sum([*_parts(self), *_parts(other)]) if callable(other) else NotImplemented

    def __radd__(self, other: Any) -> "Sum":
        if callable(other):
            return Sum([*_parts(other), *_parts(self)])
        return Sum(_parts(self)) if other == 0 else NotImplemented  # what `sum` starts from

    def __mul__(self, factor: float) -> "Sum":
        return Sum([(factor * own, loss) for own, loss in _parts(self)])

    __rmul__ = __mul__


class Sum(Loss):
    """A weighted sum of losses that share one pass over the logits and one gradient.

    Losses of this package share the table of masses where their `activation` and `ignore_index`
    agree. Another callable of (logits, target) is called as it is, and adds its own pass.

    >>> from segrisk.losses import CrossEntropy, SoftDice
    >>> loss = 0.5 * CrossEntropy() + SoftDice()
    >>> logits, target = torch.zeros(1, 1, 4), torch.tensor([[[1, 0, 1, 1]]])
    >>> {name: round(float(part), 3) for name, part in loss.components(logits, target).items()}
    {'CE': 0.693, 'sDice': 0.4}
    >>> print(f"{loss(logits, target):.3f}")
    0.747
    """

    def __init__(self, parts: Sequence[tuple[float, Callable[..., Tensor]]]) -> None:
        super().__init__()
        self.factors = tuple(float(factor) for factor, _ in parts)
        self.losses = tuple(loss for _, loss in parts)
        # Modules are registered, so that their parameters and devices follow.
        self._modules_of_parts = nn.ModuleList(
            loss for loss in self.losses if isinstance(loss, nn.Module)
        )
        families = {getattr(loss, "family", "other") for loss in self.losses}
        self.family = families.pop() if len(families) == 1 else "other"
        self.label = " + ".join(
            name if factor == 1 else f"{factor:g} {name}"
            for factor, name in zip(self.factors, self._names(), strict=True)
        )

    def forward(self, logits: Tensor, target: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        parts = self._values(logits, target, *args, **kwargs)
        total = sum(factor * part for factor, part in zip(self.factors, parts, strict=True))
        return _rounded(total, logits)

    def components(
        self, logits: Tensor, target: Tensor, *args: Any, **kwargs: Any
    ) -> dict[str, Tensor]:
        """The value of each part before its factor, by its name: for logging."""
        with torch.no_grad():
            values = self._values(logits, target, *args, **kwargs)
        return dict(zip(self._names(), values, strict=True))

    def _values(
        self,
        logits: Tensor,
        target: Tensor,
        mask: Tensor | None = None,
        weight: Tensor | None = None,
        annotated: Tensor | None = None,
    ) -> list[Tensor]:
        batches: dict[Any, Batch] = {}
        values = []
        for loss in self.losses:
            if not isinstance(loss, Loss):
                values.append(loss(logits, target))
                continue
            options = (loss.activation, loss.ignore_index)
            if options not in batches:
                batches[options] = prepare(
                    logits,
                    target,
                    activation=loss.activation,
                    ignore_index=loss.ignore_index,
                    mask=mask,
                    weight=weight,
                    annotated=annotated,
                )
            values.append(loss.compute(batches[options]))
        return values

    def _names(self) -> list[str]:
        names = [getattr(loss, "label", None) or _name(loss) for loss in self.losses]
        return [
            name if names.count(name) == 1 else f"{name} {index + 1}"
            for index, name in enumerate(names)
        ]


def _name(loss: Any) -> str:
    return getattr(loss, "__name__", type(loss).__name__)


def _parts(loss: Any) -> list[tuple[float, Any]]:
    if isinstance(loss, Sum):
        return list(zip(loss.factors, loss.losses, strict=True))
    return [(1.0, loss)]


def _rounded(value: Tensor, logits: Tensor) -> Tensor:
    """From the precision of sums to that of the logits, float32 at least."""
    return value.to(torch.promote_types(logits.dtype, torch.float32))
