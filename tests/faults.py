"""What goes wrong between a worker and its server, made to happen: a proxy that spoils connections, and a bundled
server that refuses, stalls, restarts and swaps its model version."""

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import text_format
from grpc import StatusCode

from serving.messages import ModelServerConfig
from serving.server.served_versions import ServedVersions
from serving.server.services import start
from tests.servers import models


@dataclass
class Spoil:
    """What happens to one connection, counted from its beginning.

    Attributes:
        after_bytes: how many pass before it happens.
        answers: whether bytes of the server's answers are counted, instead of those of requests.
        how: `close`, `reset`, or a number of seconds to stall.
    """

    after_bytes: int
    answers: bool
    how: str | float


class Proxy:
    """A TCP proxy to one address; `spoil` says for each new connection what happens to it."""

    def __init__(self, target: tuple[str, int], spoil: Callable[[], Spoil | None] = lambda: None) -> None:
        self._target, self._spoil = target, spoil
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.connections = 0
        self.address = f"localhost:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Resets every open connection."""
        for one in self._open:
            _reset(one)
        self._open = []

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            spoil = self._spoil()
            for source, sink, answers in ((client, server, False), (server, client, True)):
                mine = spoil if spoil and spoil.answers is answers else None
                threading.Thread(target=_pump, args=(source, sink, mine), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, spoil: Spoil | None) -> None:
    passed = 0
    try:
        while data := source.recv(65536):
            if spoil and passed + len(data) > spoil.after_bytes:
                sink.sendall(data[: max(0, spoil.after_bytes - passed)])
                data = data[max(0, spoil.after_bytes - passed) :]
                if isinstance(spoil.how, float):
                    time.sleep(spoil.how)
                    spoil = None
                else:
                    break
            passed += len(data)
            sink.sendall(data)
    except OSError:
        pass
    for one in (source, sink):
        _reset(one) if spoil and spoil.how == "reset" else _close(one)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def _reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


class Interceptor(grpc.ServerInterceptor):
    """Refuses Predict with what `fault` returns, if anything, before the real server sees it."""

    def __init__(self, fault: Callable[[], tuple[StatusCode, str] | None]) -> None:
        self.fault = fault
        self.predicts = 0
        self._lock = threading.Lock()

    def intercept_service(self, continuation: Callable, details: Any) -> Any:
        if not details.method.endswith("/Predict"):
            return continuation(details)
        with self._lock:
            self.predicts += 1
            fault = self.fault()
        if fault is None:
            return continuation(details)

        def refuse(request: bytes, context: grpc.ServicerContext) -> None:
            context.abort(*fault)

        return grpc.unary_unary_rpc_method_handler(refuse)


class Server:
    """A bundled server in this process that can be stopped, started again and reconfigured."""

    def __init__(self, config: str, fault: Callable[[], tuple[StatusCode, str] | None] = lambda: None) -> None:
        self.models: ServedVersions = models()
        self.reload(config)
        self.interceptor = Interceptor(fault)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        self._server = start(self.models, [f"127.0.0.1:{self.port}"], 8, interceptors=[self.interceptor])

    def stop(self) -> None:
        self._server.stop(None).wait()

    def reload(self, config: str) -> None:
        self.models.reload(text_format.Parse(f"model_config_list {{ {config} }}", ModelServerConfig()))

    def restart_after(self, seconds: float) -> None:
        self.stop()
        time.sleep(seconds)
        self.start()

    def close(self) -> None:
        self.stop()
        self.models.close()


PASSING = (
    (StatusCode.DEADLINE_EXCEEDED, "deadline"),
    (StatusCode.INTERNAL, "internal"),
    (StatusCode.UNKNOWN, "unknown"),
    (StatusCode.ABORTED, "aborted"),
    (StatusCode.DATA_LOSS, "data loss"),
)
BUSY = (
    (StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"),
    (StatusCode.RESOURCE_EXHAUSTED, "thread pool is full"),
)


class BadLuck:
    """Faults drawn from a seed, none of which a client may give up for: of those that are tried again twice only, no
    more than two in a whole run."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._busy_share = self._random.choice((0.0, 0.1, 0.3))
        self._passing = self._random.randrange(3)
        self._oom = self._random.randrange(2)
        self._connections_spoiled = self._random.randrange(4)
        self.restarts = self._random.randrange(2)
        self.swaps = self._random.randrange(2)
        self._lock = threading.Lock()

    def fault(self) -> tuple[StatusCode, str] | None:
        draw = self._random
        if self._passing and draw.random() < 0.2:
            self._passing -= 1
            return draw.choice(PASSING)
        if self._oom and draw.random() < 0.1:
            self._oom -= 1
            return StatusCode.RESOURCE_EXHAUSTED, "OOM when allocating tensor"
        return draw.choice(BUSY) if draw.random() < self._busy_share else None

    def spoil(self) -> Spoil | None:
        with self._lock:
            draw = self._random
            if not self._connections_spoiled:
                return None
            self._connections_spoiled -= 1
            answers = draw.random() < 0.5
            how: str | float = draw.choice(("close", "reset", 0.2))
            return Spoil(draw.randrange(300, 4000 if answers else 60_000), answers, how)

    def moment(self) -> float:
        """Seconds until something happens."""
        return self._random.uniform(0.0, 0.4)


@contextmanager
def spoiled(server: Server, luck: BadLuck, swap: Callable[[], None], swap_back: Callable[[], None]) -> Iterator[Proxy]:
    """A proxy to a server, both of bad luck, for as long as the context lasts."""
    proxy = Proxy(("127.0.0.1", server.port), luck.spoil)
    stop = threading.Event()

    def trouble() -> None:
        for _ in range(luck.restarts):
            stop.wait(luck.moment())
            server.restart_after(luck.moment() / 2)
        for _ in range(luck.swaps):
            stop.wait(luck.moment())
            swap()
            stop.wait(0.1)
            swap_back()

    thread = threading.Thread(target=trouble)
    thread.start()
    try:
        yield proxy
    finally:
        stop.set()
        thread.join()
        proxy.close()
