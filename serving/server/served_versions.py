"""Which versions of which models are served: what the configuration aspires to, and what could be loaded.

A new version is loaded and warmed up before the old one goes. One that cannot be loaded is reported by its status and
tried again when its files change; the old one stays.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grpc import StatusCode

from hs.files import versions
from serving.messages import (
    GetModelStatusResponse,
    ModelConfig,
    ModelServerConfig,
    ModelSpec,
    ModelVersionStatus,
)
from serving.server.refusal import Refusal, invalid

if TYPE_CHECKING:
    from serving.server.servable import Servable

_log = logging.getLogger("hs_audit.serve")

LoadVersion = Callable[[str, Path], "Servable"]
FileMarks = frozenset[tuple[str, int, int]]


@dataclass
class _Standing:
    """Where a version stands.

    Attributes:
        state: of `ModelVersionStatus.State`.
        servable: what answers, once it is AVAILABLE.
        refusal: why it could not be loaded.
        files: what was there when it was tried.
    """

    state: int
    servable: "Servable | None" = None
    refusal: Refusal | None = None
    files: FileMarks = frozenset()


class ServedVersions:
    """The models of a server; every method may be called from any thread.

    Args:
        load: (name of a model, folder of a version) → what answers for it, or a Refusal.
        labels_may_wait: whether a label may name a version that is not available yet.
    """

    def __init__(self, load: LoadVersion, labels_may_wait: bool = False) -> None:
        self._load, self._labels_may_wait = load, labels_may_wait
        self._reloading = threading.Lock()  # held while versions are loaded, so that one change ends before the next
        self._configs: dict[str, ModelConfig] = {}
        self._standings: dict[str, dict[int, _Standing]] = {}  # replaced, never changed, so that readers need no lock

    def reload(self, config: ModelServerConfig) -> None:
        """Serves what a configuration names, and nothing else; returns when all of that was tried.

        Raises:
            Refusal: if it cannot be; what was served before is served on, except where a model has no version that can
                be loaded.
        """
        wanted = self._validated(config)
        with self._reloading:
            new = set(wanted) - set(self._configs)  # what is served already goes on with its old version
            self._configs = wanted
            self._update()
        if failed := [wanted[name] for name in sorted(new) if not self._available(name)]:
            reasons = "; ".join(f"{model.name}: {self._why_absent(model)}" for model in failed)
            raise Refusal(StatusCode.UNKNOWN, f"{len(failed)} servable(s) did not become available: {{{reasons}}}")

    def poll(self) -> None:
        """Looks whether versions have come or gone."""
        with self._reloading:
            self._update()

    def find(self, spec: ModelSpec) -> "Servable":
        """What answers for a model, version or label.

        Raises:
            Refusal: if nothing does.
        """
        available = self._available(spec.name)
        named = self._version_named(spec)
        version = max(available, default=None) if named is None else named
        if version in available:
            return available[version]
        wanted = f"Latest({spec.name})" if named is None else f"Specific({spec.name}, {named})"
        raise Refusal(StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")

    def status(self, spec: ModelSpec) -> GetModelStatusResponse:
        """Where the versions of a model stand, newest first, or the one that is named.

        Raises:
            Refusal: NOT_FOUND if there was never such a version.
        """
        standings = self._standings.get(spec.name, {})
        if not standings:
            raise Refusal(StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        if (named := self._version_named(spec)) is not None:
            if named not in standings:
                raise Refusal(StatusCode.NOT_FOUND, f"Could not find version {named} of model {spec.name}")
            standings = {named: standings[named]}
        response = GetModelStatusResponse()
        for version, standing in sorted(standings.items(), reverse=True):
            said = response.model_version_status.add(version=version, state=standing.state)
            if standing.refusal:
                said.status.error_code = standing.refusal.code.value[0]
                said.status.error_message = standing.refusal.message
            else:
                said.status.error_code = 0  # the default, but writing it makes the status present, as TF Serving's is
        return response

    def close(self) -> None:
        """Lets every version go."""
        with self._reloading:
            self._configs = {}
            self._update()

    def _version_named(self, spec: ModelSpec) -> int | None:
        """The version that a request names by number or label, there or not; None where it wants the newest."""
        if spec.WhichOneof("version_choice") != "version_label":
            return spec.version.value if spec.HasField("version") else None
        model = self._configs.get(spec.name)
        if model is None or spec.version_label not in model.version_labels:
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        return model.version_labels[spec.version_label]

    def _available(self, name: str) -> "dict[int, Servable]":
        standings = self._standings.get(name, {})
        return {number: standing.servable for number, standing in standings.items() if standing.servable}

    def _why_absent(self, model: ModelConfig) -> str:
        refusals = [standing.refusal for standing in self._standings.get(model.name, {}).values() if standing.refusal]
        return str(refusals[-1]) if refusals else f"no version in {model.base_path}"

    def _validated(self, config: ModelServerConfig) -> dict[str, ModelConfig]:
        if config.WhichOneof("config") != "model_config_list":
            raise invalid("ServerModelConfig type not supported. Only ModelConfigList is currently supported")
        wanted: dict[str, ModelConfig] = {}
        for model in config.model_config_list.config:
            if model.name in wanted:
                raise invalid(f"Illegal to list model {model.name} multiple times in config list")
            if model.model_platform not in ("tensorflow", ""):
                raise invalid(f"model {model.name} is of platform {model.model_platform!r}, served is 'tensorflow'")
            if Path(model.base_path).resolve().is_relative_to("/proc"):  # its folders have numbers, but are processes
                raise invalid(f"base path {model.base_path} for servable {model.name} is no folder of models")
            if not Path(model.base_path).is_dir():
                raise invalid(f"Could not find base path {model.base_path} for servable {model.name}")
            for version in model.version_labels.values():
                if not self._labels_may_wait and version not in self._available(model.name):
                    raise Refusal(
                        StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {model.name}, which is not currently "
                        "available for inference",
                    )
            wanted[model.name] = model
        return wanted

    def _update(self) -> None:
        for name in dict.fromkeys([*self._configs, *self._standings]):
            model = self._configs.get(name)
            aspired = _aspired(model) if model else {}
            for version, path in aspired.items():
                self._load_if_changed(name, version, path)
            available = self._available(name)
            if model and not available.keys() & aspired.keys():
                continue  # an old version is better than none
            for version in available.keys() - aspired.keys():
                self._unload(name, version)

    def _load_if_changed(self, name: str, version: int, path: Path) -> None:
        before, files = self._standings.get(name, {}).get(version), frozenset(_file_marks(path))
        if before and (before.servable or (before.refusal and before.files == files)):
            return
        self._stand(name, version, _Standing(ModelVersionStatus.LOADING, files=files))
        try:
            servable = self._load(name, path)
        except Refusal as error:
            _log.warning("model %s version %d cannot be loaded: %s", name, version, error)
            self._stand(name, version, _Standing(ModelVersionStatus.END, refusal=error, files=files))
        else:
            _log.info("model %s version %d is served", name, version)
            self._stand(name, version, _Standing(ModelVersionStatus.AVAILABLE, servable, files=files))

    def _unload(self, name: str, version: int) -> None:
        servable = self._standings[name][version].servable
        # First not to be found any more, then closed: who found it just before is still answered.
        self._stand(name, version, _Standing(ModelVersionStatus.END))
        _log.info("model %s version %d is no longer served", name, version)
        if servable:
            servable.close()

    def _stand(self, name: str, version: int, standing: _Standing) -> None:
        self._standings = self._standings | {name: self._standings.get(name, {}) | {version: standing}}


def _aspired(model: ModelConfig) -> dict[int, Path]:
    """The versions in a model's folder that its policy asks for; the newest if it has none."""
    policy = model.model_version_policy
    there = versions(Path(model.base_path))
    numbers = list(there)
    match policy.WhichOneof("policy_choice"):
        case "all":
            wanted = numbers
        case "specific":
            wanted = [version for version in numbers if version in policy.specific.versions]
        case "latest":
            wanted = numbers[-(policy.latest.num_versions or 1) :]  # 0 is what protobuf reads where nothing is written
        case _:
            wanted = numbers[-1:]
    return {version: there[version] for version in wanted}


def _file_marks(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of each file of a version: while it is being copied, they change."""
    for file in path.rglob("*"):
        try:
            about = file.stat()
        except OSError:  # gone since it was listed, as the temporary files of a copy go, or not ours to see
            continue
        yield str(file), about.st_size, about.st_mtime_ns
