"""From study files to a study: files that include others, and paths seen from the file they are in.

    include: [br18.yaml, is17.yaml]      # or one name; seen from this file

A file stands over those that it includes, key by key. Files that are included side by side must
not contradict each other, for nobody would see which of them won.
"""

import os
import string
from pathlib import Path
from typing import Any

from segrisk.configuration import ConfigurationError, read_yaml, validate
from segrisk.networks.vgg import WEIGHTS
from segrisk.study.config import Study, merged
from segrisk.study.supervision import check_soft


def load_study(path: Path) -> Study:
    """Read and check a study file: losses can be built, and networks are there to be built."""
    study = read_study(path)
    for index, loss in enumerate(study.losses):
        try:
            loss.build(prior=0.5)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"{path}: 'losses.{index}': loss '{loss.name}' cannot be built: {error}"
            ) from error
    tasks = {}
    for name, task in study.tasks.items():
        if task.is_soft:
            check_soft(study.losses, task, f"{path}: 'tasks.{name}.train_on'")
        try:
            tasks[name] = task.model_copy(update={"network": task.network.ready()})
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: 'tasks.{name}.network': {error}") from error
    return study.model_copy(update={"tasks": tasks})


def read_study(path: Path) -> Study:
    """Read a study file; paths in it are seen from the file, `$VARIABLES` expanded."""
    return validate(Study, _content(Path(path), ()), str(path))


def _content(path: Path, by: tuple[Path, ...]) -> dict[str, Any]:
    """What a file says over what it includes; `by` are the files that led here."""
    if path.resolve() in by:
        raise ConfigurationError(f"{path}: includes itself: take it out of `include`")
    own = read_yaml(path)
    included = own.pop("include", [])
    names = [included] if isinstance(included, str) else included
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{path}: 'include' must be the name of a study file, or a list")
    _see_all_from(path, own)
    below: dict[str, Any] = {}
    for name in names:
        other = _content(path.parent / name, (*by, path.resolve()))
        below = _beside(below, other, own, f"{path}: {name}")
    return merged(below, own)


def _beside(
    first: dict[str, Any], second: dict[str, Any], over: dict[str, Any], where: str, place: str = ""
) -> dict[str, Any]:
    """Both mappings as one; ConfigurationError where they differ and `over` does not decide."""
    both = {**first, **second}
    for key in first.keys() & second.keys():
        one, other, above = first[key], second[key], over.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            decides = above if isinstance(above, dict) else {}
            both[key] = _beside(one, other, decides, where, f"{place}{key}.")
        elif one != other and key not in over:
            raise ConfigurationError(
                f"{where} and a file included before it differ in '{place}{key}' "
                f"({other!r}, {one!r}): say it here, or of each task alone"
            )
    return both


def _see_all_from(path: Path, content: dict[str, Any]) -> None:
    """Make every path in the content of a study file one that is seen from that file."""
    given = content.get("tasks")
    for name, task in given.items() if isinstance(given, dict) else ():
        for key in ("folder", "groups"):
            _see_from(path, task, key, f"tasks.{name}")
        if isinstance(task, dict):
            _see_from(path, task.get("network"), "weights", f"tasks.{name}.network")
    _see_from(path, content.get("network"), "weights", "network")


def _see_from(study: Path, given: Any, key: str, place: str) -> None:
    text = given.get(key) if isinstance(given, dict) else None
    if isinstance(text, str) and text not in WEIGHTS:
        given[key] = str(_place(text, study, f"{place}.{key}"))


def _place(text: str, study: Path, place: str) -> Path:
    try:
        expanded = string.Template(text).substitute(os.environ)
    except KeyError as error:
        raise ConfigurationError(
            f"{study}: '{place}' names ${error.args[0]}, which is not set: "
            f"export {error.args[0]}=FOLDER before the command"
        ) from None
    return (study.parent / Path(expanded).expanduser()).resolve()
