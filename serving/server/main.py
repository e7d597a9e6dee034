"""The bundled server: SavedModels behind TF Serving's gRPC protocol, where `tensorflow_model_server` cannot be had.

`hs-audit serve` takes its flags.
"""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import grpc

from hs.errors import ContractBroken, UsageError
from serving.messages import ModelServerConfig
from serving.server.batching import read_batching
from serving.server.config_files import SSLConfig, read_text_file, single_model_config
from serving.server.refusal import Refusal
from serving.server.served_versions import ServedVersions
from serving.server.services import start

_GRACE_S = 1.0  # for requests under way when the server is told to stop

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
    _flag(models, "--trust_models", False, "load models that hold more than arithmetic, too; HS_AUDIT_TRUST_MODELS=1")
    _flag(models, "--enable_model_warmup", True, "answer a version's warm-up requests before it is served")
    where = parser.add_argument_group("where")
    where.add_argument("--port", type=int, default=8500, help="gRPC port; 0 for none (default: %(default)s)")
    where.add_argument("--listen", default="localhost", metavar="ADDRESS",
                       help="where the port is open: 0.0.0.0 for all machines (default: to this one)")  # fmt: skip
    _flag(where, "--allow_reload_config", False, "let clients say what is served from folders given here")
    where.add_argument("--grpc_socket_path", type=Path, help="also listen at this Unix socket")
    where.add_argument("--ssl_config_file", type=Path, help="an SSLConfig: the port is encrypted")
    where.add_argument("--grpc_max_threads", type=int, default=4 * (os.cpu_count() or 1), metavar="N",
                       help="requests that are answered at once (default: %(default)s)")  # fmt: skip
    where.add_argument(
        "--grpc_channel_arguments", default="", metavar="KEY=VALUE,…", help="options of gRPC's server (default: none)"
    )
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
    addresses = _addresses(args.listen, args.port) if args.port else []
    addresses += [f"unix:{args.grpc_socket_path}"] if args.grpc_socket_path else []
    if not addresses:
        raise UsageError("nowhere to listen: give --port or --grpc_socket_path")
    batching = read_batching(args.batching_parameters_file) if args.enable_batching else None
    credentials = _credentials(args.ssl_config_file)
    options = _channel_options(args.grpc_channel_arguments)
    trusted = args.trust_models or os.environ.get("HS_AUDIT_TRUST_MODELS") == "1"

    # Read as TensorFlow loads; without AVX-512 it leaves oneDNN off, which halves the time of a network there, too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    from serving.server.servable import Servable  # TensorFlow; whatever is wrong with the flags is said before it

    def load(name: str, path: Path) -> Servable:
        content = args.enable_serialization_as_tensor_content
        return Servable(name, path, batching, args.enable_model_warmup, content, trusted)

    served = ServedVersions(load, labels_may_wait=args.allow_version_labels_for_unavailable_models)
    config, stop = read_config(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    _load(served, config, stop)
    below = tuple(Path(model.base_path).absolute() for model in config.model_config_list.config)
    # After the first load, as TF Serving does: who can connect gets answers.
    server = start(
        served, addresses, args.grpc_max_threads, credentials, options,
        reload_below=below if args.allow_reload_config else None,
    )  # fmt: skip
    print(f"serving at {', '.join(addresses)}", file=sys.stderr, flush=True)
    _repeat(args.file_system_poll_wait_seconds, stop, served.poll)
    if args.model_config_file:
        _repeat(args.model_config_file_poll_wait_seconds, stop, lambda: served.reload(read_config()))
    stop.wait()
    server.stop(grace=_GRACE_S).wait(timeout=_GRACE_S)
    _leave()


def _load(served: ServedVersions, config: ModelServerConfig, stop: threading.Event) -> None:
    loading = ThreadPoolExecutor(1).submit(served.reload, config)  # in this thread a signal would wait for TensorFlow
    while wait([loading], timeout=0.1).not_done:
        if stop.is_set():
            _leave()
    try:
        loading.result()
    except Refusal as refusal:
        raise ContractBroken(f"nothing is served: {refusal}") from refusal


def _leave() -> NoReturn:
    sys.stderr.flush()
    os._exit(0)  # a Predict may never return, and Python would wait for its thread


def _addresses(host: str, port: int) -> list[str]:
    """Where gRPC listens; at each of the two on its own, as gRPC is content with one of them."""
    if not host:
        raise UsageError("--listen needs an address")
    if host != "localhost":
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return [f"127.0.0.1:{port}", f"[::1]:{port}"]
    return [f"127.0.0.1:{port}"]  # a machine without IPv6


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
    # gRPC would say of anything else that the address cannot be had.
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
            except (Refusal, UsageError, OSError) as error:  # a file half written is whole the next time
                logging.getLogger("hs_audit.serve").warning("%s", error)

    if every_s > 0:
        threading.Thread(target=loop, daemon=True).start()
