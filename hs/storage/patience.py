"""Faults of a storage, told apart: what passes is tried again inside a budget, what does not is raised at once.

pyarrow raises an OSError for nearly everything, and what happened stands only in its words: of S3 `AWS Error SLOW_DOWN
during …`, `HTTP status 503`, `curlCode: 7`; of GCS the names of google::cloud::StatusCode; of Azure `HTTP status: 503`
or an error code; libhdfs names Java's exceptions.
"""

import random
import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa

from hs.errors import Interrupted, StorageLost
from hs.storage.facts import BucketMissing

T = TypeVar("T")
STOP = threading.Event()  # set where the process shall end: then nobody waits for a storage

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 15.0

_PASSING = re.compile(
    r"AWS Error (NETWORK_CONNECTION|SERVICE_UNAVAILABLE|SLOW_DOWN|THROTTLING|INTERNAL_FAILURE|REQUEST_TIMEOUT"
    r"|REQUEST_TIME_TOO_SKEWED)"
    r"|HTTP status:? ?(408|429|5\d\d)|curlCode: \d+"
    r"|\b(RequestTimeout|SlowDown|TooManyRequests|ServerBusy|OperationTimedOut|InternalError)\b"
    r"|\b(UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|INTERNAL|ABORTED|UNKNOWN): |Retry policy exhausted"
    r"|\b(ConnectException|SocketTimeoutException|NoRouteToHostException|ConnectTimeoutException|StandbyException"
    r"|RetriableException|SafeModeException|EOFException|NoHttpResponseException|UnknownHostException)\b"
    r"|(could ?n.t|could not|cannot|failed to) (connect|resolve)|connection (reset|refused|closed|timed out)"
    r"|broken pipe|timeout was reached|fail to get a new connection|transport (error|failure)|premature end",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"AWS Error (ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|UNRECOGNIZED_CLIENT"
    r"|INVALID_CLIENT_TOKEN_ID|MISSING_AUTHENTICATION_TOKEN|INVALID_SIGNATURE)|HTTP status:? ?(401|403)\b"
    r"|\b(PERMISSION_DENIED|UNAUTHENTICATED): |\b(AuthenticationFailed|AuthorizationFailure|ExpiredToken"
    r"|AuthorizationPermissionMismatch|AccessControlException|InvalidAuthenticationInfo)\b"
    r"|CredentialUnavailable|could not create credentials",
    re.IGNORECASE,
)
_NO_BUCKET = re.compile(r"NO_SUCH_BUCKET|\b(NoSuchBucket|ContainerNotFound)\b", re.IGNORECASE)
_ABSENT = re.compile(
    r"NO_SUCH_KEY|\b(NoSuchKey|BlobNotFound|NOT_FOUND: )|FileNotFoundException|\ANo such (file or )?directory",
    re.IGNORECASE,
)


def passes(error: BaseException) -> bool:
    """Whether an error of a storage is of the kind that goes away by itself."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if not isinstance(error, OSError | pa.ArrowException) or isinstance(error, FileNotFoundError | PermissionError):
        return False
    words = str(error)
    lasting = any(kind.search(words) for kind in (_REFUSED, _NO_BUCKET, _ABSENT))
    return not lasting and bool(_PASSING.search(words))


def in_python(error: OSError | pa.ArrowException) -> OSError | pa.ArrowException:
    """The same error as Python names it: PermissionError, FileNotFoundError, BucketMissing; any other as it is."""
    words = str(error)
    if _NO_BUCKET.search(words):
        return BucketMissing(words)
    if isinstance(error, FileNotFoundError | PermissionError):
        return error
    if _REFUSED.search(words):
        return PermissionError(words)
    return FileNotFoundError(words) if _ABSENT.search(words) else error


def patiently(what: str, ask: Callable[[], T], budget_s: float) -> T:
    """The answer of a storage, asked again with growing waits as long as it fails in a way that passes.

    Args:
        what: for people, such as `s3://customs/a.parquet`.
        ask: may be called any number of times.
        budget_s: how long, from the first failure on.

    Raises:
        StorageLost: if the budget is spent.
        Interrupted: if `STOP` is set meanwhile.
        PermissionError, FileNotFoundError, OSError: what does not pass.
    """
    gives_up, wait_s = None, _FIRST_WAIT_S
    while True:
        try:
            return ask()
        except (OSError, pa.ArrowException) as error:
            if not passes(error):
                raise in_python(error) from error
            now = time.monotonic()
            gives_up = gives_up or now + budget_s
            if now >= gives_up:
                words = " ".join(str(error).split())
                raise StorageLost(f"the storage of {what} was away for more than {budget_s:g} s: {words}") from error
        # Jitter: the threads of all workers fail at the same moment, and should not come back at the same one.
        if STOP.wait(min(wait_s * random.uniform(0.5, 1), max(0.01, gives_up - now))):
            raise Interrupted("interrupted while a storage was away")
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
