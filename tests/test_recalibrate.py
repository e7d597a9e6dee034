"""Thresholds that learn from officers' decisions, on nights whose truth is known."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs.card import LevelThreshold, Thresholds
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.files import versions
from hs.flags import differs_at
from hs_audit.cli import main
from model.exported.predictions import read_card
from model.training.decided import Decided, aims_of_decisions, least_flagged, redraw
from tests.archives import BLUE, COLOURS, RED, findings_of, row, write_archive
from tests.decided import decision, decisions_file
from tests.disks import full_disk
from tests.rulings import noise

AIMS = aims_of_decisions(0.9, 0.05)
THRESHOLDS = Thresholds(0.1, 0.5, 0.9, right_flagged=0.005, right_flagged_at_most=0.01)
RUN_DATE = "2026-11-21"
BETWEEN = (100, 20, 170)  # the classifier gives red 0.03, and says that it differs


def simulated_night(seed: int, wrong_share: float = 0.07, rows: int = 20_000, random_share: float = 0.3) -> Decided:
    """What officers decide of a night on goods of other shops, of which the classifier is surer than it should be.

    The best by risk fill the budget of an eighth, less what is drawn evenly from the whole night.
    """
    rng = np.random.default_rng(seed)
    wrong = rng.random(rows) < wrong_share
    own = np.where(wrong, rng.beta(0.25, 9, rows), rng.beta(4, 0.35, rows))
    strange = ~wrong & (rng.random(rows) < 0.03)  # photographed as no case was
    own[strange] = rng.beta(1.2, 8, strange.sum())
    budget = rows // 8
    drawn = rng.permutation(rows)[: round(budget * random_share)]
    order = np.argsort(own)
    ranked = order[~np.isin(order, drawn)][: budget - len(drawn)]
    likely = np.where(own <= own[ranked[-1]], 1.0, len(drawn) / rows)
    looked_at = np.union1d(drawn, ranked)
    every = np.ones(len(looked_at), bool)
    return Decided({6: own[looked_at]}, wrong[looked_at], likely[looked_at], every, np.arange(len(looked_at)))


def kept(decided: Decided, thresholds: Thresholds) -> float:
    found = decided.precision(decided.against(thresholds))
    assert found is not None
    return found.share


@pytest.mark.parametrize("seed", range(6))
def test_the_promised_precision_is_kept_on_another_night_after_one_nights_decisions(seed):
    decided, another = simulated_night(seed), simulated_night(seed + 100)

    redrawn = redraw(decided, THRESHOLDS, AIMS)

    assert redrawn is not None
    assert kept(another, THRESHOLDS) < 0.86
    assert kept(another, redrawn.thresholds) == pytest.approx(0.9, abs=0.025)


@pytest.mark.parametrize("seed", range(6))
def test_the_share_of_wrong_ones_is_that_of_the_night_although_most_decisions_are_on_the_worst(seed):
    decided = simulated_night(seed)

    share = decided.wrong_share()

    assert share is not None
    assert decided.wrong.mean() > 0.3
    assert share.interval[0] < 0.07 < share.interval[1]


def test_a_random_share_may_lower_the_thresholds_and_without_one_they_can_only_rise():
    careful = replace(THRESHOLDS, differs_below=0.002)
    drawn = simulated_night(1)
    ranked = replace(drawn, likely=np.ones(len(drawn.wrong)))

    with_draw, without = redraw(drawn, careful, AIMS), redraw(ranked, careful, AIMS)

    assert with_draw is not None
    assert without is not None
    assert with_draw.limit < 1
    assert with_draw.thresholds.differs_below > careful.differs_below
    assert with_draw.thresholds.right_flagged > careful.right_flagged / 10
    assert without.thresholds.differs_below == careful.differs_below
    assert without.thresholds.right_flagged == careful.right_flagged


@pytest.mark.parametrize("limit", [0.5, 1.0, 3.0])
def test_what_speaks_against_a_code_is_what_the_night_flags_by(limit):
    rng, table = np.random.default_rng(0), ClassTable(("080810", "080830", "070190", "870829"))
    probabilities = rng.dirichlet([0.2] * 4, 400)
    levels = (LevelThreshold(2, 0, 0.05), LevelThreshold(6, 0, 0.03), LevelThreshold(6, 2, 0.2))
    thresholds = Thresholds(0.03, 0.6, 0.9, levels=levels)
    code = HSCode("080810")
    sums = {level: probabilities[:, table.columns(code.digits[:level])].sum(axis=1) for level in (2, 4, 6)}
    decided = Decided(sums, np.zeros(400, bool), np.ones(400), np.ones(400, bool), np.arange(400))

    flagged = decided.against(thresholds) > limit
    moved_levels = tuple(
        replace(rule, differs_below=rule.differs_below / (rule.differs_below + limit * (1 - rule.differs_below)))
        for rule in levels
    )

    assert flagged.any()
    assert (
        flagged.tolist()
        == (differs_at(probabilities, code, table, replace(thresholds, levels=moved_levels)) > 0).tolist()
    )


def test_few_decisions_bear_nothing_out_even_if_all_are_right():
    least = least_flagged(AIMS)

    assert redraw(all_wrong(np.arange(least - 1)), THRESHOLDS, AIMS) is None
    assert redraw(all_wrong(np.arange(least)), THRESHOLDS, AIMS) is not None


def all_wrong(pictures: np.ndarray) -> Decided:
    count = len(pictures)
    return Decided({6: np.full(count, 0.001)}, np.ones(count, bool), np.ones(count), np.ones(count, bool), pictures)


def test_many_decisions_on_one_picture_bear_out_no_more_than_one():
    least = least_flagged(AIMS)

    assert redraw(all_wrong(np.zeros(40, int)), THRESHOLDS, AIMS) is None
    assert redraw(all_wrong(np.arange(40) % (least - 1)), THRESHOLDS, AIMS) is None
    assert redraw(all_wrong(np.arange(40)), THRESHOLDS, AIMS) is not None


@pytest.mark.parametrize(("likely", "lowered"), [(0.5, True), (0.05, False)])
def test_a_threshold_is_lowered_only_where_the_draw_would_have_shown_that_it_is_wrong(likely, lowered):
    own, wrong = np.repeat([0.02, 0.3, 0.95], [60, 60, 20]), np.repeat([True, True, False], [60, 60, 20])
    drawn = np.where(wrong, 1.0, likely)
    decided = Decided({6: own}, wrong, drawn, np.ones(140, bool), np.arange(140))

    redrawn = redraw(decided, THRESHOLDS, AIMS)

    assert redrawn is not None
    assert (redrawn.limit < 1) == lowered


def test_what_is_kept_is_less_sure_where_all_that_went_wrong_is_on_a_few_pictures():
    apart = simulated_night(0)
    together = replace(apart, pictures=np.where(apart.wrong, apart.pictures, np.flatnonzero(~apart.wrong)[0]))

    found, of_one = (each.precision(each.against(THRESHOLDS)) for each in (apart, together))

    assert found.share == of_one.share
    assert of_one.effective < found.effective / 10


@pytest.fixture
def model(colour_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(colour_model, tmp_path / "colours"))


def rows(wrong: int, right: int) -> list[dict]:
    """Blue goods declared as red, and red goods that look rather blue."""
    return [
        *(row(f"W{n}", RED, noise(n, COLOURS[BLUE])) for n in range(wrong)),
        *(row(f"R{n}", RED, noise(100 + n, BETWEEN)) for n in range(right)),
    ]


def audited(folder: Path, archive: list[dict], date: str, *flags: str) -> Path:
    write_archive(folder / "archive" / f"{date}.parquet", archive)
    (folder / "config.yaml").write_text("server: {model: hs}\nworklist: {budget: 100%}\n")
    where = [f"--config={folder}/config.yaml", f"--input={folder}/archive/{date}.parquet", f"--output={folder}/audits"]
    assert main(["run", *where, f"--run-date={date}", *flags]) == 0
    return folder / "audits" / f"run_date={date}"


def decide_all(run: Path, folder: Path) -> Path:
    """Files what is true of every finding: an id with W is declared wrongly, and the goods are blue."""
    lines = [
        decision(each, "wrong", BLUE) if each["declaration_id"].startswith("W") else decision(each, "right")
        for each in findings_of(run)
    ]
    file = decisions_file(folder / "decisions.json", run, lines)
    assert main(["feedback", str(run), str(file)]) == 0
    return run.parent / "_feedback"


def test_decisions_make_a_new_version_of_the_same_network_that_flags_more_carefully(
    model, tmp_path, colour_server, capsys
):
    night = audited(tmp_path, rows(wrong=24, right=5), RUN_DATE, f"--server={colour_server}")
    decided = decide_all(night, tmp_path)
    capsys.readouterr()

    assert main(["recalibrate", str(model), f"--decisions={decided}"]) == 0

    said = capsys.readouterr().out
    assert "24 of 29 (0.828)" in said
    assert "24 of 24 (1.000)" in said
    assert "no decision is on a random share" in said
    assert "the network of version 1, and a card from 29 decisions on 1 night, of 29 pictures" in said
    (before, _), (after, _) = read_card(model / "1"), read_card(model / "2")
    assert after.thresholds.differs_below < before.thresholds.differs_below
    assert after.weights_digest == before.weights_digest
    about = json.loads((model / "2" / "assets.extra" / "hs_audit.json").read_text())["recalibrated"]
    assert (about["from_version"], about["nights"]) == (1, [RUN_DATE])
    assert about["decisions"] == {"wrong": 24, "right": 5}
    assert about["pictures"] == 29
    assert main(["check", "model", str(model)]) == 0
    next_night = audited(tmp_path, rows(wrong=3, right=3), "2026-11-22", f"--saved-model={model}")
    flagged = {each["declaration_id"] for each in findings_of(next_night) if each["mismatch"]}
    assert flagged == {"W0", "W1", "W2"}


def test_decisions_that_nothing_is_drawn_from_say_what_is_kept_on_them(model, tmp_path, colour_server, capsys):
    decided = decide_all(audited(tmp_path, rows(24, 5), RUN_DATE, f"--server={colour_server}"), tmp_path)
    (tmp_path / "b").mkdir()
    others = decide_all(audited(tmp_path / "b", rows(12, 2), RUN_DATE, f"--server={colour_server}"), tmp_path / "b")
    capsys.readouterr()

    assert main(["recalibrate", str(model), f"--decisions={decided}", f"--measured-on={others}"]) == 0

    said = capsys.readouterr().out
    assert "on others before: 12 of 14 (0.857)" in said
    assert "on others after:  12 of 12 (1.000)" in said


@pytest.mark.parametrize(
    ("wrong", "right", "sentence"),
    [
        (4, 2, "too few decisions: 6 decided findings would be flagged, of 6 pictures, and it takes 22 pictures"),
        (
            21,
            1,
            "too few decisions: 0.955 of 22 flagged ones are wrong, at 90 % confidence 0.830, and 0.9 is asked for",
        ),
        (0, 22, "no threshold keeps a precision of 0.9 on these decisions, of whose 22 flagged ones 0.000 are wrong"),
    ],
)
def test_decisions_that_bear_nothing_out_are_a_sentence(model, tmp_path, colour_server, capsys, wrong, right, sentence):
    decided = decide_all(audited(tmp_path, rows(wrong, right), RUN_DATE, f"--server={colour_server}"), tmp_path)

    assert main(["recalibrate", str(model), f"--decisions={decided}"]) == 2

    assert sentence in capsys.readouterr().err
    assert list(versions(model)) == [1]


def test_decisions_on_one_and_the_same_photo_are_too_few_however_many_there_are(model, tmp_path, colour_server, capsys):
    one = noise(0, COLOURS[BLUE])
    photos = [one, one, *(noise(n, COLOURS[BLUE]) for n in range(1, 9))]
    night = [row(f"W{n}", RED, one, photos[n % 10]) for n in range(30)]
    decided = decide_all(audited(tmp_path, night, RUN_DATE, f"--server={colour_server}"), tmp_path)

    assert main(["recalibrate", str(model), f"--decisions={decided}"]) == 2

    said = capsys.readouterr().err
    assert "too few decisions: 30 decided findings would be flagged, of 1 picture, and it takes 22 pictures" in said


def test_decisions_of_an_earlier_version_without_digests_count_each_on_its_own(model, tmp_path, colour_server, capsys):
    photo = noise(0, COLOURS[BLUE])
    night = [row(f"W{n}", RED, photo) for n in range(24)]
    decided = decide_all(audited(tmp_path, night, RUN_DATE, f"--server={colour_server}"), tmp_path)
    file = decided / "decisions" / f"run_date={RUN_DATE}" / "decisions.parquet"
    pq.write_table(pq.ParquetFile(file).read().drop_columns(["picture_digests"]), file)

    assert main(["recalibrate", str(model), f"--decisions={decided}"]) == 0

    assert "24 of 24 (1.000)" in capsys.readouterr().out


def test_a_full_disk_is_one_sentence_and_leaves_no_version(model, tmp_path, colour_server, capsys):
    decided = decide_all(audited(tmp_path, rows(24, 5), RUN_DATE, f"--server={colour_server}"), tmp_path)
    capsys.readouterr()

    with full_disk(1_000):
        code = main(["recalibrate", str(model), f"--decisions={decided}"])

    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"hs-audit recalibrate: the model cannot be written to {model}: [Errno 27] File too large")
    assert [path.name for path in model.iterdir()] == ["1"]


def test_decisions_on_another_network_do_not_count(model, tmp_path, colour_server, capsys):
    decided = decide_all(audited(tmp_path, rows(16, 0), RUN_DATE, f"--server={colour_server}"), tmp_path)
    file = decided / "decisions" / f"run_date={RUN_DATE}" / "decisions.parquet"
    table = pq.ParquetFile(file).read()
    place = table.column_names.index("weights_digest")
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array(["sha256:0"] * table.num_rows)), file)

    assert main(["recalibrate", str(model), f"--decisions={decided}"]) == 2
    assert "left out of 16 decisions: 16 on findings of another network" in (said := capsys.readouterr()).out
    assert "too few decisions" in said.err


def test_a_folder_without_decisions_is_a_sentence(model, tmp_path, capsys):
    assert main(["recalibrate", str(model), f"--decisions={tmp_path}"]) == 2
    assert "has no decisions; give the folder that `hs-audit feedback` filed to" in capsys.readouterr().err
