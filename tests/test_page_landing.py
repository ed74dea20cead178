"""Where links lead on the page of a run, in a browser as people have it: right below the bar, at once."""

from pathlib import Path

import pytest
from browser_support import console, run_script, show, until
from campaign_support import wait_until
from record_samples import Assets, brief, large, record, stage
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tasks.page import PageContext
from tasks.page.thumbnails import Thumbnails
from tasks.record import Outcome
from tasks.run_files.run_folder import write_run_folder

pytest_plugins = ("browser_fixtures",)

# From the bar's lower edge down to the target.
BELOW = (
    "document.getElementById(arguments[0]).getBoundingClientRect().top"
    " - document.querySelector('.top').getBoundingClientRect().bottom"
)
# So long that briefs which are not drawn yet have come near the screen, and a smooth way would have ended.
FRAMES = """
const done = arguments[1], target = document.getElementById(arguments[0]), bar = document.querySelector('.top');
const seen = [];
const look = () => {
  seen.push(target.getBoundingClientRect().top - bar.getBoundingClientRect().bottom);
  if (seen.length < 90) requestAnimationFrame(look); else done(seen);
};
look();
"""
WIDTHS = [1280, 390, 320]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A thousand briefs, and a few of very different heights."""
    folder = tmp_path_factory.mktemp("runs")
    assets = Assets()
    long = " ".join(["a long line of a message that wraps"] * 40)
    few = [
        brief(
            f"few-{number}",
            (stage(f"few-{number}", "edit", Outcome.FAILED, error=long),),
            "failed",
            error=long,
        )
        if number % 3
        else one
        for number, one in enumerate(large(folder, assets, 14).briefs)
    ]
    runs = {"large": large(folder, assets, 1000), "few": record(folder, tuple(few), exit_status=1)}
    for name, run in runs.items():
        context = PageContext(thumbnails=Thumbnails(folder / "thumbnails"))
        write_run_folder(run, folder / name, place_asset=assets.place, page=context)
    return {name: folder / name / "report.html" for name in runs}


def stays_below_the_bar(browser: Chrome, target: str) -> bool:
    seen: list[float] = browser.execute_async_script(FRAMES, target)
    return all(0 <= one <= 20 for one in seen)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("which", "target"),
    [
        ("large", "brief=brief-00777"),
        ("large", "brief=brief-00999"),
        ("large", "latency"),
        ("few", "brief=few-11"),
        ("few", "latency"),
    ],
)
def test_an_address_leads_right_below_the_bar(
    browser: Chrome, pages: dict[str, Path], which: str, target: str, width: int
) -> None:
    show(browser, pages[which], width=width, fragment=f"#{target}")
    assert run_script(browser, "matchMedia('(prefers-reduced-motion: no-preference)').matches")
    assert stays_below_the_bar(browser, target)
    assert console(browser) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_links_of_the_page_lead_right_below_the_bar(
    browser: Chrome, pages: dict[str, Path], width: int
) -> None:
    show(browser, pages["large"], width=width)
    for section in ("latency", "cost", "provenance", "briefs", "latency"):
        browser.find_element(By.CSS_SELECTOR, f"nav a[href='#{section}']").click()
        assert stays_below_the_bar(browser, section), section
    # Its address is there already: the same link leads there again.
    browser.execute_script("scrollTo(0, 0)")
    browser.find_element(By.CSS_SELECTOR, "nav a[href='#latency']").click()
    wait_until(lambda: bool(0 <= run_script(browser, BELOW, "latency") <= 20))
    assert stays_below_the_bar(browser, "latency")
    browser.execute_script("document.querySelector('.finds a:last-of-type').scrollIntoView()")
    browser.execute_script("location.hash = 'brief=brief-00500'")
    until(browser, "document.getElementById('brief=brief-00500').classList.contains('is-here')")
    assert stays_below_the_bar(browser, "brief=brief-00500")


def test_who_scrolls_on_is_not_held(browser: Chrome, pages: dict[str, Path]) -> None:
    show(browser, pages["large"], fragment="#latency")
    assert stays_below_the_bar(browser, "latency")
    browser.execute_script("scrollBy(0, -300)")
    assert run_script(browser, BELOW, "latency") > 250


def test_the_way_from_a_picture_ends_at_its_graph(browser: Chrome, pages: dict[str, Path]) -> None:
    show(browser, pages["large"], fragment="#brief=brief-00042")
    browser.find_element(By.CSS_SELECTOR, "[id='brief=brief-00042'] .at .frame a").click()
    until(browser, "document.getElementById('viewer').open")
    browser.find_element(By.ID, "viewer-graph").click()
    until(browser, "location.hash === '#provenance'")
    assert stays_below_the_bar(browser, "provenance")
    assert Select(browser.find_element(By.ID, "graph-brief")).first_selected_option.text == "brief-00042"


@pytest.mark.parametrize(("name", "value"), [("status", "failed"), ("outcome", "resumed"), ("status", "odd")])
def test_an_address_whose_filter_fits_nothing_shows_nothing(
    browser: Chrome, pages: dict[str, Path], name: str, value: str
) -> None:
    show(browser, pages["large"], fragment=f"#{name}={value}")
    field = browser.find_element(By.ID, f"f-{name}")
    assert field.get_attribute("value") == value
    assert Select(field).first_selected_option.text == f"{value} (0)"
    assert browser.find_element(By.ID, "found").text == "0 of 1000 briefs"
    assert browser.find_element(By.ID, "nothing").text == "No brief is like that. Show all"
    browser.find_element(By.ID, "clear-too").click()
    assert browser.find_element(By.ID, "found").text == "1000 briefs"
    assert field.get_attribute("value") == ""
