"""What the command line says when something is wrong."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

MENDABLE = {
    "segrisk.configuration": "ConfigurationError",
    "segrisk.data.errors": "DataError",
    "segrisk.losses.registry": "LossError",
    "segrisk.study.store": "StoreError",
}
"""The errors that say what to do, by the module that has them."""


@contextmanager
def clear_errors(extra: str = "cli") -> Iterator[None]:
    """Show what a person can mend as lines, and warnings as such; bugs keep their traceback.

    `extra` is what to install where a package is missing.
    """
    stderr = Console(stderr=True)

    def show(message: Warning | str, *_: object, **__: object) -> None:
        stderr.print(f"[yellow]warning:[/yellow] {escape(str(message))}", highlight=False)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", module=r"segrisk\.")
            warnings.showwarning = show
            yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "segrisk":
            raise
        text = f"error: '{error.name}' is not installed: pip install 'segrisk[{extra}]'"
        stderr.print(text, markup=False)
        sys.exit(2)
    except _mendable() as error:
        for line in str(error).splitlines():
            stderr.print(f"[red]error:[/red] {escape(line)}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt as stop:
        text = str(stop) or "stopped; the same command continues where this one left off"
        stderr.print(text, highlight=False, soft_wrap=True)
        sys.exit(130)


def _mendable() -> tuple[type[Exception], ...]:
    """Those of modules that are there: what was raised was imported, and nothing else need be."""
    return tuple(
        getattr(sys.modules[module], name)
        for module, name in MENDABLE.items()
        if module in sys.modules
    )
