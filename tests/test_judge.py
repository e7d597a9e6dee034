"""Findings from classified declarations: which of their pictures count."""

import time
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa

from hs.card import Thresholds
from hs.class_table import ClassTable
from hs.verdicts import MOST_COUNTED, Judge
from pipeline.job.judge import FindingsTable, counted_once
from pipeline.values import Classified, Declarations, RowGroup

TABLE = FindingsTable(
    "r", date(2026, 11, 21), "hs", 1, Judge(ClassTable(("870829", "392690")), Thresholds(0.1, 0.5, 1))
)


def of_one_declaration(digests: list[str], statuses: list[str]) -> Classified:
    count = len(digests)
    columns = {"declaration_id": ["A1"], "item_no": pa.array([1], pa.int64()), "declared_hs_code": ["870829"]}
    declarations = Declarations(
        RowGroup("a.parquet", 0, 1),
        0,
        pa.RecordBatch.from_pydict(columns),
        np.array([count]),
        pa.array([], pa.binary()),
        {},
    )
    probabilities = np.random.default_rng(0).dirichlet((1, 1), count).astype(np.float32)
    return Classified(
        declarations, digests, statuses, [None] * count, probabilities, np.full(count, np.nan, np.float32)
    )


def test_equal_pictures_count_once_and_those_without_an_answer_not_at_all():
    classified = of_one_declaration(["a", "b", "a", "c", "d"], ["ok", "ok", "ok", "truncated", "ok"])

    assert counted_once(classified, slice(0, 5)) == [0, 1, 4]


def test_of_very_many_pictures_an_even_choice_counts_and_all_are_told():
    many = 20_000
    classified = of_one_declaration([f"{number:064x}" for number in range(many)], ["ok"] * many)
    started = time.process_time()

    (finding,) = TABLE.findings(classified).to_pylist()

    assert time.process_time() - started < 2
    assert finding["images_used"] == many
    counted = [place for place, picture in enumerate(finding["pictures"]) if picture["weight"] is not None]
    assert len(counted) == MOST_COUNTED
    assert counted[:2] == [0, many // MOST_COUNTED]


def test_no_picture_counts_where_none_has_an_answer():
    assert counted_once(of_one_declaration(["a"], ["not_scored"]), slice(0, 1)) == []


def test_a_code_of_megabytes_is_cut_where_it_is_kept_as_written():
    classified = of_one_declaration(["a"], ["ok"])
    declarations = classified.declarations
    columns = declarations.columns.set_column(2, "declared_hs_code", pa.array(["1" * 2_000_000]))

    (finding,) = TABLE.findings(replace(classified, declarations=replace(declarations, columns=columns))).to_pylist()

    assert finding["reason"] == "code_malformed"
    assert finding["declared_hs_code"] == "1" * 256 + "… (2,000,000 characters)"
