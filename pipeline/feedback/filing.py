"""Decisions on a run → what is filed: decisions, new cases, settled matters, and the truth that `score` reads.

FOLDER/decisions/run_date=2026-11-21/decisions.parquet   the latest decision on each finding
FOLDER/cases/2026-11-21.parquet                          `hs-audit train --cases FOLDER/cases`
FOLDER/settled/run_date=2026-11-21/settled.parquet       `worklist.settled: FOLDER`
FOLDER/truth/run_date=2026-11-21/truth.csv               `hs-audit score RUN --truth`

All of it follows from the decisions: a file is written again only where it changes, and what a kill left undone is done
by the same command again.
"""

import csv
import io
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hs.errors import UsageError
from hs.files import alone
from hs.pictures.looks import Look
from hs.spreadsheets import neutralised
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.text import excerpt
from hs.verdicts import Reason
from pipeline.feedback.cases import cases_file, write_cases
from pipeline.feedback.decision import Decision, Ruling
from pipeline.feedback.records import DECISIONS, Chances, Record, merged, record_of
from pipeline.findings.evidence import Audited, pictures_again, readable, seen
from pipeline.findings.finding import Finding, SourceRow, source_of
from pipeline.findings.parts import opened
from pipeline.findings.settled import SETTLED, looks_at, picture_rows
from pipeline.runs.published import Run, findings_at

_TRUTH = ("declaration_id", "item_no", "kind", "true_hs_code")
_KIND_OF_REASON = {
    Reason.CODE_MALFORMED: "bad code",
    Reason.CODE_UNKNOWN: "bad code",
    Reason.OLDER_EDITION: "bad code",
    Reason.OUTSIDE_SCOPE: "outside",
    Reason.SURE_OF_OTHERS: "outside",
}
_LONGEST_ID = 1_000


@dataclass
class Filed:
    """What became of the decisions on a night.

    Attributes:
        became: decisions that were `new`, `replaced` an earlier one, were `filed` already, or were `older` than that.
        rulings: ruling → how many are filed of the night by now.
        cases: how many are filed.
        without_pictures: sentence → decisions that make no case, as their pictures are not to be had.
        settled: matters that are filed.
        truth: lines of the truth.
        not_in_truth: decisions that it cannot hold: no id, an id that stands there twice, or that is no plain text.
        written: the files that changed.
    """

    became: Counter[str]
    rulings: Counter[str]
    cases: int = 0
    without_pictures: Counter[str] = field(default_factory=Counter)
    settled: int = 0
    truth: int = 0
    not_in_truth: int = 0
    written: list[Location] = field(default_factory=list)


def against(decisions: Iterable[Decision], findings: Mapping[SourceRow, Finding]) -> list[str]:
    """A sentence for each decision that does not fit the finding that it is on."""
    return [f"{each.place}: {wrong}" for each in decisions if (wrong := _misfit(each, findings.get(each.source)))]


def conflicts(decisions: Iterable[Decision]) -> list[str]:
    """A sentence for each finding on which files that were given together say different things."""
    by_source: dict[SourceRow, Decision] = {}
    found = []
    for decision in decisions:
        other = by_source.setdefault(decision.source, decision)
        if decision.contradicts(other):
            found.append(f"{other.place} says {_said(other)}, {decision.place} says {_said(decision)}")
    return found


def latest(decisions: Iterable[Decision]) -> list[Decision]:
    """The latest decision on each finding, in the order in which they were made."""
    in_order = sorted(decisions, key=lambda decision: decision.decided_at)
    return list({decision.source: decision for decision in in_order}.values())


def in_sheets(decisions: Iterable[Decision], run_files: Iterable[str]) -> list[Decision]:
    """The decisions with the names that files have: in a sheet they were made fit for it."""
    named = {neutralised(file): file for file in run_files}
    return [
        replace(each, source=each.source._replace(file=named.get(each.source.file, each.source.file)))
        if each.from_a_sheet
        else each
        for each in decisions
    ]


def file_decisions(
    run: Run, decisions: Sequence[Decision], findings: Mapping[SourceRow, Finding], chances: Chances, folder: Location,
    stores: Stores,
) -> Filed:  # fmt: skip
    """Files what was decided on a run; everything was checked before.

    Args:
        run: the run.
        decisions: on its findings, one on each.
        findings: those that they are on.
        chances: how they came to be looked at.
        folder: where to.
        stores: how it is reached.

    Raises:
        UsageError: if it cannot be written, or what is filed cannot be read.
    """
    night = date.fromisoformat(run.manifest["run_date"])
    try:
        with _held(folder):
            before = filed_records(folder, night, stores)
            records, became = merged(
                before, (record_of(each, findings[each.source], run, chances) for each in decisions)
            )
            filed = Filed(became, Counter(record["decision"] for record in records))
            _write(filed, decisions_file(folder, night), _as_parquet(records, DECISIONS), stores)
            findings = {**findings, **_of_this_run(run, records, findings)}
            _file_evidence(filed, run, night, records, findings, folder, stores)
            lines, filed.not_in_truth = _truth(records)
            filed.truth = len(lines)
            _write(filed, folder / "truth" / f"run_date={night}" / "truth.csv", _as_csv(lines), stores)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{folder} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    return filed


