"""The tables of the nomenclature that a run was made with, read again from where its configuration says."""

from hs.edition_tables import NO_TABLES, Tables
from hs.errors import UsageError
from pipeline.config import NomenclatureTables
from pipeline.runs.published import Run


def tables_of(run: Run) -> Tables:
    """The tables of a run; none where it had none.

    Raises:
        UsageError: if one cannot be read any more, or was changed.
    """
    if "nomenclature" not in run.manifest:
        return NO_TABLES
    tables = NomenclatureTables.model_validate(run.manifest["configuration"]["nomenclature"]).read()
    recorded = {name: table["sha256"] for name, table in run.manifest["nomenclature"]["tables"].items()}
    changed = [str(file.path) for name, file in tables.files.items() if recorded.get(name) != file.sha256]
    if changed:
        raise UsageError(f"{', '.join(changed)}: changed after {run.name} was made")
    return tables
