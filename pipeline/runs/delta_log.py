"""A Delta log over the files of findings, which stay as they are: a version for each night published or replaced.

OUTPUT/_delta_log/          what Delta readers take OUTPUT for a table by; its partitions are the run dates
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from hs.errors import UsageError
from hs.storage.location import Location
from hs.storage.precondition import options_of
from hs.storage.settings import StorageSettings
from hs.storage.stores import Stores
from hs.text import in_a_line
from pipeline.findings.parts import opened

_log = logging.getLogger("hs_audit.run")
_TRIES = 8  # other nights may be published at the same moment
_NIGHT = "run_date"
# Delta's VACUUM removes what it does not know: worklists, pages and manifests, of any age above this.
_NEVER_VACUUMED = {"delta.deletedFileRetentionDuration": "interval 36500 days"}


@dataclass(frozen=True)
class DeltaLog:
    """The log of an output.

    Attributes:
        output: the table.
        settings: how its storage is reached.
    """

    output: Location
    settings: StorageSettings

    def require(self) -> None:
        """Makes sure that a log can be written.

        Raises:
            UsageError: if `deltalake` is not installed.
        """
        _library()

    def sync(self, run_date: date, parts: Mapping[str, Location], stores: Stores) -> bool:
        """Makes the log name the files of a night that stand, and no others of it.

        Args:
            run_date: the night.
            parts: path in the table → the file that lies there, or the same file elsewhere.
            stores: how the files are reached.

        Returns:
            Whether it had to be changed. What cannot be said in the log is a warning: the night is published.
        """
        try:
            return self._sync(run_date, parts, stores)
        except Exception as error:  # of Rust, Arrow or the storage: the night is published whatever it is
            words = in_a_line(error)
            _log.warning(
                "the Delta log of %s does not have %s yet, the next run tries again: %s", self.output, run_date, words
            )
            return False

    def names(self) -> set[str]:
        """The paths of all files that the log names."""
        table = self._table()
        return set(_files(table)) if table else set()

    def _sync(self, run_date: date, parts: Mapping[str, Location], stores: Stores) -> bool:
        library, night = _library(), run_date.isoformat()
        described: tuple[pa.Schema, list[Any]] | None = None
        for number in range(_TRIES):
            table = self._table()
            named = {path for path, of in _files(table).items() if of == run_date} if table else set()
            if named == set(parts):
                return False
            schema, actions = described = described or _described(night, parts, stores)
            try:
                if table is None:
                    library.create(
                        self._uri, library.schema(schema), actions, "error", [_NIGHT], name="findings",
                        configuration=_NEVER_VACUUMED, storage_options=self._options,
                    )  # fmt: skip
                else:
                    merged = pa.unify_schemas([pa.schema(table.schema().to_arrow()), schema])
                    table.create_write_transaction(
                        actions, "overwrite", library.schema(merged), partition_by=[_NIGHT],
                        partition_filters=[(_NIGHT, "=", night)],
                    )  # fmt: skip
            except library.raced:
                if number + 1 == _TRIES:
                    raise
                continue
            return True
        return False

    @property
    def _uri(self) -> str:
        return self.output.text

    @property
    def _options(self) -> dict[str, str]:
        return {} if self.output.is_local else options_of(self.output, self.settings)

    def _table(self) -> Any:
        library = _library()
        try:
            return library.table(self._uri, storage_options=self._options)
        except library.absent:
            return None


@dataclass(frozen=True)
class _Library:
    """What is used of `deltalake`."""

    table: Any
    schema: Any
    create: Any
    add: Any
    absent: type[Exception]
    raced: type[Exception]


def _library() -> _Library:
    try:
        import deltalake
        from deltalake import exceptions, transaction
    except ImportError as error:
        raise UsageError("publish.delta needs the extra `delta`: pip install 'hs-audit[delta]'") from error
    return _Library(
        deltalake.DeltaTable,
        deltalake.Schema.from_arrow,
        transaction.create_table_with_add_actions,
        transaction.AddAction,
        exceptions.TableNotFoundError,
        exceptions.CommitFailedError,
    )


def _files(table: Any) -> dict[str, date]:
    """Path → night, of all that the log names."""
    actions = pa.table(table.get_add_actions(flatten=True))
    nights = actions.column(f"partition.{_NIGHT}").to_pylist()
    return dict(zip(actions.column("path").to_pylist(), nights, strict=True))


def _described(night: str, parts: Mapping[str, Location], stores: Stores) -> tuple[pa.Schema, list[Any]]:
    """The schema of all files, and an action to add each."""
    add, schemas, actions = _library().add, [], []
    for path, part in parts.items():
        with opened(part, stores) as file:
            schemas.append(file.schema_arrow.remove_metadata())
            stats = json.dumps({"numRecords": file.metadata.num_rows})
        size = stores.info(part).stamp.size_bytes
        actions.append(add(path, size, {_NIGHT: night}, int(time.time() * 1000), True, stats))
    return pa.unify_schemas(schemas), actions
