"""The entry point: it says what to install where the command line's packages are missing."""

import sys


def main() -> None:
    """Run the command line, or say what it needs."""
    try:
        from segrisk.commands import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "segrisk":
            raise
        print(
            f"segrisk: the command line needs '{error.name}', which is not installed.\n"
            "Install it with:  pip install 'segrisk[cli]'      (losses, bounds, decide)\n"
            "             or:  pip install 'segrisk[compare]'  (to compare predictions as well)\n"
            "             or:  pip install 'segrisk[study]'    (to train studies as well)",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:  # nothing has begun yet
        sys.exit(130)
    app()
