"""YAML → checked values; every mistake is one sentence naming the key."""

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from hs.errors import UsageError

_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")  # of a section, and of a dataclass used as one


class Settings(BaseModel):
    """Settings that belong together; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnySettings = TypeVar("AnySettings", bound=Settings)


def load_settings(path: Path, kind: type[AnySettings]) -> AnySettings:
    """Reads a YAML file.

    Raises:
        UsageError: if it is missing, is no YAML, or has a wrong or unknown key.
    """
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(written, Mapping):
        raise UsageError(f"the configuration {path} must be a mapping of keys, got {type(written).__name__}")
    try:
        return kind.model_validate(written)
    except ValidationError as error:
        raise UsageError(f"{path}: {_sentence(error, kind)}") from error


def _sentence(error: ValidationError, kind: type[Settings]) -> str:
    """The first mistake of a configuration, the key first."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] in _UNKNOWN_KEY:
        return f"unknown key {key}{_nearest(first['loc'], kind)}"
    message = first["msg"].removeprefix("Value error, ")
    got = "" if isinstance(first["input"], dict | BaseModel) or not key else f", got {first['input']!r}"
    return f"{key}: {message}{got}" if key else message


def _nearest(location: tuple[int | str, ...], kind: type[Settings]) -> str:
    """` (did you mean …?)` for an unknown key, from the keys that its section knows."""
    section: Any = kind
    for part in location[:-1]:
        section = _section_of(_annotations_of(section)[str(part)])
    known = list(_annotations_of(section))
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _annotations_of(section: Any) -> dict[str, Any]:
    """Key → type, of a section or of a dataclass used as one."""
    if dataclasses.is_dataclass(section):
        return {field.name: field.type for field in dataclasses.fields(section)}
    return {name: field.annotation for name, field in section.model_fields.items()}


def _section_of(annotation: Any) -> Any:
    choices = getattr(annotation, "__args__", (annotation,))
    return next(choice for choice in choices if isinstance(choice, type) and choice is not type(None))
