"""From another library's call to a loss: the names are looked up, and what is refused says why."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from segrisk.losses.base import Loss


def spell(
    library: str,
    name: str,
    args: tuple[Any, ...],
    options: dict[str, Any],
    spellings: Mapping[str, Callable[..., Loss]],
    refused: Mapping[str, str],
) -> Loss:
    """The loss `name` of a library; each spelling has the signature that the library's loss has."""
    if name in refused:
        raise ValueError(f"{library}'s {name} is not spelled here: {refused[name]}")
    if name not in spellings:
        raise ValueError(
            f"no loss of {library} named {name!r} is spelled here{nearest(name, spellings)}; "
            f"these are: {', '.join(spellings)}"
        )
    signature = inspect.signature(spellings[name])
    for option in options:
        if option not in signature.parameters:
            raise ValueError(
                f"{library}'s {name} has no option {option!r}"
                f"{nearest(option, signature.parameters)}; "
                f"its options are: {', '.join(signature.parameters)}"
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


def nearest(word: str, words: Iterable[str]) -> str:
    """A question after the word that was meant, or nothing.

    >>> nearest("smoth", ["smooth", "weight"])
    " (did you mean 'smooth'?)"
    """
    lower = {known.lower(): known for known in words}
    found = difflib.get_close_matches(str(word).lower(), lower, n=1, cutoff=0.5)
    return f" (did you mean {lower[found[0]]!r}?)" if found else ""
