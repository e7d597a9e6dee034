"""Cases and models on object storage: trained and evaluated there, and a whole night by a model that lies there."""

import json
from datetime import date
from pathlib import Path

import pytest

from hs_audit.cli import main
from hs_audit.demo.night import write_demo
from tests.archives import findings_of
from tests.object_nights import RUN_DATE, findings_at
from tests.object_storage import ObjectStorage

pytestmark = pytest.mark.slow


def test_what_is_trained_evaluated_and_served_from_object_storage_is_what_a_disk_gives(
    s3: ObjectStorage, by_the_environment, tmp_path: Path
):
    demo = write_demo(tmp_path / "demo", date.fromisoformat(RUN_DATE), cases_per_kind=4)
    stores, there = s3.stores(), s3.folder("modelled")
    stores.write_bytes(there / "cases.parquet", demo.cases.read_bytes())
    s3.upload(Path(demo.archive).parent, there / "archive")
    quick = ["--epochs=2", "--folds=2", "--measured=1", "--seed=3"]

    where = {"here": (tmp_path / "here", demo.cases), "there": (there / "model", there / "cases.parquet")}

    for name, (model, cases) in where.items():
        assert main(["train", f"--cases={cases}", f"--output={tmp_path / name}", *quick]) == 0
        if name == "there":
            s3.upload(tmp_path / name, there / "model")
        assert main(["evaluate", str(model), f"--cases={cases}", f"--output={tmp_path / f'evaluated-{name}'}"]) == 0
    config = tmp_path / "night.yaml"
    config.write_text(f"storage: {{endpoint: '{s3.endpoint}', region: us-east-1}}\n")
    night = ["run", f"--config={config}", f"--run-date={RUN_DATE}"]
    here = [f"--saved-model={tmp_path / 'here'}", f"--input={demo.archive}", f"--output={tmp_path / 'audits'}"]
    assert main([*night, *here]) == 0
    far = [f"--saved-model={there}/model", f"--input={there}/archive/*.parquet", f"--output={there}/audits"]
    assert main([*night, *far]) == 0

    evaluated = [json.loads((tmp_path / f"evaluated-{name}" / "evaluation.json").read_text()) for name in where]
    assert [(said.pop("model"), said.pop("cases")) for said in evaluated] == [
        tuple(map(str, names)) for names in where.values()
    ]
    assert evaluated[0] == evaluated[1]
    published = findings_at(there / "audits", stores), findings_of(tmp_path / "audits" / f"run_date={RUN_DATE}")
    far, near = [{(row["declaration_id"], row["item_no"]): row["verdict"] for row in rows} for rows in published]
    assert len(far) == len(published[0]) > 300
    assert far == near
