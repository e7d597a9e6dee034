"""Publishing: a run appears whole or not at all, and replaces the earlier one of its night.

Where the kernel can exchange two folders, readers see one of both runs at every moment. Elsewhere the earlier run is
set aside first; a start that finds one set aside without a successor puts it back.
"""

import ctypes
import errno
import logging
import os
import shutil
import uuid
from pathlib import Path

from pipeline.runs.staging import Place, held

_AT_FDCWD = -100  # fcntl.h of Linux
_RENAME_EXCHANGE = 2  # linux/fs.h
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)  # an old kernel, or a file system such as NFS

_C = ctypes.CDLL(None, use_errno=True)

_log = logging.getLogger("hs_audit.run")


def publish(place: Place, attempt: Path, mode: int) -> None:
    """Puts a verified attempt in the place of the earlier run, if any.

    Args:
        place: where.
        attempt: its folder.
        mode: of its files; whoever may read them may enter its folders.

    Raises:
        OSError: if it cannot be renamed; the earlier run stands then.
    """
    _settle(attempt, mode)  # first: a crash could leave the new name, and files without content
    if not place.published.exists():
        attempt.rename(place.published)
        _sync_folder(place.output)
        return
    if _exchange(attempt, place.published):
        replaced = attempt
    else:
        replaced = place.replaced
        place.published.rename(replaced)
        try:
            attempt.rename(place.published)
        except OSError:
            replaced.rename(place.published)
            raise
    try:
        _sync_folder(place.output)
        _remove(replaced, place.staging)
    except OSError as error:  # the night is published; what is left of the earlier run goes at the next start
        _log.warning("the run that was replaced cannot be removed yet: %s", error.strerror)


def restore(staging: Path) -> list[str]:
    """Puts back every earlier run whose successor never came, of any night that nobody is working on.

    Returns:
        The names of the folders that stand again.
    """
    restored = []
    for replaced in sorted(staging.glob("*.replaced")):
        published = staging.parent / replaced.stem
        with held(staging / f"{replaced.stem}.lock") as ours:
            if not ours:  # its own run is between the two renames
                continue
            if published.exists():  # its successor came, and only the removal was interrupted
                _remove(replaced, staging)
            elif (replaced / "_SUCCESS").exists():
                replaced.rename(published)
                restored.append(published.name)
    return restored


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two folders at once; False where the kernel or the file system cannot.

    Raises:
        OSError: if it can, and failed.
    """
    if not hasattr(_C, "renameat2"):  # musl, macOS
        return False
    if _C.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    if (code := ctypes.get_errno()) in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _remove(folder: Path, staging: Path) -> None:
    """Removes a run; under another name first, so that half of one is never taken for a run."""
    trash = staging / f"trash-{uuid.uuid4().hex}"
    folder.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)  # what stays is swept after staging_days


def _settle(folder: Path, mode: int) -> None:
    """Gives files and folders their mode, and waits until the disk has them."""
    for root, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(root, name), "rb") as stream:
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
        os.chmod(root, mode | (mode & 0o444) >> 2)
        _sync_folder(Path(root))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
