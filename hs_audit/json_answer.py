"""`--json`: one JSON object on stdout and nothing else there, however a command ends.

What a command tells people goes to stderr meanwhile; what it tells programs it puts into the mapping that it is given
as `args.answer`. `exit_code` is always there, `error` where there is a sentence why.
"""

import argparse
import dataclasses
import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from enum import Enum
from typing import Any, NoReturn

from hs.errors import AuditError, Interrupted, UsageError
from hs.storage.location import Location
from hs.text import printable

Answer = dict[str, Any]


class SentenceParser(argparse.ArgumentParser):
    """A parser whose mistakes are errors of ours, and no usage on stderr."""

    def error(self, message: str) -> NoReturn:
        """Tells what is wrong with the arguments.

        Raises:
            UsageError: always.
        """
        raise UsageError(message)


def answered(name: str, call: Callable[[Answer], int]) -> int:
    """Calls a command and prints its answer as JSON.

    Args:
        name: of the command, for people.
        call: fills the answer and returns the exit code, or raises.

    Returns:
        The exit code, which stands in the answer, too.
    """
    answer: Answer = {}
    with _nothing_on_stdout():
        exit_code, error = _ending(call, answer)
        if error:
            print(f"hs-audit {name}: {printable(error)}", file=sys.stderr)
    told = {"error": error} if error else {}
    print(json.dumps(plain(answer | told | {"exit_code": exit_code}), allow_nan=False))
    return exit_code


def _ending(call: Callable[[Answer], int], answer: Answer) -> tuple[int, str | None]:
    try:
        return call(answer), None
    except AuditError as error:
        return error.exit_code, str(error)
    except KeyboardInterrupt:
        return Interrupted.exit_code, "interrupted"
    except Exception as error:  # a bug, too, is an answer
        traceback.print_exc()
        return 1, f"a bug: {type(error).__name__}: {error}"


@contextmanager
def _nothing_on_stdout() -> Iterator[None]:
    """Whatever is printed goes to stderr, also what libraries and children write behind Python's back."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def plain(value: Any) -> Any:
    """A value as JSON knows it; a number that is none is null.

    >>> plain({"share": float("nan"), "of": (1, 2)})
    {'share': None, 'of': [1, 2]}
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Location):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return str(value)  # a date, a path, a place on a storage
