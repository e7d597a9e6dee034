"""The same night as others would write it, after their documentation. Each is a command.

python -m benchmarks.peers pandas_grpc ARCHIVE ADDRESS OUTPUT
"""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

BATCH = 64


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

    def classify(images: list) -> str:
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

    def classify(images: list) -> str:
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

        def create_client(self):
            channel = grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)])
            return prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def request(self, batch, model, inference_args=None) -> Iterator[PredictionResult]:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "hs"
            request.inputs["images"].CopyFrom(tf.make_tensor_proto(np.stack(batch)))
            probabilities = tf.make_ndarray(model.Predict(request, 30).outputs["probabilities"])
            return (PredictionResult(*pair) for pair in zip(batch, probabilities, strict=True))

        def batch_elements_kwargs(self):
            return {"min_batch_size": BATCH, "max_batch_size": BATCH}

    def decoded(row: dict) -> tuple[str, np.ndarray]:
        return row["declaration_id"], _pixels(row["images"][0]["bytes"])

    def finding(result: tuple) -> dict:
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


if __name__ == "__main__":
    {"pandas_grpc": pandas_grpc, "pandas_json": pandas_json, "stock_beam": stock_beam}[sys.argv[1]](
        sys.argv[2], sys.argv[3], str(Path(sys.argv[4]))
    )
