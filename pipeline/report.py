"""The page that officers open: the night in figures, what it does not know, and the worklist with its pictures.

    manifest + worklist ──► figures, sentences
    archive ──► thumbnails (read again, one pass for each row group) ──► report.html, which needs nothing beside it

Every text may come from a hostile archive: it is escaped, cut where it is long, and its control characters are shown.
"""

import argparse
import base64
import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup
from PIL import ExifTags, Image

from pipeline.archive import ArchiveFile, DeadLetter, RowGroup, inspect, read_pictures
from pipeline.config import ColumnNames
from pipeline.findings import NOT_SCORED
from pipeline.pictures import PictureLimits, PictureSize, PictureStatus, decode
from pipeline.published import outside, read_manifest
from pipeline.rules.errors import UsageError
from pipeline.rules.hs_codes import LEVELS, HSCode
from pipeline.rules.nomenclature import description
from pipeline.rules.reasons import explain, file_words, level_name, picture_words, repair_words, verdict_words
from pipeline.rules.selection import By
from pipeline.rules.verdicts import VERDICT_OF, Reason, Verdict
from pipeline.worklist import NOT_KEPT, RANDOM

_MOST_PICTURES = 4
_MOST_RECOMMENDATIONS = 3
_MOST_CHARACTERS = 120
_SIDE = 224  # of a thumbnail, pixels
_QUALITY = 55

Finding = dict[str, Any]
Position = tuple[str, int, int]  # file, row group, row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("published", metavar="RUN", type=Path, help="a published run_date=… folder")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", default=Path(), help="folder of report.html (default: the current one)"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the page of a published run anew."""
    manifest = read_manifest(args.published)
    folder = outside(args.published, args.output)
    worklist = _read_worklist(args.published)
    configuration, page = manifest["configuration"], folder / "report.html"
    try:
        most = configuration["worklist"]["report_findings"]
        write_report(page, manifest, worklist, configuration["columns"]["images"], most)
    except OSError as error:
        raise UsageError(f"{page} cannot be written: {error.strerror}") from error
    print(page)
    return 0


def write_report(path: Path, manifest: dict[str, Any], worklist: pa.Table, images: str, most: int) -> None:
    """Writes the page of a night.

    Args:
        path: of the page.
        manifest: of the run.
        worklist: findings, best first, all columns.
        images: the archive's name of the column with the pictures.
        most: how many findings the page shows.
    """
    findings = worklist.slice(0, most).to_pylist()
    shown = _pictures_of(findings, manifest, images)
    chosen_by = worklist["chosen_by"].to_pylist()
    template = _environment().get_template("report.html")
    page = template.render(
        manifest=manifest,
        run_date=date.fromisoformat(manifest["run_date"]),
        groups=_groups(manifest),
        pictures=_picture_counts(manifest),
        chapters=_chapters(manifest),
        unread=_unread_files(manifest),
        worklist_rows=worklist.num_rows,
        by_revenue=By.REVENUE.value in chosen_by,
        drawn=chosen_by.count(RANDOM),
        entries=[_entry(rank, finding, shown[_position(finding)]) for rank, finding in enumerate(findings, start=1)],
    )
    path.write_text(page, encoding="utf-8")


def _read_worklist(published: Path) -> pa.Table:
    try:
        return pq.ParquetFile(published / "worklist.parquet").read()
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{published / 'worklist.parquet'} cannot be read: {error}") from error


@dataclass(frozen=True)
class Figure:
    """A line of a table.

    Attributes:
        name: stable and short, such as `low_confidence`.
        words: what it means.
        count: how many.
        share: of all that the table counts, 0 to 1.
    """

    name: str
    words: str
    count: int
    share: float


@dataclass(frozen=True)
class Group:
    """A verdict and the reasons that led to it."""

    verdict: Figure
    reasons: list[Figure]


@dataclass(frozen=True)
class Chapter:
    """How much of a declared chapter could be judged."""

    code: str
    description: str
    declarations: int
    judged: int
    differs: int


def _groups(manifest: dict[str, Any]) -> list[Group]:
    total = manifest["rows"]["findings"]
    groups = []
    for verdict in (Verdict.DIFFERS, Verdict.UNSURE, Verdict.AGREES, Verdict.CANNOT_JUDGE):
        counts = {reason: manifest["reasons"].get(reason, 0) for reason in Reason if VERDICT_OF[reason] is verdict}
        reasons = [_figure(reason, explain(reason), count, total) for reason, count in counts.items() if count]
        groups.append(
            Group(_figure(verdict, verdict_words(verdict), manifest["verdicts"].get(verdict, 0), total), reasons)
        )
    return groups


def _picture_counts(manifest: dict[str, Any]) -> list[Figure]:
    counts = manifest["pictures"]
    ordered = sorted(counts.items(), key=lambda entry: (entry[0] != PictureStatus.OK, -entry[1]))
    return [_figure(status, picture_words(status), count, sum(counts.values())) for status, count in ordered]


