"""One finding of a published run again: read from the archive, classified by the pinned model, judged, and compared.

finding ─► archive as it was? ─► model as pinned? ─► read ─► classify ─► judge ─► differences
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from hs.card import Card
from hs.editions import BUILT_IN, Nomenclature
from hs.errors import ContractBroken, NothingToRead, UsageError
from hs.storage.location import Location
from hs.words import file_words
from pipeline.archive.footers import ArchiveFile, inspect
from pipeline.archive.row_groups import read_row_group
from pipeline.config import Config
from pipeline.findings.finding import Finding, findings_in
from pipeline.job.classify import classified_here
from pipeline.job.judge import FindingsTable
from pipeline.night import with_a_server
from pipeline.resolving import judge_of
from pipeline.runs.manifest import DECIDES
from pipeline.runs.published import Run, kept_types
from pipeline.values import DeadLetter, Declarations, Layout, RowGroup
from pipeline.versions import deciding_versions
from serving.client.connection import Connection
from serving.contract import ServedModel

TOLERANCE = 1e-5  # of a probability: the same picture in another request moves it by 1e-7


@dataclass(frozen=True)
class Difference:
    """What a finding says, and what it says now; None where one of them says nothing of it."""

    name: str
    was: object
    now: object


@dataclass(frozen=True)
class Replayed:
    """A finding held beside the one that comes out now.

    Attributes:
        finding: as published.
        differences: what is not the same.
        largest: difference between two probabilities.
    """

    finding: Finding
    differences: tuple[Difference, ...]
    largest: float

    @property
    def is_the_same(self) -> bool:
        """Whether all of it is, probabilities within `TOLERANCE`."""
        return not self.differences


def configuration_of(run: Run, given: Config | None) -> Config:
    """The configuration that decided on a run's findings, and its server with the version pinned.

    Args:
        run: published.
        given: has server and storage as they are now; None for those of the run.

    Raises:
        UsageError: if the manifest has none that this version can read.
    """
    recorded, model = run.manifest["configuration"], run.manifest["model"]
    wanted = {name: recorded[name] for name in (*sorted(DECIDES), "server", "storage") if name in recorded}
    try:
        config = Config.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"the configuration in the manifest of {run.name} cannot be read: {where}: {first['msg']}"
        ) from error
    server = given.server if given else config.server.model_copy(update={"address": None, "model": model["name"]})
    pinned = server.model_copy(update={"version": model["version"], "label": None})
    return config.model_copy(update={"server": pinned, "storage": given.storage if given else config.storage})


def require_pinned(run: Run, model: ServedModel) -> None:
    """Refuses a model that is not the run's, whatever its number.

    Raises:
        ContractBroken: if its weights or its card are others.
    """
    recorded = Card.from_json(json.dumps(run.manifest["model"]["card"]))
    served = f"version {model.version} of {model.name}"
    if model.card.weights_digest != recorded.weights_digest:
        digests = f"the run was made with {recorded.weights_digest}, served are {model.card.weights_digest}"
        raise ContractBroken(f"{served} has other weights than {run.name} was made with: {digests}")
    if model.card != recorded or len(model.table) != run.manifest["model"]["classes"]:
        raise ContractBroken(f"{served} has the weights of {run.name}, but another card or other classes")


def replay(
    run: Run, finding: Finding, config: Config, model: ServedModel, connection: Connection,
    look_alikes: Sequence[tuple[str, str]], nomenclature: Nomenclature = BUILT_IN,
) -> Replayed:  # fmt: skip
    """Scores a finding again.

    Args:
        run: it is of.
        finding: as published.
        config: that decided on it, see `configuration_of`.
        model: the run's, see `require_pinned`.
        connection: where it is served.
        look_alikes: pairs of codes that no picture can tell apart.
        nomenclature: the editions, see `tables_of`.

    Raises:
        NothingToRead: if the archive is gone or is another one.
        AuditError: one of its kinds, if the server or the storage stayed away.
    """
    declaration = _read_again(run, finding, config)
    judge, types = judge_of(config, model, look_alikes, nomenclature, finding.run_date), kept_types(run)
    table = FindingsTable(finding.run_id, finding.run_date, finding.model_name, model.version, judge, types)
    (again,) = findings_in(table.findings(classified_here(with_a_server(config, model, connection), declaration)))
    return compared(finding, again)


def changed_versions(recorded: Mapping[str, str | None]) -> list[str]:
    """What decides on findings and is another version than that of a manifest, as `pillow 12.1.0, now 12.3.0`."""
    return [
        f"{name} {recorded.get(name)}, now {now}"
        for name, now in deciding_versions().items()
        if recorded.get(name) != now
    ]


def compared(was: Finding, now: Finding) -> Replayed:
    """Two findings of one declaration, side by side."""
    before, after = _facts(was), _facts(now)
    numbers = [
        abs(value - after[name])
        for name, value in before.items()
        if isinstance(value, float) and isinstance(after.get(name), float)
    ]
    differences = tuple(
        Difference(name, before.get(name), after.get(name))
        for name in before | after
        if not _alike(before.get(name), after.get(name))
    )
    return Replayed(was, differences, max(numbers, default=0.0))


def _alike(was: object, now: object) -> bool:
    if isinstance(was, float) and isinstance(now, float):
        return abs(was - now) <= TOLERANCE or (math.isnan(was) and math.isnan(now))
    return was == now


def _facts(finding: Finding) -> dict[str, Any]:
    """What a finding says, by names for people.

    Risk is left out: it follows from the probabilities, near 0 three hundred times as steeply. So does the order of the
    codes.
    """
    said: dict[str, Any] = {
        "declared code as written": finding.declared_hs_code,
        "declared code as read": finding.declared and str(finding.declared),
        "repair": finding.code_repair,
        "verdict": str(finding.verdict),
        "reason": str(finding.reason),
        "differs at": finding.differs_at,
        "edition in force": finding.hs_edition,
        "declared code is of": finding.declared_edition,
        "successors": ", ".join(map(str, finding.successors)) or None,
        "disagreement of the pictures": finding.disagreement,
        "novelty": finding.novelty,
    }
    said |= {f"declared at {level} digits": share for level, share in finding.declared_probabilities.items()}
    said |= {f"probability of {best.hs_code}": best.probability for best in finding.recommendations}
    for number, picture in enumerate(finding.pictures, start=1):
        said |= {
            f"picture {number}, SHA-256": picture.sha256,
            f"picture {number}": " ".join(filter(None, (picture.status, picture.detail))),
            f"picture {number}, weight": picture.weight,
        }
    return said | {f"column {name}": value for name, value in finding.kept.items()}


def _read_again(run: Run, finding: Finding, config: Config) -> Declarations:
    """The declaration of a finding, from an archive that is still the one that was audited."""
    source, stores = finding.source, config.stores()
    file = inspect(Location(source.file), config.columns, config.keep, stores)
    if isinstance(file, DeadLetter):
        raise NothingToRead(f"{source.file} {file_words(file.reason)} ({file.detail}): nothing was replayed")
    _refuse_if_changed(run, file)
    rows = file.row_groups[source.row_group]
    pointer = RowGroup(source.file, source.row_group, rows, file.stamp, source.row, source.row + 1)
    batch = next(read_row_group(pointer, _layout(run, config), stores))
    if isinstance(batch, DeadLetter):
        why = f"{source.file} {file_words(batch.reason)} ({batch.detail})"
        raise NothingToRead(f"the declaration can no longer be read: {why}")
    return batch


def _refuse_if_changed(run: Run, file: ArchiveFile) -> None:
    was: dict[str, Any] = next((read for read in run.manifest["inputs"] if read["path"] == file.path), {})
    if (was.get("footer_sha256"), was.get("bytes")) == (file.footer_digest, file.size_bytes):
        return
    then = f"{was.get('bytes', 0):,} bytes and a footer of SHA-256 {str(was.get('footer_sha256'))[:16]}…"
    now = f"{file.size_bytes:,} bytes and {file.footer_digest[:16]}…"
    raise NothingToRead(
        f"{file.path} {file_words('changed')}: it had {then}, now {now}; its rows may be other declarations, "
        "so nothing was replayed"
    )


def _layout(run: Run, config: Config) -> Layout:
    """The columns as the run read them, with the types that it gave them."""
    types, theirs = kept_types(run), asdict(config.columns)
    return Layout(config.columns, tuple((ours, theirs.get(ours) or ours) for ours, _ in types), types)
