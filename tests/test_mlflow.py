"""`--mlflow`: what lands in a real tracking store on disk, and what is said where there is none."""

import importlib.util
from pathlib import Path

import pytest

from hs.errors import UsageError
from hs_audit.cli import main
from hs_audit.mlflow_runs import Told, tracked
from tests.archives import COLOURS, picture
from tests.rulings import tinted_cases, write_cases


def runs_in(uri: str) -> list:
    """The runs of a store, the first first."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    number = client.get_experiment_by_name("hs-audit").experiment_id
    return client.search_runs([number], order_by=["attributes.start_time ASC"])


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A folder as a tracking store."""
    pytest.importorskip("mlflow", reason="MLflow is not installed")
    return str(tmp_path / "runs")


def artifacts_of(run) -> set[str]:
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_evaluation_is_logged_with_its_figures_and_its_pages(colour_model, store, tmp_path):
    rows = [(code, [picture(code, shade=shade)]) for shade in range(3) for code in COLOURS]
    cases = write_cases(tmp_path / "cases.parquet", rows)
    models = [str(colour_model)] * 2

    code = main(["evaluate", *models, f"--cases={cases}", f"--output={tmp_path / 'out'}", f"--mlflow={store}"])

    (run,) = runs_in(store)
    assert (code, run.info.status, run.info.run_name) == (0, "FINISHED", "evaluate colours, colours")
    assert run.data.params["1.version"] == "1"
    assert run.data.params["2.weights_digest"].startswith("sha256:")
    assert run.data.metrics["1.first 6 digits"] == 1
    pages = {"evaluation.html", "evaluation.json", "evaluation-tables.md"}
    assert artifacts_of(run) == {*pages, *(f"{number}/{page}" for number in (1, 2) for page in pages)}


def test_a_training_is_logged_with_its_recipe_its_curves_and_the_model(store, tmp_path):
    cases = write_cases(tmp_path / "cases.parquet", tinted_cases(4))
    model = tmp_path / "model"

    code = main(
        [
            "train",
            f"--cases={cases}",
            f"--output={model}",
            "--epochs=2",
            "--size=32",
            "--variants=0",
            f"--mlflow={store}",
        ]
    )

    (run,) = runs_in(store)
    assert (code, run.info.status) == (0, "FINISHED")
    assert run.data.params["recipe.tail.batch_size"] == "32"
    assert run.data.params["backbone"] == "compact"
    assert 0 <= run.data.metrics["held_out_top_1"] <= 1
    logged = artifacts_of(run)
    there = {f"model/1/{path.relative_to(model / '1')}" for path in (model / "1").rglob("*") if path.is_file()}
    assert logged == there
    from mlflow import MlflowClient

    history = MlflowClient(tracking_uri=store).get_metric_history(run.info.run_id, "curves/loss/blocks/all")
    assert [point.step for point in history] == [1, 2]


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_ends_as_its_work_ended(store, error, status):
    def work() -> None:
        with tracked(store, "a run") as log:
            log(Told({"seed": 1}))
            raise error

    with pytest.raises(error):
        work()

    (run,) = runs_in(store)
    assert (run.info.status, run.data.params) == (status, {"seed": "1"})


def test_very_many_figures_and_long_words_are_taken(store):
    steps = {"loss": [(step, 1 / step) for step in range(1, 1501)]}

    with tracked(store, "a run") as log:
        log(Told({f"name {number}": "x" * 9000 for number in range(120)}, {"nothing": None}, steps))

    (run,) = runs_in(store)
    assert len(run.data.params) == 120
    assert run.data.metrics == {"loss": pytest.approx(1 / 1500)}


def test_a_database_is_a_store_too(store, tmp_path):
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    pytest.importorskip("alembic", reason="Alembic is not installed")
    uri = f"sqlite:///{tmp_path / 'runs.db'}"

    with tracked(uri, "a run") as log:
        log(Told({"seed": 1}, {"top_1": 0.5}))

    assert runs_in(uri)[0].data.metrics == {"top_1": 0.5}


def test_a_store_that_cannot_be_reached_is_a_sentence_without_its_password(store):
    with pytest.raises(UsageError) as told, tracked("http://me:secret@127.0.0.1:1", "a run"):
        pass

    assert str(told.value).startswith("--mlflow http://127.0.0.1:1: ")
    assert "secret" not in str(told.value)


@pytest.fixture
def without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "hs_audit.extras.find_spec", lambda name: None if name == "mlflow" else importlib.util.find_spec(name)
    )


def test_without_mlflow_it_is_one_sentence(without_mlflow, colour_model, tmp_path, capsys):
    cases = write_cases(tmp_path / "cases.parquet", [("870829", [picture("870829")])])

    code = main(["evaluate", str(colour_model), f"--cases={cases}", f"--output={tmp_path}", "--mlflow=runs"])

    assert code == 2
    assert "--mlflow needs hs-audit[mlflow], and mlflow is not installed" in capsys.readouterr().err


def test_without_mlflow_a_training_says_so_before_it_looks_for_cases(without_mlflow, tmp_path, capsys):
    code = main(["train", "--cases=none", f"--output={tmp_path}", "--mlflow=runs"])

    assert code == 2
    assert "mlflow is not installed" in capsys.readouterr().err
