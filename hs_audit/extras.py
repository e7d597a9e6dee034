"""What `pip install hs-audit` leaves out: TensorFlow and what only training needs. A command that needs it says so."""

from importlib.util import find_spec

from hs.errors import UsageError

_TRAINED_WITH = ("tensorflow", "keras", "scipy", "matplotlib", "tensorflow_serving")
_SERVED_WITH = ("tensorflow", "tensorflow_serving")
_NEEDED = {"train": _TRAINED_WITH, "serve": _SERVED_WITH, "all": _TRAINED_WITH, "mlflow": ("mlflow",)}


def require_extra(extra: str, for_what: str) -> None:
    """Looks whether the packages of an extra are installed, without loading one of them.

    Args:
        extra: of the distribution: train, serve, mlflow or all.
        for_what: needs it, such as `hs-audit train`.

    Raises:
        UsageError: if one is missing.
    """
    missing = [name for name in _NEEDED[extra] if not _is_whole(name)]
    if missing:
        raise UsageError(
            f"{for_what} needs hs-audit[{extra}], and {missing[0]} is not installed: pip install 'hs-audit[{extra}]'"
        )


def require_messages(for_what: str) -> None:
    """Looks whether TensorFlow Serving's messages are installed, which need no TensorFlow that runs.

    Raises:
        UsageError: if they are not.
    """
    if not all(find_spec(name) for name in _SERVED_WITH):
        raise UsageError(
            f"{for_what} needs the messages of TensorFlow Serving: pip install 'hs-audit[serve]', "
            "or without TensorFlow what `make worker-wheelhouse` gathers (docs/shipping.md)"
        )


def _is_whole(name: str) -> bool:
    """Whether a package is there, and more of it than its messages, which have no file of their own to run."""
    found = find_spec(name)
    return found is not None and found.origin is not None
