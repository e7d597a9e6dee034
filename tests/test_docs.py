"""What the pages say stays true: their code runs, their commands parse, the files and settings that they name exist.

The language of a block says what becomes of it. `python` and `sql` run beside two published nights, `yaml` and `csv`
are read as the audit reads them, the lines of `sh`, and those after `$ ` in `console`, parse. `text`, and what else
stands in `console`, is output or a drawing and is left out. Words in capitals, as in `commands/NAME.py`, stand for any.
"""

import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from hs.declared_codes import parse_declared_code
from hs.errors import AuditError, UsageError
from hs.tables import read_look_alikes
from hs.verdicts import VERDICT_OF, Reason, Verdict
from hs.words import catalogue
from hs_audit.cli import COMMANDS, main
from pipeline.config import Config, load_config
from pipeline.job.engine import beam_options
from tests.archives import BLUE, RED, findings_of, picture, row, write_archive
from tests.decided import decision, decisions_file

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"python", "sql", "yaml", "csv", "sh", "console", "text"}
DECLARATIONS = 3
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    place: str
    language: str
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCED.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(f"{page.name}:{line}", found[1], found[2])


def spans_of(page: Path) -> list[str]:
    """What stands between backticks in the sentences of a page."""
    prose = FENCED.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
on_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def in_language(*languages: str) -> pytest.MarkDecorator:
    blocks = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", blocks, ids=lambda block: block.place)


