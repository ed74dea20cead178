"""Measures the page of large runs: its size, and the time to write it, to open it in a browser, and to filter it.

Run it as ``python benchmarks/report_page.py``; pictures are left out, which weigh the same in every run.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1])]
from browser_support import chromium, show  # noqa: E402 - the tests' folder is no package
from record_samples import Assets, large  # noqa: E402 - likewise

from tasks.accounting.tables import run_tables  # noqa: E402 - likewise
from tasks.page import report_html  # noqa: E402 - likewise
from tasks.page.media import Picture  # noqa: E402 - likewise

SIZES = (125, 250, 500, 1000, 2000)
# From a key pressed to the picture on the screen that shows what it found.
_FILTER = """
const [value, done] = arguments;
const box = document.getElementById("q");
const began = performance.now();
box.value = value;
box.dispatchEvent(new Event("input", {bubbles: true}));
requestAnimationFrame(() => setTimeout(() => done(performance.now() - began), 0));
"""
_OPENED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"


def write(folder: Path, briefs: int) -> tuple[Path, float]:
    run = large(folder, Assets(), briefs)
    named = {
        *(item.sha256 for stage in run.stages for item in stage.inputs),
        *(asset.sha256 for stage in run.stages for asset in stage.assets),
    }
    media = {
        sha256: Picture(f"page/{sha256[:20]}.webp", 640, 360, f"page/{sha256[:20]}-large.webp")
        for sha256 in named
    }
    tables = run_tables(run)
    began = time.process_time()
    content = report_html(run, tables, media)
    took = time.process_time() - began
    page = folder / f"{briefs}.html"
    page.write_bytes(content)
    return page, took


def milliseconds(browser: Any, text: str) -> float:
    return float(browser.execute_async_script(_FILTER, text))


def main() -> None:
    print("briefs   MB  written in  opened in  first search  next search  shown again")
    with tempfile.TemporaryDirectory() as name, chromium(Path(name) / "profile") as browser:
        write(Path(name), 10)  # what is read only once
        for briefs in SIZES:
            page, took = write(Path(name), briefs)
            show(browser, page)
            opened = float(browser.execute_script(_OPENED))
            searches = [milliseconds(browser, text) for text in ("brief-0001", "logo brief-00012", "")]
            print(
                f"{briefs:6} {page.stat().st_size / 1e6:4.1f} {took:9.2f} s {opened:7.0f} ms"
                f" {searches[0]:10.0f} ms {searches[1]:9.0f} ms {searches[2]:9.0f} ms"
            )


if __name__ == "__main__":
    main()
