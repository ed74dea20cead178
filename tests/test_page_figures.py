"""The figures of ``report.html`` are those of the tables."""

import csv
import dataclasses
import io
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from page_reader import Page, number, page_of
from record_samples import (
    Assets,
    brief,
    every_outcome,
    record,
    stage,
)

from blocks.ledger import AttemptRow, AttemptState, Settlement
from tasks.accounting.tables import run_tables
from tasks.page import PageContext, report_html
from tasks.page.texts import MINUS, money
from tasks.reconciling.reconciliation import AttemptLine, Reconciliation, Verdict
from tasks.record import AttemptRecord, Outcome, RunRecord

STEPS = {"detect": "detection"}


@pytest.fixture
def run(tmp_path: Path) -> RunRecord:
    return every_outcome(tmp_path, Assets())


def table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_the_latency_summary_is_the_file(run: RunRecord) -> None:
    header, *lines = table(run_tables(run).latency_summary.csv())
    shown_header, *shown = page_of(run).tables["latency-summary"]
    assert shown_header == ["stage", "step", *(name.removesuffix("_s") for name in header[2:])]
    # The stage stands in the first row of its group only.
    shown = [row[-8:] for row in shown]
    assert len(shown) == len(lines) > 20
    assert shown == [
        [(step := line[1].removesuffix("_s")) and STEPS.get(step, step), *line[2:]] for line in lines
    ]


@pytest.mark.parametrize("side", ["stage", "model", "outcome", "brief"])
def test_costs_add_up_to_the_table_from_every_side(run: RunRecord, side: str) -> None:
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in rows(run_tables(run).cost.csv()):
        for name in (row[side], "total"):
            for column in ("estimated_usd", "charged_usd", "saved_usd"):
                sums[name][column] += Decimal(row[column])
            sums[name]["stages"] += 1
    header, *lines = page_of(run).tables[f"cost-by-{side}"]
    at = {
        name: header.index(name)
        for name in ("stages", "estimated", "charged", "difference", "saved", "refunded")
    }
    assert {line[0] for line in lines} == set(sums)
    for line in lines:
        expected = sums[line[0]]
        assert number(line[at["stages"]]) == expected["stages"]
        for name in ("estimated", "charged", "saved"):
            assert number(line[at[name]]) == expected[f"{name}_usd"], (line, name)
        assert number(line[at["difference"]]) == expected["charged_usd"] - expected["estimated_usd"]
    assert number(lines[-1][at["refunded"]]) == Decimal("0.028")


def test_totals_are_those_of_the_tables(run: RunRecord) -> None:
    page = page_of(run)
    cost = rows(run_tables(run).cost.csv())
    for name in ("charged", "estimated", "saved"):
        total = sum(Decimal(row[f"{name}_usd"]) for row in cost)
        assert number(page.by_id[name]) == total == Decimal(page.with_id(name)["data-value"] or "")
    assert (page.by_id["refunded"], page.by_id["budget"], page.by_id["took"]) == (
        "$0.028",
        "$20.00",
        "4 min 22 s",
    )
    assert [page.by_id[f"briefs-{name}"] for name in ("total", "done", "failed", "held")] == list("4211")
    counted = {
        attributes["data-outcome-count"]: int(attributes["data-value"] or "")
        for attributes in page.all("span")
        if "data-outcome-count" in attributes
    }
    assert counted == {"generated": 3, "cached": 2, "resumed": 1, "failed": 1, "held": 1, "skipped": 1}
    assert page.by_class["sentence"] == [
        "4 briefs: 2 done, 1 failed and 1 held; 5 pictures and 2 clips in 4 min 22 s."
    ]


