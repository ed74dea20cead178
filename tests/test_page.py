"""``report.html``: its figures are the tables', what it loads lies beside it, hostile texts stay texts."""

import base64
import hashlib
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from page_reader import Page, page_of
from record_samples import (
    HOSTILE_TEXTS,
    Assets,
    brief,
    every_outcome,
    hostile,
    image_input,
    large,
    record,
    stage,
)

from tasks.accounting.tables import run_tables
from tasks.exports import visible
from tasks.page import Beside, PageContext, report_html
from tasks.page.media import Picture
from tasks.page.texts import TEXT_BYTES
from tasks.page.thumbnails import Thumbnails
from tasks.provenance.comparison import compare
from tasks.record import BriefRecord, Outcome, RunRecord
from tasks.run_files.run_folder import write_run_folder


@pytest.fixture
def run(tmp_path: Path) -> RunRecord:
    return every_outcome(tmp_path, Assets())


def test_references_are_numbered_as_the_prompt_calls_them(tmp_path: Path) -> None:
    prompt = "@Image1 before @image3"
    given = (
        image_input("media/v.mp4", "video"),
        *map(image_input, ("b/edit-1", "media/a.png", "https://x/b.png")),
    )
    run = record(
        tmp_path,
        (
            brief(
                "b",
                (
                    stage("b", "edit", Outcome.GENERATED),
                    stage("b", "video", Outcome.GENERATED, inputs=given, prompt=prompt),
                ),
            ),
        ),
    )
    page = page_of(run)
    assert [text for text in page.by_class["blank"] if "Image" in text or "clip" in text] == [
        "clip media/v.mp4",
        "@Image1 b/edit-1",
        "@Image2 media/a.png",
        "@Image3 https://x/b.png",
    ]
    # In the prompt they stand out, however they are spelled.
    assert {"@Image1", "@image3"} <= set(page.texts_of["b"])


def test_what_failed_or_is_held_comes_first_with_what_to_do(run: RunRecord) -> None:
    page = page_of(run)
    (attention,) = page.by_class["next"]
    assert "The budget held work back that is estimated at $1.91232" in attention
    assert "1 brief failed" in attention
    assert page.by_class["why"] == [run.briefs[2].error, run.briefs[3].error]
    assert {"#brief=chair", "#brief=vase"} <= {link.get("href") for link in page.all("a")}


def test_equal_troubles_are_told_once(tmp_path: Path) -> None:
    failed = [
        brief(
            f"b{index}",
            (stage(f"b{index}", "edit", Outcome.FAILED, error="the same"),),
            "failed",
            error="the same",
        )
        for index in range(300)
    ]
    page = page_of(record(tmp_path, tuple(failed), exit_status=1))
    assert page.by_class["why"] == ["the same"]
    assert page.by_class["which"][0].startswith("300 briefs b0 b1 ")
    assert "and 288 more" in page.by_class["which"][0]


def test_failures_that_differ_by_their_ids_are_told_once(tmp_path: Path) -> None:
    """By the ids that the record knows, of whatever form, and by what looks like one."""

    def failed(name: str, message: str, prediction_id: str | None = None) -> BriefRecord:
        attempted = stage(name, "edit", Outcome.FAILED, error=message, prediction_id=prediction_id)
        return brief(name, (attempted,), "failed", error=message)

    refused = "Prediction {} ended without outputs (code 1200). The service's moderation refused it."
    briefs = [
        *(failed(f"hex{n}", refused.format(hashlib.md5(b"%d" % n).hexdigest())) for n in range(60)),
        *(failed(f"own{n}", refused.format(f"pred-no-{n:03}"), f"pred-no-{n:03}") for n in range(5)),
        *(failed(f"other{n}", "code 1400: too wide", "1400") for n in range(2)),
        failed("alone", "Prediction 0123456789abcdef0123456789abcdef was cancelled"),
    ]
    page = page_of(record(tmp_path, tuple(briefs), exit_status=1))
    assert page.by_class["why"] == [
        "Prediction … ended without outputs (code 1200). The service's moderation refused it.",
        "code 1400: too wide",  # an id so short is no id
        briefs[-1].error,
    ]
    assert page.by_class["which"][0].startswith("65 briefs hex0 hex1 ")
    links = [link.get("href") for link in page.all("a")]
    assert "#brief=hex0" in links
    assert "more reason" not in page.by_class["next"][0]


