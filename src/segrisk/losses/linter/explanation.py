"""What a loss is, what it does where a class is absent, and what is wrong with it."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from segrisk.losses.base import Loss
from segrisk.losses.linter.fit import fitted_reading
from segrisk.losses.linter.probe import SIDE, Probe, Refused
from segrisk.losses.linter.reading import Reading, own_reading, summands, title
from segrisk.losses.linter.summand import Summand
from segrisk.losses.linter.traps import Trap, find_traps
from segrisk.losses.linter.use import Use

GRID = (0.5, 0.1, 0.01, 1e-3, 1e-9)


@dataclass(frozen=True)
class Measured:
    """Loss and slope where every voxel says p of a class that no image has."""

    p: float
    absent: tuple[float, float]
    unannotated: tuple[float, float] | None
    """The same when the class was not looked for; none if the loss cannot be told so."""


@dataclass(frozen=True)
class Explanation:
    """A loss in a use: summands with their factors, measurements, and traps."""

    name: str
    use: Use
    summands: tuple[tuple[float, Reading], ...]
    measured: tuple[Measured, ...]
    traps: tuple[Trap, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """The names of the traps."""
        return tuple(trap.code for trap in self.traps)

    def __str__(self) -> str:
        lines = [self.name, *_wrapped("for", str(self.use)), ""]
        for label, text in self.facts():
            lines += _wrapped(label, text)
        if self.measured:
            lines += ["", *textwrap.wrap(self.absence, 80), ""]
            lines += ["".join(f"{cell:>12}" for cell in row) for row in self.table()]
        lines += ["", self.verdict]
        for trap in self.traps:
            lines += ["", trap.code, *_wrapped("why", trap.why), *_wrapped("instead", trap.instead)]
        return "\n".join(lines)

    @property
    def verdict(self) -> str:
        """How many traps there are."""
        count = len(self.traps)
        return f"{count} trap{'s' if count > 1 else ''}:" if count else "no trap found"

    @property
    def absence(self) -> str:
        """What the measurements are of."""
        size = f"{self.use.batch} image{'s' if self.use.batch > 1 else ''} of {SIDE} × {SIDE}"
        rest = "" if self._can_be_told else " It cannot be told that a class was not looked for."
        return (
            f"Measured where a class is absent and every voxel says p ({size}). The slope is "
            f"dL/dp: 1 if each false voxel costs its share.{rest}"
        )

    @property
    def _can_be_told(self) -> bool:
        return any(row.unannotated is not None for row in self.measured)

    def facts(self) -> list[tuple[str, str]]:
        """What the loss is, as labels and texts."""
        rows = []
        for factor, reading in self.summands:
            if len(self.summands) > 1 or factor != 1:
                rows.append(("summand", f"{factor:g} × {reading.name}"))
            rows.append(("formula", reading.formula))
            rows += [("", reading.where)] if reading.where else []
            rows += [("pooled", reading.pooled), ("averaged", reading.averaged)]
        return rows

    def table(self) -> list[tuple[str, ...]]:
        """The measurements as text, with a head."""
        told = self._can_be_told
        head = ("p", "absent", "slope", *(("unannotated", "slope") if told else ()))
        rows = [
            (
                f"{row.p:g}",
                *_numbers(row.absent),
                *(_numbers(row.unannotated) if row.unannotated is not None else ()),
            )
            for row in self.measured
        ]
        return [head, *rows]


def explain(loss: Callable[..., Tensor], use: Use | None = None) -> Explanation:
    """Say what a loss of (logits, target) is and does, and which traps it holds in a use.

    Values and gradients are measured by calling the loss on small pictures, so that they are
    right for every configuration and for losses of other libraries too. What is a loss of this
    package says its own formula; another's is compared with those that are known.

    >>> from segrisk.losses import SoftDice
    >>> print(explain(SoftDice(), Use()).codes)
    ()
    >>> print(explain(SoftDice(empty="skip")).traps[0].why)
    where a class is absent the loss is 0 at p = 0.5 and 0 at p = 0.01, with slopes of 0 and 0: \
false positives there are not unlearned
    """
    use = Use() if use is None else use
    try:
        return _explained(loss, use)
    except Refused as error:
        readings = [(factor, _own(one, use)) for factor, one in summands(loss)]
        known = tuple((factor, reading) for factor, reading in readings if reading is not None)
        return Explanation(title(loss), use, known, (), (_refusal(error, use),))


def _explained(loss: Callable[..., Tensor], use: Use) -> Explanation:
    whole, terms = Probe(loss, use), summands(loss)
    parts = [_summand(one, use) for _, one in terms]
    traps = find_traps(whole, parts)
    # No p can be given to what takes no logits, nor to one of several classes of a softmax alone.
    usable = not {trap.code for trap in traps} & {"backwards", "not-logits"}
    usable = usable and not (whole.shifts_freely and use.labels == "overlapping")
    return Explanation(
        name=title(loss),
        use=use,
        summands=tuple(
            (factor, part.reading) for (factor, _), part in zip(terms, parts, strict=True)
        ),
        measured=tuple(_measured(whole, p) for p in GRID if usable),
        traps=traps,
    )


def _own(loss: Callable[..., Any], use: Use) -> Reading | None:
    return own_reading(loss, use) if isinstance(loss, Loss) else None


def _summand(loss: Callable[..., Any], use: Use) -> Summand:
    probe = Probe(loss, use)
    return Summand(probe, _own(loss, use) or fitted_reading(probe, title(loss)))


def _measured(probe: Probe, p: float) -> Measured:
    try:
        unannotated = probe.absent(p, annotated=False)
    except Refused:  # it has no such argument
        unannotated = None
    return Measured(p, probe.absent(p), unannotated)


def _refusal(error: Refused, use: Use) -> Trap:
    return Trap(
        "refused",
        f"logits of {use.classes} channel{'s' if use.classes > 1 else ''} and {use.labels} labels "
        f"are refused: {error}",
        "what the message says, or a function of (logits, target) that calls the loss as it wants",
    )


def _numbers(pair: tuple[float, float]) -> tuple[str, str]:
    return f"{pair[0]:.3g}", f"{pair[1]:.2g}"


def _wrapped(label: str, text: str, width: int = 12) -> list[str]:
    first = f"  {label}".ljust(width)
    return textwrap.wrap(text, 80, initial_indent=first, subsequent_indent=" " * width)
