"""The gRPC services of the bundled server: Predict, GetModelMetadata, GetModelStatus and HandleReloadConfigRequest."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from grpc import StatusCode

from hs.errors import UsageError
from serving.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServiceServicer,
    PredictionServiceServicer,
    PredictRequest,
    PredictResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
    add_ModelServiceServicer_to_server,
    add_PredictionServiceServicer_to_server,
)
from serving.server.refusal import Refusal, invalid
from serving.server.served_versions import ServedVersions

_MOST_MESSAGE_BYTES = 2400  # it may repeat what was sent; gRPC writes three for one, and drops headers beyond 8 kB


def start(
    served: ServedVersions,
    addresses: list[str],
    threads: int,
    credentials: grpc.ServerCredentials | None = None,
    options: list[tuple[str, Any]] | None = None,
    interceptors: list[grpc.ServerInterceptor] | None = None,
    reload_below: tuple[Path, ...] | None = None,
) -> grpc.Server:
    """Starts answering.

    Args:
        served: what is served.
        addresses: `host:port` or `unix:/path`.
        threads: requests that are answered at once.
        credentials: of the ports, None for connections in the clear; sockets are always in the clear.
        options: of gRPC's server, after ours.
        interceptors: see requests before they are answered.
        reload_below: where a client that sends another configuration may find models; None if nobody may send one.

    Raises:
        UsageError: if an address cannot be had.
    """
    # A client that sends what is no message would write a traceback of gRPC's into our log each time.
    logging.getLogger("grpc._common").setLevel(logging.CRITICAL)
    unlimited = [
        ("grpc.max_receive_message_length", -1),  # gRPC's own limit is 4 MiB, a request of 64 pictures 10 MB
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # else a second server can have the same port, and a share of the requests
    ]
    server = grpc.server(ThreadPoolExecutor(threads), options=[*unlimited, *(options or [])], interceptors=interceptors)
    add_PredictionServiceServicer_to_server(_Prediction(served), server)
    add_ModelServiceServicer_to_server(_ModelStatus(served, reload_below), server)
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


def _answered(answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any, grpc.ServicerContext], Any]:
    """Makes a method of a servicer: refusals become status codes."""

    def method(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(self, request)
        except Refusal as refusal:
            message = refusal.message.encode()[:_MOST_MESSAGE_BYTES].decode(errors="ignore")
            context.abort(refusal.code, message)

    return method


def _lies_below(base_path: str, folders: tuple[Path, ...]) -> bool:
    try:  # as it is written, so that nothing outside is looked at, then where its links lead
        return all(
            any(Path(place(base_path)).is_relative_to(place(folder)) for folder in folders)
            for place in (os.path.abspath, os.path.realpath)
        )
    except ValueError:  # a zero byte
        return False


def _need_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


class _Prediction(PredictionServiceServicer):
    def __init__(self, served: ServedVersions) -> None:
        self._served = served

    @_answered
    def Predict(self, request: PredictRequest) -> PredictResponse:
        _need_spec(request)
        return self._served.find(request.model_spec).predict(request)

    @_answered
    def GetModelMetadata(self, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
        _need_spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        if unknown := [name for name in request.metadata_field if name != "signature_def"]:
            raise invalid(f"Metadata field {unknown[0]} is not supported")
        servable = self._served.find(request.model_spec)
        response = GetModelMetadataResponse(model_spec=servable.spec())
        response.metadata["signature_def"].Pack(servable.signatures)
        return response


class _ModelStatus(ModelServiceServicer):
    def __init__(self, served: ServedVersions, reload_below: tuple[Path, ...] | None) -> None:
        self._served, self._reload_below = served, reload_below

    @_answered
    def GetModelStatus(self, request: GetModelStatusRequest) -> GetModelStatusResponse:
        _need_spec(request)
        return self._served.status(request.model_spec)

    @_answered
    def HandleReloadConfigRequest(self, request: ReloadConfigRequest) -> ReloadConfigResponse:
        if self._reload_below is None:
            raise Refusal(StatusCode.PERMISSION_DENIED, "no configuration is taken: --allow_reload_config is off")
        for model in request.config.model_config_list.config:
            if not _lies_below(model.base_path, self._reload_below):  # whether it exists or not is not told
                raise invalid(f"base path {model.base_path} is not below a folder that was configured at the start")
        self._served.reload(request.config)
        response = ReloadConfigResponse()
        response.status.error_code = 0
        return response
