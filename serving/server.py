"""The bundled server: a SavedModel in TF Serving's layout behind its gRPC protocol, for tests and small runs.

`hs-audit serve` takes the flags of `tensorflow_model_server`. It answers Predict, GetModelMetadata and GetModelStatus.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from pipeline.rules.errors import ContractBroken, UsageError
from serving.messages import (
    Code,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServiceServicer,
    ModelSpec,
    ModelVersionStatus,
    PredictionServiceServicer,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
    add_ModelServiceServicer_to_server,
    add_PredictionServiceServicer_to_server,
)
from serving.versions import newest_version

# Read as TensorFlow loads; it leaves oneDNN off on processors without AVX-512, where it halves the time of a network.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
import tensorflow as tf

_log = logging.getLogger("hs_audit.serve")


class Refusal(Exception):
    """A request that cannot be answered: the status code and message that TF Serving gives."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Servable:
    """One loaded version of a model.

    Args:
        name: of the model.
        folder: holds the numbered versions.
        version: which one to load; the newest if None.

    Raises:
        ContractBroken: if there is no such version, or TensorFlow cannot load it.
    """

    def __init__(self, name: str, folder: Path, version: int | None = None) -> None:
        self.name = name
        self.version = newest_version(folder) if version is None else version
        path = folder / str(self.version)
        try:
            self._loaded = tf.saved_model.load(str(path))
            self.signature_defs = _signature_defs(path)
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise ContractBroken(f"{path} cannot be loaded as a SavedModel: {error}") from error

    def check(self, spec: ModelSpec) -> None:
        """Refuses a request for another model or version."""
        wants_version = spec.WhichOneof("version_choice") == "version"
        if spec.name != self.name or (wants_version and spec.version.value != self.version):
            wanted = f"Specific({spec.name}, {spec.version.value})" if wants_version else f"Latest({spec.name})"
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")

    def predict(self, request: PredictRequest) -> PredictResponse:
        """Runs one signature on the request's tensors."""
        self.check(request.model_spec)
        key = request.model_spec.signature_name or "serving_default"
        if key not in self._loaded.signatures:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
        outputs = self._run(key, request)
        wanted = list(request.output_filter) or sorted(outputs)
        if missing := [name for name in wanted if name not in outputs]:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"output tensor alias not found in signature: {missing[0]}")
        response = PredictResponse()
        response.model_spec.CopyFrom(self._spec(key))
        for name in wanted:
            response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name].numpy()))
        return response

    def _run(self, key: str, request: PredictRequest) -> dict[str, tf.Tensor]:
        expected = self._loaded.signatures[key].structured_input_signature[1]
        if set(request.inputs) != set(expected):
            extra = ",".join(sorted(set(request.inputs) - set(expected)))
            missing = ",".join(sorted(set(expected) - set(request.inputs)))
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"input size does not match signature: {len(request.inputs)}!={len(expected)}. "
                f"Sent extra: {{{extra}}}. Missing but required: {{{missing}}}.",
            )
        for name, tensor in request.inputs.items():
            if tensor.dtype != expected[name].dtype.as_datatype_enum:
                sent, wanted = tf.as_dtype(tensor.dtype).name, expected[name].dtype.name
                raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"Expects arg[0] to be {wanted} but {sent} is provided")
        try:
            inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
            return self._loaded.signatures[key](**inputs)
        except tf.errors.ResourceExhaustedError as error:
            raise Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, error.message) from error
        except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error

    def metadata(self, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
        """The signatures of the model."""
        self.check(request.model_spec)
        if list(request.metadata_field) != ["signature_def"]:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "Metadata field must be signature_def")
        response = GetModelMetadataResponse()
        response.model_spec.CopyFrom(self._spec())
        response.metadata["signature_def"].Pack(self.signature_defs)
        return response

    def status(self, request: GetModelStatusRequest) -> GetModelStatusResponse:
        """AVAILABLE, or a refusal where the model is another one."""
        try:
            self.check(request.model_spec)
        except Refusal as error:
            message = f"Could not find any versions of model {request.model_spec.name}"
            raise Refusal(error.code, message) from error
        status = ModelVersionStatus(version=self.version, state=ModelVersionStatus.AVAILABLE)
        status.status.error_code = Code.OK
        return GetModelStatusResponse(model_version_status=[status])

    def _spec(self, signature: str = "") -> ModelSpec:
        spec = ModelSpec(name=self.name, signature_name=signature)
        spec.version.value = self.version
        return spec


class _Prediction(PredictionServiceServicer):
    def __init__(self, servable: Servable) -> None:
        self._servable = servable

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        return _answered(context, self._servable.predict, request)

    def GetModelMetadata(
        self, request: GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> GetModelMetadataResponse:
        return _answered(context, self._servable.metadata, request)


class _Model(ModelServiceServicer):
    def __init__(self, servable: Servable) -> None:
        self._servable = servable

    def GetModelStatus(self, request: GetModelStatusRequest, context: grpc.ServicerContext) -> GetModelStatusResponse:
        return _answered(context, self._servable.status, request)


def _answered(context: grpc.ServicerContext, answer, request):
    try:
        return answer(request)
    except Refusal as error:
        context.abort(error.code, error.message)


def _signature_defs(path: Path) -> SignatureDefMap:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    return SignatureDefMap(signature_def=saved.meta_graphs[0].signature_def)


def serve(servable: Servable, addresses: Sequence[str], threads: int = 8) -> tuple[grpc.Server, list[int]]:
    """Starts answering at every address, `host:port` (port 0 takes a free one) or `unix:/path`.

    Returns:
        The server and the ports, 1 for a socket file.

    Raises:
        UsageError: if an address cannot be had.
    """
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(threads), options=options)
    add_PredictionServiceServicer_to_server(_Prediction(servable), server)
    add_ModelServiceServicer_to_server(_Model(servable), server)
    try:
        ports = [server.add_insecure_port(address) for address in addresses]
    except RuntimeError as error:
        raise UsageError(f"cannot listen at {', '.join(addresses)}: the address is taken or not ours") from error
    server.start()
    return server, ports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags, spelled as `tensorflow_model_server` spells them."""
    parser.add_argument("--model_name", default="default", help="name of the model (default: %(default)s)")
    parser.add_argument("--model_base_path", type=Path, required=True, help="folder of the numbered versions")
    parser.add_argument("--port", type=int, default=8500, help="gRPC port; 0 for none (default: %(default)s)")
    parser.add_argument("--grpc_socket_path", type=Path, help="also listen at this Unix socket")
    parser.add_argument("--model_version", type=int, help="serve this version instead of the newest")


def run(args: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    addresses = [f"0.0.0.0:{args.port}"] if args.port else []
    addresses += [f"unix:{args.grpc_socket_path}"] if args.grpc_socket_path else []
    if not addresses:
        raise UsageError("nowhere to listen: give --port or --grpc_socket_path")
    servable = Servable(args.model_name, args.model_base_path, args.model_version)
    server, _ = serve(servable, addresses)
    print(f"serving {servable.name} version {servable.version} at {', '.join(addresses)}", file=sys.stderr, flush=True)
    stop.wait()
    server.stop(grace=1.0).wait()
    return 0
