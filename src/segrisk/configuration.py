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
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, fault["loc"][:-1])
        return f"unknown key '{place}'{nearest(str(fault['loc'][-1]), known)}"
    if fault["type"] == "missing":
        return f"'{place}' is missing"
    message = fault["msg"].removeprefix("Value error, ")
    given = f", got {fault['input']!r}" if isinstance(fault["input"], str | int | float) else ""
    return f"'{place}': {message}{given}" if place else message


def _keys_at(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys that are known where an unknown one was found."""
    for part in place:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = _model_in(field.annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in getattr(annotation, "__args__", ()))
    return next((model for model in found if model is not None), None)
