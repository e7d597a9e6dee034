"""A stand-in for a GPU: the fake server in a process of its own, at a stated cost, over gRPC and JSON.

python -m benchmarks.stand_in --socket /tmp/gpu.sock --per-request-ms 3 --per-picture-ms 0.5
"""

import argparse
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from serving.fake import Cost, FakeServer, plain_model

MODEL = plain_model("392690", "732690", "870829")
_PROBABILITIES = (0.1, 0.1, 0.8)


@contextmanager
def json_over_http(fake: FakeServer, port: int) -> Iterator[None]:
    """Answers `{"instances": [...]}` with `{"predictions": [...]}` at the same cost, as TF Serving's REST port does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps the connection: the peer is not to pay for a new one each time

        def do_POST(self) -> None:
            instances = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
            fake.compute(len(instances))
            body = json.dumps({"predictions": [_PROBABILITIES] * len(instances)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    if not port:
        yield
        return
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()


def main() -> None:
    """Serves until SIGTERM; prints what was answered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--per-request-ms", type=float, default=3.0)
    parser.add_argument("--per-picture-ms", type=float, default=0.5)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--side", type=int, default=224, help="pixels of a picture (default: %(default)s)")
    parser.add_argument("--http-port", type=int, default=0, help="also answer REST-style JSON here")
    args = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    cost = Cost(args.per_request_ms / 1000, args.per_picture_ms / 1000, args.queue)
    model = replace(MODEL, card=replace(MODEL.card, height=args.side, width=args.side))
    fake = FakeServer(model, _PROBABILITIES, cost=cost)
    with fake.listening(f"unix:{args.socket}"), json_over_http(fake, args.http_port):
        print("ready", flush=True)  # whoever started it waits for this line
        stop.wait()
    print(json.dumps(asdict(fake.answered)))


if __name__ == "__main__":
    main()