def _figure(name: str, words: str, count: int, total: int) -> Figure:
    return Figure(str(name), words, count, count / max(total, 1))


def _chapters(manifest: dict[str, Any]) -> list[Chapter]:
    return [
        Chapter(
            code,
            (description(HSCode(code)) or "not in the nomenclature") if code.isdecimal() else "no code could be read",
            counts.get("declarations", 0),
            counts.get("judged", 0),
            counts.get("differs", 0),
        )
        for code, counts in manifest["coverage_by_chapter"].items()
    ]


def _unread_files(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Name of each file of which something is missing, and what."""
    files = []
    for file in manifest["inputs"]:
        name = Path(file["path"]).name
        if "unreadable" in file:
            rows = "an unknown number of rows" if file["rows"] is None else counted(file["rows"], "row")
            files.append((name, f"{file_words(file['unreadable'])}: {rows} not read"))
        elif file["in_dead_letters"]:
            files.append((name, f"{file['in_dead_letters']:,} of {counted(file['rows'], 'row')} not read"))
    return files


@dataclass(frozen=True)
class Rung:
    """The declared code at one level, from the chapter down.

    Attributes:
        name: of the level.
        code: the declared code cut to it.
        probability: summed, of all codes under it.
        differs: whether the declaration differs here.
    """

    name: str
    code: HSCode
    probability: float
    differs: bool


@dataclass(frozen=True)
class Thumbnail:
    """A picture as the page shows it.

    Attributes:
        words: what became of it.
        uri: a small JPEG as a data URI; None where there is nothing to show.
        width, height: of the JPEG, pixels.
    """

    words: str
    uri: str | None = None
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Entry:
    """A finding as the page shows it.

    Attributes:
        rank: in the worklist, from 1.
        finding: the row.
        verdict: in words.
        why: in words.
        declared: the declared code as read, as the digits that agree and those from which on it differs.
        description: of the declared code.
        repair: in words, or None.
        rungs: the declared code level by level.
        kept: label and text of the passed-through columns that are not null.
        pictures: at most four.
    """

    rank: int
    finding: Finding
    verdict: str
    why: str
    declared: tuple[str, str] | None
    description: str | None
    repair: str | None
    rungs: list[Rung]
    kept: list[tuple[str, str]]
    pictures: list[Thumbnail]

    @property
    def recommendations(self) -> list[dict[str, Any]]:
        """The best three."""
        return self.finding["recommendations"][:_MOST_RECOMMENDATIONS]


def _entry(rank: int, finding: Finding, pictures: list[Thumbnail]) -> Entry:
    digits, differs_at = finding["declared_hs_code_normalized"], finding["differs_at"]
    declared = HSCode(digits) if digits else None
    recommended = [HSCode(best["hs_code"]) for best in finding["recommendations"]]
    return Entry(
        rank,
        finding,
        verdict_words(Verdict(finding["verdict"])),
        explain(Reason(finding["reason"]), declared, differs_at, recommended),
        _parted(declared, differs_at) if declared else None,
        description(declared) if declared else None,
        repair_words(finding["code_repair"]) if finding["code_repair"] else None,
        list(_rungs(declared, finding)) if declared else [],
        list(_kept(finding)),
        pictures,
    )


def _parted(code: HSCode, differs_at: int | None) -> tuple[str, str]:
    """A code before and after the digits from which on it differs.

    >>> _parted(HSCode("8708290000"), 6), _parted(HSCode("870829"), None)
    (('8708.', '29.0000'), ('8708.29', ''))
    """
    if differs_at is None:
        return str(code), ""
    dots = sum(differs_at > level for level in (4, 6))
    position = differs_at - 2 + dots
    return str(code)[:position], str(code)[position:]


def _rungs(declared: HSCode, finding: Finding) -> Iterator[Rung]:
    for level in LEVELS:
        code, probability = declared.at(level), finding[f"declared_probability_{level}"]
        if code is not None and probability is not None:
            yield Rung(level_name(level), code, probability, level >= (finding["differs_at"] or max(LEVELS) + 1))


def _kept(finding: Finding) -> Iterator[tuple[str, str]]:
    for name, value in finding.items():
        if name not in NOT_KEPT and value is not None:
            yield name.replace("_", " ").capitalize(), _text(value)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return f"{value:,.12g}" if isinstance(value, float) else str(value)


def _position(finding: Finding) -> Position:
    return finding["source_file"], finding["source_row_group"], finding["source_row"]


def _pictures_of(findings: list[Finding], manifest: dict[str, Any], images: str) -> dict[Position, list[Thumbnail]]:
    """The thumbnails of each finding, from the archive as it is now."""
    by_file: dict[str, dict[int, dict[int, list[dict]]]] = defaultdict(lambda: defaultdict(dict))
    for finding in findings:
        file, row_group, row = _position(finding)
        by_file[file][row_group][row] = finding["pictures"]
    limits = _limits(manifest)
    shown: dict[Position, list[Thumbnail]] = {}
    for file, row_groups in by_file.items():
        archive_file = _as_audited(file, manifest)
        for row_group, rows in row_groups.items():
            for row, recorded in rows.items():
                shown[file, row_group, row] = _without_archive(recorded, archive_file)
            if isinstance(archive_file, ArchiveFile):
                source = RowGroup(file, row_group, archive_file.row_groups[row_group])
                for row, pictures in _reread(source, set(rows), images):
                    shown[file, row_group, row] = _thumbnails(pictures, rows[row], limits)
    return shown


def _limits(manifest: dict[str, Any]) -> PictureLimits:
    pictures = manifest["configuration"]["pictures"]
    return PictureLimits(tuple(pictures["formats"]), pictures["max_bytes"], pictures["max_pixels"])


def _as_audited(file: str, manifest: dict[str, Any]) -> ArchiveFile | str:
    """An archive file that is still the one that was audited, or a sentence why its pictures cannot be shown."""
    found = inspect(Path(file), ColumnNames.model_validate(manifest["configuration"]["columns"]))
    if isinstance(found, DeadLetter):
        return f"The archive file {file_words(found.reason)}."
    audited = {read["path"]: read.get("footer_sha256") for read in manifest["inputs"]}
    if found.footer_digest != audited.get(file):
        return f"The archive file {file_words('changed')}."
    return found


def _reread(source: RowGroup, rows: set[int], images: str) -> Iterator[tuple[int, list[bytes]]]:
    """The pictures of some rows, as far as they can be read."""
    try:
        yield from read_pictures(source, rows, images)
    except (pa.ArrowException, OSError):
        return


def _without_archive(recorded: list[dict], archive_file: ArchiveFile | str) -> list[Thumbnail]:
    """What stands in the place of pictures that the archive does not give any more."""
    why = archive_file if isinstance(archive_file, str) else f"The archive file {file_words('bad_page')}."
    return [
        Thumbnail(why if picture["status"] == PictureStatus.OK else picture_words(picture["status"], picture["detail"]))
        for picture in recorded[:_MOST_PICTURES]
    ]


def _thumbnails(pictures: list[bytes], recorded: list[dict], limits: PictureLimits) -> list[Thumbnail]:
    found = dict(enumerate(pictures))
    return [_thumbnail(found.get(i, b""), record, limits) for i, record in enumerate(recorded[:_MOST_PICTURES])]


def _thumbnail(data: bytes, recorded: dict, limits: PictureLimits) -> Thumbnail:
    words = picture_words(recorded["status"], recorded["detail"])
    if recorded["status"] not in (PictureStatus.OK, NOT_SCORED):
        return Thumbnail(words)
    if hashlib.sha256(data).hexdigest() != recorded["sha256"]:
        return Thumbnail("The picture was changed after the run.")
    picture = decode(data, PictureSize(_SIDE, _SIDE), limits)
    if picture.pixels is None:
        return Thumbnail(picture_words(picture.status, picture.detail))
    width, height = _fitted(data)
    return Thumbnail(words, _data_uri(picture.pixels, width, height), width, height)


def _fitted(data: bytes) -> tuple[int, int]:
    """Width and height of a picture that was decoded, made to fit a thumbnail; square where that is unknown."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            lying = picture.format != "TIFF" and picture.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except Exception:  # Pillow's plugins raise nearly anything on hostile files
        return _SIDE, _SIDE
    if lying:
        width, height = height, width
    scale = _SIDE / max(width, height)
    return max(8, round(width * scale)), max(8, round(height * scale))


def _data_uri(pixels: np.ndarray, width: int, height: int) -> str:
    """Squashed pixels, uint8 [H, W, 3], as a JPEG of their true shape."""
    out = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(out, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


# Controls, and what is invisible or turns the direction of writing: U+202E shows 0180 as 0810.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


def visible(value: object) -> object:
    r"""Shows the characters of a text that hide.

    >>> visible("08\u202e10")
    '08[U+202E]10'
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _HIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", value)


def shortened(text: str) -> str:
    """The beginning of a long text, and how long it is."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}… ({len(text):,} characters)"


def percent(share: float) -> str:
    """A share as people read it; only none is 0 and only all is 100.

    >>> percent(0.125), percent(0.00001), percent(0.99999), percent(1.0)
    ('12.5%', '<0.1%', '>99.9%', '100.0%')
    """
    if 0 < share < 0.001:
        return "<0.1%"
    return ">99.9%" if 0.999 < share < 1 else f"{share:.1%}"


def chance(probability: float) -> str:
    """A probability as people read it: never none, never certain.

    >>> chance(0.0), chance(1.0)
    ('<0.1%', '>99.9%')
    """
    return percent(min(max(probability, 1e-9), 1 - 1e-9))


def counted(count: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "declaration"), counted(1200, "row")
    ('1 declaration', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
    )
    environment.filters |= {
        "chance": chance,
        "code": lambda digits: str(HSCode(digits)),
        "counted": counted,
        "percent": percent,
        "shortened": shortened,
    }
    return environment
