"""Why two runs may say something else of the same declaration, as far as their manifests tell."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.runs.manifest import DECIDES
from pipeline.versions import DECIDE


class Cause(StrEnum):
    """What may have changed a finding."""

    INPUT = "input"
    MODEL = "model"
    THRESHOLDS = "thresholds"
    EDITION = "edition"
    CONFIGURATION = "configuration"
    VERSIONS = "versions"
    SERVER = "server"
    UNREAD = "unread"
    UNTOLD = "untold"


WORDS = {
    Cause.INPUT: "another input",
    Cause.MODEL: "another model",
    Cause.THRESHOLDS: "other thresholds",
    Cause.EDITION: "another edition of the nomenclature",
    Cause.CONFIGURATION: "another configuration",
    Cause.VERSIONS: "other versions of libraries",
    Cause.SERVER: "a picture without an answer in one of the runs",
    Cause.UNREAD: "a row that one of the runs could not read",
    Cause.UNTOLD: "nothing that the manifests tell",
}


@dataclass(frozen=True)
class Told:
    """What differs between two manifests.

    Attributes:
        cause: which kind.
        sentence: what was, and what is.
    """

    cause: Cause
    sentence: str


def told_by(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Told]:
    """What differs between two manifests and decides on findings."""
    return [
        *_of_input(before, after),
        *_of_model(before["model"], after["model"]),
        *_of_tables(before.get("nomenclature", {}), after.get("nomenclature", {})),
        *(Told(Cause.THRESHOLDS, each) for each in _changed(before["thresholds"], after["thresholds"])),
        *_of_configuration(before["configuration"], after["configuration"]),
        *_of_versions(before["versions"], after["versions"]),
    ]


def by_cause(told: Iterable[Told]) -> dict[Cause, str]:
    """The sentences of each cause in one line."""
    lines: dict[Cause, str] = {}
    for each in told:
        lines[each.cause] = f"{lines[each.cause]}; {each.sentence}" if each.cause in lines else each.sentence
    return lines


def same_input(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two runs read the same files, all of which could be read; where these lie does not count."""
    files, others = _digests(before), _digests(after)
    return None not in files and len(set(files)) == len(files) and sorted(map(str, files)) == sorted(map(str, others))


def _digests(manifest: Mapping[str, Any]) -> list[str | None]:
    return [file.get("footer_sha256") for file in manifest["inputs"]]


def _of_input(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Told]:
    if sorted(map(str, _digests(before))) != sorted(map(str, _digests(after))):
        rows = (f"{manifest['rows']['in_footers']:,} rows of {manifest['run_date']}" for manifest in (before, after))
        yield Told(Cause.INPUT, " → ".join(rows))


def _of_model(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Told]:
    was, now = before["card"], after["card"]
    named, digests = [_named(before), _named(after)], [was["weights_digest"], now["weights_digest"]]
    if named[0] != named[1] or digests[0] != digests[1]:
        weights = "the same weights" if digests[0] == digests[1] else "other weights"
        yield Told(Cause.MODEL, f"{named[0]} → {named[1]}, {weights}")
    if was["hs_edition"] != now["hs_edition"]:
        yield Told(Cause.EDITION, f"{was['hs_edition']} → {now['hs_edition']}")


def _of_tables(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Told]:
    was, now = ({name: table["sha256"] for name, table in side.get("tables", {}).items()} for side in (before, after))
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            what = "a table less" if name not in now else "a table more" if name not in was else "another table"
            yield Told(Cause.EDITION, f"{name}: {what}")
    if before and after and before["max_successors"] != after["max_successors"]:
        yield Told(Cause.EDITION, f"max_successors: {before['max_successors']} → {after['max_successors']}")


def _named(model: Mapping[str, Any]) -> str:
    return f"{model['name']} version {model['version']}"


def _of_configuration(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Told]:
    for name in sorted(DECIDES - {"nomenclature"}):  # whose tables are told, wherever they lie
        was, now = before.get(name), after.get(name)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            ignored = {"thresholds"} if name == "verdict" else set()  # told with the thresholds that held
            both = ({key: value for key, value in side.items() if key not in ignored} for side in (was, now))
            yield from (Told(Cause.CONFIGURATION, f"{name}.{each}") for each in _changed(*both))
        elif was != now:
            yield Told(Cause.CONFIGURATION, f"{name}: {was} → {now}")


def _of_versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Told]:
    for name in DECIDE:
        if before.get(name) != after.get(name):
            yield Told(Cause.VERSIONS, f"{name} {before.get(name)} → {after.get(name)}")


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    # A key that only one of two versions of hs-audit writes counts where it has a value.
    for name in [*before, *(name for name in after if name not in before)]:
        if (was := before.get(name)) != (now := after.get(name)):
            # Limits of levels are a page of numbers, which nobody compares by eye.
            yield (
                f"{name}: others"
                if _of_mappings(was) and _of_mappings(now)
                else f"{name}: {_shown(was)} → {_shown(now)}"
            )


def _of_mappings(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(each, Mapping) for each in value)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)
