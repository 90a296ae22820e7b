"""Configuration that is checked once, on load, with errors that a person can act on."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from segrisk.names import nearest

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A frozen piece of configuration that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ConfigurationError(ValueError):
    """A study file that cannot be run; the text has one line per fault."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not a text file in UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigurationError(f"{path}: is not valid YAML{where}: {problem}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: must hold a mapping of keys to values")
    return content


def validate(model: type[Model], content: Any, source: str) -> Model:
    """Build `model` from `content`, or raise one line per fault, each with its place."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [_line(model, fault) for fault in error.errors()]
        raise ConfigurationError("\n".join(f"{source}: {line}" for line in lines)) from None


def _line(model: type[BaseModel], fault: Any) -> str:
    parts, known = _place(model, fault["loc"])
    place = ".".join(parts)
    if fault["type"] == "extra_forbidden":
        return f"unknown key '{place}'{nearest(parts[-1], known)}"
    if fault["type"] == "missing":
        return f"'{place}' is missing"
    if fault["type"] in ("tuple_type", "list_type") and isinstance(
        fault["input"], str | int | float
    ):
        once = str(fault["input"])
        written = f"{once}, {once}" if parts[-1] == "size" else once
        return f"'{place}': a list is expected: write [{written}]"
    message = fault["msg"].removeprefix("Value error, ")
    value = fault["input"]
    is_told = isinstance(value, str) and repr(value) in message
    given = f", got {value!r}" if isinstance(value, str | int | float) and not is_told else ""
    return f"'{place}': {message}{given}" if place else message


def _place(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """Where a fault is, as its author wrote it, and the keys that are known at its end.

    Where several models are possible, pydantic adds the name of the one that was meant.
    """
    parts, models, known = [], [model], list(model.model_fields)
    for part in map(str, loc):
        meant = [one for one in models if _name(one) == part]
        if len(models) > 1 and meant:
            models = meant
            continue
        parts.append(part)
        known = [key for one in models for key in one.model_fields]
        field = next((one.model_fields[part] for one in models if part in one.model_fields), None)
        if field is not None:
            models = _models_in(field.annotation) or models
    return parts, known


def _name(model: type[BaseModel]) -> Any:
    """The name that tells a model from those that could stand in its place."""
    field = model.model_fields.get("name")
    return field.default if field else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inside = getattr(annotation, "__args__", ())
    return [model for inner in inside for model in _models_in(inner)]
