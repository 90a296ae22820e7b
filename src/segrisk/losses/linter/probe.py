"""A loss of anybody, called on small pictures: its value, and its slope by the probability."""

import copy
import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from segrisk.losses.base import Sum
from segrisk.losses.linter.use import Use
from segrisk.losses.supervision import DeepSupervision

SIDE = 32
SURE = 20.0
"""A logit that is as good as certain; its double is, too."""


class Refused(Exception):
    """The loss raised, or gave no scalar, for every form of the target."""


class Probe:
    """Calls a loss of (logits, target) with pictures (B, C, H, W) of 0 and 1, or of shares.

    The target is given in the first form that the loss takes and in which a right prediction
    costs less than a wrong one: libraries differ in whether a class is a number or a channel.
    """

    def __init__(self, loss: Callable[..., Any], use: Use) -> None:
        self.given, self.use = loss, use
        self.loss = alone(loss)
        self.device = _device(loss)
        self.form, self.is_backwards = self._accepted()
        self.shifts_freely = use.classes > 1 and self._shifts_freely()

    def value(self, logits: Tensor, y: Tensor, **given: Tensor) -> float:
        """The loss of logits, a number."""
        with torch.no_grad():
            return float(self._call(logits, y, **given))

    def gradient(self, logits: Tensor, y: Tensor, **given: Tensor) -> tuple[float, Tensor]:
        """The loss and its gradient by the logits, 0 where it does not depend on them."""
        x = logits.detach().clone().requires_grad_()
        with torch.enable_grad():
            value = self._call(x, y, **given)
            if not value.requires_grad:
                return float(value), torch.zeros_like(x)
            (gradient,) = torch.autograd.grad(value, x, allow_unused=True)
        return float(value.detach()), torch.zeros_like(x) if gradient is None else gradient

    def bounded(self, logits: Tensor, y: Tensor) -> float:
        """The part of the loss that does not grow with the logits, at certain predictions.

        Cross-entropies grow in proportion there: what remains is the part that is a ratio.
        """
        return 2 * self.value(logits, y) - self.value(2 * logits, y)

    def logits(self, p: Tensor) -> Tensor:
        """Logits whose probabilities are p."""
        p = p.clamp(1e-12, 1)
        if self.use.exclusive and self.shifts_freely:
            return p.log()
        return p.log() - torch.log1p(-p.clamp(max=1 - 1e-7))

    def absent(self, p: float, *, side: int = SIDE, annotated: bool = True) -> tuple[float, float]:
        """Loss and slope by p where every voxel of a batch says p of a class that no image has.

        Under a softmax the background's probability falls as that of the class rises.
        """
        size, classes = self.use.batch, self.use.classes
        y = torch.zeros(size, classes, side, side, device=self.device)
        x = torch.full_like(y, -SURE)
        x[:, -1] = math.log(p) - math.log1p(-p)
        if self.use.exclusive:
            y[:, 0] = 1
            x[:, 0] = SURE
        if self.use.exclusive and self.shifts_freely:
            x[:] = math.log(1e-12)
            x[:, 0], x[:, -1] = math.log1p(-p), math.log(p)
        given = {}
        if not annotated:
            looked_for = torch.ones(size, classes, dtype=torch.bool, device=self.device)
            looked_for[:, -1] = False
            given["annotated"] = looked_for
        value, gradient = self.gradient(x, y, **given)
        gradient = gradient.double().sum((0, 2, 3))
        if self.use.exclusive and self.shifts_freely:
            return value, float(gradient[-1] / p - gradient[0] / (1 - p))
        return value, float(gradient[-1] / (p * (1 - p)))

    def _call(self, logits: Tensor, y: Tensor, **given: Tensor) -> Tensor:
        try:
            value = _quietly(self.loss, logits, self.form(y), **given)
        except Exception as error:  # whatever another library raises
            raise Refused(" ".join(str(error).split()) or type(error).__name__) from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise Refused(f"it gives {_what(value)} and not one number")
        return value.reshape(())

    def _accepted(self) -> tuple[Callable[[Tensor], Tensor], bool]:
        y = objects(self.use, batch=2, device=self.device)
        right, wrong = certain(y), certain(y.flip(1) if self.use.classes > 1 else 1 - y)
        if self.use.labels == "soft":
            y = 0.8 * y + 0.2 / max(2, self.use.classes)
        taken, fault = [], None
        for form in forms(self.use):
            self.form = form
            try:
                costs = self.value(right, y), self.value(wrong, y)
            except Refused as error:
                fault = fault or error
                continue
            if costs[0] < costs[1]:
                return form, False
            taken.append(form)
        if not taken:
            assert fault is not None
            raise fault
        return taken[0], True

    def _shifts_freely(self) -> bool:
        """Whether adding one number to all channels of a voxel changes nothing: a softmax."""
        y = objects(self.use, batch=2, device=self.device)
        x = noise(y.shape, device=self.device)
        value = self.value(x, y)
        return math.isclose(self.value(x + 3, y), value, rel_tol=1e-4, abs_tol=1e-5)


