"""Losses and metrics as MONAI's engines, handlers and bundles call them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.metrics import CumulativeIterationMetric
from monai.metrics.utils import do_metric_reduction
from torch import Tensor, nn

from segrisk.integrations.hard import as_classes, convention_of, masses, overlap, scores
from segrisk.losses.registry import build_loss
from segrisk.losses.supervision import DeepSupervision


class EngineLoss(nn.Module):
    """A loss of (logits, labels) as MONAI's trainers call it: `loss(input, target)`.

    MONAI's loaders give `MetaTensor`s, and one label for each voxel as a float (B, 1, *space):
    here they become plain tensors and integer classes. Labels that `AsDiscrete(to_onehot=C)` made,
    (B, C, *space), go to a loss with `activation="softmax"`, overlapping ones to one with
    `activation="sigmoid"`; outputs at several resolutions, a list or stacked as DynUNet's, to a
    `DeepSupervision` of a loss. `loss` is a loss, or, for configuration files, its text and options
    as in `segrisk.losses.registry.build_loss`. Errors: those of the loss, and labels that are no
    whole numbers.

    >>> loss = EngineLoss("0.5*cross_entropy + soft_dice", pool="batch")
    >>> print(f"{loss(torch.zeros(1, 2, 2, 2), torch.ones(1, 1, 2, 2)):.4f}")
    0.7632
    """

    def __init__(self, loss: Callable[..., Tensor] | str, **options: Any) -> None:
        super().__init__()
        if isinstance(loss, str):
            loss = build_loss(loss, {name: str(value) for name, value in options.items()})
        elif not callable(loss) or isinstance(loss, type):
            raise TypeError(
                f"a loss, or its name and options, is needed, got {loss!r}: an object, as "
                "SoftDice(), not its class"
            )
        elif options:
            raise ValueError(
                f"options {sorted(options)} go with a loss that is given by its name: give them "
                "to the loss itself"
            )
        self.loss = loss

    def forward(
        self, input: Tensor | Sequence[Tensor], target: Tensor, *args: Any, **kwargs: Any
    ) -> Tensor:
        if isinstance(self.loss, DeepSupervision) and isinstance(input, Tensor):
            # As DynUNet has them: one alone in evaluation, and stacked in training. Besides labels
            # of one channel a stack is not told from classes of a volume: that is refused below.
            if input.ndim == target.ndim:
                input = [input]
            elif input.ndim == target.ndim + 1 and target.shape[1] == 1:
                input = input.unbind(1)
        if isinstance(input, list | tuple):
            logits = [_plain(output) for output in input]
            labels = as_classes(_plain(target), logits[0]) if logits else target
        else:
            logits = _plain(input)
            labels = as_classes(_plain(target), logits)
        return self.loss(logits, labels, *args, **kwargs)


class OverlapMetric(CumulativeIterationMetric):
    """Dice, Jaccard or another similarity of each image and class, for MONAI's handlers.

    Called as MONAI's `DiceMetric`: `y_pred` holds channels of 0 and 1, (B, C, *space) or a
    decollated list of (C, *space); `y` the same, or one label for each voxel, (B, 1, *space).
    `convention` names what a class scores where a mask is empty (`segrisk.metrics.CONVENTIONS`):
    `segrisk` gives 1 where both are empty and 0 where the reference alone is; `monai` leaves these
    out. `reduction` and `get_not_nans` are MONAI's; `mean` takes each image's classes first.

    >>> metric = OverlapMetric("jaccard", include_background=False)
    >>> empty = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]])
    >>> metric(y_pred=empty, y=torch.zeros(1, 1, 1, 2))
    tensor([[1.]])
    >>> metric.aggregate()
    tensor([1.])
    """

    def __init__(
        self,
        similarity: str = "dice",
        convention: str = "segrisk",
        *,
        include_background: bool = True,
        reduction: str = "mean",
        get_not_nans: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(include_background, bool):
            raise ValueError(f"include_background is True or False, got {include_background!r}")
        self.measure, self.convention = overlap(similarity), convention_of(convention)
        self.include_background = include_background
        self._classes: int | None = None
        self.reduction, self.get_not_nans = reduction, get_not_nans

    def __call__(self, y_pred: Any, y: Any = None, **kwargs: Any) -> Any:
        for name, given in (("y_pred", y_pred), ("y", y)):
            if given is not None and not len(given):
                raise ValueError(f"{name} holds no image")
        if y is not None and len(y_pred) != len(y):
            raise ValueError(f"y_pred and y hold {len(y_pred)} and {len(y)} images")
        return super().__call__(y_pred, y, **kwargs)

    def _compute_tensor(self, y_pred: Tensor, y: Tensor | None = None) -> Tensor:
        if y is None:
            raise ValueError("y, the reference, is missing: call metric(y_pred=..., y=...)")
        prediction = _channels(_plain(y_pred), "y_pred")
        classes = prediction.shape[1]
        if self._classes not in (None, classes):
            raise ValueError(
                f"y_pred has {classes} channels and had {self._classes} before: the "
                "number of classes is one for all images"
            )
        self._classes = classes
        reference = _plain(y)
        if y.ndim == y_pred.ndim - 1:
            raise ValueError(
                f"y has shape {tuple(y.shape)} and y_pred {tuple(y_pred.shape)}: labels without a "
                "channel get one by y[:, None], in a list by y[None]"
            )
        if y.shape[1:2] == (1,) and classes > 1:
            reference = _one_hot(reference, classes)
        reference = _channels(reference, "y")
        if reference.shape != prediction.shape:
            raise ValueError(
                f"y_pred has shape {tuple(y_pred.shape)} and y {tuple(y.shape)}: both are "
                "(B, C, *space), or y is (B, 1, *space) with one label for each voxel"
            )
        counts = masses(prediction.flatten(2), reference.flatten(2))
        values = scores(counts, self.measure, self.convention).float()
        return values if self.include_background or classes == 1 else values[:, 1:]

    def reset(self) -> None:
        super().reset()
        self._classes = None

    def aggregate(self, reduction: str | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """The scores of all calls since `reset`, of all processes, reduced as MONAI does."""
        buffer = self.get_buffer()
        if not isinstance(buffer, Tensor):
            raise ValueError("there is nothing to aggregate: call the metric on a batch first")
        reduced, present = do_metric_reduction(buffer, reduction or self.reduction)
        return (reduced, present) if self.get_not_nans else reduced


def _plain(tensor: Tensor) -> Tensor:
    """Without the metadata of a `MetaTensor`, which sends every operation through Python."""
    return tensor if type(tensor) is Tensor else tensor.as_subclass(Tensor)


def _channels(tensor: Tensor, name: str) -> Tensor:
    """Channels of 0 and 1 as booleans."""
    if tensor.ndim < 3:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}: it must be (B, C, *space)")
    chosen = tensor != 0
    if not bool((tensor == chosen).all()):
        raise ValueError(
            f"{name} holds values other than 0 and 1: decide first, with Activations and "
            "AsDiscrete(argmax=True, to_onehot=C) or AsDiscrete(threshold=0.5)"
        )
    return chosen


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    numbers = torch.arange(classes, device=labels.device).view(1, -1, *[1] * (labels.ndim - 2))
    channels = labels == numbers
    if not bool(channels.any(1).all()):
        raise ValueError(
            f"y holds a label that is none of 0 to {classes - 1}, the channels of y_pred: "
            "check the labels, or the number of channels"
        )
    return channels
