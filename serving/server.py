"""The bundled server: SavedModels behind TF Serving's gRPC protocol, where `tensorflow_model_server` cannot be had.

`hs-audit serve` takes its flags. It answers Predict, GetModelMetadata, GetModelStatus and HandleReloadConfigRequest.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from pipeline.rules.errors import ContractBroken, UsageError
from serving.batching import read_batching
from serving.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServerConfig,
    ModelServiceServicer,
    PredictionServiceServicer,
    PredictRequest,
    PredictResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
    add_ModelServiceServicer_to_server,
    add_PredictionServiceServicer_to_server,
)
from serving.models import Models
from serving.refusal import Refusal, invalid
from serving.server_files import SSLConfig, read_text_file, single_model_config

_WITHOUT_EFFECT = (
    "rest_api_port", "rest_api_num_threads", "rest_api_timeout_in_ms", "rest_api_enable_cors_support",
    "enable_cors_support", "max_num_load_retries", "load_retry_interval_micros", "flush_filesystem_caches",
    "tensorflow_session_parallelism", "tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism",
    "platform_config_file", "per_process_gpu_memory_fraction", "saved_model_tags",
    "num_request_iterations_for_warmup", "monitoring_config_file", "remove_unused_fields_from_bundle_metagraph",
    "prefer_tflite_model", "num_tflite_pools", "num_tflite_interpreters_per_pool",
    "enable_signature_method_name_check", "enable_profiler", "thread_pool_factory_config_file", "mixed_precision",
    "skip_initialize_tpu", "enable_grpc_healthcheck_service", "enable_per_model_batching_parameters",
    "force_allow_any_version_labels_for_unavailable_models",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags, spelled as `tensorflow_model_server` spells them."""
    models = parser.add_argument_group("what is served")
    models.add_argument("--model_name", default="default", help="name of the model (default: %(default)s)")
    models.add_argument("--model_base_path", type=Path, help="folder of its numbered versions")
    models.add_argument("--model_config_file", type=Path, help="a ModelServerConfig instead: models, policies, labels")
    models.add_argument("--model_config_file_poll_wait_seconds", type=float, default=0, metavar="S",
                        help="read it again every S seconds; 0: never (default)")  # fmt: skip
    models.add_argument("--file_system_poll_wait_seconds", type=float, default=1, metavar="S",
                        help="look for new versions every S seconds; 0: never (default: %(default)s)")  # fmt: skip
    _flag(models, "--allow_version_labels_for_unavailable_models", False, "let labels name versions not yet loaded")
    _flag(models, "--enable_model_warmup", True, "answer a version's warm-up requests before it is served")
    where = parser.add_argument_group("where")
    where.add_argument("--port", type=int, default=8500, help="gRPC port; 0 for none (default: %(default)s)")
    where.add_argument("--grpc_socket_path", type=Path, help="also listen at this Unix socket")
    where.add_argument("--ssl_config_file", type=Path, help="an SSLConfig: the port is encrypted")
    where.add_argument("--grpc_max_threads", type=int, default=4 * (os.cpu_count() or 1), metavar="N",
                       help="requests that are answered at once (default: %(default)s)")  # fmt: skip
    where.add_argument("--grpc_channel_arguments", default="", metavar="KEY=VALUE,…", help="options of gRPC's server")
    how = parser.add_argument_group("how")
    _flag(how, "--enable_batching", False, "merge requests that come at the same time")
    how.add_argument("--batching_parameters_file", type=Path, help="BatchingParameters, for --enable_batching")
    _flag(how, "--enable_serialization_as_tensor_content", False, "answer tensors as blocks of bytes")
    without = parser.add_argument_group("accepted, but they do nothing here")
    for name in _WITHOUT_EFFECT:
        without.add_argument(f"--{name}", nargs="?", const="true", help=argparse.SUPPRESS)


def _flag(group: Any, name: str, default: bool, text: str) -> None:
    """A yes or no as TF Serving writes it: `--name`, `--name=true`, `--name=false`."""
    shown = str(default).lower()
    group.add_argument(name, nargs="?", const=True, default=default, type=_yes_or_no, metavar="true|false",
                       help=f"{text} (default: {shown})")  # fmt: skip


def _yes_or_no(text: str) -> bool:
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise argparse.ArgumentTypeError(f"true or false, not {text!r}")