def forms(use: Use) -> Iterator[Callable[[Tensor], Tensor]]:
    """The forms in which losses want the target of a picture (B, C, H, W)."""
    if use.exclusive and use.labels == "hard":
        yield lambda y: y.argmax(1, keepdim=True)
        yield lambda y: y.argmax(1)
    yield lambda y: y
    if use.classes == 1:
        yield lambda y: y[:, 0]
    if use.labels != "soft":
        yield lambda y: y.long()
        if use.classes == 1:
            yield lambda y: y[:, 0].long()


def objects(
    use: Use, *, batch: int, device: torch.device | str = "cpu", side: int = SIDE
) -> Tensor:
    """Pictures (B, C, H, W): each image holds every class, as one block of its own size."""
    y = torch.zeros(batch, use.classes, side, side, device=device)
    first = 1 if use.exclusive else 0
    for image, channel in itertools.product(range(batch), range(first, use.classes)):
        # Blocks stand in rows of four, each in a cell, so that they never overlap.
        row, column = divmod(channel - first, 4)
        cell = side // max(2 if use.classes <= 2 else 4, -(-(use.classes - first) // 4))
        share = (0.618 * (image + 1) + 0.37 * channel) % 1
        size = max(1, int(cell * (0.2 + 0.7 * share)))
        y[image, channel, row * cell :, column * cell :][:size, :size] = 1
    if use.exclusive:
        y[:, 0] = 1 - y[:, 1:].sum(1)
    if use.labels == "overlapping" and use.classes > 1:
        y[:, 1] = torch.maximum(y[:, 0], y[:, 1])
    return y


def certain(y: Tensor) -> Tensor:
    """Logits of a prediction that is sure of y."""
    return (2 * y - 1) * SURE


def noise(shape: Any, *, seed: int = 0, device: torch.device | str = "cpu") -> Tensor:
    """Normal numbers that are the same at each call."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)


def alone(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The loss at one resolution and without its process group: the linter is one process."""
    if isinstance(loss, DeepSupervision):
        return alone(loss.loss)
    if isinstance(loss, Sum):
        return Sum([(f, alone(part)) for f, part in zip(loss.factors, loss.losses, strict=True)])
    reduction = getattr(loss, "reduction", None)
    if getattr(reduction, "group", None) is None:
        return loss
    loss, reduction = copy.copy(loss), copy.copy(reduction)
    loss.reduction, reduction.group = reduction, None
    return loss


def _quietly(loss: Callable[..., Any], *args: Any, **given: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other libraries' advice is not ours
        return loss(*args, **given)


def _device(loss: Any) -> torch.device:
    if isinstance(loss, torch.nn.Module):
        for tensor in itertools.chain(loss.parameters(), loss.buffers()):
            return tensor.device
    return torch.device("cpu")


def _what(value: Any) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
