"""Losses by name: registered ones, imported ones, and sums of them as a person writes them."""

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_args, get_origin

from segrisk.imported import imported
from segrisk.losses.base import Loss, Sum
from segrisk.losses.lovasz import LovaszJaccard
from segrisk.losses.pointwise import CrossEntropy, Focal, TopK, WeightedCrossEntropy
from segrisk.losses.soft import SoftDice, SoftJaccard, SoftTversky
from segrisk.names import nearest

LOSSES: dict[str, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "weighted_cross_entropy": WeightedCrossEntropy,
    "soft_dice": SoftDice,
    "soft_jaccard": SoftJaccard,
    "lovasz_sigmoid": LovaszJaccard,
    "soft_tversky": SoftTversky,
    "focal": Focal,
    "top_k": TopK,
}
"""Losses by the names that a study file gives them."""

ELSEWHERE = {
    "lovaszjaccard": "lovasz_sigmoid",
    "lovaszsoftmax": "lovasz_sigmoid",
    "lovaszloss": "lovasz_sigmoid",
    "diceloss": "soft_dice",
    "jaccardloss": "soft_jaccard",
    "iouloss": "soft_jaccard",
    "tverskyloss": "soft_tversky",
    "focalloss": "focal",
    "bce": "cross_entropy",
    "bcewithlogitsloss": "cross_entropy",
    "crossentropyloss": "cross_entropy",
}
"""What others call a registered loss, without case and _: hints, for one loss has one name."""

PAPER = ("cross_entropy", "weighted_cross_entropy", "soft_dice", "soft_jaccard", "lovasz_sigmoid")
"""The five losses that the paper compares."""

TERM = re.compile(
    r"\s*(?:(?P<factor>\d+\.?\d*(?:e[-+]?\d+)?|\.\d+)\s*\*\s*)?(?P<name>[^\W\d][\w.]*(?::\w+)?)\s*"
)


ANY = "**"


class LossError(ValueError):
    """A loss that cannot be built from what was written; the text says what to write."""


def find_loss(name: str) -> Callable[..., Any]:
    """A registered loss, or what `package.module:Callable` names."""
    if name in LOSSES:
        return LOSSES[name]
    if ":" not in name:
        hint = nearest(ELSEWHERE.get(name.lower().replace("_", ""), name), LOSSES)
        raise LossError(f"unknown loss '{name}'{hint}")
    try:
        return imported(name, "loss")
    except ValueError as error:
        raise LossError(str(error)) from error


def build_loss(text: str, options: Mapping[str, str] | None = None) -> Callable[..., Any]:
    """The loss that `text` writes: a name, or a sum of names with factors.

    Names are those of `find_loss`. Options are read as Python values, words as strings, and go to
    every loss of the sum that has them.

    >>> build_loss("0.5*cross_entropy + soft_dice", {"pool": "batch"}).label
    '0.5 CE + sDice'
    """
    terms = _terms(text)
    options = dict(options or {})
    found = [(factor, name, find_loss(name)) for factor, name in terms]
    for option in options:
        known = [_parameters(loss) for _, _, loss in found]
        if not any(option in names or ANY in names for names in known):
            everywhere = {name for names in known for name in names if name != ANY}
            raise LossError(f"'{text}' has no option '{option}'{nearest(option, everywhere)}")
    parts = [(factor, _built(name, loss, options)) for factor, name, loss in found]
    return parts[0][1] if parts[0][0] == 1 and len(parts) == 1 else Sum(parts)


def is_sum(text: str) -> bool:
    """Whether `text` writes a sum or a multiple of losses, and not one of them.

    >>> is_sum("cross_entropy + soft_dice"), is_sum("soft_dice")
    (True, False)
    """
    return "+" in text or "*" in text


def terms(text: str) -> list[Callable[..., Any]]:
    """The losses that `text` adds up, unbuilt."""
    return [find_loss(name) for _, name in _terms(text)]


def option_names(loss: Callable[..., Any]) -> tuple[str, ...]:
    """The options of a loss, its own first.

    >>> option_names(SoftTversky)[:4]
    ('alpha', 'beta', 'relaxation', 'pool')
    """
    return tuple(name for name in _parameters(loss) if name != ANY)


def _terms(text: str) -> list[tuple[float, str]]:
    terms, place = [], 0
    while True:
        match = TERM.match(text, place)
        if match is None:
            break
        terms.append((float(match["factor"] or 1), match["name"]))
        place = match.end()
        if place == len(text):
            return terms
        if text[place] != "+":
            break
        place += 1
    raise LossError(
        f"'{text}' cannot be read from '{text[place:].strip()}' on: write a name, or a sum such "
        "as '0.5*cross_entropy + soft_dice'"
    )


def _parameters(loss: Callable[..., Any]) -> dict[str, Any]:
    """What a loss can be given, with annotations; `ANY` where a function takes all names."""
    if not inspect.isclass(loss):
        signature = list(inspect.signature(loss).parameters.values())[2:]
        return {ANY if p.kind is p.VAR_KEYWORD else p.name: p.annotation for p in signature}
    found: dict[str, Any] = {}
    for owner in (one for one in loss.__mro__ if "__init__" in vars(one)):
        signature = list(inspect.signature(owner.__init__).parameters.values())[1:]
        for p in signature:
            # What a base requires, the class that was asked for gives it: a similarity, say.
            given_below = owner is not loss and p.default is p.empty
            if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and not given_below:
                found.setdefault(p.name, p.annotation)
        if all(p.kind is not p.VAR_KEYWORD for p in signature):
            return found
    return {**found, ANY: None}


def _built(name: str, loss: Callable[..., Any], options: Mapping[str, str]) -> Callable[..., Any]:
    known = _parameters(loss) if inspect.isclass(loss) or options else {}
    given = {
        option: _value(text, known.get(option))
        for option, text in options.items()
        if option in known or ANY in known
    }
    if not inspect.isclass(loss):
        return partial(loss, **given) if given else loss
    try:
        return loss(**given)
    except (TypeError, ValueError) as error:
        shown = ", ".join(f"{option}={value!r}" for option, value in given.items())
        raise LossError(f"{name}({shown}): {error}") from error


def _value(text: str, kind: Any) -> Any:
    """An option's text as what it stands for: 255, 0.3, true, none, batch, or batch,class."""
    sequence = any(get_origin(one) is Sequence for one in (kind, *get_args(kind)))
    scalar = any(one in (int, float) for one in get_args(kind))
    values = tuple(_scalar(part.strip()) for part in text.strip("()[]").split(",") if part.strip())
    if values == (None,):
        return () if kind == Sequence[str] else None
    if sequence and not scalar:
        return values
    return values[0] if len(values) == 1 else values


def _scalar(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
