"""Nothing on the page of a run runs out of its place: at 320 pixels, on paper, and in the graph."""

from pathlib import Path
from typing import Any

import pytest
from browser_support import console, figures, run_script, show
from record_samples import Assets, brief, image_input, record, stage, with_true_parents
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tasks.page import PageContext
from tasks.page.thumbnails import Thumbnails
from tasks.record import Outcome
from tasks.run_files.run_folder import write_run_folder

pytest_plugins = ("browser_fixtures",)

LONG = "a" * 64
# What reaches beyond the window and stands in nothing that scrolls.
BEYOND = """[...document.querySelectorAll('body *')].filter(one => {
  const box = one.getBoundingClientRect();
  if (box.width === 0 || box.right <= arguments[0] + 1 || !one.checkVisibility()) return false;
  for (let outer = one.parentElement; outer; outer = outer.parentElement)
    if (/auto|scroll|hidden/.test(getComputedStyle(outer).overflowX)) return false;
  return true;
}).map(one => `${one.tagName} ${one.id} ${one.className} ${one.textContent.trim().slice(0, 40)}`)
"""

# Single words and figures that stand in several lines; names and hashes may.
BROKEN = """[...document.querySelectorAll('#cost thead th, #cost td, #latency thead th, #latency td')].filter(one => {
  if (!one.checkVisibility() || !/^\\S+$/.test(one.textContent.trim())) return false;
  const text = document.createRange();
  text.selectNodeContents(one);
  return new Set([...text.getClientRects()].map(box => Math.round(box.top))).size > 1;
}).map(one => one.textContent)
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names as long as they may be, and a reconciliation with notes."""
    folder = tmp_path_factory.mktemp("fits")
    assets = Assets()
    deep = "media/autumn/" + "very-long-name-of-a-picture-" * 3 + "front.png"
    briefs = []
    for number, name in enumerate(("ring-hero", LONG)):
        stages = (
            stage(
                name,
                "edit",
                Outcome.GENERATED,
                inputs=(image_input(deep, "image"),),
                assets=(assets.picture(f"assets/{name}/edit-1.png", 10 * number),),
            ),
            stage(
                name,
                "compose",
                Outcome.GENERATED,
                inputs=(image_input(f"{name}/edit-1"), image_input("media/label.png")),
                assets=(assets.picture(f"assets/{name}/compose-1.png", 10 * number + 1),),
            ),
            stage(
                name,
                "video",
                Outcome.GENERATED,
                inputs=(image_input("media/turntable.mp4", "video"), image_input(f"{name}/compose-1")),
                assets=(assets.clip(f"assets/{name}/video-1.mp4", 10 * number + 2),),
            ),
        )
        briefs.append(brief(name, stages))
    run = with_true_parents(record(folder, tuple(briefs), provider="simulator", service="simulator"))
    context = PageContext(thumbnails=Thumbnails(folder / "thumbnails"), reconciliation=reconciliation())
    write_run_folder(run, folder / "r", place_asset=assets.place, page=context)
    return folder / "r" / "report.html"


def reconciliation() -> dict[str, Any]:
    note = "the account's bill does not show it (yet); the ledger goes on with its price"
    amounts = ("estimated_usd", "list_price_usd", "discount_usd", "charged_usd", "refunded_usd")
    line = {"brief": LONG, "stage": "compose", "verdict": "unbilled", "note": note} | dict.fromkeys(
        amounts, "1234.028"
    )
    sums = dict.fromkeys(("estimated_usd", "charged_usd", "refunded_usd", "net_usd"), "0")
    return {
        "attempts": [line],
        "foreign": [],
        "totals": sums | {"verdicts": {"unbilled": 1}},
        "bill_problem": None,
    }


def everything_drawn(browser: Chrome) -> None:
    browser.execute_script(
        "document.querySelectorAll('.brief').forEach(card => { card.style.contentVisibility = 'visible'; });"
        "document.querySelectorAll('details').forEach(one => { one.open = true; });"
    )


