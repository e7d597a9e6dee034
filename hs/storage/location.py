"""Where a file or a folder is, as text: an absolute path of this machine, or `scheme://bucket/key`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hs.errors import UsageError
from hs.text import did_you_mean

REMOTE = ("s3", "gs", "abfss", "hdfs")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_COLLAPSED = re.compile(r"(s3a?|gs|abfss?|hdfs|wasbs?):/(?!/)", re.IGNORECASE)  # what pathlib makes of a URI
_QUERY = re.compile(r"\?[A-Za-z_.-]+=")  # `?` alone is a wildcard
_ACCOUNT = re.compile(r"[^@:/]+@[^@:/]+")  # container@account.dfs.core.windows.net


@dataclass(frozen=True, order=True)
class Location:
    """A place in a storage; equal texts are the same place.

    Attributes:
        text: as people write it and findings name it: an absolute path, or `scheme://bucket/key` without a last slash.

    >>> audits = Location.parse("s3://customs/audits/")
    >>> audits / "run_date=2026-11-21" / "_CURRENT"
    Location(text='s3://customs/audits/run_date=2026-11-21/_CURRENT')
    """

    text: str

    @classmethod
    def parse(cls, written: "str | Path | Location") -> "Location":
        """What somebody wrote, checked; a relative path is one of the current folder. Nothing is looked up or made.

        Raises:
            UsageError: if the scheme is none of ours, or the text has no bucket, an empty part, or a credential.
        """
        if isinstance(written, Location):
            return written
        text = str(written)
        if collapsed := _COLLAPSED.match(text):
            raise UsageError(f"{text} is no path: write {collapsed[1]}://…")
        match = _SCHEME.fullmatch(text)
        if not match:
            return cls(os.path.abspath(os.path.expanduser(text) if text.startswith("~/") else text))
        scheme, rest = match[1].lower(), match[2]
        if scheme == "file":
            if not rest.startswith("/"):
                raise UsageError(f"{text} is no path: a file:// URI has three slashes, as in file:///data/archive")
            return cls(os.path.abspath(rest))
        if scheme not in REMOTE:
            hint = (
                did_you_mean(scheme, REMOTE) or f"; there are {', '.join(f'{name}://' for name in REMOTE)}, and paths"
            )
            raise UsageError(f"no storage {scheme}:// is built in{hint}")
        return cls(f"{scheme}://{_checked(scheme, rest)}")

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, part: str) -> "Location":
        return Location(f"{self.text.rstrip('/') if self.is_local else self.text}/{part}")

    @property
    def scheme(self) -> str:
        """`file` for a path of this machine."""
        return "file" if self.is_local else self.text.split("://")[0]

    @property
    def is_local(self) -> bool:
        """Whether it is a path of this machine."""
        return "://" not in self.text

    @property
    def has_folders(self) -> bool:
        """Whether folders are renamed there at once, with all that is in them."""
        return self.is_local or self.scheme == "hdfs"

    @property
    def path(self) -> Path:
        """The path of this machine.

        Raises:
            ValueError: if it is somewhere else.
        """
        if not self.is_local:
            raise ValueError(f"{self.text} is no path of this machine")
        return Path(self.text)

    @property
    def bucket(self) -> str:
        """What stands before the key: a bucket, `container@account…`, or `host:port`; empty for a path."""
        return "" if self.is_local else self.text.split("://", 1)[1].split("/", 1)[0]

    @property
    def key(self) -> str:
        """The path in the bucket, without a first slash; of a path of this machine all of it."""
        return self.text if self.is_local else self.text.split("://", 1)[1].partition("/")[2]

    @property
    def name(self) -> str:
        """The last part; empty for a bucket."""
        return PurePosixPath(self.key).name

    @property
    def suffix(self) -> str:
        """The last part's, with its dot."""
        return PurePosixPath(self.key).suffix

    @property
    def parent(self) -> "Location":
        """The folder around it; of a bucket, itself."""
        if self.is_local:
            return Location(str(self.path.parent))
        return Location(self.text.rsplit("/", 1)[0]) if self.key else self

    def relative_to(self, folder: "Location") -> str:
        """What comes after a folder that it lies in.

        Raises:
            ValueError: if it does not lie there.
        """
        start = folder.text.rstrip("/") + "/"
        if not self.text.startswith(start):
            raise ValueError(f"{self.text} does not lie in {folder.text}")
        return self.text[len(start) :]

    def is_in(self, folder: "Location") -> bool:
        """Whether it is a folder or lies in it, as far as the texts say."""
        return f"{self.text}/".startswith(folder.text.rstrip("/") + "/")


def _checked(scheme: str, rest: str) -> str:
    """Bucket and key without a last slash."""
    # The sentences leave out what was written: a part of it may be a secret.
    bucket, _, key = rest.partition("/")
    if _QUERY.search(rest):
        raise UsageError(f"a {scheme}:// URI has no settings after a ?; see `storage` in the configuration")
    if scheme == "abfss":
        if not _ACCOUNT.fullmatch(bucket):
            raise UsageError("an abfss:// URI begins with abfss://CONTAINER@ACCOUNT.dfs.core.windows.net")
    elif "@" in bucket:
        raise UsageError(f"a {scheme}:// URI holds no credentials: they come from the environment")
    key = key.rstrip("/")
    if not bucket and scheme != "hdfs":  # hdfs:///key: the name node of the site's configuration
        raise UsageError(f"{scheme}://{rest} has no bucket")
    if key and any(part in ("", ".", "..") for part in key.split("/")):
        raise UsageError(f"{scheme}://{rest} has an empty part, or one of dots")
    return f"{bucket}/{key}" if key else bucket
