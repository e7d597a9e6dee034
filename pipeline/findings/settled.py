"""Settled matters: what officers found to be declared rightly, which a worklist does not raise again.

A matter is an importer, a declared code, and pictures. It is raised again where the evidence has changed: a picture
that is not among those decided on, nor nearly one of them; another declared code; or a code other than the declared one
that is recommended first, with more than the first had then. What was found to be wrong is no settled matter: the same
goods under the same wrong code again are what officers want to see. A later decision on the same matter counts.

FOLDER/settled/run_date=2026-11-21/settled.parquet
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

import pyarrow as pa

from hs.codes import may_be_one
from hs.errors import UsageError
from hs.pictures.looks import Look
from hs.ranking import Selection
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.findings.evidence import Audited, look_of, pictures_again, readable, seen
from pipeline.findings.finding import Finding, SourceRow
from pipeline.findings.parts import opened
from pipeline.findings.schema import SOURCE_FIELDS
from pipeline.findings.worklist import RANDOM, chosen_in, select

_PICTURE = pa.struct(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("hash", pa.uint64()),  # null where the archive did not give the picture any more
        pa.field("thumbnail", pa.binary()),
    ]
)
SETTLED = pa.schema(
    [
        *SOURCE_FIELDS,
        pa.field("importer", pa.string()),
        pa.field("declared_hs_code", pa.string(), nullable=False),
        pa.field("is_right", pa.bool_(), nullable=False),
        pa.field("decided_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("best_hs_code", pa.string()),  # recommended first
        pa.field("best_probability", pa.float64()),
        pa.field("pictures", pa.list_(_PICTURE), nullable=False),
    ]
)

_Key = tuple[str | None, str]  # importer and declared code
LooksOf = Callable[[Iterable[Finding]], Mapping[SourceRow, Mapping[str, Look]]]
"""Findings → row → SHA-256 → how that picture looks, of those that can be read again."""


@dataclass(frozen=True)
class Matter:
    """What was decided on one finding.

    Attributes:
        importer: as text; None where the archive names none.
        declared: digits of the declared code.
        is_right: whether the officer found it right.
        decided_at: when.
        best: the code that was recommended first, and its probability; None where none was.
        looks: SHA-256 of a picture → how it looks, None where that is not known.
    """

    importer: str | None
    declared: str
    is_right: bool
    decided_at: datetime
    best: tuple[str, float] | None
    looks: Mapping[str, Look | None]

    def shows(self, finding: Finding, looks: Mapping[str, Look]) -> bool:
        """Whether each picture of a finding is one of these, or nearly."""
        pictures = readable(finding)
        return bool(pictures) and all(sha256 in self.looks or self._nearly(looks.get(sha256)) for sha256 in pictures)

    def still_holds(self, finding: Finding) -> bool:
        """Whether no other code is recommended first with more than the first had then.

        The declared code is no other one, nor is the first of then at another depth, as a newer classifier may know it.
        """
        if not finding.recommendations:
            return True
        code, probability = self.best or (None, 0.0)
        now = finding.recommendations[0]
        may_be = any(known and may_be_one(now.hs_code.digits, known) for known in (code, self.declared))
        return may_be or now.probability <= probability

    def _nearly(self, look: Look | None) -> bool:
        return look is not None and any(known and look.is_nearly(known) for known in self.looks.values())


@dataclass(frozen=True)
class Settled:
    """The settled matters that a night knows of.

    Attributes:
        matters: from nights before it.
    """

    matters: Sequence[Matter] = ()

    def __bool__(self) -> bool:
        return bool(self.matters)

    def may_settle(self, finding: Finding) -> bool:
        """Whether there is a matter of the importer and the declared code."""
        return _key(finding) in self._by_key

    def settles(self, finding: Finding, looks: Mapping[str, Look]) -> bool:
        """Whether the matter of a finding is settled, and nothing has changed.

        Args:
            finding: of the night.
            looks: SHA-256 → how that picture looks; those that are the same file need none.
        """
        same = [matter for matter in self._by_key.get(_key(finding), ()) if matter.shows(finding, looks)]
        latest = max(same, key=lambda matter: matter.decided_at, default=None)
        return latest is not None and latest.is_right and latest.still_holds(finding)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of them, hex: what they keep off a worklist is the same where it is the same."""
        written = (
            (each.importer, each.declared, each.is_right, each.decided_at.isoformat(), each.best, sorted(each.looks))
            for each in self.matters
        )
        return hashlib.sha256("\n".join(sorted(map(repr, written))).encode()).hexdigest()

    @cached_property
    def _by_key(self) -> dict[_Key | None, list[Matter]]:
        found: dict[_Key | None, list[Matter]] = {}
        for matter in self.matters:
            found.setdefault((matter.importer, matter.declared), []).append(matter)
        return found


