"""`hs-audit check server` against a real server, and what it says of figures."""

import numpy as np
import pytest

from hs_audit.cli import main
from hs_audit.commands.check_server import _advice, _cost
from pipeline.config import Server
from pipeline.cost import Price
from serving.client.client import Client
from serving.client.connection import Connection
from serving.client.load_generator import Throughput, generate_load
from tests.servers import models, start_anywhere, write_scaler


def test_a_server_that_keeps_the_contract_is_measured(colour_server, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("price: {gpu_hour: 3.5, currency: EUR}\n")
    flags = [f"--config={tmp_path / 'config.yaml'}", "--seconds=0.1", "--batch-size=16"]

    code = main(["check", "server", colour_server, *flags])

    said = capsys.readouterr().out
    assert code == 0
    for words in (
        "model hs, version 1",
        "3 of HS 2022",
        "32 x 32, uint8 RGB",
        "8 x 16 pictures",
        "EUR, with 1 GPU at 3.5 EUR an hour",
        "what to change",
    ):
        assert words in said


def test_the_load_generator_counts_what_was_answered(colour_server):
    client = Client(Connection(colour_server))
    load = generate_load(client, client.resolve("hs"), batch_size=8, in_flight=2, seconds=0.2)
    client.close()

    assert load.fault is None
    assert load.pictures == 8 * len(load.latencies_s) == client.counters.rows
    assert load.seconds >= 0.2
    assert load.pictures_per_s == load.pictures / load.seconds


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        ([], 2, "which server? give HOST:PORT"),
        (["localhost:1", "--config=CONFIG"], 5, "no model server answers at localhost:1"),
        (["SERVER", "--model=cars"], 6, "has no available version; available: none; it answers NOT_FOUND"),
        (["SERVER", "--version=9"], 6, "has no available version 9; available: [1]"),
    ],
)
def test_what_is_wrong_is_one_sentence(colour_server, tmp_path, capsys, flags, code, sentence):
    config = tmp_path / "config.yaml"
    config.write_text("server: {connect_budget_s: 0.3}\n")
    flags = [flag.replace("CONFIG", str(config)).replace("SERVER", colour_server) for flag in flags]

    assert main(["check", "server", *flags]) == code
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_a_model_without_a_class_table_breaks_the_contract(tmp_path, capsys):
    from serving.server.config_files import single_model_config

    what = models()
    what.reload(single_model_config("hs", write_scaler(tmp_path, 1)))
    server, address = start_anywhere(what)

    code = main(["check", "server", address])

    server.stop(None).wait()
    what.close()
    assert code == 6
    assert "model 'hs' version 1 has no class table" in " ".join(capsys.readouterr().err.split())


def load(in_flight: int, pictures_per_s: float, batch_size: int = 64, **more) -> Throughput:
    facts = {"latencies_s": np.full(10, batch_size * in_flight / pictures_per_s), "retries": 0, "fault": None} | more
    return Throughput(batch_size, in_flight, int(10 * pictures_per_s), 10.0, **facts)


@pytest.mark.parametrize(
    ("alone", "throughput", "advice"),
    [
        (100, (1000, 1900, 2000, 2000), "server.in_flight: 2 (now 4): 1900 pictures/s, 95% of the best"),
        (100, (1000, 2000, 3000, 4000), "throughput still rises with requests in flight"),
        (900, (1000, 1000, 1000, 1000), "batches hardly help"),
        (100, (1000, 1900, 2100, 2100), "nothing: batch size and requests in flight suit this server"),
        (1, (4, 5, 6, 6), "answers take up to 85.3 s: raise server.deadline_s above 256"),
    ],
)
def test_figures_become_advice(alone, throughput, advice):
    loads = [load(in_flight, rate) for in_flight, rate in zip((1, 2, 4, 8), throughput, strict=True)]

    assert any(sentence.startswith(advice) for sentence in _advice(Server(), load(1, alone, 1), loads))


def test_refusals_become_advice():
    loads = [load(in_flight, 1000, retries=3) for in_flight in (1, 2, 4, 8)]

    assert any("max_enqueued_batches" in sentence for sentence in _advice(Server(), load(1, 100, 1), loads))
    assert _advice(Server(), load(1, 100, 1), []) == ["nothing can be said before requests are answered"]


def test_a_million_pictures_cost_what_the_best_throughput_asks_for_at_which_all_was_answered():
    loads = [load(1, 500), load(2, 1000), load(4, 5000, fault="refused")]

    assert _cost(Price(gpu_hour=3.6), loads) == pytest.approx(1.0)
    assert _cost(Price(core_hour=1.0), loads) is None
    assert _cost(Price(gpu_hour=3.6), []) is None
