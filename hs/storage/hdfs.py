"""HDFS by `hdfs-native`, which needs no Java: as a file system of pyarrow, and what pyarrow has no call for.

The site's configuration is found as Hadoop's own tools find it, by HADOOP_CONF_DIR or HADOOP_HOME; who asks is whoever
Kerberos says, or HADOOP_USER_NAME where there is none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fsspec import AbstractFileSystem
from hdfs_native import Client
from hdfs_native.fsspec import HdfsFileSystem
from pyarrow import fs

from hs.storage.location import Location
from hs.storage.patience import patiently
from hs.storage.settings import StorageSettings

T = TypeVar("T")
# By themselves three minutes of tries: the longer patience is ours, and ends when a run is stopped.
_TRIES = {"dfs.client.failover.max.attempts": "3", "dfs.client.failover.sleep.max.millis": "500"}


class _Dated(HdfsFileSystem):
    """HDFS with the time of a file under the name where pyarrow looks for it, and moves that replace."""

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        return _dated(super().info(path, **options))

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        found = super().ls(path, detail, **options)
        return [_dated(each) for each in found] if detail else found

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        super().mv(path1, path2, overwrite=True)


def _dated(info: Any) -> dict[str, Any]:
    return {**info, "mtime": info["modification_time"] / 1000}


def _opened(authority: str) -> AbstractFileSystem:
    host, _, port = authority.partition(":")
    return _Dated(host or None, int(port) if port else None, **_TRIES)


def hdfs(authority: str) -> fs.FileSystem:
    """The files of a name node, or of a name service.

    Args:
        authority: `host:port`, the name of a name service, or empty for that of the site's configuration.

    Raises:
        RuntimeError: if the configuration does not say where that is.
    """
    return fs.PyFileSystem(fs.FSSpecHandler(_opened(authority)))


@dataclass(frozen=True)
class HadoopFolders:
    """Folders of HDFS, which are renamed at once. All methods raise what those of `Stores` do.

    Attributes:
        settings: how HDFS is reached.
    """

    settings: StorageSettings

    def make(self, folder: Location) -> None:
        """Makes a folder and those around it; it may be there."""
        self._asked(folder, lambda client: client.mkdirs(_path(folder), create_parent=True))

    def rename(self, folder: Location, to: Location) -> None:
        """Gives a folder another name.

        Raises:
            FileNotFoundError: if it is not there; an earlier try may have renamed it, and its answer been lost.
            FileExistsError: if something has that name.
        """
        self._asked(folder, lambda client: client.rename(_path(folder), _path(to)))

    def set_mode(self, place: Location, mode: int) -> None:
        """Says who may read and write a file, or enter a folder."""
        self._asked(place, lambda client: client.set_permission(_path(place), mode))

    def _asked(self, place: Location, ask: Callable[[Client], T]) -> T:
        client = _opened(place.bucket).client
        return patiently(place.text, lambda: ask(client), self.settings.outage_budget_s)


def _path(place: Location) -> str:
    return f"/{place.key}"
