"""What a person's own file provides, by `package.module:Name`."""

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segrisk.files import file_digest


def imported(name: str, what: str) -> Callable[..., Any]:
    """What `package.module:Callable` names; errors call it `what`.

    >>> imported("math:hypot", "function")(3, 4)
    5.0
    >>> imported("math:hypo", "function")
    Traceback (most recent call last):
    ValueError: function 'math:hypo' cannot be imported: module 'math' has no attribute 'hypo'
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{what} '{name}' cannot be imported: {error}") from error
    if not callable(found):
        raise ValueError(f"{what} '{name}' is not callable")
    return found


def source(found: Callable[..., Any]) -> str | None:
    """The hash of the file that a callable is written in, if it is written in one."""
    path = inspect.getsourcefile(inspect.unwrap(found))
    return file_digest(Path(path)) if path else None
