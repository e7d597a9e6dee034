"""YAML → checked values; every mistake is told at once, each with its line and the key."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from hs.errors import UsageError
from hs.text import did_you_mean, excerpt

_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")  # of a section, and of a dataclass used as one


class Settings(BaseModel):
    """Settings that belong together; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnySettings = TypeVar("AnySettings", bound=Settings)


def load_settings(path: Path, kind: type[AnySettings]) -> AnySettings:
    """Reads a YAML file.

    Raises:
        UsageError: if it is missing, is no YAML, or has wrong, repeated or unknown keys: all of them, with their lines.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)  # nodes know their lines, values do not
        written = yaml.SafeLoader("").construct_document(root) if root else None
    except OSError as error:
        raise UsageError(f"the configuration {path} cannot be read: {error.strerror}") from error
    # ValueError: a date such as 2026-13-45, which YAML makes dates of, and a file that is no UTF-8.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"the configuration {path} is not YAML: {excerpt(' '.join(str(error).split()))}") from error
    if not isinstance(written, Mapping) or root is None:
        raise UsageError(f"the configuration {path} must be a mapping of keys, got {type(written).__name__}")
    try:
        mistakes = [(mark, f"{excerpt(key)} stands there twice") for mark, key in _repeated(root)]
    except RecursionError as error:  # an alias of what it stands in
        raise UsageError(f"the configuration {path} holds itself") from error
    try:
        settings = kind.model_validate(written)
    except ValidationError as error:
        mistakes += [(_line_of(root, each["loc"]), _sentence(each, kind)) for each in error.errors()]
    if mistakes:
        raise UsageError(f"{path}: {'; '.join(f'line {line}: {sentence}' for line, sentence in sorted(mistakes))}")
    return settings


def _repeated(node: yaml.Node, section: str = "") -> Iterator[tuple[int, str]]:
    """(line, key) of each key that stands in its section for the second time: YAML takes the last in silence."""
    seen: set[str] = set()
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        key = f"{section}{name.value}"
        if key in seen:
            yield name.start_mark.line + 1, key
        seen.add(key)
        yield from _repeated(value, f"{key}.")


def _line_of(node: yaml.Node, location: Sequence[int | str]) -> int:
    """The line on which a key stands; of a key that is missing, its section's."""
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            found = next(((name, value) for name, value in node.value if name.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
    return line


def _sentence(mistake: ErrorDetails, kind: type[Settings]) -> str:
    """One mistake of a configuration, the key first."""
    location = mistake["loc"]
    key = excerpt(".".join(str(part) for part in location), most=100)
    if mistake["type"] in _UNKNOWN_KEY:
        return f"unknown key {key}{_nearest(location, kind)}"
    message = excerpt(mistake["msg"].removeprefix("Value error, "))  # pydantic's, before our own sentences
    got = f", got {excerpt(repr(mistake['input']), most=100)}"
    told = not key or isinstance(mistake["input"], dict | BaseModel) or message.endswith(got)
    return f"{key}: {message}{'' if told else got}" if key else message


def _nearest(location: tuple[int | str, ...], kind: type[Settings]) -> str:
    """`; did you mean …?` for an unknown key, from the keys that its section knows."""
    section: Any = kind
    for part in location[:-1]:
        section = _section_of(_annotations_of(section)[str(part)])
    return did_you_mean(str(location[-1]), list(_annotations_of(section)))


def _annotations_of(section: Any) -> dict[str, Any]:
    """Key → type, of a section or of a dataclass used as one."""
    if dataclasses.is_dataclass(section):
        return {field.name: field.type for field in dataclasses.fields(section)}
    return {name: field.annotation for name, field in section.model_fields.items()}


def _section_of(annotation: Any) -> Any:
    choices = getattr(annotation, "__args__", (annotation,))
    return next(choice for choice in choices if isinstance(choice, type) and choice is not type(None))
