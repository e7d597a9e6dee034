"""The same night as others would write it, after their documentation. Each is a command.

python -m benchmarks.peers pandas_grpc ARCHIVE ADDRESS OUTPUT
"""

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

BATCH = 64  # not from benchmarks.measuring, whose imports would count as theirs


def _pixels(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    return np.asarray(image)


def pandas_grpc(archive: str, address: str, output: str) -> None:
    """A data frame, and one gRPC request for each picture."""
    import grpc
    import pandas as pd
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    frame = pd.read_parquet(archive)
    channel = grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)])
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def classify(images: list[Any]) -> str:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "hs"
        pixels = _pixels(images[0]["bytes"])[np.newaxis]
        request.inputs["images"].CopyFrom(tf.make_tensor_proto(pixels))
        probabilities = tf.make_ndarray(stub.Predict(request, 30).outputs["probabilities"])
        return str(probabilities[0].argmax())

    frame["recommended"] = frame["images"].map(classify)
    frame.drop(columns="images").to_parquet(output)


def pandas_json(archive: str, address: str, output: str) -> None:
    """A data frame, and one REST request with JSON for each picture."""
    import http.client

    import pandas as pd

    frame = pd.read_parquet(archive)
    connection = http.client.HTTPConnection("127.0.0.1", int(address))

    def classify(images: list[Any]) -> str:
        body = json.dumps({"instances": _pixels(images[0]["bytes"])[np.newaxis].tolist()})
        connection.request("POST", "/v1/models/hs:predict", body, {"Content-Type": "application/json"})
        return str(np.argmax(json.loads(connection.getresponse().read())["predictions"][0]))

    frame["recommended"] = frame["images"].map(classify)
    frame.drop(columns="images").to_parquet(output)


def stock_beam(archive: str, address: str, output: str) -> None:
    """Beam's own parts: ReadFromParquet, RunInference with a RemoteModelHandler, WriteToParquet."""
    import apache_beam as beam
    import grpc
    import pyarrow as pa
    import tensorflow as tf
    from apache_beam.ml.inference.base import KeyedModelHandler, PredictionResult, RemoteModelHandler, RunInference
    from apache_beam.options.pipeline_options import PipelineOptions
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class TFServing(RemoteModelHandler):
        def __init__(self) -> None:
            super().__init__(namespace="tf_serving")

        def create_client(self) -> Any:
            channel = grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)])
            return prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def request(self, batch: Any, model: Any, inference_args: Any = None) -> Iterator[PredictionResult]:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "hs"
            request.inputs["images"].CopyFrom(tf.make_tensor_proto(np.stack(batch)))
            probabilities = tf.make_ndarray(model.Predict(request, 30).outputs["probabilities"])
            return (PredictionResult(*pair) for pair in zip(batch, probabilities, strict=True))

        def batch_elements_kwargs(self) -> dict[str, int]:
            return {"min_batch_size": BATCH, "max_batch_size": BATCH}

    def decoded(row: dict[str, Any]) -> tuple[str, np.ndarray]:
        return row["declaration_id"], _pixels(row["images"][0]["bytes"])

    def finding(result: tuple[str, Any]) -> dict[str, str]:
        return {"declaration_id": result[0], "recommended": str(result[1].inference.argmax())}

    schema = pa.schema([("declaration_id", pa.string()), ("recommended", pa.string())])
    options = PipelineOptions(runner="FnApiRunner")
    with beam.Pipeline(options=options) as pipeline:
        (
            pipeline
            | beam.io.ReadFromParquet(archive)
            | beam.Map(decoded)
            | RunInference(KeyedModelHandler(TFServing()))
            | beam.Map(finding)
            | beam.io.WriteToParquet(output, schema)
        )


def make_network(output: str) -> None:
    """MobileNetV2 with weights at random, as a Keras file and as a SavedModel that keeps our contract."""
    import keras

    from benchmarks.stand_in import MODEL
    from model.exported.export import export

    keras.utils.set_random_seed(0)
    # Without an activation: the export puts its softmax behind the temperature.
    network = keras.applications.MobileNetV2(weights=None, classes=len(MODEL.table), classifier_activation=None)
    network.save(Path(output) / "network.keras")
    export(network, MODEL.table.labels, MODEL.card, {}, Path(output) / "model")


def keras_in_one_process(archive: str, network: str, output: str) -> None:
    """Decodes, and calls `model.predict`, batch by batch; the time does not include loading."""
    import keras
    import pandas as pd

    model = keras.models.load_model(network)
    model.predict(np.zeros((BATCH, 224, 224, 3), np.uint8), verbose=0)  # builds its graph, before the clock starts
    started = time.monotonic()
    frame = pd.read_parquet(archive)
    recommended: list[str] = []
    for start in range(0, len(frame), BATCH):
        pixels = np.stack([_pixels(images[0]["bytes"]) for images in frame["images"][start : start + BATCH]])
        recommended += map(str, model.predict(pixels, verbose=0).argmax(axis=1))
    frame["recommended"] = recommended
    frame.drop(columns="images").to_parquet(output)
    print(json.dumps({"seconds": time.monotonic() - started}))


_PEERS: dict[str, Callable[..., None]] = {
    "pandas_grpc": pandas_grpc,
    "pandas_json": pandas_json,
    "stock_beam": stock_beam,
    "make_network": make_network,
    "keras": keras_in_one_process,
}

if __name__ == "__main__":
    _PEERS[sys.argv[1]](*sys.argv[2:])
