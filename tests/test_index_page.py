"""The page over all runs: its figures, what it keeps apart, and how it does in a browser; and the list of runs."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from browser_support import console, loaded, run_script, show, violations
from record_samples import HOSTILE_TEXTS
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tasks.accounting.run_figures import RunFigures, RunSummary
from tasks.index_page import MARK, MOST_RUNS, NAME, index_html, write_index_page

pytest_plugins = ("browser_fixtures",)

NEWEST = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def figures(number: int = 0, **changes: Any) -> RunFigures:
    fields: dict[str, Any] = {
        "seconds": 60.0 + number,
        "briefs": {"done": 3},
        "stages": {"generated": 2, "cached": 1},
        "estimated": 60_000,
        "charged": 56_000 + number,
        "refunded": 0,
        "saved": 28_000,
        "median_s": {"edit": 40.0 + number % 7, "video": 200.0},
        "failures": {},
    }
    return RunFigures(**{**fields, **changes})


def summary(number: int, out: Path, **changes: Any) -> RunSummary:
    """The run that began so many hours before the newest; every third is simulated."""
    simulated = number % 3 == 2
    fields: dict[str, Any] = {
        "run": f"{'simulated-' if simulated else ''}run-{number:04}",
        "campaign": "spring",
        "provider": "simulator" if simulated else "wavespeed",
        "service": "x",
        "started_at": NEWEST - timedelta(hours=number),
        "exit_status": 0,
        "out": str(out),
        "figures": figures(number),
    }
    return RunSummary(**{**fields, **changes})


def text_of(html: bytes) -> str:
    return html.decode("utf-8")


# The page.


def test_real_and_simulated_runs_are_never_summed(tmp_path: Path) -> None:
    found = [summary(number, tmp_path) for number in range(6)]
    html = text_of(index_html(found, tmp_path))
    totals = dict(re.findall(r'<dd id="(\w+)-charged">([^<]+)</dd>', html))
    assert totals == {"real": "$0.224008", "simulated": "$0.112007"}
    real, simulated = html.split('<section id="simulated"')
    assert set(re.findall(r"(?:simulated-)?run-\d{4}", real.split("<tbody>")[-1])) == {
        f"run-{number:04}" for number in (0, 1, 3, 4)
    }
    assert "Nothing of this was paid" in simulated
    assert '<section id="simulated"' not in text_of(index_html([found[0]], tmp_path))
    assert '<section id="real"' not in text_of(index_html([found[2]], tmp_path))


def test_reports_are_linked_by_relative_place_where_they_are(tmp_path: Path) -> None:
    here, there = tmp_path / "runs", tmp_path / "other runs"
    found = [summary(0, here), summary(1, there), summary(3, here)]
    for one in found[:2]:
        one.report.parent.mkdir(parents=True)
        one.report.write_text("report")
    links = re.findall(r'<th scope="row"><a href="([^"]+)"', text_of(index_html(found, here)))
    assert links == ["run-0000/report.html", "../other%20runs/run-0001/report.html"]
    assert write_index_page(found, here) == here / NAME


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    found = [
        summary(number, tmp_path, campaign=text, figures=figures(failures={text: 1}))
        for number, text in enumerate(HOSTILE_TEXTS)
    ]
    html = text_of(index_html(found, tmp_path))
    assert len(re.findall("<script", html)) == 2
    assert "<img" not in html
    assert not {"\u202e", "\u200b", "\x1b", "\x07"} & set(html)
    assert "{{ 7*7 }}" in html


def test_another_page_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("<h1>my homepage</h1>")
    assert write_index_page([summary(0, tmp_path)], tmp_path) is None
    assert (tmp_path / NAME).read_text() == "<h1>my homepage</h1>"
    (tmp_path / NAME).unlink()
    assert write_index_page([], tmp_path) == tmp_path / NAME
    first = (tmp_path / NAME).read_bytes()
    assert MARK in first
    assert write_index_page([summary(0, tmp_path)], tmp_path) == tmp_path / NAME
    assert (tmp_path / NAME).read_bytes() != first


def test_one_run_is_one_run(tmp_path: Path) -> None:
    html = text_of(index_html([summary(0, tmp_path)], tmp_path))
    assert "1 run, the newest first" in html
    assert "Cost of 1 run, the oldest first" in html
    assert "1 runs" not in html
    many = text_of(index_html([summary(number, tmp_path) for number in range(MOST_RUNS + 1)], tmp_path))
    assert "1,000 runs, the newest first; 1 older one is left out here" in many


def test_only_the_newest_are_shown(tmp_path: Path) -> None:
    found = [summary(number, tmp_path) for number in range(MOST_RUNS + 2)]
    html = text_of(index_html(found, tmp_path))
    assert html.count("<tr data-text") == MOST_RUNS
    assert "2 older ones are left out" in html
    assert len(html) < 2_000_000


# In a browser.


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    found = [summary(number, folder) for number in range(24)]
    troubled = figures(briefs={"done": 1, "failed": 2}, failures={"moderation": 2})
    found[4] = summary(4, folder, exit_status=1, figures=troubled, campaign="autumn")
    found[7] = summary(7, folder, exit_status=None, figures=None)
    found[3].report.parent.mkdir()
    found[3].report.write_text("<title>the report</title>")
    path = write_index_page(found, folder)
    assert path is not None
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_accessible_at_every_width_and_loads_nothing(
    browser: Chrome, page: Path, width: int, dark: bool
) -> None:
    show(browser, page, width=width, dark=dark)
    assert run_script(browser, "[...document.querySelectorAll('main > section[id]')].map(one => one.id)") == [
        "real",
        "simulated",
    ]
    charts = run_script(
        browser, "[...document.querySelectorAll('svg.chart')].map(one => one.getAttribute('aria-label'))"
    )
    assert len(charts) == 6
    assert all(re.search(r"\d", label) for label in charts)
    drawn = run_script(
        browser,
        "[...document.querySelectorAll('svg.chart')].map(one => one.getBoundingClientRect())"
        ".every(box => box.width > 150 && box.height > 100)",
    )
    assert drawn
    assert run_script(browser, "document.documentElement.scrollWidth <= window.innerWidth")
    paper = run_script(browser, "getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(","))) < 200) is dark
    assert violations(browser) == []
    assert console(browser) == []
    assert loaded(browser) == []


def test_charts_show_every_run_that_ended(browser: Chrome, page: Path) -> None:
    show(browser, page)
    bars = run_script(
        browser,
        "[...document.querySelectorAll('#real .trends figure')].slice(0, 2)"
        ".map(one => one.querySelectorAll('svg > g').length)",
    )
    assert bars == [15, 15]
    widths = run_script(
        browser,
        "[...document.querySelectorAll('#real .trends figure:first-child svg > g')]"
        ".map(one => Math.round(one.getBoundingClientRect().x))",
    )
    assert widths == sorted(set(widths)), "the oldest first, side by side"
    titles = run_script(
        browser, "[...document.querySelectorAll('#real svg > g > title')].map(t => t.textContent)"
    )
    assert titles[0] == "run-0022: $0.056022 charged, $0.028 saved"
    points = run_script(browser, "document.querySelectorAll('#real .point').length")
    assert points == 2 * 15


def shown(browser: Chrome) -> Sequence[str]:
    found: list[str] = run_script(
        browser,
        "[...document.querySelectorAll('.runs tbody tr')].filter(row => !row.hidden)"
        ".map(row => row.cells[0].textContent)",
    )
    return found


def test_runs_are_filtered_and_their_reports_open(browser: Chrome, page: Path) -> None:
    show(browser, page)
    assert len(shown(browser)) == 24
    field = browser.find_element(By.ID, "q")
    field.send_keys("AUTUMN")
    assert shown(browser) == ["run-0004"]
    assert browser.find_element(By.ID, "found").text == "1 of 24 runs"
    field.clear()
    field.send_keys("x")
    field.send_keys("\b")
    browser.find_element(By.ID, "troubled").click()
    assert shown(browser) == ["run-0004", "run-0007"]
    browser.find_element(By.ID, "troubled").click()
    browser.find_element(By.ID, "theme").click()
    assert run_script(browser, "document.documentElement.dataset.theme") == "light"
    links = browser.find_elements(By.CSS_SELECTOR, ".runs a")
    assert [link.text for link in links] == ["run-0003"]
    links[0].click()
    assert browser.title == "the report"


def test_a_thousand_runs_open_and_filter_at_once(browser: Chrome, tmp_path: Path) -> None:
    path = write_index_page([summary(number, tmp_path) for number in range(MOST_RUNS)], tmp_path)
    assert path is not None
    show(browser, path, width=390)
    assert run_script(browser, "document.documentElement.scrollWidth <= window.innerWidth")
    browser.find_element(By.ID, "q").send_keys("run-0999")
    assert shown(browser) == ["run-0999"]
    spent = run_script(
        browser,
        "(() => { const q = document.getElementById('q'); const begun = performance.now(); q.value = '';"
        " q.dispatchEvent(new Event('input')); document.body.offsetHeight; return performance.now() - begun; })()",
    )
    # Measured 20 to 60 ms; a page that has to be laid out many times over takes seconds.
    assert spent < 2_000
    assert len(shown(browser)) == MOST_RUNS
