"""``report.html``: its figures are the tables', what it loads lies beside it, hostile texts stay texts."""

import csv
import io
import time
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from record_samples import HOSTILE_TEXTS, Assets, brief, every_outcome, hostile, large, record, stage

from tasks.exports import visible
from tasks.page import TEXT_BYTES, report_html
from tasks.record import Outcome, RunRecord
from tasks.run_folder import write_run_folder
from tasks.tables import run_tables

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """What a browser would make of the page, as far as these tests ask."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.by_id: dict[str, str] = {}
        self.by_class: dict[str, list[str]] = {}
        self.comments: list[str] = []
        self.title = ""
        self.open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._table: list[list[str]] | None = None
        self._in_cell = False
        self.feed(content.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag == "table":
            self._table = self.tables.setdefault(attributes.get("id") or "", [])
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in {"td", "th"} and self._table is not None:
            self._table[-1].append("")
        self._in_cell = tag in {"td", "th"} or (self._in_cell and tag not in {"tr", "tbody", "caption"})
        if tag not in VOID | {"td", "tr", "th"}:
            self.open.append((tag, attributes, []))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "tr", "th", "tbody", "thead", "table"}:
            self._in_cell = False
        if tag == "table":
            self._table = None
        if tag in {"td", "tr", "th"}:
            return
        opened, attributes, texts = self.open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}> at {self.getpos()}"
        text = "".join(texts)
        if attributes.get("id"):
            self.by_id[attributes["id"] or ""] = text
        if tag == "title":
            self.title = text
        for name in (attributes.get("class") or "").split():
            self.by_class.setdefault(name, []).append(text)

    def handle_data(self, data: str) -> None:
        for _, _, texts in self.open:
            texts.append(data)
        if self._in_cell and self._table:
            self._table[-1][-1] += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(run: RunRecord) -> Page:
    return Page(report_html(run, run_tables(run)))


@pytest.fixture
def run(tmp_path: Path) -> RunRecord:
    return every_outcome(tmp_path, Assets())


def table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize(
    ("shown_as", "name", "left_out"),
    [
        ("cost", "cost", 1),
        ("latency", "latency", 1),
        ("cost-summary", "cost_summary", 0),
        ("latency-summary", "latency_summary", 0),
    ],
)
def test_tables_on_the_page_are_the_files(run: RunRecord, shown_as: str, name: str, left_out: int) -> None:
    header, *rows = table(getattr(run_tables(run), name).csv())
    shown_header, *shown = page_of(run).tables[shown_as]
    assert shown_header == [
        " ".join("USD" if word == "usd" else word for word in column.split("_"))
        for column in header[left_out:]
    ]
    assert len(rows) > 3
    assert shown == [row[left_out:] for row in rows]


def test_totals_are_those_of_the_tables(run: RunRecord) -> None:
    page = page_of(run)
    header, *rows = table(run_tables(run).cost.csv())
    for name in ("charged", "estimated", "saved"):
        column = header.index(f"{name}_usd")
        assert page.by_id[name] == f"${sum(Decimal(row[column]) for row in rows)}"
    assert page.by_id["refunded"] == "$0.028"
    assert page.by_id["budget"] == "$20"
    assert page.by_id["took"] == "4 min 22 s"
    assert [page.by_id[f"briefs-{name}"] for name in ("total", "done", "failed", "held")] == list("4211")
    assert page.by_class["outcomes"] == [
        "Stages: 3 generated, 2 cached, 1 resumed, 1 failed, 1 held, 1 skipped."
    ]


def test_each_brief_shows_what_its_stages_cost_and_took(run: RunRecord) -> None:
    page = page_of(run)
    assert page.by_class["price"] == ["$1.99632", "$0", "$0", "$0.028"]
    facts = page.by_class["facts"]
    assert len(facts) == len(run.stages)
    assert facts[2] == (
        "5.312 seconds at $0.36 · estimated $1.91232 · charged $1.91232 · 97.062 s"
        f" · prediction {run.stages[2].prediction_id}"
    )
    assert facts[4] == "5.312 seconds at $0.36 · estimated $0 · charged $0 · saved $1.91232"
    assert facts[5].endswith("charged $0 · refunded $0.028")
    article = page.by_id["brief-mug"]
    assert "@Image2: mug/edit-2" in article
    assert "resolution 1k" in article


def test_what_failed_or_is_held_comes_first_with_what_to_do(run: RunRecord) -> None:
    page = page_of(run)
    assert page.tables["troubled"][1:] == [
        ["chair", "4", "failed", run.briefs[2].error],
        ["vase", "7", "held", run.briefs[3].error],
    ]
    (attention,) = page.by_class["attention"]
    assert "The budget held work back that is estimated at $1.91232" in attention
    assert "1 brief failed" in attention
    assert {"#brief-chair", "#brief-vase"} <= {link["href"] for link in page.all("a")}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (1, "1 brief failed"),
        (3, "higher --budget"),
        (4, "key, credit or permission"),
        (5, "`campaign reconcile 20261121-093000-a1b2`"),
        (130, "interrupted"),
    ],
)
def test_the_way_a_run_ended_says_what_to_do(tmp_path: Path, status: int, words: str) -> None:
    page = page_of(every_outcome(tmp_path, Assets(), exit_status=status))
    assert words in page.by_class["attention"][0]


def test_a_finished_run_asks_for_nothing(tmp_path: Path) -> None:
    done = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.GENERATED),)),))
    assert "attention" not in page_of(done).by_class


def test_a_simulated_run_says_so_and_a_paid_one_does_not(run: RunRecord) -> None:
    simulated = page_of(run.model_copy(update={"provider": "simulator", "service": "simulator"}))
    assert simulated.by_class["banner"] == [
        "Simulated run: these pictures and prices come from the built-in simulator; nothing was paid."
    ]
    paid = page_of(run)
    assert "banner" not in paid.by_class
    assert (simulated.title, paid.title) == (f"Simulated: spring, {run.run}", f"spring, {run.run}")


def test_it_loads_nothing_but_what_lies_beside_it(run: RunRecord, tmp_path: Path) -> None:
    assets = Assets()
    folder = tmp_path / "runs" / "r"
    write_run_folder(every_outcome(tmp_path, assets), folder, place_asset=assets.place)
    content = (folder / "report.html").read_bytes()
    page = Page(content)
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert (policy["content"] or "").startswith(
        "default-src 'none'; img-src 'self' data: file:; media-src 'self' file:; style-src 'unsafe-inline'"
    )
    loaded = [
        attributes[name] or ""
        for _, attributes in page.elements
        for name in ("src", "srcset", "data", "poster", "background", "action")
        if name in attributes
    ]
    linked = [href for href in (link["href"] or "" for link in page.all("a")) if not href.startswith("#")]
    assert len(loaded) == 7
    for place in [*loaded, *linked]:
        parts = urlsplit(place)
        assert (parts.scheme, parts.netloc, parts.path[:1]) != ("", "", "/")
        assert parts.scheme == ""
        assert (folder / unquote(place)).is_file(), place
    assert not {tag for tag, _ in page.elements} & {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
    }
    assert b"url(" not in content
    assert b"@import" not in content
    assert b"http" not in content.replace(b"http-equiv", b"").replace(b"https://api.wavespeed.ai", b"")


def test_pictures_and_clips_are_told_to_the_browser(run: RunRecord) -> None:
    page = page_of(run)
    pictures, clips = page.all("img"), page.all("video")
    assert len(pictures) == 5
    assert len(clips) == 2
    for picture in pictures:
        assert (picture["loading"], picture["width"], picture["height"]) == ("lazy", "48", "27")
    assert pictures[1]["alt"] == "mug: edit picture 2"
    for clip in clips:
        assert "controls" in clip
        assert "poster" not in clip
        assert (clip["preload"], clip["width"], clip["height"]) == ("metadata", "1280", "720")


def test_a_flagged_picture_is_folded_away(tmp_path: Path) -> None:
    picture = Assets().picture("assets/b/edit-1.png", 1)
    for flagged in (True, False):
        assets = (picture.model_copy(update={"flagged_nsfw": flagged}),)
        run = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.HELD, assets=assets),), "held"),))
        assert ("flagged" in page_of(run).by_class) is flagged


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    run = hostile(tmp_path, Assets())
    content = report_html(run, run_tables(run))
    page = Page(content)  # its parser also refuses an element that closes another
    harmless = page_of(every_outcome(tmp_path, Assets()))
    allowed = {tag for tag, _ in harmless.elements}
    assert {tag for tag, _ in page.elements} <= allowed
    assert not page.comments
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    prompts = page.by_class["prompt"]
    # A browser reads every kind of line end as one.
    shown = [visible(text).replace("\r", "\n") for text in HOSTILE_TEXTS]
    assert [text.replace("\r", "\n") for text in prompts] == shown
    assert not {"\u202e", "\u2066", "\x07", "\x1b"} & set(content.decode())
    assert prompts[15] == "right[U+202E]to left[U+2066] and back"


def test_a_hostile_path_is_encoded(tmp_path: Path) -> None:
    picture = Assets().picture('assets/b/edit "1"?#%\u202e.png', 1)
    run = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.GENERATED, assets=(picture,)),)),))
    (image,) = page_of(run).all("img")
    assert image["src"] == "assets/b/edit%20%221%22%3F%23%25%E2%80%AE.png"


def test_a_thousand_briefs_stay_small_and_linear(tmp_path: Path) -> None:
    def seconds(briefs: int) -> float:
        run = large(tmp_path, Assets(), briefs)
        began = time.process_time()
        content = report_html(run, run_tables(run))
        took = time.process_time() - began
        assert len(content) < briefs * 5000 + 50_000
        return took

    seconds(10)  # whatever is read only once
    small, whole = seconds(250), seconds(1000)
    assert whole < 12 * small  # four times the briefs; quadratic growth would be sixteen times


def test_long_texts_of_a_large_run_are_shortened_on_the_page_only(tmp_path: Path) -> None:
    prompt = ("\u202e<" + "x" * 8) * 250
    run = large(tmp_path, Assets(), 400, prompt=prompt)
    content = report_html(run, run_tables(run))
    texts = [text.encode() for text in Page(content).by_class["prompt"]]
    assert len(texts) == 1200
    assert all(
        text.endswith("… (2,500 characters, the whole text is in manifest.json)".encode()) for text in texts
    )
    assert sum(map(len, texts)) < TEXT_BYTES + 100 * len(texts)
    few = large(tmp_path, Assets(), 20, prompt=prompt)
    assert set(page_of(few).by_class["prompt"]) == {visible(prompt)}


def test_many_clips_wait_for_a_click(tmp_path: Path) -> None:
    assert {clip["preload"] for clip in page_of(large(tmp_path, Assets(), 61)).all("video")} == {"none"}