NOTHING_SETTLED = Settled()


@dataclass(frozen=True)
class Raised:
    """A worklist, and what was kept off it.

    Attributes:
        worklist: best first.
        settled: rows that would be on it, but their matter is settled.
    """

    worklist: pa.Table
    settled: Collection[SourceRow] = field(default_factory=frozenset)


def read_settled(folder: Location, before: date, stores: Stores) -> Settled:
    """The matters that were settled on nights before one, so that the same night again finds the same.

    Args:
        folder: what `hs-audit feedback` files to; one that is not there yet has none.
        before: the night.
        stores: how it is reached.

    Raises:
        UsageError: if they cannot be read.
    """
    matters: list[Matter] = []
    try:
        for facts in stores.files(folder / "settled"):
            file = facts.location
            night = file.parent.name.removeprefix("run_date=")
            if file.suffix == ".parquet" and date.fromisoformat(night) < before:
                with opened(file, stores) as parquet:
                    matters += map(_matter, parquet.read(SETTLED.names).to_pylist())
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UsageError(f"worklist.settled: {folder} cannot be read: {error}") from error
    return Settled(tuple(matters))


def raise_findings(
    parts: Sequence[Location], selection: Selection, settled: Settled, looks_of: LooksOf, stores: Stores
) -> Raised:
    """The worklist without settled matters; those behind take their places.

    What is drawn at random stays, settled or not: its hit rate is that of the whole night.

    Args:
        parts: files of findings.
        selection: what to choose.
        settled: the matters.
        looks_of: reads pictures again, where they are other files than those decided on.
        stores: how the files are reached.
    """
    left_out: set[SourceRow] = set()
    while True:
        worklist = select(parts, selection, stores, frozenset(left_out))
        now = _settled_in(worklist, settled, looks_of) if settled else set()
        if not now:
            return Raised(worklist, frozenset(left_out))
        left_out |= now


def looks_in(audited: Audited) -> LooksOf:
    """How the pictures of an archive look."""

    def looks(findings: Iterable[Finding]) -> dict[SourceRow, dict[str, Look]]:
        return {
            finding.source: looks_at(finding, pictures, audited)
            for finding, pictures in pictures_again(findings, audited)
            if not isinstance(pictures, str)
        }

    return looks


def looks_at(finding: Finding, pictures: list[bytes], audited: Audited) -> dict[str, Look]:
    """SHA-256 → how that picture looks, of those that the audit could read."""
    found = {sha256: look_of(data, audited.limits) for sha256, data in seen(finding, pictures).items()}
    return {sha256: look for sha256, look in found.items() if look}


def picture_rows(finding: Finding, looks: Mapping[str, Look]) -> list[dict[str, Any]]:
    """The pictures of a finding as `SETTLED` has them."""
    return [
        {"sha256": sha256, "hash": look and look.hash, "thumbnail": look and look.thumbnail}
        for sha256 in readable(finding)
        for look in [looks.get(sha256)]
    ]


def _settled_in(worklist: pa.Table, settled: Settled, looks_of: LooksOf) -> set[SourceRow]:
    ranked = (line.finding for line in chosen_in(worklist) if line.chosen_by != RANDOM)
    asked = [finding for finding in ranked if settled.may_settle(finding)]
    found = {finding.source for finding in asked if settled.settles(finding, {})}
    others = [finding for finding in asked if finding.source not in found]
    looks = looks_of(others) if others else {}
    return found | {each.source for each in others if settled.settles(each, looks.get(each.source, {}))}


def _key(finding: Finding) -> _Key | None:
    if finding.declared is None:
        return None
    importer = finding.kept.get("importer")
    return None if importer is None else str(importer), finding.declared.digits


def _matter(row: Mapping[str, Any]) -> Matter:
    looks = {
        each["sha256"]: None if each["hash"] is None else Look(each["hash"], each["thumbnail"])
        for each in row["pictures"]
    }
    best = None if row["best_hs_code"] is None else (row["best_hs_code"], row["best_probability"])
    return Matter(row["importer"], row["declared_hs_code"], row["is_right"], row["decided_at"], best, looks)
