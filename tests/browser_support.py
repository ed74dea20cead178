"""A headless Chromium and its driver (Debian's, or any other), and what tests ask of a page in it."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import axe_core_python
from campaign_support import wait_until
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

_NEEDED = (
    "this test needs Chromium and its driver: `apt-get install chromium chromium-driver`, or any other way"
)
# Everything that the page asked for; a data: picture is a part of the page itself.
_LOADED = """
return performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("data:"));
"""
_VIOLATIONS = """
const done = arguments[0];
axe.run(document).then(found => done(found.violations.map(
  one => `${one.id}: ${one.nodes.map(node => node.html.slice(0, 120) + " " + node.failureSummary).join(" | ")}`)));
"""


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    binary = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    assert binary, _NEEDED
    assert driver, _NEEDED
    options = ChromeOptions()
    options.binary_location = binary
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--mute-audio",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


def show(browser: Chrome, page: Path, *, width: int = 1280, dark: bool = False, fragment: str = "") -> None:
    """Open the page from disk afresh, in a window of so many CSS pixels."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    # The same address but for its fragment would not be loaded again.
    browser.get("about:blank")
    console(browser)
    browser.get(page.as_uri() + fragment)


def console(browser: Chrome) -> list[Any]:
    """What the page's console was told since this was last asked."""
    return list(browser.get_log("browser"))  # type: ignore[no-untyped-call] # of Selenium


def run_script(browser: Chrome, script: str, *arguments: object) -> Any:
    """What the script's last expression is: ``return`` is put before it."""
    return browser.execute_script(f"return {script}", *arguments)


def until(browser: Chrome, script: str) -> None:
    wait_until(lambda: bool(run_script(browser, script)), seconds=20)


def figures(browser: Chrome, table: str) -> list[list[str]]:
    """The texts of a table's cells, row by row."""
    found: list[list[str]] = run_script(
        browser,
        "[...document.querySelector(arguments[0]).rows]"
        ".map(row => [...row.cells].map(cell => cell.textContent.trim()))",
        table,
    )
    return found


def loaded(browser: Chrome) -> list[str]:
    found: list[str] = browser.execute_script(_LOADED)
    return found


def violations(browser: Chrome) -> list[str]:
    """What axe finds against all of its rules, with every brief drawn and not only those on the screen."""
    browser.execute_script(
        "for (const card of document.querySelectorAll('.brief')) card.style.contentVisibility = 'visible'"
    )
    browser.execute_script(_axe())
    found: list[str] = browser.execute_async_script(_VIOLATIONS)
    return found


def screenshot(browser: Chrome) -> bytes:
    return base64.b64decode(browser.get_screenshot_as_base64())


@cache
def _axe() -> str:
    return Path(axe_core_python.__file__).with_name("axe.min.js").read_text("utf-8")
