"""The floors of the house: which folder imports which, by a walk over every module, lazy imports included."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("hs", "serving", "model", "pipeline", "hs_audit")

# Folder or file → what of ours, and of others', it may import; the longest name that fits a module counts.
MAY_IMPORT = {
    "hs": "numpy",
    "hs.html": "jinja2 markupsafe",
    "hs.settings": "pydantic pydantic_core yaml",
    "hs.pictures": "numpy PIL",
    "hs.pictures.columns": "numpy pyarrow",
    "hs.storage": "pyarrow",
    "hs.storage.precondition": "obstore",
    "hs.storage.hdfs": "pyarrow fsspec hdfs_native",
    "serving": "hs numpy grpc google",
    "serving.messages": "tensorflow tensorflow_serving",
    "serving.server.saved_model": "hs numpy grpc tensorflow",
    "serving.server.servable": "numpy grpc tensorflow",
    "model": "hs numpy scipy",
    "model.cases": "hs numpy scipy PIL pyarrow",
    "model.training": "hs numpy scipy tensorflow keras",
    "model.training.hdf5_looks": "hs h5py",
    "model.training.foreign_files": "hs model keras",
    "model.exported": "hs numpy tensorflow tensorflow_serving keras google",
    "model.evaluation": "hs numpy scipy matplotlib",
    "model.experiments": "hs pydantic",
    "pipeline": "hs serving",
    "pipeline.values": "hs numpy pyarrow",
    "pipeline.config": "hs serving pydantic",
    "pipeline.archive": "hs numpy pyarrow",
    "pipeline.job": "hs serving numpy pyarrow apache_beam",
    "pipeline.job.submission": "hs apache_beam grpc",  # what an engine that is lost raises is gRPC's
    "pipeline.findings": "hs numpy pyarrow",
    "pipeline.findings.sheet": "hs pyarrow openpyxl",
    "pipeline.runs": "hs serving pyarrow",
    "pipeline.runs.delta_log": "hs pyarrow deltalake",
    "pipeline.feedback": "hs pyarrow",
    "pipeline.report": "hs numpy pyarrow PIL",
    "pipeline.deploy": "airflow serving",  # Airflow is none of ours: its DAG is a file for others
    "pipeline.night": "hs serving apache_beam",
    "pipeline.replay": "hs serving pydantic",
    "hs_audit": "hs serving model pipeline rich",
    "hs_audit.mlflow_runs": "hs mlflow",
    "hs_audit.new_version": "hs model numpy",  # which cases count is chosen by their numbers
    "hs_audit.commands": "hs serving model pipeline rich numpy pyarrow",
    "hs_audit.demo": "numpy pyarrow PIL",
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for floor in FLOORS
    for path in (ROOT / floor).rglob("*.py")
}


def imports(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in names)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_folder_may(module):
    rule = max((name for name in MAY_IMPORT if f"{module}.".startswith(f"{name}.")), key=len)
    allowed = {*MAY_IMPORT[rule].split(), module.split(".")[0]} | sys.stdlib_module_names

    assert {name.split(".")[0] for name in imports(module)} <= allowed, f"the rule of {rule}"


@pytest.mark.parametrize("depth", [2, 9])
def test_neither_folders_nor_modules_import_each_other_in_a_circle(depth):
    def room(module: str) -> str:
        return ".".join(module.split(".")[:depth])

    graph: dict[str, set[str]] = {}
    for module in MODULES:
        ours = {room(name) for name in imports(module) if name in MODULES}
        graph.setdefault(room(module), set()).update(ours - {room(module)})

    assert list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
