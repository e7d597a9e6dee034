"""`hs-audit check server`: whether a model server keeps the contract, what it can do, and what to change."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hs.card import Thresholds
from hs.errors import UsageError
from hs.html import amount
from hs.text import counted
from hs.words import promise_words
from hs_audit import flag_values as flags
from hs_audit.terminal import PIPE_WIDTH, Section, console_for, patience, print_section
from pipeline.config import Config, Server, load_config
from pipeline.cost import Price, cost_of_a_million_pictures
from serving.client.client import Client
from serving.client.load_generator import Throughput, generate_load
from serving.contract import ServedModel

IN_FLIGHT = (1, 2, 4, 8)

_ENOUGH = 0.95
_SLOW_ANSWER_SHARE = 0.5

EPILOG = """\
asks which versions there are, pins one as a run would, reads its class table and card, and sends
pictures of noise: one alone, then batches with 1, 2, 4 and 8 requests in flight.
exit codes: 0 it can be used, 5 it does not answer, 6 it breaks the contract or refuses"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("address", nargs="?", metavar="HOST:PORT", help="as in server.address, which it replaces")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML; model, version, batch size, TLS")
    parser.add_argument("--model", help="its name at the server (default: the configuration's)")
    parser.add_argument("--version", type=flags.VERSION, help="which version (default: the newest)")
    parser.add_argument("--batch-size", type=flags.COUNT, help="pictures in a request (default: as configured)")
    parser.add_argument(
        "--seconds", type=flags.number(above=0), default=5.0, help="of a measurement (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Checks a server.

    Raises:
        UsageError: if no address was given.
        ServerUnreachable: if it does not answer.
        ContractBroken: if it refuses, or its model is not what the contract says.
    """
    config = load_config(args.config) if args.config else Config()
    server = config.server
    given = {"model": args.model, "version": args.version, "batch_size": args.batch_size}
    server = server.model_copy(update={name: value for name, value in given.items() if value is not None})
    address = args.address or server.address
    if not address:
        raise UsageError("which server? give HOST:PORT, or a configuration with server.address")
    console = console_for(PIPE_WIDTH)
    # A night waits a quarter of an hour for a server, a check does not.
    connection = replace(server.connection(address), in_flight=max(IN_FLIGHT), outage_budget_s=args.seconds)
    client = Client(connection)
    args.answer["address"] = address
    try:
        model = client.resolve(server.model, server.version, server.label)
        args.answer |= {"model": model.name, "version": model.version, "classes": len(model.table), "card": model.card}
        print_section(_about(model, address), console)
        with patience("measuring"):
            # The first answer of a fresh server takes longer, and counts for nothing.
            client.classify(model, np.zeros((1, model.card.height, model.card.width, 3), np.uint8))
            alone = generate_load(client, model, 1, 1, args.seconds / 5)
            counts = () if alone.fault else IN_FLIGHT
            loads = [generate_load(client, model, server.batch_size, count, args.seconds) for count in counts]
    finally:
        client.close()
    advice = _advice(server, alone, loads)
    args.answer |= {"throughput": [_as_json(load) for load in (alone, *loads)], "advice": advice}
    print_section(_measured(alone, loads), console)
    if config.price and (cost := _cost(config.price, loads)):
        args.answer["cost_of_a_million_pictures"] = {"amount": cost, "currency": config.price.currency}
        print_section(_told(config.price, cost), console)
    print_section(Section("what to change", notes=advice), console)
    if client.trouble:
        raise client.trouble
    return 0


def _about(model: ServedModel, address: str) -> Section:
    card = model.card
    thresholds = card.thresholds
    return Section(
        f"{address}: model {model.name}, version {model.version}",
        [
            ("classes", f"{len(model.table)} of {card.hs_edition}"),
            ("input", f"{card.height} x {card.width}, uint8 RGB, resized {card.resize_filter}"),
            (
                "flag",
                f"below {thresholds.differs_below:.4g}, drawn for {thresholds.wrong_share:.0%} wrong declarations",
            ),
            *_promise(thresholds),
            ("weights", card.weights_digest[:19] + "…"),
        ],
    )


def _promise(thresholds: Thresholds) -> list[tuple[str, str]]:
    if thresholds.right_flagged is None or thresholds.right_flagged_at_most is None:
        return []  # an older card
    return [("promise", promise_words(thresholds.right_flagged, thresholds.right_flagged_at_most))]


def _as_json(load: Throughput) -> dict[str, Any]:
    """A measurement as the answer has it; null where nothing was answered."""
    median, slow = np.quantile(load.latencies_s, (0.5, 0.95)).tolist() if load.pictures else (None, None)
    return {
        "in_flight": load.in_flight,
        "batch_size": load.batch_size,
        "pictures_per_s": load.pictures_per_s if load.pictures else 0.0,
        "median_s": median,
        "slowest_twentieth_s": slow,
        "retries": load.retries,
        "fault": load.fault,
    }


def _measured(alone: Throughput, loads: Sequence[Throughput]) -> Section:
    lines = [("in flight", "pictures/s", "median", "slowest twentieth", "sent again")]
    for load in [alone, *loads]:
        if not load.pictures:
            continue
        median, slow = (f"{1000 * np.quantile(load.latencies_s, share):.0f} ms" for share in (0.5, 0.95))
        name = f"{load.in_flight} x {counted(load.batch_size, 'picture')}"
        lines.append((name, f"{load.pictures_per_s:.0f}", median, slow, str(load.retries)))
    faults = {load.fault for load in [alone, *loads] if load.fault}
    return Section("throughput", lines, [f"not every request was answered: {fault}" for fault in sorted(faults)])


def _cost(price: Price, loads: Sequence[Throughput]) -> float | None:
    """Of a million pictures at the best throughput of those at which all was answered; None where that is not known."""
    best = max((load.pictures_per_s for load in loads if load.pictures and not load.fault), default=0.0)
    return cost_of_a_million_pictures(price, best)


def _told(price: Price, cost: float) -> Section:
    gpus = f"{counted(price.gpus, 'GPU')} at {price.gpu_hour:g} {price.currency} an hour"
    return Section(
        "what it costs",
        [("a million pictures", f"{amount(cost)} {price.currency}, with {gpus}")],
        ["measured: the best throughput above; assumed: the GPUs are kept while they are busy, and no longer"],
    )


def _advice(server: Server, alone: Throughput, loads: Sequence[Throughput]) -> list[str]:
    """What would serve the night better, as far as these figures tell."""
    answered = [load for load in loads if load.pictures and not load.fault]
    if not answered:
        return ["nothing can be said before requests are answered"]
    best = max(load.pictures_per_s for load in answered)
    fewest = next(load for load in answered if load.pictures_per_s >= _ENOUGH * best)
    advice = []
    if fewest.in_flight != server.in_flight:
        advice.append(
            f"server.in_flight: {fewest.in_flight} (now {server.in_flight}): {fewest.pictures_per_s:.0f} pictures/s, "
            f"{fewest.pictures_per_s / best:.0%} of the best measured here"
        )
    if fewest.in_flight == max(IN_FLIGHT):
        advice.append("throughput still rises with requests in flight: use more workers, or larger batches")
    if alone.pictures_per_s > _SLOW_ANSWER_SHARE * best and server.batch_size > 1:
        advice.append("batches hardly help: the server computes without a GPU, or is very small")
    if any(load.retries for load in answered):
        advice.append("it refused requests: let its queue hold more (max_enqueued_batches), or send fewer at once")
    slowest = max(float(np.quantile(load.latencies_s, 0.95)) for load in answered)
    if slowest > server.deadline_s / 3:
        advice.append(f"answers take up to {slowest:.1f} s: raise server.deadline_s above {3 * slowest:.0f}")
    return advice or ["nothing: batch size and requests in flight suit this server"]
