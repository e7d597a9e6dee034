"""Where a model server is, how long to be patient with it, and the channel to it."""

import json
import socket
from dataclasses import dataclass, replace

import grpc

from hs.errors import UsageError
from serving.client.tls import Tls
from serving.contract import MOST_ANSWER_BYTES

_MOST_BYTES_BESIDE_PREDICT = 4 * 2**20  # gRPC's own limit; states of versions and signatures take thousands
_SERVICE_CONFIG = {
    # gRPC's own policy stays with one server, however many the name has.
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": "tensorflow.serving.ModelService"},
                {"service": "tensorflow.serving.PredictionService", "method": "GetModelMetadata"},
            ],
            "maxResponseMessageBytes": _MOST_BYTES_BESIDE_PREDICT,
        }
    ],
}
_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", MOST_ANSWER_BYTES),  # counted after decompression
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),  # gRPC's own default reaches two minutes
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
)


@dataclass(frozen=True)
class Connection:
    """Where a model server is and how long to be patient with it.

    Attributes:
        address: as gRPC names it, `host:port`, `dns:///host:port` or `unix:/path`; or several `host:port` with commas.
            Where there are several servers, also behind one name, requests go round them.
        deadline_s: for one request; generous, as TF Serving keeps computing after it.
        outage_budget_s: how long the server may stay away during a run.
        connect_budget_s: how long it may stay away at the start.
        tls: None for a connection in the clear.
        in_flight: requests that may wait for their answers at once; fewer are used while the server is busy.
    """

    address: str
    deadline_s: float = 30.0
    outage_budget_s: float = 900.0
    connect_budget_s: float = 30.0
    tls: Tls | None = None
    in_flight: int = 4  # measured over loopback: 1,275 pictures/s with one, 3,200 to 5,000 with four

    def __post_init__(self) -> None:
        if "," in self.address and self.tls and not self.tls.name:  # gRPC would look for the whole list in each
            raise UsageError(
                f"the certificates of several servers ({self.address}) cannot be checked by their addresses: "
                "give the one in their certificates as server.tls.name"
            )

    def servers(self) -> "tuple[Connection, ...]":
        """A connection to each single server that the address stands for; this one itself where there is only one.

        A name with several addresses is taken for one server where the certificate must be for that very name.
        """
        if "," in self.address:
            family = next((family for family in ("ipv4:", "ipv6:") if self.address.startswith(family)), "")
            parts = dict.fromkeys(part.strip() for part in self.address.removeprefix(family).split(","))
            return tuple(one for part in parts for one in replace(self, address=family + part).servers())
        if self.tls and not self.tls.name:
            return (self,)
        host, _, port = self.address.removeprefix("dns:").removeprefix("///").rpartition(":")
        try:
            numbers = _numbers(host, port)
        except (OSError, ValueError):  # no name, as that of a socket's file, or one that only gRPC can find
            return (self,)
        return tuple(replace(self, address=f"ipv4:{number}") for number in numbers) if len(numbers) > 1 else (self,)

    def open_channel(self) -> grpc.Channel:
        """A channel of its own to the server.

        Raises:
            UsageError: if the address cannot be found, or a PEM file cannot be used.
        """
        target = _target(self.address)
        if self.tls is None:
            return grpc.insecure_channel(target, _CHANNEL_OPTIONS)
        name = (("grpc.ssl_target_name_override", self.tls.name),) if self.tls.name else ()
        return grpc.secure_channel(target, self.tls.credentials(), (*_CHANNEL_OPTIONS, *name))


def _target(addresses: str) -> str:
    """Several `host:port` as one target of gRPC, which knows lists of numbers only; anything else as it is.

    >>> _target("127.0.0.1:8500,127.0.0.2:8500"), _target("dns:///tf-serving:8500")
    ('ipv4:127.0.0.1:8500,127.0.0.2:8500', 'dns:///tf-serving:8500')
    """
    if "," not in addresses or addresses.startswith(("ipv4:", "ipv6:")):
        return addresses
    found: list[str] = []
    for part in addresses.split(","):
        host, _, port = part.strip().rpartition(":")
        try:
            found += _numbers(host, port)
        except (OSError, ValueError) as error:
            raise UsageError(f"server address {part.strip()!r} is no host:port that can be found: {error}") from error
    return "ipv4:" + ",".join(dict.fromkeys(found))  # two names of one server are not two shares of the requests


def _numbers(host: str, port: str) -> list[str]:
    # IPv4 only: gRPC's lists are of one family.
    found = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)
    return list(dict.fromkeys(f"{address[0]}:{port}" for *_, address in found))