def decisions_file(folder: Location, night: date) -> Location:
    """Where the decisions on a night are filed."""
    return folder / "decisions" / f"run_date={night}" / "decisions.parquet"


def filed_records(folder: Location, night: date, stores: Stores) -> list[Record]:
    """The decisions that are filed on a night."""
    file = decisions_file(folder, night)
    if not stores.exists(file):
        return []
    return _records_in(file, stores)


def all_records(folder: Location, stores: Stores) -> Iterator[Record]:
    """The decisions that are filed on any night, each with its `run_date`, in the order of the nights.

    Raises:
        UsageError: if there are none, or they cannot be read.
    """
    try:
        files = [each.location for each in stores.files(folder / "decisions") if each.location.suffix == ".parquet"]
        if not files:
            raise UsageError(f"{folder} has no decisions; give the folder that `hs-audit feedback` filed to")
        for file in files:
            night = file.parent.name.removeprefix("run_date=")
            yield from (record | {"run_date": night} for record in _records_in(file, stores))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UsageError(f"{folder} cannot be read: {error}") from error


def _records_in(file: Location, stores: Stores) -> list[Record]:
    """The decisions of a file; what its version did not keep yet is None."""
    with opened(file, stores) as parquet:
        rows = parquet.read(DECISIONS.names).to_pylist()
    return [dict.fromkeys(DECISIONS.names) | row for row in rows]


def _misfit(decision: Decision, finding: Finding | None) -> str | None:
    if finding is None:
        file, row_group, row = decision.source
        return f"the run has no finding of row {row} of row group {row_group} of {excerpt(file)}"
    if not decision.from_a_sheet:
        for name in ("declaration_id", "item_no"):
            written, there = getattr(decision, name), getattr(finding, name)
            if written is not None and written != there:
                return f"{name} is {excerpt(repr(written), 60)}, and the finding's is {excerpt(repr(there), 60)}"
    if decision.shown:
        there = (finding.verdict, finding.reason)
        if (decision.shown.verdict, decision.shown.reason) != there:
            was = f"{decision.shown.verdict} ({decision.shown.reason})"
            return f"{excerpt(was)} was shown, and the finding is {there[0]} ({there[1]})"
        codes = [code.digits for code in finding.recommended]
        if list(decision.shown.recommended) != codes[: len(decision.shown.recommended)]:
            return f"other codes were shown than the finding recommends, which are {', '.join(codes) or 'none'}"
    code = decision.correct_code
    if code and finding.declared and finding.declared.at(6) == code:
        return f"the declared code is called wrong, and {code} correct, which is what was declared"
    return None


def _said(decision: Decision) -> str:
    return f"{decision.ruling}" + (f", {decision.correct_code}" if decision.correct_code else "")


def _held(folder: Location) -> AbstractContextManager[None]:
    """On a disk, two who file to one folder do so one after the other."""
    if not folder.is_local:
        return nullcontext()
    folder.path.mkdir(parents=True, exist_ok=True)
    return alone(folder.path)


def _of_this_run(
    run: Run, records: Iterable[Record], known: Mapping[SourceRow, Finding]
) -> Mapping[SourceRow, Finding]:
    """The findings of what was filed before, as far as this run has them."""
    sources = {source_of(each) for each in records if each["run_id"] == run.manifest["run_id"]} - set(known)
    return findings_at(run, sources) if sources else {}


