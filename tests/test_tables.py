"""The tables, opened with the tools that an analyst opens them with."""

import csv
import io
import statistics
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from record_samples import Assets, brief, every_outcome, hostile, record, stage

from tasks.accounting.tables import MEASURES, cost_parquet, latency_parquet, plain_quantity, run_tables
from tasks.exports import original_cell
from tasks.record import Latency, Outcome, RunRecord

COST = [
    "run",
    "brief",
    "stage",
    "model",
    "outcome",
    "quantity",
    "unit",
    "unit_price_usd",
    "estimated_usd",
    "charged_usd",
    "saved_usd",
    "prediction_id",
    "error",
]
LATENCY = [
    "run",
    "brief",
    "stage",
    "model",
    "outcome",
    "queue_s",
    "upload_s",
    "submit_s",
    "inference_s",
    "detect_s",
    "download_s",
    "total_s",
    "polls",
    "attempts",
]


@pytest.fixture
def run(tmp_path: Path) -> RunRecord:
    return every_outcome(tmp_path, Assets())


def rows(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode(), newline="")))


def test_cost_csv_has_a_row_for_each_brief_and_stage(run: RunRecord) -> None:
    read = rows(run_tables(run).cost.csv())
    assert list(read[0]) == COST
    assert [(row["brief"], row["stage"], row["outcome"]) for row in read] == [
        ("mug", "edit", "generated"),
        ("mug", "compose", "resumed"),
        ("mug", "video", "generated"),
        ("lamp", "edit", "cached"),
        ("lamp", "video", "cached"),
        ("chair", "edit", "failed"),
        ("chair", "video", "skipped"),
        ("vase", "compose", "generated"),
        ("vase", "video", "held"),
    ]
    clip = read[2]
    assert {clip["run"], clip["quantity"], clip["unit"], clip["unit_price_usd"]} == {
        run.run,
        "5.312",
        "second",
        "0.36",
    }
    assert (clip["estimated_usd"], clip["charged_usd"], clip["saved_usd"]) == ("1.91232", "1.91232", "0")
    assert read[4]["saved_usd"] == "1.91232"
    assert (read[5]["charged_usd"], read[5]["error"]) == ("0", run.stages[5].error)


def test_money_is_exact_in_every_reader(run: RunRecord) -> None:
    millionths = sum(stage.charged for stage in run.stages)
    tables = run_tables(run)
    texts = pd.read_csv(io.BytesIO(tables.cost.csv()), dtype=str, keep_default_na=False)
    assert sum(map(Decimal, texts["charged_usd"])) == Decimal(millionths) / 1_000_000
    parquet = pq.read_table(pa.BufferReader(cost_parquet(run, tables.cost)))
    assert sum(parquet["charged_usd"].to_pylist()) == Decimal(millionths) / 1_000_000
    total = rows(tables.cost_summary.csv())[-1]
    assert Decimal(total["charged_usd"]) == Decimal(millionths) / 1_000_000 == Decimal("2.02432")


def test_pandas_reads_the_csv_files_as_numbers(run: RunRecord) -> None:
    tables = run_tables(run)
    cost = pd.read_csv(io.BytesIO(tables.cost.csv()))
    assert list(cost.columns) == COST
    assert all(pd.api.types.is_numeric_dtype(cost[name]) for name in [*COST[7:11], "quantity"])
    latency = pd.read_csv(io.BytesIO(tables.latency.csv()))
    assert list(latency.columns) == LATENCY
    assert all(pd.api.types.is_numeric_dtype(latency[name]) for name in LATENCY[5:])
    assert latency["total_s"].isna().tolist() == [False, False, False, True, True, True, True, False, True]


def test_parquet_types_are_exact(run: RunRecord) -> None:
    tables = run_tables(run)
    cost = pq.read_table(pa.BufferReader(cost_parquet(run, tables.cost)))
    money, quantity = pa.decimal128(18, 6), pa.decimal128(38, 28)
    text = pa.string()
    assert cost.schema.types == [*[text] * 5, quantity, text, *[money] * 4, text, text]
    assert cost.column_names == COST
    assert cost["quantity"][2].as_py() == Decimal("5.312")
    assert cost["error"].null_count == 7
    assert cost["prediction_id"].null_count == 5

    latency = pq.read_table(pa.BufferReader(latency_parquet(run, tables.latency)))
    assert latency.column_names == LATENCY
    assert latency.schema.types == [*[text] * 5, *[pa.float64()] * 7, pa.int64(), pa.int64()]
    assert latency["inference_s"].to_pylist()[2] == 92.4367
    assert latency["queue_s"].null_count == 5


def test_parquet_says_who_provided(tmp_path: Path) -> None:
    simulated = every_outcome(tmp_path, Assets(), provider="simulator", run="simulated-1")
    tables = run_tables(simulated)
    for content in (cost_parquet(simulated, tables.cost), latency_parquet(simulated, tables.latency)):
        metadata = pq.read_schema(pa.BufferReader(content)).metadata
        assert metadata[b"provider"] == b"simulator"
        assert metadata[b"run"] == b"simulated-1"
    assert {row["run"] for row in rows(tables.cost.csv())} == {"simulated-1"}