def test_reasons_that_are_left_out_are_counted(tmp_path: Path) -> None:
    briefs = tuple(
        brief(
            name,
            (stage(name, "edit", Outcome.FAILED, error=f"reason {name}"),),
            "failed",
            error=f"reason {name}",
        )
        for name in "abcdefghij"
    )
    assert "1 more reason stands with its brief." in page_of(record(tmp_path, briefs[:9])).by_class["next"][0]
    assert "2 more reasons stand with their briefs." in page_of(record(tmp_path, briefs)).by_class["next"][0]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (1, "1 brief failed"),
        (3, "higher --budget"),
        (4, "key, credit or permission"),
        (5, "Something needs a person"),
        (130, "interrupted"),
    ],
)
def test_the_way_a_run_ended_says_what_to_do(tmp_path: Path, status: int, words: str) -> None:
    assert words in page_of(every_outcome(tmp_path, Assets(), exit_status=status)).by_class["next"][0]


FLAGGED = "the service flagged a picture of the edit stage as not safe for work; look at it"
LOST = (
    "its reply was lost, and it is too old; look for it in the account's bill, then see `campaign reconcile`"
)
ELSEWHERE = "the account does not have prediction p1, which is less than 7 days old; see `campaign reconcile`"


def needs_person(tmp_path: Path, *messages: str) -> RunRecord:
    def held(name: str, message: str) -> BriefRecord:
        if message != FLAGGED:
            return brief(name, (stage(name, "edit", Outcome.HELD, error=message),), "held", error=message)
        picture = Assets().picture(f"assets/{name}/edit-1.png", 1).model_copy(update={"flagged_nsfw": True})
        made = stage(name, "edit", Outcome.GENERATED, assets=(picture,))
        return brief(name, (made, stage(name, "compose", Outcome.HELD, error=FLAGGED)), "held", error=FLAGGED)

    briefs = tuple(held(f"b{number}", message) for number, message in enumerate(messages))
    return record(tmp_path, briefs, exit_status=5)


@pytest.mark.parametrize(
    ("messages", "words", "others"),
    [
        ([FLAGGED], ["1 brief waits for somebody to look", "`take`"], ["reconcile", "unknown", "held back"]),
        (
            [LOST, LOST],
            ["2 briefs wait for an attempt whose fate is unknown", "campaign reconcile"],
            ["flagged"],
        ),
        ([ELSEWHERE], ["the key of the account that made it"], ["campaign reconcile 2", "flagged"]),
        ([FLAGGED, LOST, "the budget is spent"], ["somebody to look", "unknown", "1 brief held back"], []),
    ],
    ids=["flagged", "lost", "another account", "several"],
)
def test_what_needs_a_person_is_told_case_by_case(
    tmp_path: Path, messages: list[str], words: list[str], others: list[str]
) -> None:
    (steps,) = texts_of_steps(page_of(needs_person(tmp_path, *messages)))
    assert all(text.replace("`", "") in steps for text in words)
    assert not any(text in steps for text in others)


def texts_of_steps(page: Page) -> list[str]:
    return page.by_class["steps"]


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (["held", "matched"], "1 attempt still needs a decision"),
        (["missing", "held"], "2 attempts still need a decision"),
        (["waiting", "adopted"], "ask again with campaign reconcile"),
        (
            ["adopted", "released", "released"],
            "1 attempt found at the service and 2 attempts free to be sent again",
        ),
        (["matched"], "has settled the fate of every attempt. Run the same command again"),
    ],
)
def test_what_a_reconciliation_made_of_it_is_told(tmp_path: Path, verdicts: list[str], words: str) -> None:
    run = needs_person(tmp_path, LOST, LOST)
    names = (
        "brief",
        "stage",
        "estimated_usd",
        "list_price_usd",
        "discount_usd",
        "charged_usd",
        "refunded_usd",
        "note",
    )
    lines = [{**dict.fromkeys(names, ""), "verdict": verdict} for verdict in verdicts]
    sums: dict[str, Any] = dict.fromkeys(("estimated_usd", "charged_usd", "refunded_usd", "net_usd"), "0") | {
        "verdicts": {}
    }
    document = {"attempts": lines, "foreign": [], "totals": sums, "bill_problem": None}
    page = Page(report_html(run, run_tables(run), context=PageContext(reconciliation=document)))
    (steps,) = texts_of_steps(page)
    assert words in steps
    assert "unknown" not in steps
    # With flagged pictures alone, a reconciliation changes nothing.
    flagged = needs_person(tmp_path, FLAGGED)
    page = Page(report_html(flagged, run_tables(flagged), context=PageContext(reconciliation=document)))
    assert "reconcil" not in texts_of_steps(page)[0]


