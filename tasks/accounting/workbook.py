"""``tables.xlsx``: the run's tables in one Excel workbook, with types, for people who work in a spreadsheet.

A spreadsheet keeps every number as a binary float of about 15 digits. So each column of dollars has a companion of
whole millionths, which such a float holds exactly. Nothing in the workbook is calculated: text stays text.
"""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from blocks.money import to_dollars, to_millionths
from tasks.accounting.results import results_table
from tasks.accounting.tables import RunTables, Table
from tasks.exports import Cell, neutral_cell
from tasks.record import RunRecord

SIMULATED = "SIMULATED: a simulator of the service did the work. Nothing was really paid."

_Value = Cell | datetime
_FORMATS = {
    "_usd": "#,##0.00####",
    "_millionths": "0",
    "_s": "0.000",
    "_utc": "yyyy-mm-dd hh:mm:ss",
}
_COUNTS = {
    "take",
    "edit_num_images",
    "compose_num_images",
}  # of the campaign, where a row is text as it was read
_NARROWEST, _WIDEST = 8, 60
_LONGEST_TEXT = 32_767  # of a cell, by Excel
_EXPLAINED = (
    "Columns that end in _usd are US dollars as a spreadsheet keeps them, to about 15 digits.",
    "Columns that end in _millionths are the same amounts in millionths of a dollar, exactly, as in cost.csv.",
    "Quantities have up to 28 decimal places; a spreadsheet keeps about 15 digits of them, cost.parquet all.",
    "Times are in UTC, durations in seconds. Blank: it did not happen in this run.",
    "A leading ' marks text that a spreadsheet would otherwise calculate; it is not part of the text.",
)


@dataclass(frozen=True)
class _Sheet:
    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[_Value]]
    first_columns: int = 1  # that stay in view when one scrolls to the right


def workbook(record: RunRecord, tables: RunTables, folder: Path) -> bytes:
    """Draw the workbook; ``folder`` is where the run's files lie, from which results name theirs.

    The same record gives the same bytes.
    """
    content = io.BytesIO()
    options = {
        "in_memory": True,  # nothing is written outside the run's folder
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(content, options) as book:
        book.set_properties(
            {
                "title": f"{'SIMULATED ' if record.simulated else ''}run {_text(record.run)}",
                "comments": SIMULATED if record.simulated else "",
                # Otherwise the time of writing, and with it other bytes each time.
                "created": record.ended_at.astimezone(UTC).replace(tzinfo=None),
            }
        )
        _Writer(book, simulated=record.simulated).write(record, _sheets(record, tables, folder))
    return content.getvalue()


def _sheets(record: RunRecord, tables: RunTables, folder: Path) -> Iterable[_Sheet]:
    yield _with_millionths("Cost", tables.cost, first_columns=3)
    columns = (*tables.latency.columns, "started_utc", "ended_utc")
    rows = (
        (*row, stage.started_at, stage.ended_at)
        for row, stage in zip(tables.latency.rows, record.stages, strict=True)
    )
    yield _Sheet("Latency", columns, rows, first_columns=3)
    yield _with_millionths("Cost summary", tables.cost_summary)
    yield _Sheet(
        "Latency summary", tables.latency_summary.columns, tables.latency_summary.rows, first_columns=2
    )
    results = results_table(record, folder)
    counts = {index for index, name in enumerate(results.columns) if name in _COUNTS}
    counted = (
        tuple(_number(value) if index in counts else value for index, value in enumerate(row))
        for row in results.rows
    )
    yield _Sheet("Results", results.columns, counted)


def _with_millionths(name: str, table: Table, *, first_columns: int = 1) -> _Sheet:
    money = [index for index, column in enumerate(table.columns) if column.endswith("_usd")]
    columns = (
        *table.columns,
        *(f"{table.columns[index].removesuffix('_usd')}_millionths" for index in money),
    )
    rows = ((*row, *(_millionths(row[index]) for index in money)) for row in table.rows)
    return _Sheet(name, columns, rows, first_columns)


def _millionths(dollars: Cell) -> int | None:
    return to_millionths(dollars) if isinstance(dollars, Decimal) else None


def _number(value: Cell) -> Cell:
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value.strip()) else value