def test_cost_summary_is_the_sum_of_the_cost_table(run: RunRecord) -> None:
    tables = run_tables(run)
    summary, cost = rows(tables.cost_summary.csv()), rows(tables.cost.csv())
    assert list(summary[0]) == [
        "stage",
        "generated",
        "cached",
        "failed",
        "estimated_usd",
        "charged_usd",
        "saved_usd",
    ]
    assert [row["stage"] for row in summary] == ["edit", "compose", "video", "total"]
    for row in summary:
        members = [each for each in cost if row["stage"] in {each["stage"], "total"}]
        assert members
        for outcome in ("generated", "cached", "failed"):
            assert int(row[outcome]) == sum(each["outcome"] == outcome for each in members)
        for money in ("estimated_usd", "charged_usd", "saved_usd"):
            assert Decimal(row[money]) == sum(Decimal(each[money]) for each in members)


def test_latency_summary_interpolates_between_the_nearest_values(tmp_path: Path) -> None:
    seconds = [10.0004, 20.0, 35.5, 47.25, 130.125]
    briefs = tuple(
        brief(f"b{number}", (stage(f"b{number}", kind, Outcome.GENERATED, latency=Latency(total_s=total)),))
        for number, (kind, total) in enumerate(
            [*(("edit", total) for total in seconds), ("video", 300.0), ("video", None)]
        )
    )
    summary = rows(run_tables(record(tmp_path, briefs)).latency_summary.csv())
    assert list(summary[0]) == [
        "stage",
        "measure",
        "count",
        "mean_s",
        "p50_s",
        "p90_s",
        "p95_s",
        "p99_s",
        "max_s",
    ]
    assert [(row["stage"], row["measure"]) for row in summary] == [
        (name, measure) for name in ("edit", "video", "all") for measure in MEASURES
    ]
    found = {row["stage"]: row for row in summary if row["measure"] == "total_s"}
    assert found["edit"] == {
        "stage": "edit",
        "measure": "total_s",
        "count": "5",
        "mean_s": f"{statistics.fmean(seconds):.3f}",
        "p50_s": "35.500",
        # Between the fourth and fifth value: 47.25 + 0.6 x 82.875, and so on.
        "p90_s": "96.975",
        "p95_s": "113.550",
        "p99_s": "126.810",
        "max_s": "130.125",
    }
    assert (found["video"]["count"], found["video"]["p99_s"]) == ("1", "300.000")
    assert found["all"]["p50_s"] == f"{np.quantile([*seconds, 300.0], 0.5):.3f}"
    never = next(row for row in summary if row["measure"] == "upload_s")
    assert list(never.values()) == ["edit", "upload_s", "0", "", "", "", "", "", ""]


def test_seconds_are_to_the_millisecond_in_csv(run: RunRecord) -> None:
    first, cached = rows(run_tables(run).latency.csv())[0], rows(run_tables(run).latency.csv())[3]
    assert (first["inference_s"], first["queue_s"], first["polls"]) == ("45.123", "0.250", "9")
    assert (cached["inference_s"], cached["total_s"], cached["attempts"]) == ("", "", "0")


def test_hostile_texts_are_marked_in_csv_and_exact_in_parquet(tmp_path: Path) -> None:
    run = hostile(tmp_path, Assets())
    tables = run_tables(run)
    written = rows(tables.cost.csv())
    exact = pq.read_table(pa.BufferReader(cost_parquet(run, tables.cost)))["error"].to_pylist()
    for row, stage_record, kept in zip(written, run.stages, exact, strict=True):
        assert kept == stage_record.error
        assert original_cell(row["error"]) == stage_record.error
        assert row["error"] == "-1.5" or row["error"][:1] not in {"=", "+", "-", "@", "\t", "\r"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("5.3120", "5.312"),
        ("10", "10"),
        ("1E+1", "10"),
        ("1.000000", "1"),
        ("5.333333333333333333333333333", "5.333333333333333333333333333"),
    ],
)
def test_quantities_are_exact_and_plain(tmp_path: Path, given: str, kept: str) -> None:
    assert format(plain_quantity(Decimal(given)), "f") == kept
    run = record(tmp_path, (brief("b", (stage("b", "video", Outcome.GENERATED, quantity=Decimal(given)),)),))
    tables = run_tables(run)
    assert rows(tables.cost.csv())[0]["quantity"] == kept
    read = pq.read_table(pa.BufferReader(cost_parquet(run, tables.cost)))["quantity"][0].as_py()
    assert read == Decimal(given)


def test_a_run_that_never_reached_a_brief_has_tables_all_the_same(tmp_path: Path) -> None:
    run = record(tmp_path, ())
    tables = run_tables(run)
    assert tables.cost.csv().decode() == ",".join(COST) + "\n"
    assert rows(tables.cost_summary.csv())[0]["charged_usd"] == "0"
    assert pq.read_table(pa.BufferReader(cost_parquet(run, tables.cost))).column_names == COST
