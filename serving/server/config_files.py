"""The files that `tensorflow_model_server` reads at its start, in protobuf's text format.

`ModelServerConfig` comes with the package of the protocol. `BatchingParameters` and `SSLConfig` do not: their fields
are declared here, as TensorFlow Serving's `session_bundle_config.proto` and `ssl_config.proto` name them.
"""

from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message

from hs.errors import UsageError
from hs.text import excerpt
from serving.messages import ModelServerConfig

_PACKAGE = "hs_audit.server_files"  # not theirs: two declarations of one name in a process are an error
_AnyMessage = TypeVar("_AnyMessage", bound=Message)


def _declare(name: str, **fields: type | str) -> Any:
    """A message class; a field is text, bool, int (repeated), or a wrapper message of `google.protobuf`."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.{name}", package=_PACKAGE, syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    declared = file.message_type.add(name=name)
    types = {
        str: (FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.LABEL_OPTIONAL),
        bool: (FieldDescriptorProto.TYPE_BOOL, FieldDescriptorProto.LABEL_OPTIONAL),
        int: (FieldDescriptorProto.TYPE_INT64, FieldDescriptorProto.LABEL_REPEATED),
    }
    for number, (field, kind) in enumerate(fields.items(), start=1):  # any numbers: the text format goes by names
        if isinstance(kind, str):
            whole = f".google.protobuf.{kind}"
            optional = FieldDescriptorProto.LABEL_OPTIONAL
            declared.field.add(name=field, number=number, type="TYPE_MESSAGE", type_name=whole, label=optional)
        else:
            declared.field.add(name=field, number=number, type=types[kind][0], label=types[kind][1])
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


BatchingParameters = _declare(
    "BatchingParameters",
    max_batch_size="Int64Value",
    batch_timeout_micros="Int64Value",
    max_enqueued_batches="Int64Value",
    num_batch_threads="Int64Value",
    thread_pool_name="StringValue",
    allowed_batch_sizes=int,
    pad_variable_length_inputs=bool,
    enable_large_batch_splitting="BoolValue",
    max_execution_batch_size="Int64Value",
)
SSLConfig = _declare("SSLConfig", server_key=str, server_cert=str, custom_ca=str, client_verify=bool)


def read_text_file(path: Path, kind: type[_AnyMessage]) -> _AnyMessage:
    """Reads a file in protobuf's text format.

    Raises:
        UsageError: if it cannot be read, or is no such message.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), kind())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        name = f"tensorflow.serving.{kind.DESCRIPTOR.name}"
        raise UsageError(
            f"Error parsing text-format {name}: {path}: {excerpt(str(error))}"
        ) from error  # as TF Serving words it


def single_model_config(name: str, folder: Path, version: int | None = None) -> ModelServerConfig:
    """The configuration that serves one model: its newest version, or the one that is named."""
    config = ModelServerConfig()
    model = config.model_config_list.config.add(name=name, base_path=str(folder), model_platform="tensorflow")
    if version is not None:
        model.model_version_policy.specific.versions.append(version)
    return config