@pytest.fixture(scope="module")
def office(colour_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after two nights, each with a column that the other one has not, and a decision on one."""
    folder = tmp_path_factory.mktemp("office")
    rows = [row("D1", "870829", picture(RED)), row("D2", "870829", picture(BLUE)), row("D3", "n/a")]
    for night, column in (("2026-11-20", "net_mass_kg"), ("2026-11-21", "packages")):
        write_archive(folder / "archive" / night / "a.parquet", rows, **{column: pa.float64()})
        (folder / "config.yaml").write_text(f"server: {{model: hs}}\nkeep: [{column}]\npublish: {{delta: true}}\n")
        flags = [f"--config={folder}/config.yaml", f"--run-date={night}", f"--server={colour_server}"]
        assert main(["run", *flags, f"--input={folder}/archive/{night}/*", f"--output={folder}/audits"]) == 0
    run = folder / "audits" / "run_date=2026-11-21"
    decided = decisions_file(folder / "decisions.json", run, [decision(findings_of(run)[0], "right")])
    assert main(["feedback", str(run), str(decided)]) == 0
    return folder


def test_every_block_says_what_it_is():
    assert {block.language for block in BLOCKS} <= LANGUAGES


@in_language("python")
def test_python_runs(block, office, colour_server, monkeypatch):
    if "import polars" in block.text and not importlib.util.find_spec("polars"):
        pytest.skip("Polars is not installed")
    monkeypatch.chdir(office)
    known = {
        "images": np.zeros((2, 32, 32, 3), np.uint8),
        "table": pa.table({"images": [b"picture"]}),
        "path": office / "written.parquet",
    }

    exec(compile(block.text.replace("tf-serving:8500", colour_server), block.place, "exec"), known)

    assert len(known.get("night", range(DECLARATIONS))) == DECLARATIONS
    assert len(known.get("nights", range(2 * DECLARATIONS))) == 2 * DECLARATIONS
    assert "answer" not in known or known["answer"].fault is None


@in_language("sql")
def test_sql_runs(block, office, monkeypatch):
    monkeypatch.chdir(office)

    assert duckdb.sql(block.text).fetchall()


@in_language("yaml")
def test_yaml_is_a_configuration(block, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(block.text, encoding="utf-8")

    load_config(path)


@in_language("csv")
def test_csv_names_look_alikes(block, tmp_path):
    path = tmp_path / "alike.csv"
    path.write_text(block.text, encoding="utf-8")

    assert read_look_alikes(path)


def commands_of(block: Block) -> Iterator[list[str]]:
    """The commands of a block without comments, redirections, and brackets around what may be left out."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        words = shlex.split(re.split(r"\s#|[|>&]", line)[0])
        if words:
            yield [word.strip("[]") for word in words if word != "…"]


@in_language("sh", "console")
def test_commands_parse(block, monkeypatch):
    for name in COMMANDS:
        monkeypatch.setattr(module_of(name), "run", check_beam_flags)

    for program, *arguments in commands_of(block):
        if Path(program).name == "hs-audit":
            assert main(arguments) == 0
        if program == "make":
            assert not unknown_to_make(arguments)


def module_of(command: str) -> ModuleType:
    return import_module(f"hs_audit.commands.{command.replace(' ', '_')}")


def check_beam_flags(args) -> int:
    beam_options({}, getattr(args, "beam_flags", []))
    return 0


def unknown_to_make(arguments: Sequence[str]) -> list[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = {*re.findall(r"^([\w-]+):", makefile, re.MULTILINE), *re.findall(r"^(\w+) \?=", makefile, re.MULTILINE)}
    return [word for word in arguments if word.split("=")[0] not in known]


@cache
def flags_of(command: str) -> set[str]:
    """The flags in the help of a command."""
    with contextlib.redirect_stdout(io.StringIO()) as said, pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    return set(re.findall(r"--[a-z][\w-]*", said.getvalue()))


@on_every_page
def test_commands_and_flags_named_in_sentences_exist(page):
    for span in spans_of(page):
        program, *words = span.split()
        if program == "make":
            assert not unknown_to_make(words), span
        if program == "hs-audit" and words:
            commands = [name for name in COMMANDS if words[: len(name.split())] == name.split()]
            assert commands, span
            assert set(re.findall(r"--[\w-]+", span)) <= flags_of(commands[0]), span
        if span.startswith("--"):
            flag = re.split("[ =]", span)[0]
            assert any(flag in flags_of(name) for name in COMMANDS) or is_beams(span), span


def is_beams(flag: str) -> bool:
    try:
        beam_options({}, flag.removesuffix(" …").split())
    except ArgumentError as error:  # a flag alone, which takes a value
        return "expected one argument" in str(error)
    except UsageError:
        return False
    return True


@on_every_page
def test_imports_named_in_sentences_work(page):
    for span in spans_of(page):
        if re.match(r"(from|import) \w", span):
            exec(span, {})


FLOORS = ("hs", "serving", "model", "pipeline", "hs_audit")
OURS = re.compile(r"(hs|serving|model|pipeline|hs_audit|tests|docs|configs|benchmarks|\.ci)/[\w*./-]+")
# A classifier's folder, and what a benchmark leaves behind.
MADE = ("model/1", "model/2", "model/candidates", "benchmarks/results")


@on_every_page
def test_files_and_links_lead_somewhere(page):
    said = [*spans_of(page), *(block.text for block in blocks_of(page))]
    for word in re.split(r"[\s`'\"(),;:]+", " ".join(said)):
        if OURS.fullmatch(word) and not word.startswith(MADE):
            assert list(ROOT.glob(re.sub(r"\b[A-Z]+\b", "*", word).rstrip("./"))), word
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_readme_leads_to_every_page():
    linked = set(re.findall(r"\]\(([^)]+\.md)\)", PAGES[0].read_text(encoding="utf-8")))

    assert linked == {str(page.relative_to(ROOT)) for page in PAGES[1:]}


def test_the_picture_of_the_house_has_every_room_and_nothing_else():
    drawing = next(block.text for block in blocks_of(ROOT / "docs" / "contributing.md") if block.language == "text")

    rooms = {path.parent.name for floor in FLOORS for path in (ROOT / floor).rglob("__init__.py")}
    folders = {path.name for floor in FLOORS for path in [ROOT / floor, *(ROOT / floor).rglob("*")] if path.is_dir()}
    assert rooms <= set(re.findall(r"(\w+)/", drawing)) <= folders
    assert all(any(ROOT.glob(f"*/{name}")) for name in re.findall(r"\w+\.py", drawing))


def settings() -> Iterator[str]:
    for section in Config.model_fields:
        of_section = getattr(type(getattr(Config(), section)), "model_fields", {})
        yield from (f"{section}.{name}" for name in of_section)


# A column, and files of a run.
NOT_SETTINGS = {
    "pictures.weight",
    "report.html",
    "worklist.csv",
    "worklist.xlsx",
    "worklist.parquet",
    "metrics.prom",
}  # a column, and files of a run


@on_every_page
def test_settings_named_in_sentences_exist(page):
    known = {*settings(), *NOT_SETTINGS}
    sections = {name.split(".")[0] for name in known}

    for span in spans_of(page):
        if (named := re.match(r"(\w+)\.\w+", span)) and named[1] in sections:
            assert named[0] in known, span


def rows_of(page: str) -> list[list[str]]:
    """The cells of all tables of a page, row by row."""
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_contributing_md_has_the_steps_of_a_night():
    steps = re.findall(r'step\("([^"]+)"\)', (ROOT / "pipeline" / "night.py").read_text(encoding="utf-8"))

    assert [step for step, *_ in rows_of("contributing.md") if step not in ("step", "---")] == steps


def test_verdicts_md_has_every_reason_with_its_sentence():
    told = [cells[:3] for cells in rows_of("verdicts.md") if cells[0] in list(Reason)]

    sentences = catalogue()["reasons"]
    named = {"part": "*part*", "edition": "*edition*", "successors": "", "leaning": ""}
    assert told == [[reason, VERDICT_OF[reason], sentences[reason].format_map(named)] for reason in Reason]


def test_operations_md_has_the_reasons_of_each_verdict():
    told = {cells[0]: re.findall(r"\w+", cells[1]) for cells in rows_of("operations.md") if cells[0] in list(Verdict)}

    for verdict in Verdict:
        reasons = [reason for reason in Reason if VERDICT_OF[reason] is verdict]
        assert [name for name in told[verdict] if name in list(Reason)] == reasons


def test_operations_md_reads_codes_as_the_audit_does():
    rows = [cells for cells in rows_of("operations.md") if len(cells) == 3]

    for written, _, repair in rows[2:]:
        for code in written.split("`, `"):
            assert parse_declared_code(code).repair == (repair or None), code


def test_operations_md_draws_all_of_a_published_run(office):
    drawing = next(block.text for block in blocks_of(ROOT / "docs" / "operations.md") if block.language == "text")

    for path in (office / "audits" / "run_date=2026-11-21").iterdir():
        assert f"\n  {path.name}" in drawing


def test_operations_md_has_every_exit_code():
    told = {int(cells[0]) for cells in rows_of("operations.md") if len(cells) == 2 and cells[0].isdecimal()}

    assert told == {0, 1, 3, *(error.exit_code for error in AuditError.__subclasses__())}


def test_the_configuration_of_a_night_shows_the_defaults():
    shown, default = load_config(ROOT / "configs" / "nightly.yaml").model_dump(), Config().model_dump()

    shown["server"]["address"] = None
    changed = {name for name in shown if shown[name] != default[name]}
    assert changed == {"input", "output", "time_zone", "keep"}


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """The folder of what is called like a Chromium and its driver, to be found and not run."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("chromium", "chromedriver"):
        (folder / name).touch(mode=0o755)
    return folder


def take_screenshots(folder: Path, path: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "docs" / "screenshots.py", "--demo", folder, "--output", folder]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True)


def test_screenshots_say_what_they_need(browser, tmp_path):
    without_a_browser, without_a_demo = take_screenshots(tmp_path, ""), take_screenshots(tmp_path, str(browser))

    assert (without_a_browser.returncode, without_a_demo.returncode) == (2, 2)
    assert "none of chromium, chromium-browser, google-chrome is here" in without_a_browser.stderr
    assert "has no audits/run_date=*/report.html; `hs-audit demo" in without_a_demo.stderr
