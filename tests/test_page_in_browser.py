"""The page of a real run, opened from disk in a real browser (Debian's Chromium and its driver)."""

import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from campaign_support import Workplace, charged_millionths, rows_of, wait_until
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

_NEEDED = (
    "this test needs Chromium and its driver: `apt-get install chromium chromium-driver`, or any other way"
)
_LOADED = """
for (const picture of document.images) { picture.loading = "eager"; }
return [...document.images].every(picture => picture.complete && picture.naturalWidth > 0)
  && [...document.querySelectorAll("video")].every(clip => clip.readyState >= 1);
"""
_SIZES = """
return [...document.images, ...document.querySelectorAll("video")].map(
  item => [item.getAttribute("src"), item.naturalWidth || item.videoWidth, item.naturalHeight || item.videoHeight]);
"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    assert chromium, _NEEDED
    assert driver, _NEEDED
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_shows_every_picture_and_clip_and_the_tables_figures(
    workplace: Workplace, browser: Chrome, width: int
) -> None:
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
            {"brief": "webp", "edit_prompt": "forest", "edit_image": image, "edit_output_format": "webp"},
        ]
    )
    finished = workplace.run("run", campaign, "--json")
    assert finished.status == 0, finished
    out = workplace.out(finished.document["run"])

    browser.set_window_size(width, 900)
    browser.get((out / "report.html").as_uri())
    wait_until(lambda: bool(browser.execute_script(_LOADED)))

    shown = {name: (wide, high) for name, wide, high in browser.execute_script(_SIZES)}
    assert set(shown) == {
        str(path.relative_to(out)) for path in (out / "assets").rglob("*") if path.is_file()
    }
    assert shown["assets/jpeg/edit-1.jpg"] == (1360, 768)
    assert shown["assets/whole/video-1.mp4"] == (720, 720)
    charged = browser.find_element(By.ID, "charged").text
    assert Decimal(charged.removeprefix("$")) == Decimal(charged_millionths(out / "cost.csv")) / 1_000_000
    rows = browser.find_elements(By.CSS_SELECTOR, "#cost tbody tr")
    assert len(rows) == len(rows_of(out / "cost.csv"))
    assert "Simulated run" in browser.find_element(By.CSS_SELECTOR, ".banner").text
    # Nothing loaded from elsewhere, refused by the page's own policy, or broken.
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
