"""The page opened from disk in a real browser, under its own policy: a real run's, and one where much went wrong."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest
from browser_support import console, figures, loaded, run_script, show, until, violations
from campaign_support import PrefectApi, Workplace, charged_millionths, rows_of, wait_until
from page_reader import number
from record_samples import Assets, brief, every_outcome, large, record, stage
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from blocks.money import to_millionths
from tasks.page import PageContext
from tasks.page.thumbnails import Thumbnails
from tasks.record import Outcome, RunRecord
from tasks.run_files.run_folder import write_run_folder

pytest_plugins = ("browser_fixtures",)

SHOWN = "[...document.querySelectorAll('.brief')].filter(card => !card.hidden).map(card => card.id.slice(6))"


@dataclass(frozen=True)
class RealRun:
    out: Path
    billed: int  # by the simulator's books, in millionths of a dollar


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, prefect_api: PrefectApi) -> RealRun:
    workplace = Workplace(tmp_path_factory.mktemp("real") / "work", prefect_api)
    image = workplace.picture()
    campaign = workplace.campaign(
        [
            {
                "brief": "whole",
                "edit_prompt": "snow <script>alert(1)</script>",
                "edit_image": image,
                "compose_prompt": "@Image1 on marble",
                "video_prompt": "night",
                "video": workplace.clip(),
            },
            {"brief": "jpeg", "edit_prompt": "sunset", "edit_image": image, "edit_output_format": "jpeg"},
            {"brief": "again", "edit_prompt": "sunset", "edit_image": image, "edit_output_format": "jpeg"},
        ]
    )
    finished = workplace.run("run", campaign, "--json")
    assert finished.status == 0, finished
    books = workplace.books()
    try:
        billed = books.charged_total()
    finally:
        books.close()
    return RealRun(workplace.out(finished.document["run"]), billed)


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with every outcome, an earlier one to compare with, and long and right-to-left prompts."""
    folder = tmp_path_factory.mktemp("troubled")
    assets = Assets()
    run = every_outcome(folder, assets, provider="simulator", service="simulator")
    long = stage("long", "edit", Outcome.FAILED, error="no", prompt="ein sehr langer Wunsch " * 100)
    hebrew = stage(
        "hebrew",
        "edit",
        Outcome.GENERATED,
        prompt="שלום עולם, a mug",
        assets=(assets.picture("assets/hebrew/edit-1.png", 9),),
    )
    more = (brief("long", (long,), "failed", error="no", line=8), brief("hebrew", (hebrew,), line=9))
    run = run.model_copy(update={"briefs": (*run.briefs, *more)})
    context = PageContext(thumbnails=Thumbnails(folder / "thumbnails"), earlier=_earlier(run))
    write_run_folder(run, folder / "r", place_asset=assets.place, page=context)
    return folder / "r" / "report.html"


def _earlier(run: RunRecord) -> RunRecord:
    mug = run.briefs[0]
    first = mug.stages[0].model_copy(update={"prompt": "mug: another edit"})
    before = mug.model_copy(update={"stages": (first, *mug.stages[1:])})
    return run.model_copy(update={"run": "earlier", "briefs": (before, *run.briefs[1:])})


