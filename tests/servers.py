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


def write_half_plus_two(folder: Path, version: str = "00000123", lone_rows: bool = False, plain: bool = False) -> Path:
    """x / 2 + 2 as TensorFlow 1 exported it: no objects, examples that are parsed, an asset, a main operation.

    Args:
        folder: of the model.
        version: name of its folder.
        lone_rows: whether `x` is [N, 1] as in TF Serving's own tests, which send [1]; else [N].
        plain: leaves out all that is not arithmetic.
    """
    import tensorflow as tf

    v1 = tf.compat.v1
    info, sign = v1.saved_model.build_tensor_info, v1.saved_model.build_signature_def
    builder = v1.saved_model.Builder(str(folder / version))
    shape = [1] if lone_rows else []
    with v1.Session(graph=tf.Graph()) as session:
        half, two = v1.Variable(0.5, name="a"), v1.Variable(2.0, name="b")
        if plain:
            x = v1.placeholder(tf.float32, [None, *shape], name="x")
        else:
            examples = v1.placeholder(tf.string, [None], name="tf_example")
            parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature(shape, tf.float32, 0.0)})
            x = tf.identity(parsed["x"], name="x")
        y = tf.identity(half * x + two, name="y")
        signatures = {"serving_default": sign({"x": info(x)}, {"y": info(y)}, "tensorflow/serving/predict")}
        more: dict[str, Any] = {}
        if not plain:
            for name, output in (("classify", "scores"), ("regress", "outputs")):
                signature = sign({"inputs": info(examples)}, {output: info(y)}, f"tensorflow/serving/{name}")
                signatures[f"{name}_x_to_y"] = signature
            asset = folder.parent / "foo.txt"
            asset.write_text("content")
            v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, tf.constant(str(asset)))
            more["assets_collection"] = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
            more["main_op"] = tf.group(v1.tables_initializer())
        session.run(v1.global_variables_initializer())
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, **more)
    builder.save()
    return folder


def models(batching: Batching | None = None, **how: Any) -> ServedVersions:
    from serving.server.servable import Servable

    loading = {key: how.pop(key) for key in ("as_content", "trusted") if key in how}
    return ServedVersions(lambda name, path: Servable(name, path, batching, **loading), **how)


@contextmanager
def served(
    what: ServedVersions, config: ModelServerConfig | Path, threads: int = 8, **options: Any
) -> Iterator[grpc.Channel]:
    """A channel to the bundled server; a folder is served under the name `scaler`."""
    what.reload(single_model_config("scaler", config) if isinstance(config, Path) else config)
    server, address = start_anywhere(what, threads, **options)
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
