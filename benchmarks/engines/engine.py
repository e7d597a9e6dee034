"""The engines: how each is started, where its findings are, and how many lines its user writes."""

import ast
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from benchmarks.measuring import CONFIG, audit_arguments, published

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Engine:
    """One way to go through a night.

    Attributes:
        name: of it.
        command: environments, archive, address of the server and folder to write to → what to run.
        findings: that folder → declaration id and recommended code of each row that came out; None for no code.
        lines: that a user writes.
    """

    name: str
    command: Callable[[Path, Path, str, Path], list[str]]
    findings: Callable[[Path], dict[str, str | None]]
    lines: Callable[[], int]


def statements(source: str) -> int:
    r"""Lines of a source with one statement each, without docstrings and comments, however it is laid out.

    >>> statements("total = sum(  # of two\n    (1, 2)\n)")
    1
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    return sum(bool(line.strip()) for line in ast.unparse(tree).splitlines())


def _peer(name: str) -> Engine:
    module = name.replace("-", "_")

    def command(environments: Path, archive: Path, address: str, folder: Path) -> list[str]:
        python = environments / module / "bin" / "python"
        return [str(python), "-m", f"benchmarks.engines.{module}", str(archive), address, str(folder / "findings")]

    def findings(folder: Path) -> dict[str, str | None]:
        if not (folder / "findings").exists():  # Ray Data ends well, without a folder, where it has dropped every block
            return {}
        table = pq.read_table(folder / "findings", columns=["declaration_id", "recommended"])
        return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def lines() -> int:
        return sum(statements((_HERE / f"{file}.py").read_text("utf-8")) for file in (module, "model_server"))

    return Engine(name, command, findings, lines)


def _our_command(environments: Path, archive: Path, address: str, folder: Path) -> list[str]:
    arguments = audit_arguments(archive / "*.parquet", folder, f"--server={address}")
    return [sys.executable, "-m", "hs_audit.cli", *arguments]


def _our_findings(folder: Path) -> dict[str, str | None]:
    rows = pq.read_table(published(folder) / "findings", columns=["declaration_id", "recommendations"]).to_pylist()
    return {
        row["declaration_id"]: row["recommendations"][0]["hs_code"] if row["recommendations"] else None for row in rows
    }


def _our_lines() -> int:
    return len(yaml.safe_dump(yaml.safe_load(CONFIG)).splitlines()) + 1  # and the command


OURS = Engine("hs-audit", _our_command, _our_findings, _our_lines)
ENGINES = {name: _peer(name) for name in ("ray-data", "daft-udf", "tf-data")}
