"""Networks and weights that were carried in, looked at before Keras reads them where it could do harm.

`check_apart` looks in a process of its own: `python -m model.training.foreign_files FILE`.
"""

import json
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from shutil import copyfileobj
from zipfile import BadZipFile, ZipFile

from hs.apart import run_apart
from hs.errors import UsageError
from hs.files import sha256_of
from model.training.hdf5_looks import MOST_WEIGHT_BYTES, first_problem

_MOST_TEXT_BYTES = 16 << 20  # Inception-V3 is told in 200 kB
_MOST_BYTES_TO_LOAD = 3 << 30  # beside four times the file; TensorFlow alone takes 0.4 GB
_MOST_SECONDS = 300.0
_WEIGHT_SUFFIXES = (".h5", ".hdf5")


def check_apart(path: Path, what: str) -> None:
    """Looks at a `.keras` file, which is also loaded for a trial, or at a file of weights.

    Raises:
        UsageError: if it is neither, does not hold what it should, or takes more memory or time than such a file may.
    """
    stored = path.stat().st_size
    if stored > MOST_WEIGHT_BYTES:
        raise UsageError(f"the {what} {path} has {stored} bytes, more than {MOST_WEIGHT_BYTES}")
    if problem := _problem_seen_apart(path, sha256_of(path), _MOST_BYTES_TO_LOAD + 4 * stored):
        raise UsageError(f"the {what} {path} {problem}")


@lru_cache(maxsize=16)  # a grid of trainings loads the same network for each, and a look at it takes TensorFlow's start
def _problem_seen_apart(path: Path, digest: str, most_bytes: int) -> str | None:
    try:
        done = run_apart("model.training.foreign_files", str(path), most_bytes=most_bytes, timeout_s=_MOST_SECONDS)
        return json.loads(done.stdout.splitlines()[-1])["problem"]
    except subprocess.TimeoutExpired:
        return f"takes more than {_MOST_SECONDS:.0f} s to be looked at"
    except (IndexError, KeyError, ValueError):  # it ended before it could say anything
        return f"takes more than {most_bytes >> 20} MiB of memory, or ends the process that looks at it"


def problem_of(path: Path) -> str | None:
    """What speaks against a file."""
    if path.suffix in _WEIGHT_SUFFIXES:
        return first_problem(path, path.stat().st_size)
    if path.suffix != ".keras":
        return f"is neither a .keras file nor one of weights, {' or '.join(_WEIGHT_SUFFIXES)}"
    return _problem_of_archive(path) or _problem_of_loading(path)


def _problem_of_archive(path: Path) -> str | None:
    """What speaks against the parts of a `.keras` file: 2 MB of it can hold 2 GB of spaces."""
    try:
        with ZipFile(path) as archive:
            for entry in archive.infolist():
                weights = entry.filename.endswith(_WEIGHT_SUFFIXES)
                most = MOST_WEIGHT_BYTES if weights else _MOST_TEXT_BYTES
                if entry.file_size > most:
                    return f"has {entry.file_size} bytes in {entry.filename}, more than {most}"
                if weights:
                    with archive.open(entry) as packed, tempfile.TemporaryFile() as unpacked:
                        copyfileobj(packed, unpacked)
                        problem = first_problem(unpacked, entry.compress_size)
                    if problem:
                        return f"holds {entry.filename}, which {problem}"
    except (BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:  # zipfile's own for odd ones
        return f"is no .keras file: {error}"
    return None


def _problem_of_loading(path: Path) -> str | None:
    """Keras makes what the configuration asks for before it looks at the weights: a line of it can ask for 40 GB."""
    from model.quiet import quiet_import

    with quiet_import():
        import keras
    try:
        keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras names what it refuses in a dozen kinds of exception
        return f"cannot be loaded without running custom code: {' '.join(str(error).split())}"
    return None


def main() -> None:
    """Prints the problem as JSON; what Keras says goes elsewhere."""
    print(json.dumps({"problem": problem_of(Path(sys.argv[1]))}))


if __name__ == "__main__":
    main()
