"""`hs-audit diff`: what two runs say differently, and why."""

import copy
import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs_audit.cli import main
from pipeline.runs.causes import Cause, told_by
from pipeline.runs.changes import Change, Comparison, Kind, compare
from pipeline.runs.published import published_run
from tests.archives import BLUE, GREEN, RED, picture, row, write_archive
from tests.findings import SCHEMA, finding, written

MANIFEST = {
    "schema_version": 1,
    "run_id": "r",
    "attempt_id": "a",
    "run_date": "2026-11-21",
    "rows": {"in_footers": 4, "findings": 4},
    "verdicts": {"differs": 1},
    "inputs": [{"path": "a.parquet", "rows": 4, "footer_sha256": "f" * 64}],
    "model": {
        "name": "hs", "version": 1, "classes": 3,
        "card": {"weights_digest": "sha256:0", "hs_edition": "HS 2022", "thresholds": {}},
    },
    "thresholds": {"from": "model", "differs_below": 0.05, "agrees_above": 0.5},
    "configuration": {
        "columns": {"images": "images"}, "keep": [], "foreign_model": None, "pictures": {"max_bytes": 1},
        "verdict": {"assumed_wrong_share": 0.05, "thresholds": None},
    },
    "versions": {"hs-audit": "0.1.0", "pillow": "12.3.0"},
}  # fmt: skip


def run_of(folder: Path, *rows: dict, **changes: object) -> Path:
    """A published run of some findings."""
    written(folder, list(rows))
    manifest = copy.deepcopy(MANIFEST)
    for name, value in changes.items():
        if isinstance(value, dict):
            manifest[name] |= value
        else:
            manifest[name] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "_SUCCESS").touch()
    return folder


def compared(before: Path, after: Path) -> Comparison:
    return compare(published_run(before), published_run(after))


def only(comparison: Comparison) -> Change:
    (change,) = comparison.changes
    return change


BEFORE = finding(0, 0.2, "low_confidence", differs_at=None)
BANANAS = [{"hs_code": "080390", "probability": 0.9, "description": "Bananas"}]


@pytest.mark.parametrize(
    ("was", "now", "kind", "changed"),
    [
        ({}, {"verdict": "differs", "reason": "differs"}, Kind.FLAGGED, {"flagged", "verdict", "reason"}),
        ({"verdict": "differs", "reason": "differs"}, {}, Kind.UNFLAGGED, {"no_longer_flagged", "verdict", "reason"}),
        ({}, {"verdict": "agrees", "reason": "agrees"}, Kind.VERDICT, {"verdict", "reason"}),
        ({}, {"reason": "pictures_disagree"}, Kind.REASON, {"reason"}),
        ({}, {"recommendations": BANANAS}, Kind.RECOMMENDED, {"recommended"}),
        ({}, {"recommendations": []}, Kind.RECOMMENDED, {"recommended"}),
        ({"differs_at": 4}, {"differs_at": 6}, Kind.DIGIT, {"digit"}),
    ],
)  # fmt: skip
def test_a_change_has_its_kind_and_all_that_changed(tmp_path, was, now, kind, changed):
    found = compared(run_of(tmp_path / "a", BEFORE | was), run_of(tmp_path / "b", BEFORE | now))

    assert only(found).kind is kind
    assert set(only(found).changed) == changed
    assert found.same == 0


def test_what_did_not_change_is_counted_and_forgotten(tmp_path):
    moved = BEFORE | {"risk": 0.3, "run_id": "other", "model_version": 2}

    found = compared(run_of(tmp_path / "a", BEFORE), run_of(tmp_path / "b", moved))

    assert (found.changes, found.same) == ((), 1)


def test_the_same_files_are_matched_by_row_even_where_ids_are_null_or_repeated(tmp_path):
    names = {0: None, 1: None, 2: "D", 3: "D"}
    rows = [finding(number, 0.1, declaration_id=name) for number, name in names.items()]
    other = [*rows[:2], rows[2] | {"reason": "look_alike"}, rows[3]]

    found = compared(run_of(tmp_path / "a", *rows), run_of(tmp_path / "b", *reversed(other)))

    assert found.by_row
    assert found.same == 3
    assert only(found).shown.source.row == 2


