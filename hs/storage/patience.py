"""Faults of a storage, told apart: what passes is tried again inside a budget, what does not is raised at once.

pyarrow raises an OSError for nearly everything, and what happened stands only in its words: of S3 `AWS Error SLOW_DOWN
during …`, `HTTP status 503`, `curlCode: 7`; of GCS the names of google::cloud::StatusCode; of Azure `HTTP status: 503`
or an error code; libhdfs and hdfs-native name Java's exceptions, the latter in RuntimeErrors.
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
from hs.text import in_a_line

T = TypeVar("T")
STOP = threading.Event()  # set where the process shall end: then nobody waits for a storage

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 15.0

_CODE = r"(?:HTTP status:? ?|Azure Error: \[\w*\] |http_status_code=)"
_BUSY = re.compile(_CODE + r"(408|429)\b|AWS Error REQUEST_TIMEOUT", re.IGNORECASE)
# Another region, no such range, a wrong request; a folder where a file should be, as a bucket itself is.
_LASTING = re.compile(
    _CODE + r"[34]\d\d\b|not a (regular )?file|is a directory|expected file path|QuotaExceeded", re.IGNORECASE
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
    """Whether an error of a storage may go away by itself: what is not known to last, as no outage is a dead letter."""
    if not isinstance(error, OSError) or isinstance(error, FileNotFoundError | FileExistsError | PermissionError):
        return False
    words = str(error)
    return bool(_BUSY.search(words)) or not any(
        kind.search(words) for kind in (_REFUSED, _NO_BUCKET, _ABSENT, _LASTING)
    )


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
        except (OSError, pa.ArrowException, RuntimeError) as raised:
            error = OSError(_without_stack(raised)) if isinstance(raised, RuntimeError) else raised
            if not passes(error):
                raise in_python(error) from raised
            now = time.monotonic()
            gives_up = gives_up or now + budget_s
            if now >= gives_up:
                raise StorageLost(
                    f"the storage of {what} was away for more than {budget_s:g} s: {in_a_line(error)}"
                ) from raised
        # Jitter: the threads of all workers fail at the same moment, and should not come back at the same one.
        if STOP.wait(min(wait_s * random.uniform(0.5, 1), max(0.01, gives_up - now))):
            raise Interrupted("interrupted while a storage was away")
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def _without_stack(error: RuntimeError) -> str:
    """What a name node says, without where in its code that was."""
    return re.split(r"(?:\n|\\n)(?:\t|\\t)at ", str(error))[0]
