"""Which versions of others' libraries are installed."""

from importlib.metadata import PackageNotFoundError, version


def installed(*names: str) -> dict[str, str | None]:
    """The version of each distribution; None for one that is not installed as such.

    >>> installed("no-such-thing")
    {'no-such-thing': None}
    """
    return {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
