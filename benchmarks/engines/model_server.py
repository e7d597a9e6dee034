"""What whoever writes a pipeline of their own writes for TensorFlow Serving: a channel, and a request for a batch."""

import grpc
import numpy as np
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.framework.types_pb2 import DT_UINT8
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

BATCH, IN_FLIGHT = 64, 4  # as in configs/nightly.yaml


class ModelServer:
    """One gRPC channel to the model `hs`."""

    def __init__(self, address: str) -> None:
        channel = grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)])
        self._stub = PredictionServiceStub(channel)

    def recommend(self, pixels: np.ndarray) -> list[str]:
        """The most probable class of each picture, by its number; pixels are uint8 [N, 224, 224, 3]."""
        tensor = TensorProto(dtype=DT_UINT8, tensor_content=pixels.tobytes())
        for size in pixels.shape:
            tensor.tensor_shape.dim.add(size=size)
        request = PredictRequest(inputs={"images": tensor})
        request.model_spec.name = "hs"
        answer = self._stub.Predict(request, timeout=30).outputs["probabilities"]
        probabilities = np.frombuffer(answer.tensor_content, np.float32) if answer.tensor_content else answer.float_val
        return [str(row.argmax()) for row in np.reshape(probabilities, (len(pixels), -1))]
