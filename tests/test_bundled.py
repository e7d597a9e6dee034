"""The server that a run brings along, in a process of its own."""

import tempfile

from serving.client.client import Client
from serving.client.connection import Connection
from serving.server.bundled import MODEL_NAME, bundled_server


def test_a_folder_for_temporary_files_that_is_too_deep_for_a_socket_is_left_alone(colour_model, tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))

    with bundled_server(colour_model) as address:
        client = Client(Connection(address))
        model = client.resolve(MODEL_NAME)
        client.close()

    assert model.version == 1
    assert not list(deep.iterdir())
