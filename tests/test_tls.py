"""Encrypted connections with real certificates, right and wrong."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from hs.errors import ContractBroken, UsageError
from serving.client.client import Client
from serving.client.connection import Connection
from serving.client.tls import Tls
from tests.servers import models, start_anywhere, write_scaler

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl, which makes the certificates, is missing")


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder: Path, name: str) -> None:
    subject = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}"]
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject)


def certificate(folder: Path, name: str, signed_by: str, host: str, days: int = 2) -> None:
    (folder / "names").write_text(f"subjectAltName=DNS:{host}")
    request = ["-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={host}"]
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", *request)
    signer = ["-CA", f"{signed_by}.pem", "-CAkey", f"{signed_by}.key", "-CAcreateserial", "-extfile", "names"]
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", str(days), *signer)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority(folder, "ca")
    authority(folder, "stranger")
    certificate(folder, "server", "ca", "localhost")
    certificate(folder, "elsewhere", "ca", "elsewhere.example")
    certificate(folder, "expired", "ca", "localhost", days=0)
    certificate(folder, "client", "ca", "client")
    certificate(folder, "impostor", "stranger", "client")
    (folder / "junk.pem").write_text("junk")
    return folder


@pytest.fixture(scope="module")
def serve(files, tmp_path_factory):
    """Starts a server with a certificate; with `mutual`, it wants one of its clients."""
    from serving.server.main import _credentials

    scaler = write_scaler(tmp_path_factory.mktemp("scaler"), 1)
    started = []

    def serve(name: str | None, mutual: bool = False) -> str:
        from serving.server.config_files import single_model_config

        what, credentials = models(), None
        what.reload(single_model_config("scaler", scaler))
        if name:
            lines = {"server_key": f"{name}.key", "server_cert": f"{name}.pem"} | (
                {"custom_ca": "ca.pem"} if mutual else {}
            )
            text = "".join(f"{key}: {(files / file).read_text()!r}\n" for key, file in lines.items())
            (files / "ssl.config").write_text(text + f"client_verify: {str(mutual).lower()}")
            credentials = _credentials(files / "ssl.config")
        server, address = start_anywhere(what, credentials=credentials)
        started.append((server, what))
        return address

    yield serve
    for server, what in started:
        server.stop(None).wait()
        what.close()


def version_at(address: str, tls: Tls | None) -> int:
    client = Client(Connection(address, connect_budget_s=30, tls=tls))
    try:
        return client.available_version("scaler")
    finally:
        client.close()


def test_an_encrypted_connection(serve, files):
    assert version_at(serve("server"), Tls(files / "ca.pem")) == 1


def test_several_servers_show_certificates_for_the_name_that_is_given(serve, files):
    addresses = f"{serve('elsewhere')},{serve('elsewhere')}"
    tls = Tls(files / "ca.pem", name="elsewhere.example")

    together = version_at(addresses, tls)
    alone = [version_at(server.address, server.tls) for server in Connection(addresses, tls=tls).servers()]

    assert together == 1
    assert alone == [1, 1]


def test_several_servers_with_another_name_are_refused(serve, files):
    addresses = f"{serve('server')},{serve('server')}"

    with pytest.raises(ContractBroken, match="its certificate is for another name"):
        version_at(addresses, Tls(files / "ca.pem", name="elsewhere.example"))


def test_several_encrypted_servers_need_a_name(files):
    with pytest.raises(UsageError, match=r"give the one in their certificates as server\.tls\.name"):
        Connection("a:1,b:1", tls=Tls(files / "ca.pem"))


def test_both_sides_show_a_certificate(serve, files):
    tls = Tls(files / "ca.pem", files / "client.pem", files / "client.key")

    assert version_at(serve("server", mutual=True), tls) == 1


@pytest.mark.parametrize(
    ("server", "ours", "sentence"),
    [
        (("server",), ("stranger.pem",), "its certificate is not one that .*stranger.pem signed"),
        (("expired",), ("ca.pem",), "its certificate is not one that .*ca.pem signed, or has expired"),
        (("elsewhere",), ("ca.pem",), "its certificate is for another name"),
        ((None,), ("ca.pem",), r"it does not encrypt, but server\.tls is set"),
        (("server",), None, r"it may want encryption \(server\.tls\)"),
        (("server", True), ("ca.pem",), "it asks for a certificate of ours"),
        (("server", True), ("ca.pem", "impostor.pem", "impostor.key"), "it does not trust .*impostor.pem"),
    ],
)
def test_each_wrong_certificate_is_one_sentence_within_ten_seconds(serve, files, server, ours, sentence):
    tls = Tls(*(files / name for name in ours)) if ours else None
    address, started = serve(*server), time.monotonic()

    with pytest.raises(ContractBroken, match=f"cannot be talked to: .*{sentence}"):
        version_at(address, tls)

    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("name", "sentence"), [("none.pem", "cannot be read: No such file"), ("junk.pem", "is no PEM file")]
)
def test_a_file_that_is_no_certificate_is_named(files, name, sentence):
    with pytest.raises(UsageError, match=f"{name} {sentence}"):
        Client(Connection("localhost:1", tls=Tls(files / name)))


def test_a_server_without_its_key_does_not_start(tmp_path, capsys):
    from hs_audit.cli import main

    (tmp_path / "ssl.config").write_text('server_key: "junk" server_cert: "junk"')
    write_scaler(tmp_path / "model", 1)

    code = main(["serve", f"--model_base_path={tmp_path / 'model'}", f"--ssl_config_file={tmp_path / 'ssl.config'}"])

    assert code == 2
    assert "ssl.config has no usable server_key and server_cert" in capsys.readouterr().err