class _Writer:
    def __init__(self, book: xlsxwriter.Workbook, *, simulated: bool) -> None:
        self._book = book
        self._simulated = simulated
        self._formats = {ending: book.add_format({"num_format": shape}) for ending, shape in _FORMATS.items()}
        self._plain = book.add_format()
        self._left = {
            ending: book.add_format({"num_format": shape, "align": "left"})
            for ending, shape in (_FORMATS | {"": "General"}).items()
        }
        self._label = book.add_format({"bold": True, "valign": "top"})
        self._header = book.add_format({"bold": True, "bottom": 1, "bg_color": "#E7ECEF"})
        self._title = book.add_format({"bold": True, "font_size": 16})
        self._warning = book.add_format({"bold": True, "font_color": "#FFFFFF", "bg_color": "#B00020"})
        self._wrapped = book.add_format({"text_wrap": True, "valign": "top"})

    def write(self, record: RunRecord, sheets: Iterable[_Sheet]) -> None:
        self._write_run(record)
        for sheet in sheets:
            self._write_table(sheet)

    def _write_run(self, record: RunRecord) -> None:
        page = self._new("Run")
        page.set_column(0, 0, 24)
        page.set_column(1, 1, 90)
        page.hide_gridlines(2)
        page.write_string(0, 0, _text(f"Run {record.run}"), self._title)
        if record.simulated:
            page.write_string(1, 0, SIMULATED, self._warning)
            page.write_blank(1, 1, None, self._warning)
        row = 3
        for label, value in _facts(record):
            page.write_string(row, 0, label, self._label)
            ending = next((ending for ending in _FORMATS if label.endswith(ending)), "")
            _write_value(page, row, 1, value, self._left[ending])
            row += 1
        row += 1
        for title, texts in (("About these tables", _EXPLAINED), ("Notes of the run", record.notes)):
            for text in texts:
                page.write_string(row, 0, title, self._label)
                page.write_string(row, 1, _text(text), self._wrapped)
                row += 1

    def _write_table(self, sheet: _Sheet) -> None:
        page = self._new(sheet.name)
        widths = [len(column) + 3 for column in sheet.columns]  # the filter's button takes some
        for index, column in enumerate(sheet.columns):
            page.write_string(0, index, _text(column), self._header)
        last = 0
        formats = [self._format_of(column) for column in sheet.columns]
        for last, values in enumerate(sheet.rows, start=1):
            for index, value in enumerate(values):
                widths[index] = max(widths[index], _width(value))
                _write_value(page, last, index, value, formats[index])
        for index, width in enumerate(widths):
            page.set_column(index, index, min(max(width, _NARROWEST), _WIDEST))
        page.freeze_panes(1, sheet.first_columns)
        page.autofilter(0, 0, last, len(sheet.columns) - 1)
        page.repeat_rows(0)

    def _new(self, name: str) -> Worksheet:
        page = self._book.add_worksheet(name)
        page.set_landscape()
        page.fit_to_pages(1, 0)
        if self._simulated:
            page.set_tab_color("#B00020")
            page.set_header("&C&B" + SIMULATED)
        return page

    def _format_of(self, column: str) -> Format:
        return next((self._formats[ending] for ending in _FORMATS if column.endswith(ending)), self._plain)


def _write_value(page: Worksheet, row: int, column: int, value: _Value, shape: Format) -> None:
    match value:
        case None | "":
            return
        case str():
            page.write_string(row, column, _text(value))
        case datetime():
            # Excel knows no time zones; the column's name says that it is UTC.
            page.write_datetime(row, column, value.astimezone(UTC).replace(tzinfo=None), shape)
        case _:
            page.write_number(row, column, float(value), shape)


def _facts(record: RunRecord) -> Iterable[tuple[str, _Value]]:
    statuses = [brief.status for brief in record.briefs]
    stages = record.stages
    yield "campaign", record.campaign
    yield "provider", f"{record.provider}, {record.service}"
    yield "started_utc", record.started_at
    yield "ended_utc", record.ended_at
    yield "duration_s", record.seconds
    yield "exit status", record.exit_status
    yield "briefs", len(statuses)
    for status in ("done", "failed", "held"):
        yield f"briefs {status}", statuses.count(status)
    yield "estimated_usd", to_dollars(sum(stage.estimated for stage in stages))
    yield "charged_usd", to_dollars(sum(stage.charged for stage in stages))
    yield "refunded_usd", to_dollars(sum(stage.refunded for stage in stages))
    yield "saved_usd", to_dollars(sum(stage.saved for stage in stages))
    yield "budget_usd", None if record.budget is None else to_dollars(record.budget)
    yield "price list", f"{record.price_list.name}, {record.price_list.dated}"


def _text(text: str) -> str:
    """What a cell can hold, and what no spreadsheet calculates."""
    # Half a surrogate pair is no XML, and would make the whole file unreadable.
    text = neutral_cell(text.encode("utf-8", errors="backslashreplace").decode("utf-8"))
    if text.startswith("<r>") and text.endswith("</r>"):
        text += " "  # the library takes what stands between the two for its own markup and does not escape it
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def _width(value: _Value) -> int:
    match value:
        case None:
            return 0
        case str():
            return max(map(len, value.splitlines()), default=0) + 1
        case datetime():
            return 20
        case _:
            return 12