def test_what_goes_on_at_the_service_is_told_with_its_price(tmp_path: Path) -> None:
    def held(name: str, prediction: str, key: str) -> BriefRecord:
        error = f"The run is ending while prediction {prediction} goes on at the service; run the same command again."
        stages = (
            stage(name, "edit", Outcome.HELD, error=error, generation_key=key),
            stage(name, "video", Outcome.HELD, error=error),
        )
        return brief(name, stages, "held", error=error)

    stopped = "interrupted; run the command again to continue"
    unsent = brief("c", (stage("c", "video", Outcome.HELD, error=stopped),), "held", error=stopped)
    briefs = (held("a", "p-1", "1"), held("twin-of-a", "p-1", "1"), held("b", "p-2", "2"), unsent)
    (steps,) = texts_of_steps(page_of(record(tmp_path, briefs, exit_status=130)))
    assert "2 predictions, estimated at $0.056, were accepted by the service and not collected yet" in steps
    (steps,) = texts_of_steps(page_of(record(tmp_path, briefs[2:], exit_status=130)))
    assert "1 prediction, estimated at $0.028, was accepted" in steps
    (steps,) = texts_of_steps(page_of(record(tmp_path, briefs[3:], exit_status=130)))
    assert "accepted" not in steps


def test_a_finished_run_says_that_nothing_is_left(tmp_path: Path) -> None:
    done = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.GENERATED),)),))
    page = page_of(done)
    assert "Nothing is left to do" in page.by_class["calm"][0]
    assert "why" not in page.by_class


def test_a_simulated_run_says_so_and_a_paid_one_does_not() -> None:
    run = every_outcome(Path("/campaigns"), Assets())
    simulated = page_of(run.model_copy(update={"provider": "simulator", "service": "simulator"}))
    assert simulated.by_class["banner"] == [
        "Simulated run. The built-in simulator made these pictures and prices; nothing was paid."
    ]
    assert "Charged (simulated)" in simulated.texts_of["h2"]
    paid = page_of(run)
    assert "banner" not in paid.by_class
    assert "simulat" not in paid.by_id["main"].lower()
    titles = (simulated.texts_of["title"][0], paid.texts_of["title"][0])
    assert titles == (f"Simulated: spring, {run.run}", f"spring, {run.run}")


def test_it_loads_nothing_but_what_lies_beside_it(tmp_path: Path) -> None:
    assets = Assets()
    folder = tmp_path / "runs" / "r"
    context = PageContext(thumbnails=Thumbnails(tmp_path / "thumbnails"))
    write_run_folder(every_outcome(tmp_path, assets), folder, place_asset=assets.place, page=context)
    page = Page((folder / "report.html").read_bytes())
    loaded = [
        attributes[name] or ""
        for _, attributes in page.elements
        for name in ("src", "srcset", "data", "poster", "background", "action", "data-still")
        if name in attributes
    ]
    linked = [href for link in page.all("a") if (href := link.get("href")) and not href.startswith("#")]
    assert (
        len([place for place in loaded if place.startswith("page/")]) == 5 + 3
    )  # some stand in the overview, too
    beside = {path.name for path in folder.iterdir() if path.is_file()} - {"report.html"}
    assert beside <= set(linked)
    for place in [*loaded, *linked]:
        parts = urlsplit(place)
        assert (parts.scheme, parts.netloc, parts.path[:1] == "/") == ("", "", False)
        assert (folder / unquote(place)).is_file(), place
    assert not {tag for tag, _ in page.elements} & {"link", "iframe", "object", "embed", "base"}


