"""The configuration of a run: YAML → checked values; every mistake is one sentence naming the key."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from hs.card import Card, Mistake, Thresholds
from hs.class_table import ClassTable
from hs.edition_tables import NO_TABLES, Tables, read_tables
from hs.editions import BUILT_IN, Nomenclature
from hs.errors import UsageError
from hs.nomenclature import HS_EDITION, edition_name
from hs.pictures.decoding import PictureLimits
from hs.pictures.formats import DEFAULT_FORMATS
from hs.ranking import By, Selection, budget_rows, share_of
from hs.settings import Settings, load_settings
from hs.storage.location import Location
from hs.storage.settings import StorageSettings
from hs.storage.stores import Stores
from hs.tables import read_look_alikes, read_rates
from pipeline.cost import Price
from pipeline.findings.hash_store import HashStore
from pipeline.findings.settled import NOTHING_SETTLED, Settled, read_settled
from pipeline.values import ColumnNames
from serving.client.connection import Connection
from serving.client.tls import Tls
from serving.contract import ServedModel, Signature


def _checked_place(written: str) -> str:
    try:
        Location.parse(written)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return written


Place = Annotated[str, AfterValidator(_checked_place)]  # a path or a URI of a storage that is built in
Percent = BeforeValidator(lambda written: share_of(written) if isinstance(written, str) else written)
Share = Annotated[float, Field(ge=0, le=1), Percent]  # 0.05, or 5%
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class TlsFiles(Settings):
    """PEM files of an encrypted connection."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None


class Server(Settings):
    """The model server and how it is used."""

    address: str | None = None
    model: str = "hs"
    version: Count | None = None
    label: str | None = None
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 64
    in_flight: Annotated[int, Field(ge=1, le=64)] = 4
    remembered: Annotated[int, Field(ge=0)] = 5_000
    deadline_s: Seconds = 30  # TF Serving computes on after it: a short one wastes the GPU
    outage_budget_s: Annotated[float, Field(ge=0)] = 900
    connect_budget_s: Annotated[float, Field(ge=0)] = 30
    tls: TlsFiles | None = None

    def connection(self, address: str) -> Connection:
        """How to reach a server, and how long to be patient with it."""
        tls = Tls(self.tls.ca, self.tls.certificate, self.tls.key, self.tls.name) if self.tls else None
        budgets = (self.deadline_s, self.outage_budget_s, self.connect_budget_s)
        return Connection(address, *budgets, tls, self.in_flight)


class Pictures(Settings):
    """Which pictures are read."""

    formats: Annotated[list[str], Field(min_length=1)] = list(DEFAULT_FORMATS)
    max_bytes: Count = 20_000_000
    max_pixels: Count = 50_000_000
    max_decoding_bytes: Count = 600_000_000
    max_decoding_s: Seconds = 10

    @model_validator(mode="after")
    def _known_formats(self) -> "Pictures":
        self.limits()  # made to be checked
        return self

    def limits(self) -> PictureLimits:
        """The same, as the decoder takes it."""
        return PictureLimits(**self.model_dump() | {"formats": tuple(self.formats)})


class VerdictThresholds(Settings):
    """Thresholds that win over the model's own."""

    differs_below: Share
    agrees_above: Share
    unknown_above: Share
    novel_above: Share | None = None
    abstain_above: Share | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "VerdictThresholds":
        self.drawn()  # made to be checked
        return self

    def drawn(self) -> Thresholds:
        """The same, as the rules take them."""
        return Thresholds(**self.model_dump())


class VerdictSettings(Settings):
    """How declarations are judged."""

    assumed_wrong_share: Annotated[float, Field(gt=0, lt=1), Percent] = 0.05
    top_k: Annotated[int, Field(ge=1, le=100)] = 5
    mistakes: Mistake = Mistake.AT_RANDOM
    sure_above: Share = 0.9
    look_alikes: Path | None = None
    thresholds: VerdictThresholds | None = None

    def pairs(self, nomenclature: Nomenclature = BUILT_IN) -> tuple[tuple[str, str], ...]:
        """The look-alikes, read; their codes are of some edition.

        Raises:
            UsageError: if they cannot be read.
        """
        return read_look_alikes(self.look_alikes, nomenclature) if self.look_alikes else ()


