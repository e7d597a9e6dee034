"""Runs a module in a process of its own, with bounded memory and time and without a network: it may be led astray.

The process limits itself before it imports anything else: `python -m hs.apart BYTES MODULE ARGUMENT…`.
"""

import ctypes
import resource
import runpy
import subprocess
import sys

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h


def run_apart(module: str, *arguments: str, most_bytes: int, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Runs a module as a program.

    Args:
        module: to run.
        arguments: its own.
        most_bytes: of memory for data.
        timeout_s: after which it is killed.

    Returns:
        Its exit code and what it printed.

    Raises:
        subprocess.TimeoutExpired: if it took longer.
    """
    command = [sys.executable, "-m", "hs.apart", str(most_bytes), module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)


def leave_the_network() -> bool:
    """Moves this process where there is no network; False where the system does not let it."""
    unshare = getattr(ctypes.CDLL(None), "unshare", None)
    if unshare is None:
        return False
    # Root needs no user namespace of its own, and others get one with the network's.
    return any(unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))


def main() -> None:
    """Limits itself, then becomes the module."""
    most_bytes, module = int(sys.argv[1]), sys.argv[2]
    # Data, not addresses: of these TensorFlow takes 2 GB as it starts, of data 0.4.
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    leave_the_network()
    sys.argv = sys.argv[2:]  # the module reads its arguments as if it had been started by itself
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
