"""The configured model server as the client knows it."""

from pipeline.config import Server
from serving.client import Connection
from serving.tls import Tls


def connection_to(server: Server, address: str) -> Connection:
    """How to reach a server, and how long to be patient with it."""
    tls = Tls(server.tls.ca, server.tls.certificate, server.tls.key) if server.tls else None
    return Connection(
        address, server.deadline_s, server.outage_budget_s, server.connect_budget_s, tls, server.in_flight
    )
