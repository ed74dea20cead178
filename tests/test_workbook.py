"""The workbook, opened with another library than the one that wrote it."""

import io
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.cell import Cell
from openpyxl.utils import get_column_letter
from openpyxl.workbook import Workbook
from record_samples import (
    HOSTILE_TEXTS,
    STARTED,
    Assets,
    brief,
    every_outcome,
    hostile,
    record,
    stage,
)

from tasks.accounting.results import results_table
from tasks.accounting.tables import run_tables
from tasks.accounting.workbook import SIMULATED, workbook
from tasks.exports import neutral_cell
from tasks.record import Outcome, RunRecord

SHEETS = ["Run", "Cost", "Latency", "Cost summary", "Latency summary", "Results"]


def written(run: RunRecord, folder: Path) -> bytes:
    return workbook(run, run_tables(run), folder / "runs" / run.run)


def opened(content: bytes) -> Workbook:
    return openpyxl.load_workbook(io.BytesIO(content))


def rows(book: Workbook, sheet: str) -> list[dict[str, Any]]:
    header, *values = book[sheet].iter_rows(values_only=True)
    return [dict(zip(map(str, header), row, strict=True)) for row in values]


@pytest.fixture
def run(tmp_path: Path) -> RunRecord:
    return every_outcome(tmp_path, Assets())


def test_there_is_a_sheet_for_each_table_with_every_row(tmp_path: Path, run: RunRecord) -> None:
    book, tables = opened(written(run, tmp_path)), run_tables(run)
    assert book.sheetnames == SHEETS
    results = results_table(run, tmp_path / "runs" / run.run)
    for sheet, table in zip(
        SHEETS[1:],
        (tables.cost, tables.latency, tables.cost_summary, tables.latency_summary, results),
        strict=True,
    ):
        found = rows(book, sheet)
        assert list(found[0])[: len(table.columns)] == list(table.columns)
        for row, expected in zip(found, table.rows, strict=True):
            for name, value in zip(table.columns, expected, strict=True):
                if isinstance(value, Decimal | float | int):
                    assert row[name] == pytest.approx(float(value), abs=1e-9), (sheet, name)
                    assert isinstance(row[name], int | float)
                else:
                    assert row[name] == (value or None), (sheet, name)


def test_money_is_exact_in_millionths(tmp_path: Path, run: RunRecord) -> None:
    book = opened(written(run, tmp_path))
    for row, one in zip(rows(book, "Cost"), run.stages, strict=True):
        for name in ("unit_price", "estimated", "charged", "saved"):
            assert row[f"{name}_millionths"] == getattr(one, name)
    total = rows(book, "Cost summary")[-1]
    assert total["charged_millionths"] == sum(one.charged for one in run.stages) == 2_024_320
    assert book["Cost"]["J2"].number_format == "#,##0.00####"
    assert book["Cost"].cell(1, 10).value == "charged_usd"


def test_moments_are_dates_in_utc(tmp_path: Path) -> None:
    elsewhere = STARTED.astimezone(datetime.now(UTC).astimezone().tzinfo) + timedelta(milliseconds=500)
    one = brief("b", (stage("b", "edit", Outcome.GENERATED, started_at=elsewhere),))
    latency = opened(written(record(tmp_path, (one,)), tmp_path))["Latency"]
    names = [cell.value for cell in latency[1]]
    cell = latency.cell(2, names.index("started_utc") + 1)
    assert isinstance(cell, Cell)
    assert cell.is_date
    assert cell.value == (STARTED + timedelta(milliseconds=500)).replace(tzinfo=None)


def test_headers_stay_in_view_and_filter(tmp_path: Path, run: RunRecord) -> None:
    book = opened(written(run, tmp_path))
    for sheet in SHEETS[1:]:
        page = book[sheet]
        assert str(page.freeze_panes).rstrip("0123456789") > "A", "the first column stays too"
        assert str(page.freeze_panes).endswith("2")
        assert page.auto_filter.ref == page.dimensions
        assert all(
            8 <= page.column_dimensions[get_column_letter(cell.column or 0)].width <= 61 for cell in page[1]
        )
        assert all(cell.font.bold for cell in page[1])