OTHER_FILE = [{"path": "b.parquet", "rows": 4, "footer_sha256": "e" * 64}]


def test_two_nights_are_matched_by_declaration_and_item_and_what_repeats_by_the_order_of_rows(tmp_path):
    first = [
        finding(0, 0.1),
        finding(1, 0.1),
        finding(2, 0.1, declaration_id="D1"),
        finding(3, None, declaration_id=None),
    ]
    second = [
        finding(7, 0.1, declaration_id="D1", reason="look_alike", source_file="b.parquet"),
        finding(9, 0.1, declaration_id="D1", source_file="b.parquet"),
        finding(8, 0.1, declaration_id="D5", source_file="b.parquet"),
        finding(3, None, declaration_id=None, source_file="b.parquet"),
    ]

    found = compared(run_of(tmp_path / "a", *first), run_of(tmp_path / "b", *second, inputs=OTHER_FILE))

    told = [(change.declaration_id, change.kind.value, change.shown.source.row) for change in found.changes]
    assert not found.by_row
    assert found.same == 1
    assert sorted(told, key=str) == [
        ("D0", "gone", 0),
        ("D1", "verdict", 7),
        ("D5", "new", 8),
        (None, "gone", 3),
        (None, "new", 3),  # without an id nothing says that it is the same
    ]


def test_what_is_now_flagged_comes_first_by_risk(tmp_path):
    before = [finding(number, 0.1) for number in range(4)]
    after = [
        finding(0, 0.1, "unknown_goods"), finding(1, 0.5, "differs"), finding(2, 0.9, "differs"),
        finding(3, 0.1, recommendations=BANANAS),
    ]  # fmt: skip

    found = compared(run_of(tmp_path / "a", *before), run_of(tmp_path / "b", *after))

    assert [change.shown.source.row for change in found.changes] == [2, 1, 0, 3]
    assert found.kinds == {Kind.FLAGGED: 2, Kind.VERDICT: 1, Kind.RECOMMENDED: 1}


MODEL_2 = {"model": MANIFEST["model"] | {"version": 2}}
THRESHOLDS = {"thresholds": {"differs_below": 0.1}}
CARD = MANIFEST["model"]["card"]
PROBABLY = [{"hs_code": "080830", "probability": 0.8, "description": "Pears"}]


@pytest.mark.parametrize(
    ("now", "manifest", "why"),
    [
        ({}, MODEL_2, [Cause.UNTOLD]),  # the model said the same of it, so it was not the model
        ({"recommendations": PROBABLY}, MODEL_2, [Cause.MODEL]),
        ({"recommendations": PROBABLY}, MODEL_2 | THRESHOLDS, [Cause.MODEL, Cause.THRESHOLDS]),
        ({}, MODEL_2 | THRESHOLDS, [Cause.THRESHOLDS]),
        ({}, {"model": {"card": CARD | {"hs_edition": "HS 2028"}}}, [Cause.EDITION]),
        ({}, {"configuration": {"verdict": {"assumed_wrong_share": 0.1, "thresholds": None}}}, [Cause.CONFIGURATION]),
        ({}, {"configuration": {"keep": ["mass"]}}, [Cause.CONFIGURATION]),
        ({}, {"versions": {"pillow": "13.0.0"}}, [Cause.VERSIONS]),
        ({"declared_hs_code_normalized": "080830"}, {"inputs": OTHER_FILE}, [Cause.INPUT]),
        ({"pictures": [{"sha256": "x", "status": "ok"}]}, {}, [Cause.INPUT]),
        ({"pictures": [{"sha256": "s", "status": "not_scored"}]}, {}, [Cause.SERVER]),
        ({}, {}, [Cause.UNTOLD]),
    ],
)
def test_a_change_says_why_as_far_as_the_manifests_tell(tmp_path, now, manifest, why):
    was = BEFORE | {"pictures": [{"sha256": "s", "status": "ok"}]}
    after = was | {"verdict": "agrees", "reason": "agrees"} | now

    found = compared(run_of(tmp_path / "a", was), run_of(tmp_path / "b", after, **manifest))

    assert list(only(found).why) == why


def test_a_row_that_only_one_run_could_read_is_told_so(tmp_path):
    found = compared(run_of(tmp_path / "a", BEFORE, finding(1, 0.1)), run_of(tmp_path / "b", BEFORE))

    assert (only(found).kind, only(found).why) == (Kind.GONE, (Cause.UNREAD,))


