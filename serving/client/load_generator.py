"""A load generator: what a server can do, with nothing to decode and nothing to write."""

import threading
import time
from dataclasses import dataclass

import numpy as np

from serving.client.client import Client
from serving.contract import ServedModel, encode_request


@dataclass(frozen=True)
class Throughput:
    """What a server did under load.

    Attributes:
        batch_size: pictures in a request.
        in_flight: requests at once.
        pictures: answered within the time.
        seconds: from the first request to the last answer.
        latencies_s: float [requests], of each answered request.
        retries: requests that had to be sent again.
        fault: why pictures were not scored, if any.
    """

    batch_size: int
    in_flight: int
    pictures: int
    seconds: float
    latencies_s: np.ndarray
    retries: int
    fault: str | None

    @property
    def pictures_per_s(self) -> float:
        """Pictures a second."""
        return self.pictures / self.seconds


def generate_load(
    client: Client, model: ServedModel, batch_size: int, in_flight: int, seconds: float, requests: int = 3
) -> Throughput:
    """Sends pictures of noise, the same again and again, and waits for the answers.

    Args:
        client: its connection should allow as many requests in flight.
        model: the pinned version.
        batch_size: pictures in a request.
        in_flight: threads that each send one request after the other.
        seconds: for how long; no request is begun afterwards.
        requests: that each thread sends at least.
    """
    size = (batch_size, model.card.height, model.card.width, 3)
    # Encoded once: what is measured is the server, and not how fast a client encodes.
    request = encode_request(model, np.random.default_rng(0).integers(0, 256, size, np.uint8))
    latencies: list[float] = []
    faults: list[str] = []
    retries, started = client.counters.retries, time.monotonic()

    def work() -> None:
        sent = 0
        while sent < requests or time.monotonic() - started < seconds:
            before = time.monotonic()
            answer = client.send(model, request)
            sent += 1
            if answer.fault:
                faults.append(answer.fault)
                return
            latencies.append(time.monotonic() - before)

    threads = [threading.Thread(target=work, name=f"load-{number}") for number in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Throughput(
        batch_size,
        in_flight,
        len(latencies) * batch_size,
        time.monotonic() - started,
        np.array(latencies),
        client.counters.retries - retries,
        faults[0] if faults else None,
    )