class Limits(Settings):
    """How much of a night must be there: shares are of dead letters and unscored findings, of all rows."""

    min_rows: Annotated[int, Field(ge=0)] = 1
    warn_unscored_share: Share = 0.05
    max_unscored_share: Share = 0.20


class Worklist(Settings):
    """What the run itself puts into worklist.csv and report.html."""

    budget: str = "5%"
    by: By = By.RISK
    per_office: bool = False
    random_share: Share = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0  # eight bytes, as the draw's hash takes them as its key
    rates: Path | None = None
    settled: Place | None = None
    report_findings: Annotated[int, Field(ge=0, le=2000)] = 200

    @field_validator("budget", mode="before")
    @classmethod
    def _readable(cls, budget: object) -> str:
        budget_rows(str(budget), 100)  # read to be checked: 100 is any number
        return str(budget)

    def selection(self, nomenclature: Nomenclature = BUILT_IN) -> Selection:
        """The same with the rates read; their codes are of some edition.

        Raises:
            UsageError: if the rates cannot be read.
        """
        rates = read_rates(self.rates, nomenclature)
        return Selection(self.budget, self.by, self.per_office, self.random_share, self.seed, rates)

    def settled_before(self, run_date: date, stores: Stores) -> Settled:
        """The matters that were settled on nights before this one.

        Raises:
            UsageError: if they cannot be read.
        """
        if self.settled is None:
            return NOTHING_SETTLED
        return read_settled(Location.parse(self.settled), run_date, stores)


class SelfTestSettings(Settings):
    """Planted lies: how many, and from where on they discredit a night."""

    sample: Annotated[int, Field(ge=0)] = 500
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    min_recall: Share | None = None


class DriftSettings(Settings):
    """Which nights a night is compared with, and from where on it has drifted from them."""

    nights: Annotated[int, Field(ge=0)] = 28
    max_psi: Annotated[float, Field(gt=0)] | None = None


class SamePictureSettings(Settings):
    """The same picture under other importers' names, or under other codes."""

    stock_above: Count = 10
    store: Place | None = None
    keep_days: Count = 365

    def hash_store(self, stores: Stores) -> HashStore | None:
        """Where the hashes of earlier nights are kept; None where they are not."""
        return HashStore(Location.parse(self.store), self.keep_days, stores) if self.store else None


class NomenclatureTables(Settings):
    """Editions of the nomenclature beside the one that is built in, and how their codes are linked."""

    editions: dict[str, Path] = {}
    correlations: list[Path] = []
    max_successors: Count = 10

    def read(self) -> Tables:
        """The same, read.

        Raises:
            UsageError: if one cannot be read, or is wrong.
        """
        return read_tables(self.editions, self.correlations, self.max_successors)

    @field_validator("editions", mode="before")
    @classmethod
    def _named_by_their_years(cls, editions: object) -> object:
        return {edition_name(year): path for year, path in editions.items()} if isinstance(editions, dict) else editions


class Report(Settings):
    """What report.html shows beside the findings."""

    cases: Place | None = None