@pytest.mark.parametrize(
    ("before", "after", "sentences"),
    [
        ({}, {"HS 2017": "a"}, ["HS 2017: a table more"]),
        ({"HS 2017": "a"}, {}, ["HS 2017: a table less"]),
        ({"HS 2017": "a", "correlations 1": "b"}, {"HS 2017": "c", "correlations 1": "b"}, ["HS 2017: another table"]),
        ({"HS 2017": "a"}, {"HS 2017": "a"}, []),
    ],
)
def test_another_table_of_an_edition_is_another_edition(before, after, sentences):
    def with_tables(digests):
        tables = {name: {"path": f"{name}.csv", "sha256": sha256} for name, sha256 in digests.items()}
        return MANIFEST | {"nomenclature": {"tables": tables, "max_successors": 10}}

    told = told_by(with_tables(before), with_tables(after))

    assert [(each.cause, each.sentence) for each in told] == [(Cause.EDITION, sentence) for sentence in sentences]


def test_what_differs_between_manifests_is_told_with_what_was_and_what_is():
    after = copy.deepcopy(MANIFEST) | {"inputs": OTHER_FILE, "run_date": "2026-11-22"}
    after["model"] |= {"version": 2, "card": CARD | {"weights_digest": "sha256:1"}}
    before = copy.deepcopy(MANIFEST)
    before["thresholds"] |= {"levels": [{"digits": 2, "differs_below": 0.05}]}
    after["thresholds"] |= {"differs_below": 0.1, "levels": [{"digits": 2, "differs_below": 0.1}]}
    after["configuration"]["pictures"] = {"max_bytes": 2}

    assert [f"{told.cause}: {told.sentence}" for told in told_by(before, after)] == [
        "input: 4 rows of 2026-11-21 → 4 rows of 2026-11-22",
        "model: hs version 1 → hs version 2, other weights",
        "thresholds: differs_below: 0.05 → 0.1",
        "thresholds: levels: others",
        "configuration: pictures.max_bytes: 1 → 2",
    ]


HOSTILE = '<script>alert(1)</script>" onload="x" ‮\x00=cmd|' + "x" * 1_000_000


def test_the_command_prints_a_table_and_writes_parquet_and_a_page(tmp_path, capsys):
    """Ids are hostile: they neither run nor break anything."""
    before = [finding(0, 0.1, declaration_id=HOSTILE), finding(1, 0.1), finding(2, 0.1)]
    after = [finding(0, 0.7, "differs", declaration_id=HOSTILE), finding(1, 0.1), finding(2, 0.1, "unknown_goods")]
    a = run_of(tmp_path / "a", *before, model=MANIFEST["model"] | {"name": "<b>hs</b>"})
    b = run_of(tmp_path / "b", *after, **THRESHOLDS)
    for run in (a, b):
        manifest = json.loads((run / "manifest.json").read_text())
        manifest["configuration"]["pictures"] = {"formats": ["JPEG"]}
        (run / "manifest.json").write_text(json.dumps(manifest))

    assert main(["diff", str(a), str(b), f"--output={tmp_path}/out"]) == 0

    out = capsys.readouterr().out
    page = (tmp_path / "out" / "diff.html").read_text()
    rows = pq.read_table(tmp_path / "out" / "diff.parquet").to_pylist()
    assert "2 changes; 1 finding the same" in out
    assert "differs_below: 0.05 → 0.1" in out
    assert "now flagged" in out
    assert len(out) < 10_000
    assert [each["kind"] for each in rows] == ["flagged", "verdict"]
    assert rows[0]["declaration_id"] == HOSTILE
    assert (rows[0]["before_verdict"], rows[0]["after_verdict"], rows[0]["why"]) == (
        "unsure",
        "differs",
        ["thresholds"],
    )
    assert len(page) < 60_000
    for markup in ("<script", "<b>hs", "‮", "\x00", 'onload="x"'):
        assert markup not in page
    assert "[U+202E][U+0000]=cmd|" in html.unescape(page)
    assert "1,000,0" in page
    assert "2 findings</strong> are not the same" in page


