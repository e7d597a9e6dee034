"""What the launcher writes where no file grows: in a folder of this machine first, logs again and again."""

import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hs.errors import AuditError
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.text import in_a_line

_log = logging.getLogger("hs_audit.run")
_EVERY_S = 60.0  # of an attempt that is killed the last minute is lost


@contextmanager
def drafted(to: Location, stores: Stores) -> Iterator[Path]:
    """A folder of this machine, whose files are sent when the context ends without an error."""
    with tempfile.TemporaryDirectory(prefix="hs-audit-") as written:
        folder = Path(written)
        yield folder
        paths = [path for path in folder.rglob("*") if path.is_file()]
        for path in sorted(
            paths, key=lambda path: (path.name == "_SUCCESS", path)
        ):  # which says that all else is there
            stores.write_bytes(to / path.relative_to(folder).as_posix(), path.read_bytes())


@dataclass(frozen=True)
class SentLogs:
    """The logs of an attempt, in a folder of this machine until they are sent.

    Attributes:
        folder: of this machine.
        stem: how their names begin.
        to: folder on the storage.
        stores: how that is reached.
    """

    folder: Path
    stem: str
    to: Location
    stores: Stores

    def path(self, suffix: str) -> Path:
        """Of a log of this attempt."""
        return self.folder / f"{self.stem}{suffix}"

    @contextmanager
    def sent(self) -> Iterator[None]:
        """Sends what there is every minute and in the end; what becomes of the night does not depend on it."""
        over = threading.Event()
        thread = threading.Thread(target=self._send_meanwhile, args=(over,), name="logs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._send_all()

    def _send_meanwhile(self, over: threading.Event) -> None:
        # Without patience: the next minute comes anyway.
        hasty = replace(self.stores, settings=replace(self.stores.settings, outage_budget_s=0))
        sent: dict[Path, int] = {}
        while not over.wait(_EVERY_S):
            for path in self.folder.iterdir():
                with suppress(AuditError, OSError):
                    content = path.read_bytes()
                    if len(content) not in (0, sent.get(path)):  # an empty one may go yet
                        hasty.write_bytes(self.to / path.name, content)
                        sent[path] = len(content)

    def _send_all(self) -> None:
        for path in sorted(self.folder.iterdir()):
            try:
                self.stores.write_bytes(self.to / path.name, path.read_bytes())
            except (AuditError, OSError) as error:
                _log.warning("%s cannot be sent to %s: %s", path.name, self.to, in_a_line(error))
                return
