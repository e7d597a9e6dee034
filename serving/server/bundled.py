"""Starts the bundled server in a process of its own, and never leaves it behind.

The child watches its standard input: when the parent ends, however it ends, the pipe closes and the child goes.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from google.protobuf import text_format

from hs.errors import AuditError, ContractBroken, Interrupted, UsageError
from hs.files import version_folder
from serving.client.waits import Waits
from serving.server.config_files import single_model_config

MODEL_NAME = "hs"
_MOST_PARENT_BYTES = 107 - len("/hs-audit-12345678/grpc.sock")  # Linux' limit for the path of a socket


@contextmanager
def bundled_server(
    model: Path,
    version: int | None = None,
    log: Path | None = None,
    stop: threading.Event | None = None,
    trusted: bool = False,
    waits: Waits | None = None,
) -> Iterator[str]:
    """Serves one version of a model at a Unix socket for as long as the context lasts.

    Args:
        model: folder of the numbered versions.
        version: which one; the newest if None.
        log: where the server's own output goes; dropped if None.
        stop: when set, the wait for the server ends.
        trusted: whether the model may hold more than arithmetic; else the environment says so.
        waits: where it says that the model loads.

    Yields:
        The address to connect to; the model's name there is `MODEL_NAME`.

    Raises:
        ContractBroken: if the folder has no such version, or it may not be loaded or cannot be.
        Interrupted: if `stop` was set before the server was up.
    """
    served = version_folder(model, version)
    folder = _short_folder()
    socket = folder / "grpc.sock"
    config = folder / "models.config"
    config.write_text(text_format.MessageToString(single_model_config(MODEL_NAME, model.absolute(), int(served.name))))
    # The version is named: there is nothing to look for in the folder later.
    flags = [f"--model_config_file={config}", "--file_system_poll_wait_seconds=0", "--port=0"]
    flags += ["--trust_models"] if trusted else []
    log = log or folder / "server.log"
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.server.bundled", *flags, f"--grpc_socket_path={socket}"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C in the terminal is the parent's to handle
        )
    assert process.stdin is not None
    try:
        with (waits or Waits()).during("the bundled server to load the model"):
            _wait_until_up(process, socket, served, log, stop or threading.Event())
        yield f"unix:{socket}"
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _short_folder() -> Path:
    """A folder of ours whose path leaves room for a socket.

    Raises:
        UsageError: if neither the folder of temporary files nor /tmp is one.
    """
    for parent in (tempfile.gettempdir(), "/tmp"):
        if len(os.fsencode(parent)) <= _MOST_PARENT_BYTES:
            with suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="hs-audit-", dir=parent))
    raise UsageError(
        f"the bundled server needs a folder with a short path, and {tempfile.gettempdir()} is none: set TMPDIR"
    )


def _wait_until_up(
    process: subprocess.Popen[bytes], socket: Path, model: Path, log: Path, stop: threading.Event
) -> None:
    while not socket.exists():  # it is there when the version is loaded, not before
        if stop.is_set():
            raise Interrupted("interrupted while the model was loading")
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        last = " ".join(log.read_text(errors="replace").splitlines()[-1:])
        code = process.returncode
        why = last if code == ContractBroken.exit_code else f"it ended with {code}; its last line is {last!r}"
        raise ContractBroken(f"the bundled server cannot serve {model}: {why}")


def _leave_with_parent() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock Python wants to have as it ends
        pass
    os._exit(0)  # at once: nobody is left to answer to, and TensorFlow's threads need not be waited for


if __name__ == "__main__":
    # Before all that takes long: the parent may go while TensorFlow is being imported.
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    from serving.server import main

    parser = argparse.ArgumentParser()
    main.add_arguments(parser)
    try:
        sys.exit(main.run(parser.parse_args()))
    except AuditError as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # in one line, which the parent repeats
        sys.exit(error.exit_code)
