"""Measures against numbers worked out by hand, and the page that shows them."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from hs.card import Mistake
from hs.class_table import ClassTable
from hs.proportions import Rate
from hs_audit.cli import main
from model.evaluation.metrics import at_level, confusion_matrix, per_class, simulate_nights
from model.measures import top_k
from tests.archives import COLOURS, picture
from tests.rulings import write_cases

TABLE = ClassTable(("870829", "870899", "871200", "392690"))
PROBABILITIES = np.array(
    [
        [0.4, 0.3, 0.2, 0.1],
        [0.3, 0.4, 0.2, 0.1],
        [0.3, 0.2, 0.1, 0.4],
    ]
)


def test_a_row_counts_where_its_label_is_among_the_k_highest():
    labels = np.array([0, 0, 1])

    assert [top_k(PROBABILITIES, labels, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


@pytest.mark.parametrize(
    ("level", "first"),
    [(6, Rate(1, 3)), (4, Rate(3, 3)), (2, Rate(3, 3)), (8, None)],
)
def test_probabilities_are_summed_up_the_tree(level, first):
    found = at_level(PROBABILITIES, ["870829", "870829", "870899"], TABLE, level)

    assert (found and found.top[1]) == first


def test_precision_and_recall_of_each_class():
    confusion = confusion_matrix(np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 0]), 4)

    classes = per_class(confusion, TABLE.labels)

    assert [(one.precision, one.recall) for one in classes] == [
        (Rate(2, 3), Rate(2, 3)),
        (Rate(1, 2), Rate(1, 1)),
        (Rate(0, 0), Rate(0, 1)),
        (Rate(0, 0), Rate(0, 0)),
    ]
    assert [one.f1 for one in classes] == [pytest.approx(2 / 3), pytest.approx(2 / 3), 0, None]


def certain(truth: list[str]) -> np.ndarray:
    rows = [[0.97 if label == code else 0.01 for label in TABLE.labels] for code in truth]
    return np.array(rows)


def test_a_sure_classifier_finds_all_wrong_declarations_in_as_many_rows():
    truth = list(TABLE.labels) * 25

    night = simulate_nights(certain(truth), truth, TABLE, Mistake.AT_RANDOM, wrong_share=0.05)

    assert (night.rows, night.wrong) == (100, 5)
    assert night.at(0.05) == (5, 1.0, 1.0)
    assert night.at(0.02) == (2, pytest.approx(1.0), pytest.approx(0.4))
    assert night.at(0.1)[1:] == (0.5, 1.0)


def test_a_clueless_classifier_finds_as_many_as_it_opens():
    random = np.random.default_rng(0)
    truth = [TABLE.labels[i] for i in random.integers(0, 4, 400)]
    probabilities = random.dirichlet(np.ones(4), 400)

    night = simulate_nights(probabilities, truth, TABLE, Mistake.AT_RANDOM, wrong_share=0.1)

    assert night.found[40] == pytest.approx(0.1, abs=0.03)


def test_a_budget_is_rounded_up_to_whole_rows():
    truth = list(TABLE.labels) * 74
    night = simulate_nights(certain(truth), truth, TABLE, Mistake.AT_RANDOM)

    assert [night.at(share)[0] for share in (0.01, 0.02, 0.05, 0.1)] == [math.ceil(n * 2.96) for n in (1, 2, 5, 10)]


def test_mistakes_stay_within_the_heading_where_asked():
    truth = ["871200", "392690"] * 20

    assert simulate_nights(certain(truth), truth, TABLE, Mistake.WITHIN_HEADING) is None
    assert simulate_nights(certain(truth), truth, TABLE, Mistake.WITHIN_CHAPTER) is not None


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    rows = [(code, [picture(code, shade=number)]) for code in COLOURS for number in range(8)]
    rows += [("392690", [picture("870829", shade=20)])]
    generated = [number % 4 == 3 for number in range(len(rows))]
    return write_cases(tmp_path / "cases.parquet", rows, generated=generated)


def test_the_page_and_the_json_say_the_same_and_bring_everything_along(colour_model, cases, tmp_path):
    code = main(["evaluate", str(colour_model), f"--cases={cases}", f"--output={tmp_path}"])

    said = json.loads((tmp_path / "evaluation.json").read_text())
    page = (tmp_path / "evaluation.html").read_text()
    assert code == 0
    assert [one["name"] for one in said["evaluations"]] == ["originals", "all"]
    assert said["evaluations"][0]["top"]["6"]["1"] == pytest.approx(
        {"hits": 18, "of": 19, "share": 18 / 19, "low": 0.7536, "high": 0.9906}, abs=1e-3
    )
    assert said["evaluations"][1]["top"]["6"]["1"]["of"] == 25
    assert "18 of 19" in page
    assert page.count("<svg") == 6
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "").replace(
        "http://purl.org", ""
    ).replace("http://creativecommons.org", "")


@pytest.fixture
def model_with_novelty(tmp_path: Path) -> Path:
    """A version that tells colours apart and has seen four greys."""
    import keras

    from hs.card import Card, Thresholds
    from model.exported.export import export
    from model.training.novelty import Seen

    images = keras.Input((32, 32, 3))
    features = keras.layers.GlobalAveragePooling2D()(images)
    dense = keras.layers.Dense(3)
    network = keras.Model(images, [dense(features), features])
    dense.set_weights([np.eye(3, dtype=np.float32) / 50, np.zeros(3, np.float32)])
    card = Card(32, 32, "bilinear", 2, "HS 2022", 1.0, Thresholds(0.05, 0.4, 0.9, novel_above=0.5), "sha256:0")
    seen = Seen(np.eye(3, dtype=np.float32), np.full((4, 3), 3**-0.5, np.float32))
    return export(network, tuple(COLOURS), card, {}, tmp_path / "model", seen=seen)[1]


def test_several_pictures_of_a_case_count_together_as_the_audit_has_it(model_with_novelty, tmp_path):
    from hs.declared_codes import parse_declared_code
    from hs.verdicts import Evidence, Judge
    from model.cases.reading import open_cases
    from model.exported.predictions import predict

    pictures = [picture(code, shade=20) for code in ("870829", "392690", "870829")] + [picture("870829")]
    alone = write_cases(tmp_path / "alone.parquet", [("870829", [data]) for data in pictures])
    together = write_cases(tmp_path / "together.parquet", [("870829", pictures), ("392690", pictures[:1])])

    one_by_one = predict(model_with_novelty, open_cases(alone), lambda _: None)
    said = predict(model_with_novelty, open_cases(together), lambda _: None)

    counted = [0, 1, 3]  # the third file is the first again
    evidence = Evidence(4, 4, one_by_one.probabilities[counted], one_by_one.novelty[counted])
    judged = Judge(said.table, said.card.thresholds)(parse_declared_code("870829"), evidence)
    recommended = {best.code.digits: best.probability for best in judged.recommendations}
    assert dict(zip(said.table.labels, said.probabilities[0].tolist(), strict=True)) == pytest.approx(recommended)
    assert said.novelty.tolist() == pytest.approx([judged.novelty, one_by_one.novelty[0]])


def test_of_very_many_pictures_of_a_case_those_count_that_the_audit_counts(model_with_novelty, tmp_path):
    from hs.verdicts import MOST_COUNTED, combine
    from model.cases.reading import open_cases
    from model.exported.predictions import predict

    pictures = [picture("870829", shade=shade) for shade in range(MOST_COUNTED + 10)]
    alone = write_cases(tmp_path / "alone.parquet", [("870829", [data]) for data in pictures])
    together = write_cases(tmp_path / "together.parquet", [("870829", pictures)])

    one_by_one = predict(model_with_novelty, open_cases(alone), lambda _: None)
    said = predict(model_with_novelty, open_cases(together), lambda _: None)

    counted = [place * len(pictures) // MOST_COUNTED for place in range(MOST_COUNTED)]
    wanted = combine(one_by_one.probabilities[counted], one_by_one.novelty[counted])
    assert said.probabilities[0] == pytest.approx(wanted.probabilities, rel=1e-4)
    every = combine(one_by_one.probabilities, one_by_one.novelty)
    assert said.probabilities[0] != pytest.approx(every.probabilities, rel=1e-4)


def test_what_is_promised_and_kept_is_on_the_page_in_the_json_in_markdown_and_on_the_terminal(
    model_with_novelty, cases, tmp_path, capsys
):
    code = main(["evaluate", str(model_with_novelty.parent), f"--cases={cases}", f"--output={tmp_path}"])

    said = json.loads((tmp_path / "evaluation.json").read_text())["evaluations"][0]
    printed, page = capsys.readouterr().out, (tmp_path / "evaluation.html").read_text()
    assert code == 0
    flag = said["flag"]["at_random"]
    assert (flag["right_flagged"]["hits"], flag["right_flagged"]["of"]) == (1, 19)  # the one that is no 392690
    assert flag["promised_precision"] is flag["right_flagged_at_most"] is None
    assert said["unknown_goods"]["false_alarms"]["of"] == 19
    assert set(said["levels"]) == {"6", "4", "2"}
    assert page.index("What is promised, and what is kept") < page.index("How often the true code")
    precision = f"{flag['precision']['share']:.3f}"
    for text in (printed, page, (tmp_path / "evaluation-tables.md").read_text()):
        assert precision in text
    assert max(map(len, printed.splitlines()[:40])) <= 80


def test_several_models_stand_side_by_side_with_their_mean(colour_model, model_with_novelty, tmp_path, capsys):
    models = [str(colour_model), str(model_with_novelty.parent)]
    rows = [(code, [picture(code, shade=number)]) for code in COLOURS for number in range(3)]
    path = write_cases(tmp_path / "cases.parquet", rows)

    code = main(["evaluate", *models, f"--cases={path}", f"--output={tmp_path}"])

    said = json.loads((tmp_path / "evaluation.json").read_text())["models"]
    errors = [one["evaluations"][0]["levels"]["6"]["calibration_error"] for one in said]
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "calibration" in line and "6 digits" in line)
    told = [float(cell) for cell in row.strip("│").split("│")[2:]]
    assert code == 0
    assert told[:2] == pytest.approx(errors, abs=5e-4)
    assert told[2:] == pytest.approx([np.mean(errors), np.std(errors, ddof=1)], abs=1e-3)
    assert (tmp_path / "2" / "evaluation.html").exists()
    assert 'href="2/evaluation.html"' in (tmp_path / "evaluation.html").read_text()
    assert "| first | 6 digits |" in (tmp_path / "evaluation-tables.md").read_text()
    assert max(map(len, lines[:-1])) <= 80


def test_two_models_are_compared_on_the_cases_whose_codes_both_know(colour_model, model_with_novelty, tmp_path):
    from model.cases.reading import open_cases
    from model.evaluation.paired import compare
    from model.exported.predictions import predict

    rows = [(code, [picture(code, shade=number)]) for code in COLOURS for number in range(4)]
    mistaken = [("392690", [picture("870829", shade=20)])]
    both = write_cases(tmp_path / "both.parquet", rows[:6] + mistaken)
    more = write_cases(tmp_path / "more.parquet", rows[:6] + mistaken + [("080810", [picture("870829")])])
    old, new = (
        predict(model, open_cases(cases), lambda _: None, leave_out_unknown=True)
        for model, cases in ((colour_model / "1", both), (model_with_novelty, more))
    )
    old = old.only(old.numbers != 2)

    found = compare(new, old)

    assert (found.cases, found.only_old, found.only_new, found.by_chance) == (6, 0, 0, 1)
    assert found.top_1.mean == 0
    of_new, of_old = (said.probabilities[np.arange(6), said.labels] for said in (new.only(new.numbers != 2), old))
    assert found.likelihood.mean == pytest.approx(np.log(of_new).mean() - np.log(of_old).mean(), rel=1e-4)
    assert compare(new, old.only(np.zeros(6, bool))) is None


def test_codes_that_the_model_does_not_know_are_one_sentence_unless_left_out(colour_model, tmp_path, capsys):
    rows = [("870829", [picture("870829")]), ("080810", [picture("870829")])]
    path = write_cases(tmp_path / "cases.parquet", rows)

    refused = main(["evaluate", str(colour_model), f"--cases={path}", f"--output={tmp_path}"])
    sentence = " ".join(capsys.readouterr().err.split())
    measured = main(["evaluate", str(colour_model), f"--cases={path}", f"--output={tmp_path}", "--leave-out-unknown"])

    assert (refused, measured) == (2, 0)
    assert "has codes that the model does not know: 080810" in sentence
    assert json.loads((tmp_path / "evaluation.json").read_text())["left_out"]["unknown_codes"] == {"080810": 1}


def test_codes_that_the_model_does_not_know_are_said_before_any_picture_is_decoded(
    colour_model, tmp_path, capsys, monkeypatch
):
    def decode(*_):
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr("model.cases.reading.decode", decode)
    path = write_cases(tmp_path / "cases.parquet", [(code, [picture("870829")]) for code in ("870829", "080810")])

    code = main(["evaluate", str(colour_model), f"--cases={path}", f"--output={tmp_path}"])

    assert code == 2
    assert "has codes that the model does not know: 080810" in " ".join(capsys.readouterr().err.split())


def test_what_would_end_a_comparison_is_said_before_the_first_model_is_measured(
    colour_model, cases, tmp_path, capsys, monkeypatch
):
    def decode(*_):
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr("model.cases.reading.decode", decode)
    (tmp_path / "file").write_text("")

    absent = main(["evaluate", str(colour_model), str(tmp_path / "none"), f"--cases={cases}"])
    no_folder = main(["evaluate", str(colour_model), f"--cases={cases}", f"--output={tmp_path / 'file'}"])

    assert (absent, no_folder) == (6, 2)
    sentences = " ".join(capsys.readouterr().err.split())
    assert "none holds no model" in sentences
    assert "file cannot be made" in sentences


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"classes": ["870829", "392690"]}, "gives 3 probabilities, and its card has 2 classes"),
        ({"classes": None}, "is no model card"),
    ],
)
def test_a_model_that_does_not_answer_as_its_card_says_is_one_sentence(
    colour_model, tmp_path, capsys, changes, sentence
):
    shutil.copytree(colour_model, tmp_path / "model")
    card = tmp_path / "model" / "1" / "assets.extra" / "hs_audit.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))
    path = write_cases(tmp_path / "cases.parquet", [("870829", [picture("870829")])])

    code = main(["evaluate", str(tmp_path / "model"), f"--cases={path}", f"--output={tmp_path}"])

    assert code == 6
    assert sentence in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("count", [1, 5])
def test_cases_of_one_code_are_measured_too(colour_model, tmp_path, count):
    rows = [("870829", [picture("870829", shade=shade)]) for shade in range(count)]
    path = write_cases(tmp_path / "cases.parquet", rows)

    code = main(["evaluate", str(colour_model), f"--cases={path}", f"--output={tmp_path}"])

    said = json.loads((tmp_path / "evaluation.json").read_text())["evaluations"][0]
    assert code == 0
    assert said["cases"] == count
    assert list(said["flag"]) == ["at_random"]