def test_each_brief_shows_the_figures_of_its_rows(run: RunRecord) -> None:
    page = page_of(run)
    tables = run_tables(run)
    latency = {(row["brief"], row["stage"]): row for row in rows(tables.latency.csv())}
    cost = rows(tables.cost.csv())
    for row in cost:
        header, *lines = page.numbers[row["brief"]]
        shown = {line[0]: line[header.index(row["stage"])] for line in lines}
        for name in ("estimated", "charged", "saved"):
            # A row of nothing but zeros is left out.
            assert shown.get(name, "0") == row[f"{name}_usd"]
        assert shown["unit price"] == row["unit_price_usd"]
        assert shown["prediction"] == row["prediction_id"]
        times = latency[row["brief"], row["stage"]]
        for column in ("queue", "upload", "submit", "inference", "detect", "download", "total"):
            assert shown[STEPS.get(column, column)] == times[f"{column}_s"]
        assert (shown["polls"], shown["attempts"]) == (times["polls"], times["attempts"])
    for found, expected in zip(page.by_class["price"], run.briefs, strict=True):
        charged = sum(Decimal(row["charged_usd"]) for row in cost if row["brief"] == expected.brief)
        assert number(found) == charged


@pytest.mark.parametrize(
    ("millionths", "text"),
    [
        (0, "$0.00"),
        (28_000, "$0.028"),
        (1_912_320, "$1.91232"),
        (1_234_500_000, "$1,234.50"),
        (-56_000, f"{MINUS}$0.056"),
    ],
)
def test_money_is_exact_and_has_cents(millionths: int, text: str) -> None:
    assert money(millionths) == text


def test_what_failures_cost_is_told_by_cause(tmp_path: Path) -> None:
    attempts = (
        AttemptRecord(
            number=1,
            state="failed",
            prediction_id="p1",
            charged=28_000,
            refunded=28_000,
            error_code="5000",
            error="x",
        ),
        AttemptRecord(
            number=2,
            state="failed",
            prediction_id="p2",
            charged=28_000,
            refunded=0,
            error_code="1200",
            error="y",
        ),
        AttemptRecord(number=3, state="stored", prediction_id="p3", charged=28_000, refunded=0),
    )
    run = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.GENERATED, attempts=attempts),)),))
    lines = page_of(run).tables["wasted"][1:]
    assert [line[:5] for line in lines] == [
        ["moderation", "1", "0.028", "0.000", "0.028"],
        ["failure inside the service", "1", "0.028", "0.028", "0.000"],
    ]
    assert (
        "wasted" not in page_of(record(tmp_path, (brief("b", (stage("b", "edit", Outcome.CACHED),)),))).tables
    )


def test_the_reconciliation_is_shown_where_there_is_one(run: RunRecord) -> None:
    fields: dict[str, Any] = dict.fromkeys((field.name for field in dataclasses.fields(AttemptRow)), None)
    fields |= {"id": 12, "model": run.stages[0].model, "state": AttemptState.STORED, "prediction_id": "p1"}
    fields |= {"estimated": 56_000, "charged": 56_000, "list_price": 56_000, "discounted_price": 50_000}
    attempt = AttemptRow(**{**fields, "refunded": 0, "outputs": (), "nsfw": (), "input_sha256s": ()})
    billed = Settlement(charged=50_000, refunded=28_000)
    line = AttemptLine(attempt, Verdict.DIFFERS, "the bill says <otherwise>", brief="mug", billed=billed)
    found = Reconciliation("https://api.wavespeed.ai", "wavespeed", run.run, (line,), (), None)
    context = PageContext(reconciliation=found.document())
    page = Page(report_html(run, run_tables(run), context=context))
    header, *lines = page.tables["reconciled"]
    assert dict(zip(header, lines[0], strict=True)) == {
        "brief": "mug",
        "stage": "edit",
        "verdict": "differs",
        "estimated": "0.056",
        "list price": "0.056",
        "discount": "0.006",
        "charged": "0.05",
        "refunded": "0.028",
        "what to do": "the bill says <otherwise>",
    }
    assert "campaign reconcile" in page_of(run).by_id["cost"]
