"""Classified declarations → findings, one for each, by the rules of `hs.verdicts`; and counts, of lies too."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from hs.class_table import ClassTable
from hs.codes import LEVELS, HSCode
from hs.declared_codes import ParsedCode
from hs.precedents import likely_listed, shown_beside
from hs.ranking import Draw
from hs.verdicts import Evidence, Judge, Judgement, Verdict, which_count
from pipeline.archive.dates import days_in
from pipeline.findings.schema import findings_schema
from pipeline.job.reports import REPORTS, Reported, reported_at_the_end
from pipeline.values import NOT_SCORED, Classified, Declarations

FINDINGS = "findings"

CountPlanted = Callable[[Classified, pa.RecordBatch], Mapping[tuple[str, str], int]]

_MOST_SHOWN = 256  # characters of a declared code, far beyond what one can have


@dataclass(frozen=True)
class FindingsTable:
    """Turns classified declarations into rows of findings.

    Attributes:
        run_id: digest of what the run is made of.
        run_date: the night.
        model_name, model_version: as pinned.
        judge: the rules.
        kept: our name and type of each column that is passed through.
        draw: which rows may be drawn at random for the worklist; None for none.
    """

    run_id: str
    run_date: date
    model_name: str
    model_version: int
    judge: Judge
    kept: tuple[tuple[str, pa.DataType], ...] = ()
    draw: Draw | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """The findings' schema: our fields, then the kept columns."""
        return findings_schema(self.kept)

    def findings(self, classified: Classified) -> pa.RecordBatch:
        """One finding per declaration, in the same order."""
        declarations = classified.declarations
        written = declarations.columns.column("declared_hs_code").to_pylist()
        rows = []
        days = days_of(declarations, self.judge)
        for row, (code, mine) in enumerate(zip(written, declarations.picture_slices(), strict=True)):
            parsed = self.judge.read(code)
            counted = counted_once(classified, mine)
            judgement = self.judge(parsed, evidence(classified, mine, counted), days[row])
            table = self.judge.table_on(days[row])
            listed = likely_listed(judgement) or may_be_drawn(declarations, row, self.draw)
            rows.append(
                {
                    "source_row": declarations.first_row + row,
                    "declared_hs_code": _as_written(code),
                    "declared_hs_code_normalized": parsed.code.digits if parsed.code else None,
                    "code_repair": parsed.repair,
                    **self._judgement_fields(judgement),
                    "precedents": _precedents(classified, counted, parsed, judgement, table) if listed else [],
                    **_picture_fields(classified, mine, dict(zip(counted, judgement.weights, strict=False))),
                    "partners": None,  # who has the same picture is known when all of the night is judged
                    "stock_pictures": None,
                }
            )
        return self._assemble(declarations, rows)

    def _judgement_fields(self, judgement: Judgement) -> dict[str, Any]:
        return {
            "verdict": judgement.verdict.value,
            "reason": judgement.reason.value,
            "mismatch": judgement.verdict is Verdict.DIFFERS,
            "differs_at": judgement.differs_at,
            "hs_edition": judgement.edition,
            "declared_edition": judgement.declared_edition,
            "successors": list(judgement.successors) or None,
            "risk": judgement.risk,
            "disagreement": judgement.disagreement,
            "novelty": judgement.novelty,
            "recommendations": [
                {
                    "hs_code": best.code.digits,
                    "probability": best.probability,
                    "description": self._description(best.code, judgement.edition),
                }
                for best in judgement.recommendations
            ],
            **{f"declared_probability_{level}": judgement.declared_probabilities.get(level) for level in LEVELS},
        }

    def _description(self, code: HSCode, edition: str | None) -> str | None:
        of = code.digits, edition
        if of not in self._descriptions:
            self._descriptions[of] = self.judge.nomenclature.description(code, edition)
        return self._descriptions[of]

    @cached_property
    def _descriptions(self) -> dict[tuple[str, str | None], str | None]:
        """What codes that were recommended so far are called; there are no more of them than classes."""
        return {}

    def _assemble(self, declarations: Declarations, rows: list[dict[str, Any]]) -> pa.RecordBatch:
        count = len(rows)
        constant = {
            "run_id": self.run_id,
            "run_date": self.run_date,
            "source_file": declarations.source.file,
            "source_row_group": declarations.source.index,
            "model_name": self.model_name,
            "model_version": self.model_version,
        }
        arrays = []
        for field in self.schema:
            if field.name in constant:
                arrays.append(pa.repeat(pa.scalar(constant[field.name], field.type), count))
            # The declared code as read may be a number, or a megabyte of text: its row has it as it is shown.
            elif field.name in declarations.columns.schema.names and field.name != "declared_hs_code":
                arrays.append(declarations.columns.column(field.name))
            else:
                arrays.append(pa.array([row[field.name] for row in rows], field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def days_of(declarations: Declarations, judge: Judge) -> list[date | None]:
    """The date of each declaration, where it matters to a judge; None where it has none."""
    if judge.nomenclature.is_built_in or "date" not in declarations.columns.schema.names:
        return [None] * declarations.rows
    return days_in(declarations.columns.column("date"))


def may_be_drawn(declarations: Declarations, row: int, draw: Draw | None) -> bool:
    """Whether a row of some declarations may be drawn at random for the worklist."""
    source = declarations.source
    return draw is not None and draw.may_take(source.file, source.index, declarations.first_row + row)


def counted_once(classified: Classified, mine: slice) -> list[int]:
    """The positions of a declaration's classified pictures that count."""
    answered = [position for position in range(mine.start, mine.stop) if classified.statuses[position] == "ok"]
    return [answered[place] for place in which_count([classified.digests[position] for position in answered])]


def evidence(classified: Classified, mine: slice, counted: list[int]) -> Evidence:
    """What a declaration's pictures say, of which those at `counted` are looked at."""
    statuses = classified.statuses[mine]
    readable = sum(status in ("ok", NOT_SCORED) for status in statuses)
    novelty = classified.novelty[counted]
    given = novelty if not np.isnan(novelty).any() else None
    return Evidence(len(statuses), readable, classified.probabilities[counted], given)


def _precedents(
    classified: Classified, counted: list[int], declared: ParsedCode, judgement: Judgement, table: ClassTable
) -> list[dict[str, Any]]:
    """The rulings to show beside a finding that is likely on the worklist."""
    found = [one for position in counted for one in classified.precedents.get(position, ())]
    if not found or not judgement.recommendations:
        return []
    return [asdict(one) for one in shown_beside(found, judgement, declared.code, table)]


def _picture_fields(classified: Classified, mine: slice, weights: dict[int, float]) -> dict[str, Any]:
    digests, statuses, details = classified.digests[mine], classified.statuses[mine], classified.details[mine]
    hashes = classified.hashes[mine] or [0] * len(digests)
    return {
        "images_total": len(statuses),
        "images_used": sum(status == "ok" for status in statuses),
        "pictures": [
            {
                "sha256": digest,
                "status": str(status),
                "detail": detail,
                "weight": weights.get(position),
                "hash": f"{hash_:016x}" if hash_ else None,
            }
            for position, (digest, status, detail, hash_) in enumerate(
                zip(digests, statuses, details, hashes, strict=True), mine.start
            )
        ],
    }


def _as_written(code: str | int | float | None) -> str | None:
    if isinstance(code, str) and len(code) > _MOST_SHOWN:
        return f"{code[:_MOST_SHOWN]}… ({len(code):,} characters)"  # a megabyte a row would fill memory and disk
    return None if code is None else str(code)


@dataclasses.dataclass
class JudgeDeclarations(beam.PTransform):
    """Classified declarations → `findings`, Arrow batches in their schema, and `reports`: counts, of lies too.

    Attributes:
        table: how findings are made.
        count_planted: a batch and its findings → how planted lies fare in it; None without a self-test.
    """

    table: FindingsTable
    count_planted: CountPlanted | None = None

    def expand(self, classified: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Judges batch by batch."""
        judge = _Judge(self.table, self.count_planted)
        return classified | beam.ParDo(judge).with_outputs(REPORTS, main=FINDINGS)


class _Judge(beam.DoFn):
    def __init__(self, table: FindingsTable, count_planted: CountPlanted | None) -> None:
        self._table, self._count_planted = table, count_planted

    def start_bundle(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def process(self, classified: Classified) -> Iterator[pa.RecordBatch]:
        findings = self._table.findings(classified)
        yield findings
        self._counts.update(classified.counts)
        if self._count_planted:
            # Counts alone leave a worker: no finding is made of a lie.
            self._counts.update(self._count_planted(classified, findings))

    def finish_bundle(self) -> Iterator[Reported]:
        if self._counts:
            yield reported_at_the_end(counts=[(*what, count) for what, count in self._counts.items()])