def test_its_policy_allows_its_own_style_and_script_only(run: RunRecord) -> None:
    content = report_html(run, run_tables(run)).decode()
    page = Page(content.encode())
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in (policy["content"] or "").split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert (rules["img-src"], rules["media-src"]) == ("'self' data: file:", "'self' file:")

    def hashes(tag: str) -> set[str]:
        pieces = [piece.partition(f"</{tag}>")[0] for piece in content.split(f"<{tag}>")[1:]]
        return {f"'sha256-{base64.b64encode(hashlib.sha256(p.encode()).digest()).decode()}'" for p in pieces}

    assert set(rules["style-src"].split()) == hashes("style")
    assert set(rules["script-src"].split()) == hashes("script")
    # What a strict policy would refuse anyway.
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert "url(" not in content
    assert "@import" not in content
    assert "http" not in content.replace("http-equiv", "").replace("https://api.wavespeed.ai", "").replace(
        "http://www.w3.org/2000/svg", ""
    ).replace("https://pictures.example", "")


def test_a_flagged_picture_is_folded_away_and_shown_nowhere_else(tmp_path: Path) -> None:
    picture = Assets().picture("assets/b/edit-1.png", 1)
    media = {picture.sha256: Picture("page/small.webp", 48, 27, None)}
    for flagged in (True, False):
        assets = (picture.model_copy(update={"flagged_nsfw": flagged}),)
        run = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.HELD, assets=assets),), "held"),))
        page = Page(report_html(run, run_tables(run), media))
        assert ("flagged" in page.by_class) is flagged
        assert ("finds" in page.by_class) is not flagged
        graph = json.loads(page.by_id["graph-data"])
        assert (len(graph["files"]) - len(graph["undrawn"]) == 0) is flagged


def test_the_graph_knows_what_was_made_from_what(run: RunRecord) -> None:
    graph = json.loads(page_of(run).by_id["graph-data"])
    files = [base64.b64decode(text).hex() for text in graph["files"]]
    for given, drawn in zip(run.stages, graph["stages"], strict=True):
        name, kind, model, outcome, inputs, assets = drawn
        assert (name, kind, graph["models"][model], outcome) == (
            given.brief,
            given.stage,
            given.model,
            given.outcome.value,
        )
        assert [files[item[1]] for item in inputs] == [item.sha256 for item in given.inputs]
        assert [(f"assets/{name}/{file}", files[at]) for file, at in assets] == [
            (asset.path, asset.sha256) for asset in given.assets
        ]


def test_an_earlier_run_is_compared(tmp_path: Path) -> None:
    assets = Assets()
    pictures = [assets.picture("assets/b/edit-1.png", shade) for shade in (1, 2)]
    earlier, later = (
        record(
            tmp_path,
            (
                brief("b", (stage("b", "edit", Outcome.GENERATED, prompt=prompt, assets=(picture,)),)),
                brief("same", (stage("same", "edit", outcome),)),
            ),
        )
        for prompt, picture, outcome in (
            ("a red mug", pictures[0], Outcome.GENERATED),
            ("a blue mug", pictures[1], Outcome.CACHED),
        )
    )
    media = {
        picture.sha256: Picture(f"page/{picture.sha256[:20]}.webp", 48, 27, None) for picture in pictures
    }
    comparison = compare(earlier, later)
    page = Page(report_html(later, run_tables(later), media, PageContext(earlier=earlier), comparison))
    assert (page.texts_of["del"], page.texts_of["ins"]) == (["red"], ["blue"])
    (sides,) = page.by_class["sides"]
    assert sides.split() == ["before", "now"]
    shown = [image["src"] for image in page.all("img") if "src" in image]
    assert [media[picture.sha256].small for picture in pictures] == shown[-2:]
    assert len(page.by_class["change"]) == 1
    assert "In 1 brief only cost or outcome differ" in page.by_id["compare"]


