"""From another library's call to a loss: the names are looked up, and what is refused says why."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from segrisk.losses.base import Loss
from segrisk.names import nearest


def spell(
    library: str,
    name: str,
    args: tuple[Any, ...],
    options: dict[str, Any],
    spellings: Mapping[str, Callable[..., Loss]],
    refused: Mapping[str, str],
) -> Loss:
    """The loss `name` of a library; each spelling has the signature that the library's loss has."""
    if not isinstance(name, str):
        raise TypeError(f"give the name of {library}'s loss as text, got {name!r}")
    if name in refused:
        raise ValueError(f"{library}'s {name} is not spelled here: {refused[name]}")
    if name not in spellings:
        raise ValueError(
            f"no loss of {library} named {name!r} is spelled here{nearest(name, spellings)}"
        )
    signature = inspect.signature(spellings[name])
    for option in options:
        if option not in signature.parameters:
            raise ValueError(
                f"{library}'s {name} has no option {option!r}"
                f"{nearest(option, signature.parameters)}"
            )
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        raise ValueError(
            f"{library}'s {name}: {error}; its options are: {', '.join(signature.parameters)}"
        ) from None
    return spellings[name](*args, **options)


def refuse(what: str, why: str) -> NoReturn:
    """Raise, for an option that has no counterpart or a value that is not worth reproducing."""
    raise ValueError(f"{what} is not spelled here: {why}")
