"""What a night cost: what it used, measured or assumed, times the prices of the configuration."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

_HOUR_S, _GB, _MILLION = 3600, 1e9, 1_000_000


@dataclass(frozen=True)
class Price:
    """Prices; what has none is not counted.

    Attributes:
        currency: its three letters in ISO 4217.
        gpu_hour: of a GPU of the model server.
        gpus: how many of these are kept for the night.
        core_hour: of a processor core.
        gb: of 10^9 bytes that are read from the archive.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # the configuration checks it as it stands

    currency: str = "USD"
    gpu_hour: float | None = None
    gpus: int = 1
    core_hour: float | None = None
    gb: float | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch("[A-Z]{3}", self.currency):
            raise ValueError(f"currency must be three capital letters such as USD, got {self.currency!r}")
        if self.gpus < 1:
            raise ValueError(f"gpus must be a whole number from 1, got {self.gpus}")
        prices = {name: getattr(self, name) for name in ("gpu_hour", "core_hour", "gb")}
        if set(prices.values()) == {None}:
            raise ValueError(f"one of {', '.join(prices)} must be given")
        for name, price in prices.items():
            if price is not None and not 0 <= price < math.inf:
                raise ValueError(f"{name} must be a price from 0, got {price}")


@dataclass(frozen=True)
class Used:
    """What a night used.

    Attributes:
        kept_s: how long the model server was kept for it: from the first question to the last answer.
        processor_s: processor time of launcher, workers and bundled server; None where an engine elsewhere has workers.
        workers: how many of these there are; None where only the engine knows.
        archive_bytes: of the files of the archive.
    """

    kept_s: float
    processor_s: float | None
    workers: int | None
    archive_bytes: int


@dataclass(frozen=True)
class Part:
    """A part of the cost.

    Attributes:
        how: what of `amount` is measured and what assumed; the catalogues say so of each of these words.
        amount: hours, or GB; None where it is not known.
        price: of one of them.
        cost: of all of them; None where it is not known.
    """

    how: str
    amount: float | None
    price: float

    @property
    def cost(self) -> float | None:
        """Amount times price."""
        return None if self.amount is None else self.amount * self.price


def cost_of(price: Price, used: Used, declarations: int) -> dict[str, Any]:
    """The cost of a night, and of a million declarations like its own, as the manifest has it.

    >>> night = cost_of(Price(gpu_hour=3.0), Used(90, None, None, 0), 45_000)
    >>> round(night["night"], 4), round(night["a_million"], 2)
    (0.075, 1.67)

    Args:
        price: of the configuration.
        used: by the night.
        declarations: that have their finding.
    """
    parts = _parts(price, used)
    night = sum(part.cost or 0.0 for part in parts.values())
    return {
        "currency": price.currency,
        "night": night,
        "a_million": night / declarations * _MILLION if declarations else None,
        "parts": {name: asdict(part) | {"cost": part.cost} for name, part in parts.items()},
    }


def used_and_cost(used: Used, price: Price | None, declarations: int) -> dict[str, Any]:
    """What a night used, and what that cost where there are prices: `used` and `cost` of the manifest."""
    cost = {"cost": cost_of(price, used, declarations)} if price else {}
    return {"used": asdict(used)} | cost


def cost_of_a_million_pictures(price: Price, pictures_per_s: float) -> float | None:
    """What the GPUs of a model server cost that answers so many pictures; None where they have no price.

    >>> round(cost_of_a_million_pictures(Price(gpu_hour=3.6), 1000), 9)
    1.0
    """
    if price.gpu_hour is None or not pictures_per_s:
        return None
    return _MILLION / pictures_per_s / _HOUR_S * price.gpus * price.gpu_hour


def _parts(price: Price, used: Used) -> Mapping[str, Part]:
    parts = {}
    if price.gpu_hour is not None:
        parts["gpu"] = Part("gpu_kept", used.kept_s / _HOUR_S * price.gpus, price.gpu_hour)
    if price.core_hour is not None:
        parts["cores"] = Part(*_cores(used), price.core_hour)
    if price.gb is not None:
        parts["archive"] = Part("archive_read_once", used.archive_bytes / _GB, price.gb)
    return parts


def _cores(used: Used) -> tuple[str, float | None]:
    """How core hours are told, and how many."""
    if used.processor_s is not None:
        return "cores_used", used.processor_s / _HOUR_S
    if used.workers is not None:
        return "cores_held", used.workers * used.kept_s / _HOUR_S
    return "cores_unknown", None
