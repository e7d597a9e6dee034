"""What a worker process is told of its run, and what it checks before it reads or sends anything.

Launcher and worker may be two machines: with another file system, other libraries, and no way to the model server.
What is found becomes data, a trouble: (exit code, sentence). An engine would try an exception again and again.
"""

import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from hs.errors import AuditError, EngineLost, Interrupted, StorageLost, UsageError
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.job.counters import counted_here, forget_counts
from pipeline.job.in_process import STOP
from pipeline.job.keeping import kept_here
from pipeline.job.lease import Lease
from pipeline.job.memory import give_back_freed_memory
from pipeline.job.watching import watch
from pipeline.versions import deciding_versions
from serving.client.client import Client
from serving.client.connection import Connection

Trouble = tuple[int, str]

_AT_FIRST_S = 60  # later a server that is away is a matter of the outage budget
_checked: dict[Lease, Trouble | None] = {}  # of this process, which works for one run at a time
_checking = threading.Lock()


@dataclass(frozen=True)
class Post:
    """What a worker needs to know of its run.

    Attributes:
        lease: the launcher's sign of life; None where all works in its own process.
        versions: of the launcher's, those that decide on findings.
        files: of the archive, of which at least one must be seen.
        server: where the model is served, its name and version.
        stores: how archive and staging are reached.
    """

    lease: Lease | None = None
    versions: Mapping[str, str | None] = field(default_factory=deciding_versions)
    files: Sequence[str] = ()
    server: tuple[Connection, str, int] | None = None
    stores: Stores = field(default_factory=Stores)

    def take(self) -> Trouble | None:
        """Begins to watch the lease and checks this machine, once in a process; what is wrong with it, if anything."""
        give_back_freed_memory()
        if self.lease is None or kept_here(self.lease):
            return None
        with _checking:
            if self.lease not in _checked:
                _checked.clear()
                forget_counts()
                _checked[self.lease] = self._check(self.lease)
            return _checked[self.lease]

    def _check(self, lease: Lease) -> Trouble | None:
        host = socket.gethostname()
        try:
            seconds = watch(lease, counted_here, self.stores)
        except StorageLost as error:
            return error.exit_code, f"on worker {host}: {error}"
        except FileNotFoundError:
            return UsageError.exit_code, (
                f"worker {host} does not see the launcher's output folder, {lease.folder}: both must share it"
            )
        except OSError as error:
            why = error.strerror or error
            return UsageError.exit_code, f"worker {host} cannot write to the output folder {lease.folder}: {why}"
        trouble = _other_versions(host, self.versions) or _no_archive(host, self.files, self.stores)
        if not trouble and self.server and seconds < _AT_FIRST_S:
            trouble = _no_server(host, *self.server)
        if trouble:
            STOP.set()
            with suppress(OSError, StorageLost):  # it also travels through the pipeline
                lease.say(counted_here(), trouble)
        return trouble


def _other_versions(host: str, launchers: Mapping[str, str | None]) -> Trouble | None:
    ours = deciding_versions()
    for name, theirs in launchers.items():
        if ours[name] != theirs:
            return UsageError.exit_code, (
                f"worker {host} has {name} {ours[name] or '(none)'}, the launcher {theirs or '(none)'}: "
                "findings must not depend on where they are made"
            )
    return None


def _no_archive(host: str, files: Sequence[str], stores: Stores) -> Trouble | None:
    try:
        if not files or any(stores.exists(Location.parse(file)) for file in files):
            return None
    except StorageLost as error:
        return error.exit_code, f"on worker {host}: {error}"
    except OSError as error:
        return UsageError.exit_code, f"the archive is not visible on worker {host}: {files[0]}: {error}"
    return UsageError.exit_code, f"the archive is not visible on worker {host}: {files[0]}"


def _no_server(host: str, connection: Connection, model: str, version: int) -> Trouble | None:
    client = None
    try:
        client = Client(connection, STOP)  # reads the PEM files
        client.available_version(model, version)
    except Interrupted:
        return None
    except AuditError as error:
        return error.exit_code, f"on worker {host}: {error}"
    finally:
        if client:
            client.close()
    return None


def why_stopped() -> Trouble:
    """What a worker says that leaves out work since STOP is set: its own trouble, or that its launcher is gone."""
    trouble = next((found for found in _checked.values() if found), None)
    return trouble or (
        EngineLost.exit_code,
        f"worker {socket.gethostname()} was told to stop, or saw no sign of life of its launcher",
    )
