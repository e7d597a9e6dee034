"""What a night cost: what it used times prices, and what of that is measured and what assumed."""

import json
import re
from pathlib import Path

import pytest

from hs_audit.cli import main
from pipeline.cost import Price, Used, cost_of
from tests.archives import BLUE, GREEN, RED, picture, row, write_archive

ALL = Price("EUR", gpu_hour=3.0, gpus=2, core_hour=0.05, gb=0.02)


@pytest.mark.parametrize(
    ("price", "used", "parts", "night"),
    [
        (
            ALL,
            Used(1800, processor_s=7200, workers=1, archive_bytes=5_000_000_000),
            {
                "gpu": ("gpu_kept", 1.0, 3.0),
                "cores": ("cores_used", 2.0, 0.1),
                "archive": ("archive_read_once", 5, 0.1),
            },
            3.2,
        ),
        (Price(core_hour=0.05), Used(1800, None, 8, 10**9), {"cores": ("cores_held", 4.0, 0.2)}, 0.2),
        (Price(core_hour=0.05), Used(1800, None, None, 10**9), {"cores": ("cores_unknown", None, None)}, 0),
        (Price(gpu_hour=0.0), Used(1800, None, None, 10**9), {"gpu": ("gpu_kept", 0.5, 0)}, 0),
    ],
)
def test_what_was_used_is_multiplied_with_what_has_a_price(price, used, parts, night):
    cost = cost_of(price, used, declarations=50_000)

    found = {name: (part["how"], part["amount"], part["cost"]) for name, part in cost["parts"].items()}
    assert found == {name: pytest.approx(part) if part[1] else part for name, part in parts.items()}
    assert cost["night"] == pytest.approx(night)
    assert cost["a_million"] == pytest.approx(20 * night)
    assert cost["currency"] == price.currency


def test_a_night_without_declarations_says_nothing_of_a_million():
    assert cost_of(ALL, Used(1, 1, 1, 1), declarations=0)["a_million"] is None


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("{}", "price: one of gpu_hour, core_hour, gb must be given"),
        ("{gpu_hour: -1}", "gpu_hour must be a price from 0, got -1"),
        ("{gb: .nan}", "gb must be a price from 0, got nan"),
        ("{gb: 1, gpus: 0}", "gpus must be a whole number from 1, got 0"),
        ("{gb: 1, currency: $}", "currency must be three capital letters such as USD, got '$'"),
        ("{gpu: 1}", "unknown key price.gpu; did you mean gpus?"),
    ],
)
def test_a_wrong_price_is_one_sentence(tmp_path, capsys, written, sentence):
    (tmp_path / "config.yaml").write_text(f"price: {written}\n")

    assert main(["run", f"--config={tmp_path}/config.yaml"]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_a_night_with_prices_says_in_manifest_and_page_what_it_cost(colour_server, tmp_path: Path):
    declared = [row("A1", RED, picture(GREEN)), row("A2", RED, picture(BLUE))]
    archive = write_archive(tmp_path / "a.parquet", declared)
    prices = "{gpu_hour: 3600000, core_hour: 3600, gb: 1000000}"
    (tmp_path / "config.yaml").write_text(f"server: {{model: hs}}\nprice: {prices}\nworklist: {{budget: 100%}}\n")
    flags = [f"--config={tmp_path}/config.yaml", f"--output={tmp_path}/audits", f"--server={colour_server}"]

    assert main(["run", "--run-date=2026-11-21", f"--input={archive}", *flags]) == 0

    run = tmp_path / "audits" / "run_date=2026-11-21"
    manifest = json.loads((run / "manifest.json").read_text())
    cost, used, took_s = manifest["cost"], manifest["used"], manifest["timings_s"]
    assert used["kept_s"] == pytest.approx(took_s["resolving the model"] + took_s["auditing"], abs=0.002)
    assert used["archive_bytes"] == archive.stat().st_size
    assert used["processor_s"] > 0
    assert cost["night"] == pytest.approx(1000 * used["kept_s"] + used["processor_s"] + archive.stat().st_size / 1000)
    assert cost["a_million"] == pytest.approx(cost["night"] * 500_000)
    page = (run / "report.html").read_text(encoding="utf-8")
    for words in (
        "What this night cost",
        "그날 밤의 비용",
        "Assumed: idle cores cost nothing.",
        "GPUs of the model server.",
    ):
        assert words in page
    written = re.findall(rf"<dt>(?:Cost|비용)</dt><dd>{cost['night']:,.2f} USD <small>(.*?)</small>", page)
    assert written[0] == f"{cost['a_million']:,.2f} USD for a million declarations like these"
    assert len(written) == 2