def test_the_first_sheet_says_what_the_run_was(tmp_path: Path, run: RunRecord) -> None:
    facts = {row[0].value: row[1].value for row in opened(written(run, tmp_path))["Run"].iter_rows(min_row=4)}
    assert facts["provider"] == "wavespeed, https://api.wavespeed.ai"
    assert facts["started_utc"] == STARTED.replace(tzinfo=None)
    assert (facts["briefs"], facts["briefs done"], facts["exit status"]) == (4, 2, 3)
    assert facts["charged_usd"] == 2.02432
    assert facts["Notes of the run"] == "2 references of mug are not used"


def test_a_simulated_run_cannot_be_mistaken(tmp_path: Path, run: RunRecord) -> None:
    simulated = every_outcome(tmp_path, Assets(), provider="simulator", run="simulated-1")
    real, marked = opened(written(run, tmp_path)), opened(written(simulated, tmp_path))
    assert marked["Run"]["A2"].value == SIMULATED
    assert marked["Run"]["A2"].fill.fgColor.rgb == "FFB00020"
    for page in marked:
        assert page.sheet_properties.tabColor is not None
        assert page.sheet_properties.tabColor.rgb == "FFB00020"
        assert page.oddHeader is not None
        assert page.oddHeader.center is not None
        assert SIMULATED in str(page.oddHeader.center.text)
    assert "SIMULATED" in str(marked.properties.title)
    assert not any(
        "SIMULATED" in str(cell.value) for page in real for row in page.iter_rows() for cell in row
    )
    assert all(page.sheet_properties.tabColor is None for page in real)


def test_the_same_record_gives_the_same_bytes(tmp_path: Path, run: RunRecord) -> None:
    again = RunRecord.model_validate_json(run.model_dump_json())
    assert written(run, tmp_path) == written(again, tmp_path)


def test_hostile_texts_stay_text(tmp_path: Path) -> None:
    more = (
        "<r><t>forged</t></r>",
        "half a pair \ud800",
        "no character \ufffe\uffff",
        "_x0041_",
        "long " * 10_000,
    )
    run = hostile(tmp_path, Assets())
    first = run.briefs[0]
    stages = tuple(
        first.stages[0].model_copy(update={"error": text, "brief": f"m{number}"})
        for number, text in enumerate(more)
    )
    run = run.model_copy(update={"briefs": (*run.briefs, first.model_copy(update={"stages": stages}))})
    content = written(run, tmp_path)
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        names = package.namelist()
        assert not [name for name in names if "vba" in name or "external" in name.lower()]
        for name in names:
            assert b"<f>" not in package.read(name), "nothing is calculated"
            assert b"<hyperlink" not in package.read(name), "and nothing leads away"
    found = rows(opened(content), "Cost")
    for row, text in zip(found, HOSTILE_TEXTS, strict=False):
        # openpyxl leaves Excel's way of writing control characters as it is.
        shown = (
            str(row["error"]).replace("_x000D_", "\r").replace("_x0007_", "\x07").replace("_x001B_", "\x1b")
        )
        assert shown == neutral_cell(text)
    forged, half, none, escape, long = (row["error"] for row in found[len(HOSTILE_TEXTS) :])
    assert str(forged).strip() == more[0]
    assert (half, none) == ("half a pair \\ud800", "no character _xFFFE__xFFFF_")
    assert escape == "_x0041_", "not the letter that Excel's escapes stand for"
    assert (len(str(long)), str(long)[-1]) == (32_767, "…")


def test_numbers_of_the_campaign_are_numbers(tmp_path: Path) -> None:
    row = {"brief": "b", "edit_prompt": "007", "take": "2"}
    one = brief("b", (stage("b", "edit", Outcome.GENERATED),), row=row)
    found = rows(opened(written(record(tmp_path, (one,)), tmp_path)), "Results")[0]
    assert (found["take"], found["edit_prompt"], found["charged_usd"]) == (2, "007", 0.028)


def test_a_run_that_never_reached_a_brief_has_a_workbook_all_the_same(tmp_path: Path) -> None:
    book = opened(written(record(tmp_path, ()), tmp_path))
    assert book.sheetnames == SHEETS
    assert book["Cost"].max_row == 1
