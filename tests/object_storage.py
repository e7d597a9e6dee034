"""S3 for the tests: moto's server in a process of its own, and a proxy that counts requests and makes them fail."""

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hs.storage.location import Location
from hs.storage.settings import StorageSettings
from hs.storage.stores import Stores

BUCKET = "customs"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key-of-the-tests",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
    "AWS_EC2_METADATA_DISABLED": "true",
}
SLOW_DOWN = (503, "SlowDown")
DENIED = (403, "AccessDenied")
NO_ANSWER = (0, "")  # the connection is closed

Fault = tuple[int, str]


@dataclass
class ObjectStorage:
    """A storage, what was asked of it, and how it fails.

    Attributes:
        moto: URL of the server itself.
        endpoint: URL of the proxy.
        requests: (method, path, Range) of each request, in order.
        fault: (method, path) → how to fail it, or None.
    """

    moto: str
    endpoint: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    fault: Callable[[str, str], Fault | None] = lambda method, path: None

    def settings(self, outage_budget_s: float = 30) -> StorageSettings:
        return StorageSettings(self.endpoint, "us-east-1", outage_budget_s=outage_budget_s)

    def stores(self, outage_budget_s: float = 30) -> Stores:
        return Stores(self.settings(outage_budget_s))

    def folder(self, name: str) -> Location:
        return Location.parse(f"s3://{BUCKET}/{name}")

    def gets(self) -> list[tuple[str, str]]:
        """Path and Range of each GET of an object."""
        return [(path, part) for method, path, part in self.requests if method == "GET" and "list-type" not in path]

    def fail(self, times: int, how: Fault, method: str = "") -> None:
        """The next so many requests fail, all of them or those of one method."""
        left, lock = [times], threading.Lock()

        def fault(asked: str, path: str) -> Fault | None:
            with lock:
                if left[0] <= 0 or method not in ("", asked):
                    return None
                left[0] -= 1
                return how

        self.fault = fault

    def upload(self, folder: Path, to: Location) -> None:
        """Puts the files of a folder where they are read from."""
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.stores().write_bytes(to / file.relative_to(folder).as_posix(), file.read_bytes())


@contextmanager
def object_storage() -> Iterator[ObjectStorage]:
    """Runs moto and the proxy; the credentials are in the environment meanwhile."""
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    with _moto() as moto, _proxy(ObjectStorage(moto)) as storage:
        connection = http.client.HTTPConnection(moto.removeprefix("http://"))
        connection.request("PUT", f"/{BUCKET}")
        assert connection.getresponse().status == 200
        yield storage
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _moto() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)  # between two looks at the port
    raise RuntimeError("moto's server does not start")


@contextmanager
def _proxy(storage: ObjectStorage) -> Iterator[ObjectStorage]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self._body()
            storage.requests.append((self.command, self.path, self.headers.get("Range", "")))
            fault = storage.fault(self.command, self.path)
            if fault is None:
                self._forward(body)
            elif fault == NO_ANSWER:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                status, code = fault
                self._send(
                    status, {}, f"<Error><Code>{code}</Code><Message>as the test wants</Message></Error>".encode()
                )

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _forward(self, body: bytes) -> None:
            connection = http.client.HTTPConnection(storage.moto.removeprefix("http://"), timeout=60)
            dropped = ("transfer-encoding", "content-length", "expect")
            headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            self._send(answer.status, dict(answer.getheaders()), answer.read())
            connection.close()

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            length = headers.get("Content-Length") if self.command == "HEAD" else None
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *args: object) -> None:
            pass  # a client went away

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        storage.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        yield storage
        server.shutdown()


def range_bytes(written: str) -> int:
    """How many bytes a Range header asks for."""
    first, last = re.fullmatch(r"bytes=(\d+)-(\d+)", written).groups()
    return int(last) - int(first) + 1