def quiet_and_alone(browser: Chrome, page: Path) -> None:
    """Nothing was refused by the page's policy, broken, or asked for from anywhere but the run's folder."""
    assert console(browser) == []
    assert all(name.startswith(page.parent.as_uri() + "/") for name in loaded(browser)), loaded(browser)
    assert run_script(browser, "document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("which", ["real", "troubled"])
def test_every_section_is_there_and_accessible(
    browser: Chrome, real: RealRun, troubled: Path, which: str, width: int, dark: bool
) -> None:
    page = real.out / "report.html" if which == "real" else troubled
    show(browser, page, width=width, dark=dark)
    sections = run_script(browser, "[...document.querySelectorAll('main > section')].map(one => one.id)")
    expected = ["overview", "briefs", "cost", "latency", "provenance", "files"]
    assert sections == (expected if which == "real" else [*expected[:5], "compare", "files"])
    assert run_script(browser, "document.querySelector('#graph svg') !== null")
    assert violations(browser) == []
    paper = run_script(browser, "getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(","))) < 200) is dark
    assert "Simulated run" in browser.find_element(By.CSS_SELECTOR, ".banner").text
    quiet_and_alone(browser, page)


def test_its_figures_are_the_tables_and_the_services_books(browser: Chrome, real: RealRun) -> None:
    show(browser, real.out / "report.html")
    cost, latency = rows_of(real.out / "cost.csv"), rows_of(real.out / "latency.csv")
    charged = browser.find_element(By.ID, "charged").text
    assert to_millionths(number(charged)) == charged_millionths(real.out / "cost.csv") == real.billed > 0
    for name in ("estimated", "saved"):
        total = sum(Decimal(row[f"{name}_usd"]) for row in cost)
        assert number(browser.find_element(By.ID, name).text) == total
    for side in ("stage", "model", "outcome", "brief"):
        header, *lines = figures(browser, f"#cost-by-{side}")
        assert {line[0] for line in lines} - {"total"} == {row[side] for row in cost}
        for line in lines:
            members = [row for row in cost if line[0] in {row[side], "total"}]
            for name in ("estimated", "charged", "saved"):
                expected = sum(Decimal(row[f"{name}_usd"]) for row in members)
                assert number(line[header.index(name)]) == expected, (side, line)
    for price, steps in zip(cost, latency, strict=True):
        header, *lines = figures(browser, f"[id='brief={price['brief']}'] .numbers")
        shown = {line[0]: line[header.index(price["stage"])] for line in lines}
        assert shown["prediction"] == price["prediction_id"]
        for name in ("estimated", "charged"):
            assert Decimal(shown[name]) == Decimal(price[f"{name}_usd"])
        assert Decimal(shown.get("saved", "0")) == Decimal(price["saved_usd"])
        for column, name in (
            ("detect_s", "detection"),
            *((f"{n}_s", n) for n in ("queue", "upload", "submit", "inference", "download", "total")),
        ):
            assert shown[name] == steps[column]
    lines = figures(browser, "#latency-summary")[1:]
    expected_rows = [list(row.values())[2:] for row in rows_of(real.out / "latency_summary.csv")]
    assert [line[-7:] for line in lines] == expected_rows


def test_pictures_come_with_thumbnails_and_lazily(browser: Chrome, real: RealRun) -> None:
    show(browser, real.out / "report.html")
    run_script(browser, "[...document.images].forEach(picture => { picture.loading = 'eager'; })")
    until(browser, "[...document.images].filter(i => i.src).every(i => i.complete && i.naturalWidth > 0)")
    drawn = set(run_script(browser, "[...document.images].map(i => i.getAttribute('src')).filter(Boolean)"))
    assert len(drawn) == 6  # of two inputs and four different assets; nothing is loaded in full
    assert all(name.startswith("page/") for name in drawn)
    assert all((real.out / unquote(name)).stat().st_size < 100_000 for name in drawn)
    linked = run_script(
        browser, "[...document.querySelectorAll('.at .frame a')].map(a => a.getAttribute('href'))"
    )
    assert set(linked) == {
        str(path.relative_to(real.out)) for path in (real.out / "assets").rglob("*") if path.is_file()
    }
    quiet_and_alone(browser, real.out / "report.html")


def test_a_clip_plays_in_place_before_its_still(browser: Chrome, real: RealRun) -> None:
    show(browser, real.out / "report.html", fragment="#brief=whole")
    # A real click: without one a browser plays nothing that has sound.
    browser.find_element(By.CSS_SELECTOR, "a.clip").click()
    until(browser, "document.querySelector('.frame video')?.currentTime > 0.05")
    clip = browser.find_element(By.CSS_SELECTOR, ".frame video")
    assert (clip.get_attribute("poster") or "").endswith("-large.webp")
    assert run_script(browser, "[arguments[0].videoWidth, arguments[0].videoHeight]", clip) == [720, 720]
    assert run_script(browser, "arguments[0].controls", clip)
    quiet_and_alone(browser, real.out / "report.html")


@pytest.mark.parametrize("width", [1280, 390])
def test_before_and_after_lie_over_each_other_and_move_by_keyboard(
    browser: Chrome, real: RealRun, width: int
) -> None:
    show(browser, real.out / "report.html", width=width)
    browser.execute_script("document.querySelector('.is-edit .cmp').click()")
    until(browser, "['after', 'before'].every(n => document.getElementById('viewer-' + n).naturalWidth > 0)")
    boxes = run_script(
        browser,
        "['after', 'before', 'range'].map(n => { const b = document.getElementById('viewer-' + n)"
        ".getBoundingClientRect(); return [b.x, b.y, b.width, b.height].map(Math.round); })",
    )
    assert boxes[0] == boxes[1] == boxes[2]
    assert boxes[0][2] > 300
    slider = browser.find_element(By.ID, "viewer-range")
    assert browser.switch_to.active_element == slider
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    cut = "getComputedStyle(document.getElementById('viewer-before')).clipPath"
    assert slider.get_attribute("value") == "52"
    assert run_script(browser, cut) == "inset(0px 48% 0px 0px)"
    assert violations(browser) == []
    slider.send_keys(Keys.ESCAPE)
    until(browser, "!document.getElementById('viewer').open")
    # Whoever came by keyboard is back where they were.
    assert run_script(browser, "document.activeElement.closest('.brief')?.id") == "brief=whole"


def test_the_viewer_leads_through_a_briefs_pictures_and_to_the_graph(browser: Chrome, real: RealRun) -> None:
    show(browser, real.out / "report.html")
    browser.execute_script("document.querySelector('.from .frame a').click()")
    title = browser.find_element(By.ID, "viewer-title")
    assert title.text == "mug.png"
    browser.find_element(By.ID, "viewer-close").send_keys(Keys.ARROW_RIGHT)
    assert title.text == "whole, edit 1"
    browser.find_element(By.ID, "viewer-graph").click()
    assert (
        run_script(browser, "document.getElementById('graph-asset').selectedOptions[0].textContent")
        == "edit-1.png"
    )
    rows = figures(browser, "#graph-list")[1:]
    assert [row[0] for row in rows] == ["assets/whole/edit-1.png", "picture: mug.png"]
    cost = rows_of(real.out / "cost.csv")
    assert rows[0][2] == cost[0]["prediction_id"]
    Select(browser.find_element(By.ID, "graph-asset")).select_by_visible_text("video-1.mp4")
    names = [row[0] for row in figures(browser, "#graph-list")[1:]]
    assert names == [
        "assets/whole/video-1.mp4",
        "clip: clip.mp4",
        "@Image1: assets/whole/compose-1.png",
        "@Image1: assets/whole/edit-1.png",
        "picture: mug.png",
    ]
    manifest = (real.out / "manifest.json").read_text("utf-8")
    assert all(row[3] in manifest and len(row[3]) == 64 for row in figures(browser, "#graph-list")[1:])


def choose(browser: Chrome, name: str, value: str) -> None:
    Select(browser.find_element(By.ID, f"f-{name}")).select_by_value(value)


def test_briefs_are_filtered_searched_sorted_and_linked(browser: Chrome, troubled: Path) -> None:
    show(browser, troubled)
    order = ["mug", "lamp", "chair", "vase", "long", "hebrew"]
    assert run_script(browser, SHOWN) == order
    choose(browser, "status", "failed")
    assert run_script(browser, SHOWN) == ["chair", "long"]
    assert browser.find_element(By.ID, "found").text == "2 of 6 briefs"
    assert run_script(browser, "location.hash") == "#status=failed"
    choose(browser, "status", "")
    choose(browser, "stage", "video")
    choose(browser, "outcome", "cached")
    assert run_script(browser, SHOWN) == ["lamp"]
    choose(browser, "outcome", "resumed")  # of a composition, not of a clip
    assert run_script(browser, SHOWN) == []
    assert browser.find_element(By.ID, "nothing").is_displayed()
    browser.find_element(By.ID, "clear-too").click()
    assert run_script(browser, SHOWN) == order
    browser.find_element(By.ID, "q").send_keys("LANGER wunsch")
    assert run_script(browser, SHOWN) == ["long"]
    browser.find_element(By.ID, "clear").click()
    for sort, expected in (
        ("name", ["chair", "hebrew", "lamp", "long", "mug", "vase"]),
        ("charged", ["mug", "vase", "hebrew", "lamp", "chair", "long"]),
        ("status", ["chair", "long", "vase", "mug", "lamp", "hebrew"]),
        ("", order),
    ):
        choose(browser, "sort", sort)
        assert run_script(browser, SHOWN) == expected, sort
    choose(browser, "sort", "seconds")
    assert run_script(browser, SHOWN)[0] == "mug"
    quiet_and_alone(browser, troubled)


def test_an_address_shows_the_same_again(browser: Chrome, troubled: Path) -> None:
    show(browser, troubled, fragment="#status=held&q=vase&sort=name")
    assert run_script(browser, SHOWN) == ["vase"]
    assert browser.find_element(By.ID, "q").get_attribute("value") == "vase"
    show(browser, troubled, fragment="#brief=chair", width=390)
    at = run_script(browser, "document.getElementById('brief=chair').getBoundingClientRect().top")
    assert 0 < at < 200
    assert "is-here" in (browser.find_element(By.ID, "brief=chair").get_attribute("class") or "")
    # A link within the page does the same, and undoes a filter that would hide what it leads to.
    show(browser, troubled, fragment="#status=done")
    browser.execute_script("document.querySelector('.which a[href=\"#brief=vase\"]').click()")
    until(browser, "document.getElementById('brief=vase').classList.contains('is-here')")
    assert browser.find_element(By.ID, "brief=vase").is_displayed()
    quiet_and_alone(browser, troubled)


def test_the_theme_is_chosen_and_kept(browser: Chrome, troubled: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    show(browser, troubled, dark=True)
    system = run_script(browser, paper)
    button = browser.find_element(By.ID, "theme")
    button.click()
    assert button.text == "Theme: light"
    light = run_script(browser, paper)
    assert light != system

    def is_kept() -> bool:
        """A browser that is only just making its store may lose what it is told first; then it is told again."""
        show(browser, troubled, dark=True)
        if run_script(browser, paper) == light:
            return True
        browser.find_element(By.ID, "theme").click()
        return False

    wait_until(is_kept)
    button = browser.find_element(By.ID, "theme")
    button.click()
    assert run_script(browser, paper) == system
    button.click()
    assert button.text == "Theme: auto"


def test_without_script_briefs_and_tables_are_there(browser: Chrome, troubled: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, troubled, fragment="#brief=vase")
        assert len(browser.find_elements(By.CSS_SELECTOR, ".brief")) == 6
        assert browser.find_element(By.ID, "cost-by-stage").is_displayed()
        assert not browser.find_element(By.ID, "filter").is_displayed()
        assert not browser.find_element(By.ID, "graph-tool").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_on_paper_every_sheet_says_that_it_is_simulated(browser: Chrome, troubled: Path) -> None:
    show(browser, troubled)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert browser.find_element(By.CSS_SELECTOR, ".banner").is_displayed()
        mark = run_script(
            browser, "(s => [s.content, s.position])(getComputedStyle(document.body, '::after'))"
        )
        # What is fixed is repeated on every sheet.
        assert mark == ['"SIMULATED"', "fixed"]
        assert not browser.find_element(By.ID, "filter").is_displayed()
        assert browser.find_element(By.CSS_SELECTOR, ".brief").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_hundreds_of_briefs_stay_in_their_columns(browser: Chrome, tmp_path: Path) -> None:
    assets = Assets()
    run = large(tmp_path, assets, 300)
    write_run_folder(
        record(tmp_path, run.briefs),
        tmp_path / "r",
        place_asset=assets.place,
        page=PageContext(Thumbnails(tmp_path / "t")),
    )
    page = tmp_path / "r" / "report.html"
    show(browser, page, width=390, fragment="#q=brief-00299")
    assert run_script(browser, SHOWN) == ["brief-00299"]
    quiet_and_alone(browser, page)
