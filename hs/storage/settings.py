"""How storages are reached. Credentials are not among it: they come from the environment, see docs/security.md."""

import re
from dataclasses import dataclass
from typing import ClassVar

_ENDPOINT = re.compile(r"https?://[^/@?#\s]+")


@dataclass(frozen=True)
class StorageSettings:
    """How object storage is reached, and how long to be patient with it.

    Attributes:
        endpoint: `http(s)://host:port` of a service that is not the cloud's own; None for that.
        region: of the buckets; None for what the environment says.
        anonymous: whether to ask without credentials.
        outage_budget_s: how long a storage may be away before the run is given up.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # the configuration checks it as it stands

    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False
    outage_budget_s: float = 300

    def __post_init__(self) -> None:
        if self.endpoint is not None and not _ENDPOINT.fullmatch(self.endpoint):
            # Without what was written, which may hold a password.
            raise ValueError("endpoint must be http://HOST:PORT or https://HOST:PORT, without credentials or a path")
        if self.outage_budget_s < 0:
            raise ValueError(f"outage_budget_s must be at least 0, got {self.outage_budget_s}")