def test_two_runs_that_are_the_same_say_so_and_have_an_empty_file(tmp_path, capsys):
    run = run_of(tmp_path / "a", BEFORE)

    assert main(["diff", str(run), str(run), f"--output={tmp_path}/out"]) == 0

    assert "0 changes; 1 finding the same" in capsys.readouterr().out
    assert pq.read_table(tmp_path / "out" / "diff.parquet").num_rows == 0
    assert "The runs say the same of 1 finding." in (tmp_path / "out" / "diff.html").read_text()


def test_nothing_is_written_into_a_run(tmp_path, capsys):
    a, b = run_of(tmp_path / "a", BEFORE), run_of(tmp_path / "b", BEFORE)

    assert main(["diff", str(a), str(b), f"--output={b}"]) == 2
    assert "nothing is written into a published run" in capsys.readouterr().err
    assert not list(b.glob("diff.*"))


def test_what_is_no_run_is_one_sentence(tmp_path, capsys):
    assert main(["diff", str(run_of(tmp_path / "a", BEFORE)), str(tmp_path)]) == 2
    assert "is no published run" in capsys.readouterr().err


def test_other_thresholds_on_one_night_show_the_pictures_of_what_they_changed(colour_server, tmp_path):
    rows = [
        row("A1", "8708.29-0000", picture(GREEN)),
        row("A2", "870829", picture(RED)),
        row("A3", "392690", picture(BLUE)),
    ]
    write_archive(tmp_path / "a.parquet", rows)
    runs = []
    for name, verdict in (
        ("first", "{}"),
        ("second", "{thresholds: {differs_below: 0, agrees_above: 1, unknown_above: 1}}"),
    ):
        (tmp_path / f"{name}.yaml").write_text(f"server: {{model: hs}}\nverdict: {verdict}\n")
        flags = [f"--config={tmp_path}/{name}.yaml", f"--input={tmp_path}/a.parquet", f"--output={tmp_path}/{name}"]
        assert main(["run", "--run-date=2026-11-21", f"--server={colour_server}", *flags]) == 0
        runs.append(tmp_path / name / "run_date=2026-11-21")

    assert main(["diff", *map(str, runs), f"--output={tmp_path}/out"]) == 0

    page = (tmp_path / "out" / "diff.html").read_text()
    rows = pq.read_table(tmp_path / "out" / "diff.parquet").to_pylist()
    assert {each["kind"] for each in rows} == {"no_longer_flagged", "verdict"}
    assert {tuple(each["why"]) for each in rows} == {("thresholds",)}
    assert page.count("data:image/jpeg;base64,") == 3
    assert len(re.findall(r"<article", page)) == 3


PROBE = """
import sys
from hs_audit.cli import main
code = main(sys.argv[1:])
# Not ru_maxrss, which begins with that of the process that started this one.
peak_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(code, peak_kb * 1024 // 1_000_000, file=sys.stderr)
"""


@pytest.mark.slow
def test_two_runs_of_100_000_findings_of_which_all_changed_fit_into_500_mb(tmp_path):
    pictures = [{"sha256": "0" * 64, "status": "ok", "detail": None, "weight": 1.0}] * 2
    codes = [{"hs_code": f"0808{number}0", "probability": 0.2, "description": "Pears"} for number in range(1, 6)]
    runs = []
    for name, reason in (("a", "low_confidence"), ("b", "differs")):
        batches = [
            [finding(n, 0.5, reason, pictures=pictures, recommendations=codes) for n in range(first, first + 10_000)]
            for first in range(0, 100_000, 10_000)
        ]
        folder = tmp_path / name
        run_of(folder, **({"inputs": OTHER_FILE} if name == "b" else {}))
        (folder / "findings" / "part-00000.parquet").unlink()
        with pq.ParquetWriter(folder / "findings" / "part.parquet", SCHEMA) as writer:
            for batch in batches:
                writer.write_table(pa.Table.from_pylist(batch, SCHEMA))
        runs.append(str(folder))

    done = subprocess.run(
        [sys.executable, "-c", PROBE, "diff", *runs, f"--output={tmp_path}/out", "--shown=0"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    code, peak_mb = map(int, done.stderr.split())
    assert code == 0
    assert peak_mb < 500
    assert pq.read_table(tmp_path / "out" / "diff.parquet").num_rows == 100_000
