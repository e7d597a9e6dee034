"""TF Serving's layout: a folder of numbered versions, each a SavedModel."""

from pathlib import Path

from pipeline.rules.errors import ContractBroken


def versions(folder: Path) -> list[int]:
    """The versions in a model's folder, oldest first; names that are no numbers are not versions."""
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.is_dir())


def newest_version(folder: Path) -> int:
    """The highest version in a model's folder.

    Raises:
        ContractBroken: if there is none.
    """
    if not (found := versions(folder)):
        raise ContractBroken(f"{folder} holds no model: expected numbered versions such as {folder / '1'}")
    return found[-1]