class ForeignModel(Settings):
    """A SavedModel from elsewhere, without our `classes` signature."""

    signature: str = "serving_default"
    input: str
    output: str
    dtype: Literal["uint8", "float32"] = "uint8"
    height: Count
    width: Count
    resize_filter: str = "bilinear"
    classes: Path
    edition: str = HS_EDITION

    @field_validator("edition", mode="before")
    @classmethod
    def _named_by_its_year(cls, edition: object) -> str:
        return edition_name(edition)

    def served(self, name: str, version: int, thresholds: VerdictThresholds) -> ServedModel:
        """The model as the audit uses it.

        Raises:
            UsageError: if the class file is missing or has a line that is no class.
        """
        try:
            labels = tuple(self.classes.read_text().split())
            table = ClassTable(labels)
        except OSError as error:
            raise UsageError(f"foreign_model.classes: {self.classes} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"foreign_model.classes: {self.classes}: {error}") from error
        drawn = replace(thresholds.drawn(), novel_above=None)  # the signature gives probabilities alone
        # No card says how it was trained: 2, as draft to twice the size keeps 99.3 % of the first codes.
        card = Card(self.height, self.width, self.resize_filter, 2, self.edition, 1.0, drawn, "sha256:unknown")
        return ServedModel(name, version, table, card, Signature(self.signature, self.input, self.output, self.dtype))


class Publish(Settings):
    """How a run takes the place of the earlier one of its night."""

    grace_days: Annotated[float, Field(ge=0)] = 1
    delta: bool = False


class MetricsFolder(Settings):
    """Where node-exporter looks for text files."""

    folder: Path


class LineageFile(Settings):
    """Where OpenLineage events go, and the namespace of the job in them."""

    file: Path
    namespace: Annotated[str, Field(min_length=1)] = "hs-audit"


class Config(Settings):
    """Everything a run needs to know."""

    input: str | None = None
    output: str | None = None
    time_zone: str = "UTC"
    columns: ColumnNames = ColumnNames()
    keep: list[str] = []
    server: Server = Server()
    foreign_model: ForeignModel | None = None
    pictures: Pictures = Pictures()
    verdict: VerdictSettings = VerdictSettings()
    nomenclature: NomenclatureTables | None = None
    limits: Limits = Limits()
    worklist: Worklist = Worklist()
    selftest: SelfTestSettings = SelfTestSettings()
    drift: DriftSettings = DriftSettings()
    same_picture: SamePictureSettings | None = SamePictureSettings()
    report: Report = Report()
    storage: StorageSettings = StorageSettings()
    decoding_threads: Count | None = None
    publish: Publish = Publish()
    price: Price | None = None
    metrics: MetricsFolder | None = None
    lineage: LineageFile | None = None
    staging_days: Annotated[float, Field(ge=0)] = 7
    full_digest: bool = False
    file_mode: Annotated[str, Field(pattern="^0[67][0-7]{2}$")] = "0640"  # a text: without quotes YAML reads 416
    log_format: Literal["text", "json"] = "text"
    beam: dict[str, Any] = {"runner": "FnApiRunner"}  # Beam's default first looks for another on the internet

    @field_validator("output", mode="before")
    @classmethod
    def _a_storage_that_is_built_in(cls, output: object) -> str | None:
        return None if output is None else _checked_place(str(output))

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{name!r} is no time zone; write one such as Asia/Seoul") from None
        return name

    @model_validator(mode="after")
    def _foreign_models_bring_no_thresholds(self) -> "Config":
        if self.foreign_model and not self.verdict.thresholds:
            raise ValueError("foreign_model has no card, so verdict.thresholds must be given")
        return self

    def overridden(self, *, input: str | None, output: str | None, server: str | None, version: int | None) -> "Config":
        """The configuration with what the command line says in its place."""
        ours = {"address": server or self.server.address, "version": version or self.server.version}
        changes = {"input": input or self.input, "output": output or self.output}
        return self.model_copy(update=changes | {"server": self.server.model_copy(update=ours)})

    def tables(self) -> Tables:
        """The tables of the nomenclature, read.

        Raises:
            UsageError: if one cannot be read, or is wrong.
        """
        return self.nomenclature.read() if self.nomenclature else NO_TABLES

    def stores(self) -> Stores:
        """How storages are reached."""
        return Stores(self.storage)

    def yesterday(self) -> date:
        """The run date where none is given: the day before today in the configured time zone."""
        return datetime.now(ZoneInfo(self.time_zone)).date() - timedelta(days=1)


def load_config(path: Path) -> Config:
    """Reads a configuration file.

    Raises:
        UsageError: if it is missing, is no YAML, or has a wrong or unknown key.
    """
    return load_settings(path, Config)
