"""One loaded version of a SavedModel, answering Predict as TF Serving does."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode

from serving.messages import ModelSpec, PredictionLog, PredictRequest, PredictResponse, SignatureDef, TensorProto
from serving.server.batching import Arrays, Batcher, Batching
from serving.server.refusal import Refusal, invalid
from serving.server.requests import braced, check_inputs, lone_row_as_batch
from serving.server.saved_model import load, loading


class Servable:
    """A version of a model, loaded and, where it has warm-up requests, warmed up.

    Args:
        name: of the model.
        path: of the version, a folder named by its number.
        batching: how requests are merged; None answers each on its own.
        warm_up: whether to answer the requests of `assets.extra/tf_serving_warmup_requests` first.
        as_content: whether tensors are answered as one block of bytes instead of typed values.
        trusted: whether it may hold more than arithmetic.

    Raises:
        Refusal: if it may not be loaded or cannot be, or a warm-up request fails.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        batching: Batching | None = None,
        warm_up: bool = True,
        as_content: bool = False,
        trusted: bool = False,
    ) -> None:
        self.name, self.version, self._as_content = name, int(path.name), as_content
        with loading(path):
            self._loaded = load(path, trusted)
            self.signatures = self._loaded.signatures
            # Before the warm-up, which goes through it and so meets the sizes that batches are filled up to.
            self._batcher = Batcher(batching, self._run) if batching else None
            for request in _warm_up_requests(path) if warm_up else ():
                self.predict(request)

    def close(self) -> None:
        """Lets go of the threads."""
        if self._batcher:
            self._batcher.close()

    def spec(self, signature: str = "") -> ModelSpec:
        """What answers say of themselves."""
        spec = ModelSpec(name=self.name, signature_name=signature)
        spec.version.value = self.version
        return spec

    def predict(self, request: PredictRequest) -> PredictResponse:
        """Runs one signature on the request's tensors.

        Raises:
            Refusal: as TF Serving refuses.
        """
        key = request.model_spec.signature_name or "serving_default"
        if key not in self._loaded.compute:
            raise Refusal(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
        signature = self.signatures.signature_def[key]
        if self._loaded.by_session:
            lone_row_as_batch(signature, request)
        check_inputs(signature, request)
        inputs = {name: _read_tensor(name, tensor) for name, tensor in request.inputs.items()}
        wanted = _wanted_outputs(signature, request)
        outputs = self._batcher.run(key, inputs) if self._batcher else self._run(key, inputs)
        response = PredictResponse(model_spec=self.spec(key))
        for name in wanted:
            _write_tensor(outputs[name], self._as_content, response.outputs[name])
        return response

    def _run(self, key: str, inputs: Arrays) -> Arrays:
        return self._loaded.compute[key](inputs)


def _warm_up_requests(path: Path) -> Sequence[PredictRequest]:
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    if not file.exists():
        return ()
    logs = (PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file)))
    return [log.predict_log.request for log in logs if log.HasField("predict_log")]


def _read_tensor(name: str, tensor: TensorProto) -> np.ndarray:
    try:
        # TensorFlow's own make_ndarray copies the block.
        if content := tensor.tensor_content:
            shape = [dim.size for dim in tensor.tensor_shape.dim]
            return np.frombuffer(content, tf.as_dtype(tensor.dtype).as_numpy_dtype).reshape(shape)
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid(f"tensor parsing error: {name}") from error


def _wanted_outputs(signature: SignatureDef, request: PredictRequest) -> list[str]:
    wanted: list[str] = []
    for name in request.output_filter:
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {braced(signature.outputs)}."
            )
        if name in wanted:
            raise invalid(f"duplicate output tensor alias: {name}")
        wanted.append(name)
    return wanted or sorted(signature.outputs)


def _write_tensor(array: np.ndarray, as_content: bool, into: TensorProto) -> None:
    dtype = tf.as_dtype(array.dtype)
    # make_tensor_proto writes blocks of bytes; TF Serving answers typed values unless its flag says otherwise.
    write = None if as_content else _TYPED_VALUES.get(dtype)
    if dtype == tf.string or (write is None and not as_content):
        into.CopyFrom(tf.make_tensor_proto(array))
        return
    into.dtype = dtype.as_datatype_enum
    for size in array.shape:
        into.tensor_shape.dim.add(size=size)
    if write:
        write(into, array.ravel().tolist())
    else:
        into.tensor_content = array.tobytes()


_TYPED_VALUES: dict[tf.DType, Callable[[TensorProto, list[Any]], None]] = {
    tf.float32: lambda tensor, values: tensor.float_val.extend(values),
    tf.float64: lambda tensor, values: tensor.double_val.extend(values),
    tf.int64: lambda tensor, values: tensor.int64_val.extend(values),
    tf.bool: lambda tensor, values: tensor.bool_val.extend(values),
    tf.uint32: lambda tensor, values: tensor.uint32_val.extend(values),
    tf.uint64: lambda tensor, values: tensor.uint64_val.extend(values),
    **dict.fromkeys(
        (tf.int32, tf.int16, tf.int8, tf.uint8, tf.uint16),
        lambda tensor, values: tensor.int_val.extend(values),
    ),
}