@pytest.mark.parametrize("opened", [False, True], ids=["closed", "opened"])
@pytest.mark.parametrize("width", [320, 390, 794, 1280])
def test_nothing_reaches_beyond_the_window(browser: Chrome, page: Path, width: int, opened: bool) -> None:
    show(browser, page, width=width)
    if opened:
        everything_drawn(browser)
    assert run_script(browser, BEYOND, width) == []
    assert run_script(browser, "document.documentElement.scrollWidth") <= width
    assert console(browser) == []


def test_every_table_fits_on_paper(browser: Chrome, page: Path) -> None:
    show(browser, page, width=794)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert browser.find_element(By.ID, "reconciled").is_displayed()
        assert run_script(browser, "document.documentElement.scrollWidth") <= 794
        # The paper has margins: less than that is left.
        browser.execute_script("document.body.style.width = '670px'")
        wide = run_script(
            browser,
            "[...document.querySelectorAll('table')].filter(one => one.checkVisibility()"
            " && one.getBoundingClientRect().right > 671).map(one => one.id)",
        )
        assert wide == []
        broken = run_script(browser, BROKEN)
        assert broken == []
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("name", ["ring-hero", LONG], ids=["short", "long"])
def test_the_graphs_labels_stay_in_their_boxes_and_keep_the_files_name(
    browser: Chrome, page: Path, name: str
) -> None:
    show(browser, page)
    Select(browser.find_element(By.ID, "graph-brief")).select_by_visible_text(name)
    labels = run_script(
        browser,
        "[...document.querySelectorAll('#graph .node')].map(node => { const box = node.querySelector('rect').getBBox();"
        " return { texts: [...node.querySelectorAll('text')].map(text => text.textContent),"
        " out: Math.max(...[...node.querySelectorAll('text')].map(text => text.getBBox())"
        ".map(inner => inner.x + inner.width - box.x - box.width)),"
        " title: node.querySelector('title').textContent }; })",
    )
    assert len(labels) == 6
    assert all(label["out"] <= 0 for label in labels), labels
    texts = [label["texts"][0] for label in labels]
    ends = ["video-1.mp4", "turntable.mp4", "compose-1.png", "edit-1.png", "label.png", "front.png"]
    assert all(any(text.endswith(end) for text in texts) for end in ends), texts
    assert "@Image1 compose-1.png" in texts
    whole = [label["title"].splitlines()[0] for label in labels]
    assert f"assets/{name}/compose-1.png" in whole
    assert any(one.startswith("media/autumn/very-long") and one.endswith("front.png") for one in whole)


@pytest.mark.parametrize("name", ["ring-hero", LONG], ids=["short", "long"])
def test_every_hash_of_the_chosen_file_is_seen_without_scrolling(
    browser: Chrome, page: Path, name: str
) -> None:
    show(browser, page)
    Select(browser.find_element(By.ID, "graph-brief")).select_by_visible_text(name)
    rows = figures(browser, "#graph-list")[1:]
    assert [len(row[3]) for row in rows] == [64] * 6
    overflow = (
        "[...document.querySelectorAll('#provenance .scroll')].map(one => one.scrollWidth - one.clientWidth)"
    )
    assert run_script(browser, overflow) == [0, 0]
    lines = "[...document.querySelectorAll('#graph-list code')].map(one => one.getClientRects().length)"
    assert run_script(browser, lines) == [1] * 6


def test_each_button_to_compare_names_its_brief_and_stage(browser: Chrome, page: Path) -> None:
    show(browser, page)
    names = [button.accessible_name for button in browser.find_elements(By.CSS_SELECTOR, ".cmp")]
    # Of these, only the compositions and what they were made from have pictures.
    assert names == [f"compare {name}, compose 1 with what it was made from" for name in ("ring-hero", LONG)]
    assert {button.text for button in browser.find_elements(By.CSS_SELECTOR, ".cmp")} == {"compare"}
