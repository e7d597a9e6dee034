"""A finding as people read it one by one: typed, whatever schema version its run was published with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa

from hs.codes import LEVELS, HSCode, may_be_one
from hs.precedents import Precedent
from hs.verdicts import Reason, Verdict
from hs.words import explain
from pipeline.findings.as_python import values_of
from pipeline.findings.schema import FIELD_NAMES, FIELDS

SOURCE_ROW = ("source_file", "source_row_group", "source_row")
_code = lru_cache(65536)(HSCode)  # a night has few codes: a known one takes a twentieth of making and checking it
_ALWAYS_THERE = tuple(field.name for field in FIELDS if not field.nullable)  # what comes later must be nullable


class SourceRow(NamedTuple):
    """Where a declaration stands in the archive; the key of its finding.

    Attributes:
        file: absolute path.
        row_group: of the file.
        row: counted from the start of the row group.
    """

    file: str
    row_group: int
    row: int

    def as_columns(self) -> dict[str, str | int]:
        """By the names that it has in tables."""
        return dict(zip(SOURCE_ROW, self, strict=True))


def source_of(row: Mapping[str, Any]) -> SourceRow:
    """Where a row of a table of findings, or of what was made of them, stands in the archive."""
    return SourceRow(*(row[name] for name in SOURCE_ROW))


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A code that the pictures speak for, and what it stands for in the nomenclature."""

    hs_code: HSCode
    probability: float
    description: str | None


@dataclass(frozen=True, slots=True)
class PictureRecord:
    """What became of a picture.

    Attributes:
        sha256: of its bytes, hex.
        status: `ok`, why it could not be read, or `not_scored`.
        detail: for people, such as what a thing that is no picture is.
        weight: share of what the pictures say together; None for one that did not count.
        hash: 16 hex digits by which it is known when it was saved again; None where it has none.
    """

    sha256: str
    status: str
    detail: str | None
    weight: float | None
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class Partner:
    """A declaration of another importer or under another code that has the same picture.

    Attributes:
        run_date: its night.
        importer: as text; None where the archive names none.
        declared: its code as read; None where that cannot be.
        sha256: of its picture.
        distance: bits of the 64 of the two hashes that differ.
    """

    run_date: date
    declaration_id: str | None
    item_no: int | None
    importer: str | None
    declared: HSCode | None
    sha256: str
    distance: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What the audit says of one declaration; the names are those of the columns where nothing else is said.

    Attributes:
        source: where the declaration stands.
        declared_hs_code: as written.
        declared: as read.
        hs_edition: of the nomenclature, in force on the declaration's date; None where no tables were configured.
        declared_edition: that the declared code is read in.
        successors: the codes in force that the declared code stands for, where that is not itself.
        precedents: rulings that its pictures are like, those of the recommended code before those of the declared one.
        partners: other declarations with the same picture, those under other codes first; five at most.
        stock_pictures: SHA-256 of its pictures that too many use to tell anything.
        declared_probabilities: level → summed probability of the declared code, for each level that was judged.
        kept: the passed-through columns.
    """

    run_id: str
    run_date: date
    declaration_id: str | None
    item_no: int | None
    source: SourceRow
    declared_hs_code: str | None
    declared: HSCode | None
    code_repair: str | None
    verdict: Verdict
    reason: Reason
    differs_at: int | None
    hs_edition: str | None
    declared_edition: str | None
    successors: tuple[HSCode, ...]
    recommendations: tuple[Recommendation, ...]
    declared_probabilities: Mapping[int, float]
    risk: float | None
    images_total: int
    images_used: int
    disagreement: float | None
    novelty: float | None
    pictures: tuple[PictureRecord, ...]
    precedents: tuple[Precedent, ...]
    partners: tuple[Partner, ...]
    stock_pictures: tuple[str, ...]
    model_name: str
    model_version: int
    kept: Mapping[str, object]

    @property
    def mismatch(self) -> bool:
        """Whether the declared code looks wrong."""
        return self.verdict is Verdict.DIFFERS

    @property
    def shares_picture(self) -> bool:
        """Whether the same picture stands under another code."""
        others = (each.declared.digits for each in self.partners if each.declared)
        return self.declared is not None and under_another_code(self.declared.digits, others)

    @property
    def recommended(self) -> list[HSCode]:
        """The codes that the pictures speak for, best first."""
        return [best.hs_code for best in self.recommendations]

    def why(self, language: str = "en") -> str:
        """Why the declaration got its verdict, in one sentence."""
        about = (self.declared, self.differs_at, self.recommended)
        return explain(self.reason, *about, language, self.declared_edition, self.successors)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Finding":
        """A row of findings, typed; a column that its schema version did not have yet is None.

        Raises:
            ValueError: if a column that every version has is missing, or a value is none of ours.
        """
        missing = [name for name in _ALWAYS_THERE if name not in row]
        if missing:
            raise ValueError(f"no findings: they have no column {', '.join(missing)}")
        as_they_stand: dict[str, Any] = {name: row.get(name) for name in _AS_THEY_STAND}
        declared = row.get("declared_hs_code_normalized")
        return cls(
            **as_they_stand,
            source=source_of(row),
            declared=_code(declared) if declared else None,
            verdict=Verdict(row["verdict"]),
            reason=Reason(row["reason"]),
            successors=tuple(map(_code, row.get("successors") or ())),
            recommendations=tuple(_recommendation(best) for best in row["recommendations"]),
            declared_probabilities=_judged_levels(row),
            pictures=tuple(_picture(picture) for picture in row["pictures"]),
            precedents=tuple(Precedent(**one) for one in row.get("precedents") or ()),
            partners=tuple(map(_partner, row.get("partners") or ())),
            stock_pictures=tuple(row.get("stock_pictures") or ()),
            kept={name: value for name, value in row.items() if name not in FIELD_NAMES},
        )


_MADE = {
    "verdict", "reason", "successors", "recommendations", "pictures", "precedents", "partners", "stock_pictures",
}  # fmt: skip
_AS_THEY_STAND = tuple(field.name for field in fields(Finding) if field.name in FIELD_NAMES - _MADE)


def under_another_code(declared: str | None, others: Iterable[str | None]) -> bool:
    """Whether one of other codes is surely not the declared one."""
    return any(declared and other and not may_be_one(declared, other) for other in others)


def findings_in(table: pa.Table | pa.RecordBatch) -> list[Finding]:
    """The findings of a table of them.

    Raises:
        ValueError: if it holds something else.
    """
    return [Finding.from_row(row) for row in rows_of(table)]


def rows_of(table: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as Python values; the one place where they become that."""
    names, columns = table.schema.names, [values_of(column) for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _recommendation(written: Mapping[str, Any]) -> Recommendation:
    return Recommendation(_code(written["hs_code"]), written["probability"], written.get("description"))


def _picture(written: Mapping[str, Any]) -> PictureRecord:
    more = (written.get(name) for name in ("detail", "weight", "hash"))
    return PictureRecord(written["sha256"], written["status"], *more)


def _partner(written: Mapping[str, Any]) -> Partner:
    declared = written["declared_hs_code"]
    return Partner(
        **{name: value for name, value in written.items() if name != "declared_hs_code"},
        declared=_code(declared) if declared else None,
    )


def _judged_levels(row: Mapping[str, Any]) -> dict[int, float]:
    probabilities = {level: row.get(f"declared_probability_{level}") for level in LEVELS}
    return {level: probability for level, probability in probabilities.items() if probability is not None}
