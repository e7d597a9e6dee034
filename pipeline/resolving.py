"""Which classifier a night uses: where it is served, the version that is pinned, and where its verdicts part."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from hs.card import Thresholds
from hs.editions import BUILT_IN, Nomenclature
from hs.errors import ContractBroken, UsageError
from hs.storage.location import Location
from hs.storage.models import model_here
from hs.verdicts import Judge
from pipeline.config import Config
from serving.client.client import Client
from serving.client.connection import Connection
from serving.client.waits import Waits
from serving.contract import ServedModel
from serving.server.bundled import MODEL_NAME, bundled_server


@contextmanager
def model_server(
    config: Config,
    saved_model: Path | Location | None,
    log: Path,
    stop: threading.Event,
    trusted: bool = False,
    waits: Waits | None = None,
) -> Iterator[Connection]:
    """The configured server, or the bundled one for as long as the context lasts where there is a `saved_model`.

    `trusted` lets that hold more than arithmetic; `waits` is told while it loads.
    """
    if saved_model is None:
        assert config.server.address is not None
        yield config.server.connection(config.server.address)
        return
    version = config.server.version
    with (
        model_here(Location.parse(saved_model), version, config.stores()) as model,
        bundled_server(model, version, log, stop, trusted, waits) as address,
    ):
        yield config.server.connection(address)


def resolve(
    config: Config,
    saved_model: Path | Location | None,
    connection: Connection,
    stop: threading.Event,
    waits: Waits | None = None,
) -> ServedModel:
    """Pins a version for the run, so that a swap at the server cannot mix two; `waits` is told what it waits for.

    Raises:
        AuditError: where the server cannot be reached or has no such model.
    """
    server, foreign = config.server, config.foreign_model
    # The bundled server has one model, and no labels.
    name, label = (MODEL_NAME, None) if saved_model else (server.model, server.label)
    client = Client(connection, stop, waits)
    try:
        if foreign is None:
            return client.resolve(name, server.version, label)
        assert config.verdict.thresholds is not None
        version = client.available_version(name, server.version, label)
        return foreign.served(name, version, config.verdict.thresholds)
    finally:
        client.close()


def thresholds_of(config: Config, model: ServedModel) -> Thresholds:
    """The configured thresholds; else the card's for the kind of mistake that is expected.

    Raises:
        ContractBroken: if the card has none for that kind.
    """
    if config.verdict.thresholds is not None:
        return config.verdict.thresholds.drawn()
    mistake = config.verdict.mistakes
    if (drawn := model.card.thresholds_of(mistake)) is None:
        raise ContractBroken(
            f"the card of model {model.name}, version {model.version}, has no thresholds for mistakes {mistake}"
        )
    return drawn


def judge_of(
    config: Config,
    model: ServedModel,
    look_alikes: Sequence[tuple[str, str]],
    nomenclature: Nomenclature = BUILT_IN,
    night: date = date.max,
) -> Judge:
    """The rules of a night, as configuration and model have them.

    Args:
        config: has thresholds and what is shown.
        model: has classes and card.
        look_alikes: pairs of codes that no picture can tell apart.
        nomenclature: the editions.
        night: the date of declarations that have none.

    Raises:
        ContractBroken: if the card has no thresholds for the kind of mistake that is expected.
        UsageError: if there are tables of editions, but none for that of the model's classes.
    """
    edition = model.card.hs_edition
    if edition not in nomenclature and not nomenclature.is_built_in:
        raise UsageError(
            f"the classes of model {model.name} are of {edition:.100}: nomenclature.editions needs its table"
        )
    thresholds, verdict = thresholds_of(config, model), config.verdict
    shown = (verdict.assumed_wrong_share, verdict.top_k, verdict.sure_above)
    return Judge(model.table, thresholds, *shown, tuple(look_alikes), nomenclature, edition, night)