def run(args: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("hs_audit.serve").setLevel(logging.INFO)
    for name in _WITHOUT_EFFECT:
        if getattr(args, name) is not None:
            print(f"--{name} does nothing here", file=sys.stderr)
    read_config = _config_reader(args)
    addresses = [f"0.0.0.0:{args.port}"] if args.port else []
    addresses += [f"unix:{args.grpc_socket_path}"] if args.grpc_socket_path else []
    if not addresses:
        raise UsageError("nowhere to listen: give --port or --grpc_socket_path")
    batching = read_batching(args.batching_parameters_file) if args.enable_batching else None
    credentials = _credentials(args.ssl_config_file)
    options = _channel_options(args.grpc_channel_arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    from serving.servable import Servable  # TensorFlow; whatever is wrong with the flags is said before it

    def load(name: str, path: Path) -> Servable:
        content = args.enable_serialization_as_tensor_content
        return Servable(name, path, batching, warm_up=args.enable_model_warmup, as_content=content)

    models = Models(load, labels_may_wait=args.allow_version_labels_for_unavailable_models)
    try:
        models.reload(read_config())
    except Refusal as refusal:
        raise ContractBroken(f"nothing is served: {refusal}") from refusal
    server = start(models, addresses, args.grpc_max_threads, credentials, options)
    print(f"serving at {', '.join(addresses)}", file=sys.stderr, flush=True)
    _repeat(args.file_system_poll_wait_seconds, stop, models.poll)
    if args.model_config_file:
        _repeat(args.model_config_file_poll_wait_seconds, stop, lambda: models.reload(read_config()))
    stop.wait()
    server.stop(grace=1.0).wait()
    models.close()
    return 0


def start(
    models: Models,
    addresses: list[str],
    threads: int,
    credentials: grpc.ServerCredentials | None = None,
    options: list[tuple[str, Any]] | None = None,
    interceptors: list[grpc.ServerInterceptor] | None = None,
) -> grpc.Server:
    """Starts answering.

    Args:
        models: what is served.
        addresses: `host:port` or `unix:/path`.
        threads: requests that are answered at once.
        credentials: of the ports, None for connections in the clear; sockets are always in the clear.
        options: of gRPC's server, after ours.
        interceptors: see requests before they are answered.

    Raises:
        UsageError: if an address cannot be had.
    """
    unlimited = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.server(ThreadPoolExecutor(threads), options=[*unlimited, *(options or [])], interceptors=interceptors)
    add_PredictionServiceServicer_to_server(_Prediction(models), server)
    add_ModelServiceServicer_to_server(_Model(models), server)
    for address in addresses:
        try:
            if credentials and not address.startswith("unix:"):
                server.add_secure_port(address, credentials)
            else:
                server.add_insecure_port(address)
        except RuntimeError as error:
            raise UsageError(f"cannot listen at {address}: the address is taken or not ours") from error
    server.start()
    return server


def _answered(answer: Callable) -> Callable:
    """Makes a method of a servicer: refusals become status codes."""

    def method(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(self, request)
        except Refusal as refusal:
            context.abort(refusal.code, refusal.message)

    return method


def _need_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


class _Prediction(PredictionServiceServicer):
    def __init__(self, models: Models) -> None:
        self._models = models

    @_answered
    def Predict(self, request: PredictRequest) -> PredictResponse:
        _need_spec(request)
        return self._models.find(request.model_spec).predict(request)

    @_answered
    def GetModelMetadata(self, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
        _need_spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        if unknown := [name for name in request.metadata_field if name != "signature_def"]:
            raise invalid(f"Metadata field {unknown[0]} is not supported")
        servable = self._models.find(request.model_spec)
        response = GetModelMetadataResponse(model_spec=servable.spec())
        response.metadata["signature_def"].Pack(servable.signatures)
        return response


class _Model(ModelServiceServicer):
    def __init__(self, models: Models) -> None:
        self._models = models

    @_answered
    def GetModelStatus(self, request: GetModelStatusRequest) -> GetModelStatusResponse:
        _need_spec(request)
        return self._models.status(request.model_spec)

    @_answered
    def HandleReloadConfigRequest(self, request: ReloadConfigRequest) -> ReloadConfigResponse:
        self._models.reload(request.config)
        response = ReloadConfigResponse()
        response.status.error_code = 0
        return response


def _config_reader(args: argparse.Namespace) -> Callable[[], ModelServerConfig]:
    if args.model_config_file:
        return lambda: read_text_file(args.model_config_file, ModelServerConfig)
    if not args.model_base_path:
        raise UsageError("nothing to serve: give --model_base_path or --model_config_file")
    return lambda: single_model_config(args.model_name, args.model_base_path)


def _credentials(path: Path | None) -> grpc.ServerCredentials | None:
    if path is None:
        return None
    ssl = read_text_file(path, SSLConfig)
    if not ("-----BEGIN" in ssl.server_key and "-----BEGIN" in ssl.server_cert):
        raise UsageError(f"{path} has no usable server_key and server_cert: each is the content of a PEM file")
    return grpc.ssl_server_credentials(
        [(ssl.server_key.encode(), ssl.server_cert.encode())],
        ssl.custom_ca.encode() or None,
        require_client_auth=ssl.client_verify,
    )


def _channel_options(text: str) -> list[tuple[str, Any]]:
    """Options of gRPC from `key=value,…`; a value that reads as an integer is one, as in TF Serving.

    >>> _channel_options("grpc.max_concurrent_streams=8,grpc.lb_policy_name=x")
    [('grpc.max_concurrent_streams', 8), ('grpc.lb_policy_name', 'x')]
    """
    pairs = [part.partition("=") for part in text.split(",") if part]
    if wrong := [key for key, equals, _ in pairs if not (key and equals)]:
        raise UsageError(f"--grpc_channel_arguments: expected key=value, got {wrong[0]!r}")
    return [(key, int(value) if value.lstrip("-").isdecimal() else value) for key, _, value in pairs]


def _repeat(every_s: float, stop: threading.Event, work: Callable[[], None]) -> None:
    """Does something again and again in a thread of its own; what cannot be done is logged."""

    def loop() -> None:
        while not stop.wait(every_s):
            try:
                work()
            except (Refusal, UsageError, OSError) as error:
                logging.getLogger("hs_audit.serve").warning("%s", error)

    if every_s > 0:
        threading.Thread(target=loop, daemon=True).start()