def test_what_was_added_is_held_against_nothing(tmp_path: Path) -> None:
    old = brief(
        "old", (stage("old", "edit", Outcome.GENERATED, request={"prompt": "x", "seed": 1, "sound": True}),)
    )
    new = brief(
        "old", (stage("old", "edit", Outcome.GENERATED, request={"prompt": "x", "take": 2, "sound": False}),)
    )
    added = brief("new", (stage("new", "edit", Outcome.GENERATED),))
    earlier, later = record(tmp_path, (old,)), record(tmp_path, (new, added))
    comparison = compare(earlier, later)
    page = Page(
        report_html(later, run_tables(later), context=PageContext(earlier=earlier), comparison=comparison)
    )
    told = page.by_id["compare"]
    assert "seed: 1 → not set" in told
    assert "take: not set → 2" in told
    assert "sound: true → false" in told
    assert "model: kwaivgi/kling-image-v3/edit" in told
    assert "resolution: 1k" in told
    assert "picture: media/new.png" in told
    assert "None" not in told


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    run = hostile(tmp_path, Assets())
    content = report_html(run, run_tables(run))
    page = Page(content)  # its parser also refuses an element that closes another
    allowed = {tag for tag, _ in page_of(every_outcome(tmp_path, Assets())).elements} | {"tfoot"}
    assert {tag for tag, _ in page.elements} <= allowed
    assert not page.comments
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    # A browser reads every kind of line end as one.
    shown = [visible(text).replace("\r", "\n") for text in HOSTILE_TEXTS]
    prompts = page.by_class["prompt"]
    assert [text.replace("\r", "\n") for text in prompts] == shown
    assert not {"\u202e", "\u2066", "\x07", "\x1b"} & set(content.decode())
    assert prompts[15] == "right[U+202E]to left[U+2066] and back"
    json.loads(page.by_id["graph-data"])


def test_a_hostile_path_is_encoded(tmp_path: Path) -> None:
    picture = Assets().picture('assets/b/edit "1"?#%\u202e.png', 1)
    run = record(tmp_path, (brief("b", (stage("b", "edit", Outcome.GENERATED, assets=(picture,)),)),))
    image = next(image for image in page_of(run).all("img") if "src" in image)
    assert image["src"] == "assets/b/edit%20%221%22%3F%23%25%E2%80%AE.png"


def with_media(run: RunRecord) -> dict[str, Picture]:
    found = {
        *(item.sha256 for stage in run.stages for item in stage.inputs),
        *(asset.sha256 for stage in run.stages for asset in stage.assets),
    }
    return {
        sha256: Picture(f"page/{sha256[:20]}.webp", 640, 360, f"page/{sha256[:20]}-large.webp")
        for sha256 in found
    }


def test_a_thousand_briefs_stay_small_and_linear(tmp_path: Path) -> None:
    def seconds(briefs: int) -> float:
        run = large(tmp_path, Assets(), briefs)
        media = with_media(run)
        tables = run_tables(run)
        began = time.process_time()
        content = report_html(run, tables, media)
        took = time.process_time() - began
        assert len(content) < briefs * 4_900 + 100_000
        return took

    seconds(10)  # whatever is read only once
    small, whole = seconds(250), seconds(1000)
    assert whole < 12 * small  # four times the briefs; quadratic growth would be sixteen times


def test_long_texts_of_a_large_run_are_shortened_on_the_page_only(tmp_path: Path) -> None:
    prompt = ("\u202e<" + "x" * 8) * 250
    texts = [
        text.encode() for text in page_of(large(tmp_path, Assets(), 400, prompt=prompt)).by_class["prompt"]
    ]
    assert len(texts) == 1200
    assert all(
        text.endswith("… (2,500 characters, the whole text is in manifest.json)".encode()) for text in texts
    )
    assert sum(map(len, texts)) < TEXT_BYTES + 100 * len(texts)
    few = large(tmp_path, Assets(), 15, prompt=prompt)
    assert set(page_of(few).by_class["prompt"]) == {visible(prompt)}


def test_a_run_of_no_briefs_or_no_times_is_a_page_all_the_same(tmp_path: Path) -> None:
    empty = page_of(record(tmp_path, ()))
    assert empty.by_id["briefs-total"] == "0"
    cached = page_of(record(tmp_path, (brief("b", (stage("b", "edit", Outcome.CACHED),)),)))
    assert "Nothing was made in this run" in cached.by_id["main"]


def test_only_what_is_there_is_linked(run: RunRecord) -> None:
    gone = run.stages[0].assets[0].path
    files = Beside(absent=frozenset({gone}), marked_copies=True, all_runs=True)
    page = Page(report_html(run, run_tables(run), files=files))
    linked = [link.get("href") for link in page.all("a")]
    assert gone not in linked
    assert run.stages[0].assets[1].path in linked
    assert "../index.html" in linked
    assert "the bytes were dropped" in page.by_class["blank"]
    assert "data-marked-copies" in page.all("body")[0]
    assert "../index.html" not in [link.get("href") for link in page_of(run).all("a")]
