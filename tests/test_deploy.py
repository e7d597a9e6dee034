"""The kit for the GPU, as far as it can be tried without a container: the bundled server takes its files."""

import shlex
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, text_format

import serving
from serving.client.client import Client
from serving.client.connection import Connection
from serving.server.batching import read_batching
from serving.server.config_files import BatchingParameters, read_text_file
from tests.servers import models, start_anywhere, write_scaler

DEPLOY = Path(next(iter(serving.__path__))) / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def test_the_bundled_server_takes_the_model_configuration(tmp_path):
    from serving.messages import ModelServerConfig

    for version in (1, 2):
        write_scaler(tmp_path / "hs", version)
    text = (DEPLOY / "models.config").read_text().replace("/models/hs", str(tmp_path / "hs"))
    what = models(read_batching(DEPLOY / "batching.config"), labels_may_wait=True)
    what.reload(text_format.Parse(text, ModelServerConfig()))
    server, address = start_anywhere(what)
    client = Client(Connection(address))

    found = [client.available_version("hs", label=label) for label in ("stable", "canary")]

    client.close()
    server.stop(None).wait()
    what.close()
    assert found == [1, 2]


def test_the_batching_parameters_fit_what_a_worker_sends():
    from pipeline.config import Server

    batching, ours = read_batching(DEPLOY / "batching.config"), Server()

    assert batching.max_batch_size == ours.batch_size * ours.in_flight
    assert ours.batch_size in batching.allowed_sizes


def test_mixed_precision_keeps_the_batching_parameters():
    from tensorflow.core.protobuf import config_pb2
    from tensorflow_serving.config.platform_config_pb2 import PlatformConfigMap

    adapter = _adapter_class(config_pb2)
    platform = read_text_file(DEPLOY / "platform.config", PlatformConfigMap)
    packed: any_pb2.Any = platform.platform_configs["tensorflow"].source_adapter_config
    config = adapter()
    assert packed.Unpack(config)

    rewriting = config.legacy_config.session_config.graph_options.rewrite_options
    batching = read_text_file(DEPLOY / "batching.config", BatchingParameters)
    assert rewriting.auto_mixed_precision == 1  # ON
    assert text_format.MessageToString(config.legacy_config.batching_parameters) == text_format.MessageToString(
        batching
    )


def _adapter_class(config_pb2):
    """TensorFlow Serving's `SavedModelBundleSourceAdapterConfig`, as far as we use it; its Python package lacks it."""
    file = descriptor_pb2.FileDescriptorProto(name="adapter.proto", package="tensorflow.serving", syntax="proto3")
    file.dependency.extend([config_pb2.DESCRIPTOR.name, BatchingParameters.DESCRIPTOR.file.name])
    session = file.message_type.add(name="SessionBundleConfig")
    for number, (name, kind) in enumerate(
        {
            "session_config": "tensorflow.ConfigProto",
            "batching_parameters": BatchingParameters.DESCRIPTOR.full_name,
        }.items(),
        start=2,
    ):
        session.field.add(name=name, number=number, type="TYPE_MESSAGE", type_name=f".{kind}", label="LABEL_OPTIONAL")
    adapter = file.message_type.add(name="SavedModelBundleSourceAdapterConfig")
    whole = ".tensorflow.serving.SessionBundleConfig"
    adapter.field.add(name="legacy_config", number=1000, type="TYPE_MESSAGE", type_name=whole, label="LABEL_OPTIONAL")
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("tensorflow.serving.SavedModelBundleSourceAdapterConfig")
    )


@pytest.mark.parametrize("resource", KUBERNETES, ids=lambda resource: resource["kind"])
def test_the_manifests_keep_the_schema_of_kubernetes(resource):
    kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def flags_of(command: list[str]) -> dict[str, str]:
    return dict(flag.removeprefix("--").split("=", 1) for flag in command)


def test_compose_and_kubernetes_start_the_same_server():
    (container,) = KUBERNETES[0]["spec"]["template"]["spec"]["containers"]
    service = COMPOSE["services"]["tf-serving"]

    assert container["image"] == service["image"] == "tensorflow/serving:2.19.1-gpu"
    assert flags_of(container["args"]) == flags_of(service["command"])


def test_every_flag_and_file_of_the_kit_is_known():
    import argparse

    from serving.server.main import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    flags = COMPOSE["services"]["tf-serving"]["command"]

    parser.parse_args(flags)

    files = [Path(value).name for value in flags_of(flags).values() if value.startswith("/config/")]
    assert sorted(files) == ["batching.config", "models.config", "monitoring.config"]
    assert all((DEPLOY / name).is_file() for name in files)


def test_compose_mounts_what_the_configuration_names():
    service = COMPOSE["services"]["tf-serving"]
    mounted = {volume.rsplit(":", 2)[1] for volume in service["volumes"]}
    base_path = "/models/hs"

    assert mounted == {base_path, "/config"}
    assert f'base_path: "{base_path}"' in (DEPLOY / "models.config").read_text()
    assert shlex.split(service["healthcheck"]["test"][-1])[0] == "exec"


def test_compose_opens_its_ports_to_its_own_machine_unless_it_is_told_an_address():
    ports = COMPOSE["services"]["tf-serving"]["ports"]

    assert ports == [f"${{LISTEN:-127.0.0.1}}:{port}:{port}" for port in (8500, 8501)]
