"""Locations → the file systems of pyarrow that reach them, one of each kind for a process.

Credentials are looked up where each cloud's own tools look: AWS_ACCESS_KEY_ID, AWS_PROFILE, a role of the machine;
GOOGLE_APPLICATION_CREDENTIALS; AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, a managed identity; Kerberos for HDFS.
"""

import os
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

import pyarrow as pa
from pyarrow import fs

from hs.errors import UsageError
from hs.storage.location import Location
from hs.storage.settings import StorageSettings

_CONNECT_TIMEOUT_S, _SILENCE_TIMEOUT_S = 10, 30  # pyarrow's 1 and 3 are short for a storage that is busy
_TRIES = 2  # of pyarrow itself: the longer patience is ours
_GCS_PATIENCE_S = 5  # for each of several requests; by itself it would take fifteen minutes


def file_system(location: Location, settings: StorageSettings) -> tuple[fs.FileSystem, str]:
    """The file system of a location, and the path in it.

    Raises:
        UsageError: if what reaches it is not installed or not set up.
    """
    if location.is_local:
        return _made("file", "", settings), location.text
    path = f"/{location.key}" if location.scheme == "hdfs" else "/".join(_parts(location))
    return _made(location.scheme, _authority(location), settings), path


def _parts(location: Location) -> list[str]:
    bucket = location.bucket.split("@")[0]
    return [bucket, location.key] if location.key else [bucket]


def _authority(location: Location) -> str:
    """What a file system is made for: an account, a name node; buckets of S3 and GCS share one."""
    if location.scheme == "abfss":
        return location.bucket.split("@")[1]
    return location.bucket if location.scheme == "hdfs" else ""


@lru_cache(maxsize=16)
def _made(scheme: str, authority: str, settings: StorageSettings) -> fs.FileSystem:
    try:
        return {"file": _local, "s3": _s3, "gs": _gs, "abfss": _azure, "hdfs": _hdfs}[scheme](authority, settings)
    # A variable holds nonsense, libhdfs is not there; hdfs-native has RuntimeErrors for whatever it is told wrongly.
    except (OSError, pa.ArrowException, ValueError, RuntimeError) as error:
        raise UsageError(f"{scheme}:// cannot be reached from here: {' '.join(str(error).split())}") from error


def _local(authority: str, settings: StorageSettings) -> fs.FileSystem:
    return fs.LocalFileSystem()


def _s3(authority: str, settings: StorageSettings) -> fs.FileSystem:
    # Where commands have no configuration; pyarrow itself does not look there.
    usual = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return fs.S3FileSystem(
        **_endpoint(settings if settings.endpoint or not usual else replace(settings, endpoint=usual.rstrip("/"))),
        region=settings.region,
        anonymous=settings.anonymous,
        connect_timeout=_CONNECT_TIMEOUT_S,
        request_timeout=_SILENCE_TIMEOUT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
        allow_delayed_open=True,  # small objects by one PUT, and not by the three requests of a multipart upload
    )


def _gs(authority: str, settings: StorageSettings) -> fs.FileSystem:
    patience = timedelta(seconds=_GCS_PATIENCE_S)
    return fs.GcsFileSystem(**_endpoint(settings), anonymous=settings.anonymous, retry_time_limit=patience)


def _azure(authority: str, settings: StorageSettings) -> fs.FileSystem:
    account = authority.split(".")[0]
    key = os.environ.get("AZURE_STORAGE_KEY") or os.environ.get("AZURE_STORAGE_ACCOUNT_KEY")
    token = None if key else os.environ.get("AZURE_STORAGE_SAS_TOKEN")
    where = _endpoint(settings)
    if where:
        names = ("blob_storage", "dfs_storage")
        where = {f"{name}_authority": where["endpoint_override"] for name in names} | {
            f"{name}_scheme": where["scheme"] for name in names
        }
    return fs.AzureFileSystem(account, account_key=key, sas_token=token, **where)


def _hdfs(authority: str, settings: StorageSettings) -> fs.FileSystem:
    try:
        from hs.storage.hdfs import hdfs
    except ImportError:  # reading works with what Hadoop itself brings, too
        host, _, port = authority.partition(":")
        return fs.HadoopFileSystem(host or "default", int(port or 0))
    return hdfs(authority)


def _endpoint(settings: StorageSettings) -> dict[str, Any]:
    if settings.endpoint is None:
        return {}
    scheme, _, host = settings.endpoint.partition("://")
    return {"endpoint_override": host, "scheme": scheme}
