"""Published nights with real archives, judged by colour, and the pages that are made of them."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from datetime import date
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hs.card import Card, Thresholds
from hs.class_table import ClassTable
from hs.pictures.decoding import PictureLimits, PictureSize, decode
from hs.precedents import Precedent
from hs.verdicts import Judge
from hs_audit.cli import main
from pipeline.archive.inputs import find_inputs
from pipeline.archive.row_groups import read_row_group
from pipeline.config import Config
from pipeline.findings.ledger import draw_up
from pipeline.findings.sheet import write_worklist
from pipeline.findings.worklist import select
from pipeline.job.judge import FindingsTable
from pipeline.runs.manifest import Attempt, manifest
from pipeline.values import Classified, Declarations
from serving.contract import ServedModel
from tests.archives import COLOURS, write_archive

RUN_DATE = date(2026, 11, 20)
THRESHOLDS = Thresholds(differs_below=0.05, agrees_above=0.4, unknown_above=0.75)
CARD = Card(8, 8, "bilinear", 2, "HS 2022", 1.0, THRESHOLDS, "sha256:0123")
TABLE = ClassTable((*COLOURS, "732620"))
KEPT = {"office": pa.string(), "importer_id": pa.string(), "customs_value": pa.float64(), "net_mass_kg": pa.float64()}


@dataclasses.dataclass
class Page:
    """A page, and what a browser makes of it before its script runs.

    Attributes:
        html: as written.
        elements: tag and attributes of each.
        text: what can be read, with single spaces.
        blocks: the JSON that the script starts from, by id.
    """

    html: str

    def __post_init__(self) -> None:
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        parser, pieces = HTMLParser(), []
        parser.handle_starttag = lambda tag, attributes: self.elements.append((tag, dict(attributes)))
        parser.handle_data = pieces.append
        body = self.html.partition("</style>")[2]
        parser.feed(re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", body, flags=re.S))
        self.text = re.sub(" (?=[.,;:])", "", " ".join(" ".join(pieces).split()))
        blocks = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', body, flags=re.S)
        self.blocks = {name: json.loads(content) for name, content in blocks}

    @property
    def shape(self) -> list[tuple[str, list[str]]]:
        """The elements and the names of their attributes."""
        return [(tag, sorted(attributes)) for tag, attributes in self.elements]

    @property
    def entries(self) -> list[dict]:
        """What the script knows of each finding, its pictures included."""
        entries = self.blocks.get("night", {}).get("entries", [])
        return [entry | {"pictures": [self._whole(each) for each in entry["pictures"]]} for entry in entries]

    def _whole(self, picture: dict) -> dict:
        shown = {} if picture["picture"] is None else self.blocks[f"picture-{picture['picture']}"]
        return picture | {"uri": None} | shown

    @property
    def rulings(self) -> dict[int, dict]:
        """The pictures of rulings, by their numbers."""
        named = {one["picture"] for entry in self.entries for one in entry["precedents"]}
        return {number: self.blocks[f"picture-{number}"] for number in named - {None}}

    @property
    def pictures(self) -> list[dict]:
        """The pictures that there are to show."""
        return [picture for entry in self.entries for picture in entry["pictures"] if picture["uri"]]


class Night:
    """Audits `archive/*.parquet` of a folder with a classifier of colours, and has the page of the run written."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.published = folder, folder / f"run_date={RUN_DATE}"
        self.archive = folder / "archive" / "a.parquet"
        self.written = folder / "out" / "report.html"

    def audit(
        self,
        *rows: dict,
        not_scored: bool = False,
        rulings: tuple[Precedent, ...] = (),
        cases: Path | None = None,
        **worklist,
    ) -> "Night":
        """Writes the archive and publishes what the pictures say of it; all of them are like all rulings."""
        write_archive(self.archive, rows, row_group_size=3, **KEPT)
        classify = partial(classified, not_scored=not_scored, rulings=rulings)
        return self.publish(classify, cases, **{"budget": "100%"} | worklist)

    def publish(self, classify: Callable[[Declarations], Classified], cases: Path | None = None, **worklist) -> "Night":
        """Publishes what is said of the archive that is there; one batch of it is in memory."""
        config = Config(
            input=str(self.archive.parent / "*.parquet"),
            keep=["net_mass_kg"],
            worklist=worklist,
            report={"cases": cases and str(cases)},
        )
        inputs = find_inputs(config.input, RUN_DATE, config.columns, config.keep)
        model = ServedModel("hs", 3, TABLE, CARD)
        table = FindingsTable("r1", RUN_DATE, "hs", 3, Judge(TABLE, THRESHOLDS), inputs.layout.kept_types)
        letters = list(inputs.dead_letters)
        part = self.published / "findings" / "part-00000.parquet"
        part.parent.mkdir(parents=True)
        with pq.ParquetWriter(part, table.schema) as writer:
            for batch in (batch for pointer in inputs.pointers() for batch in read_row_group(pointer, inputs.layout)):
                if isinstance(batch, Declarations):
                    writer.write_batch(table.findings(classify(batch)))
                else:
                    letters.append(batch)
        ledger = draw_up(inputs, letters, [part])
        described = manifest(Attempt("r1", "a1", RUN_DATE), config, inputs, ledger, model, THRESHOLDS, {}, 0, {})
        write_worklist(select([part], config.worklist.selection()), self.published)
        (self.published / "manifest.json").write_text(json.dumps(described), encoding="utf-8")
        (self.published / "_SUCCESS").touch()
        return self

    def page(self, *flags: str) -> Page:
        """What `hs-audit report` writes."""
        assert main(["report", str(self.published), "--output", str(self.written.parent), *flags]) == 0
        return Page(self.written.read_text(encoding="utf-8"))


def classified(declarations: Declarations, not_scored: bool, rulings: tuple[Precedent, ...] = ()) -> Classified:
    """Red, green and blue speak for their codes; with `not_scored` no answer came."""
    pictures = [data or b"" for data in declarations.pictures.to_pylist()]
    decoded = [decode(data, PictureSize(8, 8), PictureLimits()) for data in pictures]
    statuses = [picture.status.value for picture in decoded]
    colours = [np.zeros(3) if one.pixels is None else one.pixels.mean(axis=(0, 1)) for one in decoded]
    weights = np.exp(np.array(colours).reshape(-1, 3) / 20)
    weights = np.hstack([weights, np.ones((len(weights), 1))])
    return Classified(
        dataclasses.replace(declarations, pictures=declarations.pictures[:0]),
        [hashlib.sha256(data).hexdigest() for data in pictures],
        ["not_scored" if not_scored and status == "ok" else status for status in statuses],
        [picture.detail for picture in decoded],
        (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),
        np.full(len(weights), np.nan, np.float32),
        {position: tuple(map(dataclasses.replace, rulings)) for position in range(len(weights))},
    )