def _file_evidence(
    filed: Filed, run: Run, night: date, records: Sequence[Record], findings: Mapping[SourceRow, Finding],
    folder: Location, stores: Stores,
) -> None:  # fmt: skip
    """Cases and settled matters: what needs the pictures, which are read once for both."""
    cases, audited = cases_file(folder, night, records, stores), Audited.of(run.manifest)
    file = folder / "settled" / f"run_date={night}" / "settled.parquet"
    settled = _settled(records, findings, _filed_pictures(file, stores))
    asked = {source: findings[source] for source in cases.lacking if source in findings}
    asked |= {source: findings[source] for source, row in settled.items() if _blind(row) and source in findings}
    missing = dict.fromkeys(cases.lacking - set(asked), "The night was audited anew since.")

    def from_archive() -> Iterator[tuple[SourceRow, Mapping[str, bytes]]]:
        for finding, pictures in pictures_again(asked.values(), audited):
            if isinstance(pictures, str):
                missing[finding.source] = pictures
                continue
            if finding.source in settled:
                settled[finding.source]["pictures"] = picture_rows(finding, looks_at(finding, pictures, audited))
            if finding.source in cases.lacking:
                found = seen(finding, pictures)
                if not found:
                    changed = "The pictures were changed after the run." if readable(finding) else "No picture."
                    missing[finding.source] = changed
                yield finding.source, found

    if cases.lacking & set(asked) or not cases.is_as_it_should_be:
        there = write_cases(cases, from_archive(), stores)
        if there != set(cases.filed) or not cases.is_as_it_should_be:
            filed.written.append(cases.file)
    else:
        there = set(cases.filed)
        deque(from_archive(), maxlen=0)  # for the settled matters alone
    filed.cases = len(there)
    filed.without_pictures = Counter(missing[source] for source in cases.lacking if source in missing)
    filed.settled = sum(row["is_right"] for row in settled.values())
    _write(filed, file, _as_parquet(list(settled.values()), SETTLED), stores)


def _settled(
    records: Iterable[Record], findings: Mapping[SourceRow, Finding], filed: Mapping[SourceRow, list[dict[str, Any]]]
) -> dict[SourceRow, dict[str, Any]]:
    """Row → its matter, with the pictures that are filed, or that the finding names."""
    none: dict[str, Look] = {}
    found = {}
    for record in records:
        source = source_of(record)
        pictures = filed.get(source) or (picture_rows(findings[source], none) if source in findings else [])
        if record["decision"] == Ruling.CANNOT_TELL or not record["declared_hs_code"] or not pictures:
            continue
        best = record["recommended"][0] if record["recommended"] else {"hs_code": None, "probability": None}
        found[source] = {
            **source.as_columns(),
            "importer": record["importer"],
            "declared_hs_code": record["declared_hs_code"],
            "is_right": record["decision"] == Ruling.RIGHT,
            "decided_at": record["decided_at"],
            "best_hs_code": best["hs_code"],
            "best_probability": best["probability"],
            "pictures": pictures,
        }
    return found


def _filed_pictures(file: Location, stores: Stores) -> dict[SourceRow, list[dict[str, Any]]]:
    if not stores.exists(file):
        return {}
    with opened(file, stores) as parquet:
        return {source_of(row): row["pictures"] for row in parquet.read(SETTLED.names).to_pylist()}


def _blind(matter: Mapping[str, Any]) -> bool:
    """Whether no picture of a matter was looked at yet."""
    return all(picture["hash"] is None for picture in matter["pictures"])


def _truth(records: Iterable[Record]) -> tuple[list[tuple[str, ...]], int]:
    """The lines of the truth, and how many decisions it cannot hold."""
    lines: dict[tuple[str, str], set[tuple[str, ...]]] = defaultdict(set)
    count: Counter[tuple[str, str]] = Counter()
    left_out = 0
    for record in records:
        if record["decision"] == Ruling.CANNOT_TELL:
            continue
        name, item = record["declaration_id"], "" if record["item_no"] is None else str(record["item_no"])
        if name is None or name.strip() != name or len(name) > _LONGEST_ID or neutralised(name) != name or "-" in item:
            left_out += 1
            continue
        count[name, item] += 1
        lines[name, item].add((name, item, _kind(record), _true_code(record)))
    # Two rows with one id of which only one is right: a line cannot say which.
    left_out += sum(count[key] for key, of_key in lines.items() if len(of_key) > 1)
    return sorted(line for of_key in lines.values() if len(of_key) == 1 for line in of_key), left_out


def _kind(record: Record) -> str:
    return _KIND_OF_REASON.get(Reason(record["reason"]), str(record["decision"]))


def _true_code(record: Record) -> str:
    if record["decision"] == Ruling.WRONG:
        return record["correct_code"] or ""
    known = _KIND_OF_REASON.get(Reason(record["reason"])) != "bad code"
    return record["declared_hs_code"] or "" if known else ""


def _as_csv(lines: Collection[tuple[str, ...]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows([_TRUTH, *lines])
    return out.getvalue().encode("utf-8-sig")


def _as_parquet(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema), out)
    return out.getvalue().to_pybytes()


def _write(filed: Filed, file: Location, content: bytes, stores: Stores) -> None:
    """Writes a file whole, unless it is that already."""
    if not (stores.exists(file) and stores.read_bytes(file) == content):
        stores.write_bytes(file, content)
        filed.written.append(file)
