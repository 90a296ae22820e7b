"""Overlaps as torchmetrics objects: update, compute, reset, in one process or several."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from segrisk.integrations.hard import convention_of, masses, overlap, scores
from segrisk.losses.reduction import Reduction
from segrisk.similarity import Confusion


class OverlapScore(Metric):
    """Dice, Jaccard or another similarity of decided masks, over all that `update` was given.

    | classes | target | prediction |
    |---|---|---|
    | 1 | 0 and 1, or booleans, (B, *space) or (B, 1, *space) | the same |
    | > 1 | integers, (B, *space) or (B, 1, *space) | the same, or floating scores (B, C, *space) |
    | > 1 and `overlapping` | 0 and 1, or booleans, (B, C, *space) | the same |

    Of scores, logits or probabilities, the greatest decides. Masks are given as such, `logits > 0`
    or `probabilities > 0.5`: which of them floats are cannot be seen.

    `pool` names what is counted together before the ratio, as in the losses: `()` scores each
    image and class, `("batch",)` each class over all images, `("batch", "class")` everything at
    once. `convention` names what is scored where a mask is empty (`segrisk.metrics.CONVENTIONS`);
    what it gives no value, and what has no voxel that counts, is left out. `reduction` is `mean`,
    of all that has a value, or `none`: one value for each class. Classes without `background` are
    all but 0; one class, and overlapping ones, are all foreground.

    States are sums, so that processes and their numbers of images need not be alike. A sampler
    that repeats images to fill the last batch of each process counts them twice.

    >>> metric = OverlapScore("dice", classes=3)
    >>> metric.update(torch.tensor([[1, 1, 2, 0]]), torch.tensor([[1, 2, 2, 0]]))
    >>> metric.update(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 0, 1, 1]]))
    >>> print(f"{metric.compute():.4f}")
    0.8333
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    def __init__(
        self,
        similarity: str = "dice",
        classes: int = 1,
        *,
        pool: Sequence[str] = (),
        convention: str = "segrisk",
        reduction: Literal["mean", "none"] = "mean",
        background: bool = False,
        overlapping: bool = False,
        ignore_index: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if classes < 1:
            raise ValueError(f"classes must be at least 1, got {classes}")
        if reduction not in {"mean", "none"}:
            raise ValueError(f"reduction must be 'mean' or 'none', got {reduction!r}")
        self.measure, self.convention = overlap(similarity), convention_of(convention)
        self.pool = Reduction(pool=pool).pool
        self.classes, self.reduction, self.ignore_index = classes, reduction, ignore_index
        self.overlapping = overlapping or classes == 1
        self.first = 0 if background or self.overlapping else 1
        kept = 1 if "class" in self.pool else classes - self.first
        if "batch" in self.pool:
            self._add("counts", torch.zeros(4, kept, dtype=torch.long))
        else:
            self._add("total", torch.zeros(kept, dtype=torch.float64))
            self._add("number", torch.zeros(kept, dtype=torch.long))

    def _add(self, name: str, start: Tensor) -> None:
        self.add_state(name, default=start, dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add a batch."""
        counts = self._counts(prediction, target)
        if "batch" in self.pool:
            self.counts += torch.stack([count.sum(0) for count in counts])
            return
        values = scores(counts, self.measure, self.convention)
        self.total += values.nansum(0)
        self.number += (~values.isnan()).sum(0)

    def compute(self) -> Tensor:
        """The score: a scalar, or one for each class; NaN where nothing had a value."""
        total, number = self._sums()
        if self.reduction == "mean":
            total, number = total.sum(), number.sum()
        mean = total / number  # 0/0 is NaN
        return torch.where(number > 0, mean, self.convention.nothing).float()

    def _sums(self) -> tuple[Tensor, Tensor]:
        if "batch" not in self.pool:
            return self.total, self.number
        values = scores(Confusion(*self.counts), self.measure, self.convention)
        return values.nan_to_num(0.0), ~values.isnan()

    def _counts(self, prediction: Tensor, target: Tensor) -> Confusion:
        """Counts (B, classes that are scored)."""
        prediction = self._decided(prediction)
        if self._grid(prediction) != self._grid(target):
            raise ValueError(
                f"the prediction has shape {tuple(prediction.shape)} and the target "
                f"{tuple(target.shape)}: they must be of one grid (nothing is broadcast)"
            )
        ignored = None
        if self.ignore_index is not None:
            ignored = target == self.ignore_index
            target, ignored = target.masked_fill(ignored, 0), self._flat(ignored)
        counts = masses(
            self._channels(prediction, "prediction"), self._channels(target, "target"), ignored
        )
        counts = Confusion(*(count[:, self.first :] for count in counts))
        if "class" in self.pool:
            counts = Confusion(*(count.sum(1, keepdim=True) for count in counts))
        return counts

    def _decided(self, prediction: Tensor) -> Tensor:
        """Scores of exclusive classes as labels; what is decided already, as it is."""
        if self.overlapping or not prediction.is_floating_point():
            return prediction
        if prediction.ndim < 3 or prediction.shape[1] != self.classes:
            raise ValueError(
                f"the prediction has shape {tuple(prediction.shape)} and is {prediction.dtype}: "
                f"give scores (B, {self.classes}, *space), or integer labels"
            )
        return prediction.argmax(1)

    def _grid(self, tensor: Tensor) -> tuple[int, ...]:
        """Batch and space; with overlapping classes, these and the channels."""
        if self.overlapping and self.classes > 1:
            if tensor.ndim < 3 or tensor.shape[1] != self.classes:
                raise ValueError(
                    f"overlapping classes are channels (B, {self.classes}, *space), got a tensor "
                    f"of shape {tuple(tensor.shape)}"
                )
            return tuple(tensor.shape)
        size, *space = tensor.shape
        return (size, *(space[1:] if len(space) > 1 and space[0] == 1 else space))

    def _flat(self, tensor: Tensor) -> Tensor:
        """(B, C, V) of channels, (B, 1, V) of labels."""
        return tensor.reshape(len(tensor), self.classes if self.overlapping else 1, -1)

    def _channels(self, tensor: Tensor, name: str) -> Tensor:
        """Booleans (B, C, V); ValueError where a value is neither label nor mask."""
        flat = self._flat(tensor)
        if self.overlapping:
            chosen = flat != 0
            _expect(flat == chosen, f"the {name} holds values other than 0 and 1", THRESHOLD)
            return chosen
        channels = flat == torch.arange(self.classes, device=flat.device).view(1, -1, 1)
        wrong = f"the {name} holds labels other than 0 to {self.classes - 1}"
        _expect(channels.any(1), wrong, "give classes=..., or ignore_index")
        return channels


THRESHOLD = "decide first, by logits > 0 or probabilities > 0.5, or give ignore_index"


def _expect(holds: Tensor, wrong: str, do: str) -> None:
    if not bool(holds.all()):
        raise ValueError(f"{wrong}: {do}")
