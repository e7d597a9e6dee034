"""YAML → checked values; every mistake is one sentence naming the key."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.rules.errors import UsageError


class Section(BaseModel):
    """Settings that belong together; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Settings = TypeVar("Settings", bound=Section)


def load_settings(path: Path, kind: type[Settings]) -> Settings:
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


def _sentence(error: ValidationError, kind: type[Section]) -> str:
    """The first mistake of a configuration, the key first."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}{_nearest(first['loc'], kind)}"
    message = first["msg"].removeprefix("Value error, ")
    got = "" if isinstance(first["input"], dict | BaseModel) or not key else f", got {first['input']!r}"
    return f"{key}: {message}{got}" if key else message


def _nearest(location: tuple[int | str, ...], kind: type[Section]) -> str:
    """` (did you mean …?)` for an unknown key, from the keys that its section knows."""
    section: Any = kind
    for part in location[:-1]:
        section = _section_of(section.model_fields[str(part)].annotation)
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _section_of(annotation: Any) -> Any:
    choices = getattr(annotation, "__args__", (annotation,))
    return next(choice for choice in choices if isinstance(choice, type) and issubclass(choice, Section))
