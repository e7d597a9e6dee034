"""The one PUT with a precondition: an object is written only if it still is as it was seen. pyarrow cannot state that.

S3 and Azure compare ETags, GCS generations. A service that ignores preconditions is not found out: of two runs of one
night that are published at the same moment the later one would stand, and the earlier believe that it does.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from hs.errors import StorageLost, UsageError
from hs.storage.location import Location
from hs.storage.settings import StorageSettings

T = TypeVar("T")
_LONGEST_WAIT_S = 15


@dataclass(frozen=True)
class Seen:
    """An object as it was at one moment.

    Attributes:
        content: its bytes.
        version: what the storage calls that state of it, for a precondition.
    """

    content: bytes
    version: tuple[tuple[str, str], ...]


class Conditional:
    """Reads objects of a folder with their version, and writes them if that still is the version.

    Args:
        folder: on object storage.
        settings: how it is reached.

    Raises:
        UsageError: if `obstore` is not installed, or takes these settings for wrong.
    """

    def __init__(self, folder: Location, settings: StorageSettings) -> None:
        self._folder = folder
        self._obstore, errors = _library()
        self._refused = (errors.PermissionDeniedError, errors.UnauthenticatedError, PermissionError)
        self._moved_on = (errors.AlreadyExistsError, errors.PreconditionError)
        self._other = errors.BaseError
        retries: Any = {
            "max_retries": 10_000,  # the time counts
            "retry_timeout": timedelta(seconds=settings.outage_budget_s),
            "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=_LONGEST_WAIT_S)},
        }
        options = options_of(folder, settings)
        client = {"allow_http": True} if options.pop("allow_http", None) else {}  # obstore has it elsewhere
        try:
            self._store = self._obstore.store.from_url(
                folder.text, config=options, client_options=client, retry_config=retries
            )
        except (errors.BaseError, ValueError) as error:
            raise UsageError(f"{folder} cannot be reached: {_words(error)}") from error

    def see(self, name: str) -> Seen | None:
        """An object and its version; None where there is none.

        Raises:
            UsageError: if it may not be read.
            StorageLost: if the storage is away.
        """

        def ask() -> Seen:
            got = self._obstore.get(self._store, name)
            found = {key: got.meta[key] for key in ("e_tag", "version") if got.meta.get(key)}
            return Seen(bytes(got.bytes()), tuple(found.items()))

        try:
            return self._asked(name, ask)
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes, seen: Seen | None) -> bool:
        """Writes an object if it still is as it was seen, or still absent; whether it was written.

        Raises:
            UsageError: if it may not be written.
            StorageLost: if the storage is away.
        """
        mode = "create" if seen is None else dict(seen.version)
        try:
            self._asked(name, lambda: self._obstore.put(self._store, name, content, mode=mode))
        except self._moved_on:
            # An answer may be lost and the request tried again: then what it meets is its own.
            now = self.see(name)
            return now is not None and now.content == content
        except FileNotFoundError:  # the object is gone since, or the bucket is
            return False
        return True

    def _asked(self, name: str, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (*self._moved_on, FileNotFoundError):
            raise
        except self._refused as error:
            raise UsageError(f"{self._folder / name}: access is denied: {_words(error)}") from error
        except (self._other, OSError) as error:
            raise StorageLost(f"the storage of {self._folder / name} does not answer: {_words(error)}") from error


def _library() -> tuple[Any, Any]:
    try:
        import obstore
        import obstore.store
        from obstore import exceptions
    except ImportError as error:
        raise UsageError(
            "an output on object storage needs the extra `object-storage`: pip install 'hs-audit[object-storage]'"
        ) from error
    return obstore, exceptions


def options_of(folder: Location, settings: StorageSettings) -> dict[str, str]:
    """The same settings as pyarrow has, by the names of Rust's object_store; what is left out the environment says."""
    options = {"skip_signature": "true"} if settings.anonymous else {}
    if settings.endpoint:
        # pyarrow puts Azure's account behind an endpoint of one's own by itself.
        account = f"/{folder.bucket.split('@')[1].split('.')[0]}" if folder.scheme == "abfss" else ""
        options["google_base_url" if folder.scheme == "gs" else "endpoint"] = settings.endpoint + account
        options["allow_http"] = "true"
    if folder.scheme == "s3" and settings.region:
        options["region"] = settings.region
    # The names that pyarrow's side reads; others obstore finds by itself.
    if folder.scheme == "abfss" and (key := os.environ.get("AZURE_STORAGE_KEY")):
        options["account_key"] = key
    elif folder.scheme == "abfss" and (token := os.environ.get("AZURE_STORAGE_SAS_TOKEN")):
        options["sas_token"] = token
    return options


def _words(error: BaseException) -> str:
    """What an error says, in a line: the rest of it is the state of the client."""
    return " ".join(str(error).partition("\n\nDebug source")[0].split())
