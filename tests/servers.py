"""SavedModels of a few lines, and the bundled server for them in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from serving.messages import ModelServerConfig
from serving.server.batching import Batching
from serving.server.config_files import single_model_config
from serving.server.served_versions import ServedVersions
from serving.server.services import start


def write_scaler(folder: Path, version: int, factor: float = 2.0) -> Path:
    """A model that multiplies: `x` float32 [N, ...] → `y`, and `pair`: `a` int64 [N], `b` string [N] → both again."""
    import tensorflow as tf

    module = tf.Module()
    module.factor = tf.Variable(factor)
    scale = tf.function(lambda x: {"y": x * module.factor}, input_signature=[tf.TensorSpec([None, None], name="x")])
    pair = tf.function(
        lambda a, b: {"a": a + 1, "b": tf.strings.upper(b), "positive": a > 0},
        input_signature=[tf.TensorSpec([None], tf.int64, name="a"), tf.TensorSpec([None], tf.string, name="b")],
    )
    tf.saved_model.save(module, str(folder / str(version)), signatures={"serving_default": scale, "pair": pair})
    return folder


def models(batching: Batching | None = None, **how: Any) -> ServedVersions:
    from serving.server.servable import Servable

    as_content = how.pop("as_content", False)
    return ServedVersions(lambda name, path: Servable(name, path, batching, as_content=as_content), **how)


@contextmanager
def served(what: ServedVersions, config: ModelServerConfig | Path, threads: int = 8) -> Iterator[grpc.Channel]:
    """A channel to the bundled server; a folder is served under the name `scaler`."""
    what.reload(single_model_config("scaler", config) if isinstance(config, Path) else config)
    server, address = start_anywhere(what, threads)
    try:
        with grpc.insecure_channel(address) as channel:
            yield channel
    finally:
        server.stop(None).wait()
        what.close()


def start_anywhere(what: ServedVersions, threads: int = 8, **options: Any) -> tuple[grpc.Server, str]:
    """The server at a free port of this machine, and its address."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"localhost:{free.getsockname()[1]}"
    return start(what, [address], threads, **options), address
