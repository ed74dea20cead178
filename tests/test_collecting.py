"""From a prediction's id to verified bytes: whatever goes wrong, what is paid for stays collectable."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from bench_support import (
    EDIT_MODEL,
    PRICE,
    SERVICE,
    ScriptedAccount,
    claim,
    edit_work,
    source_sha256,
    the_attempt,
    until,
    workbench_at,
)
from simulator_support import clip, picture

from blocks.errors import (
    CampaignError,
    CollectingFailed,
    InputNotFetched,
    Moderated,
    NeedsPerson,
    NotFound,
    OutputsExpired,
    PredictionFailed,
    ServerSideFailure,
    Stopped,
    StoreUnusable,
    Transient,
    Unavailable,
)
from blocks.ledger import AttemptRow, AttemptState, IllegalTransition
from blocks.remote import RemoteFiles
from blocks.wavespeed import BillingEntry, Prediction
from tasks.paying import collecting
from tasks.paying.collecting import (
    HELD_TRIES,
    NOT_FOUND_TRIES,
    TRIES,
    ShownOtherwise,
    ask_again_for_held,
    await_end,
    collect,
)
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.waiting_state import DeadlinePassed, Watched
from tasks.paying.workbench import Workbench
from tasks.record import Outcome
from tasks.stopping import StopReason
from tasks.work import StageWork

Reply = Callable[[], httpx.Response]
PICTURE_SHA256 = source_sha256()
GIF = b"GIF89a" + bytes.fromhex("01000100800000000000ffffff2c00000000010001000002024401003b")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "TRY_AGAIN_SECONDS", 0.0)


def whole(content: bytes = b"", kind: str = "image/png") -> Reply:
    return lambda: httpx.Response(200, content=content or picture(), headers={"Content-Type": kind})


def truncated() -> httpx.Response:
    """Announces the picture's length and breaks off in the middle."""

    async def half() -> Any:
        yield picture()[: len(picture()) // 2]
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    return httpx.Response(200, content=half())


def quietly_truncated() -> httpx.Response:
    """A server that counts the half as the whole."""
    return whole(picture()[: len(picture()) // 2])()


def status(number: int, **headers: str) -> Reply:
    return lambda: httpx.Response(number, headers=headers)


class Shelf:
    """A completed attempt, the hosts its outputs are on, and the account that knows them."""

    def __init__(self, folder: Path, bench: Workbench, account: ScriptedAccount) -> None:
        self.folder, self.bench, self.account = folder, bench, account
        self.replies: dict[str, list[Reply]] = {}
        self.fetched: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        self.fetched.append(url)
        replies = self.replies[url]
        return (replies.pop(0) if len(replies) > 1 else replies[0])()

    def holds(self, name: str, *replies: Reply) -> str:
        """The address of an output, which answers as given, the last answer for ever."""
        url = f"{SERVICE}/outputs/{name}"
        self.replies[url] = list(replies)
        return url

    def prediction(self, *urls: str, nsfw: tuple[bool, ...] = ()) -> Prediction:
        return Prediction(id="p1", model=EDIT_MODEL, status="completed", outputs=urls, has_nsfw_contents=nsfw)

    def submitted(self, work: StageWork) -> AttemptRow:
        claim(self.bench, work)
        ledger = self.bench.ledger
        attempt = ledger.reserve(
            work.key, run_id=self.bench.run_id, owner=self.bench.owner, estimated=PRICE, worst_case=PRICE
        )
        ledger.intend(attempt.id, body={"prompt": "a"}, input_sha256s=[], request_timeout_s=30)
        return ledger.submitted(attempt.id, "p1", service_created_at=datetime.now(UTC))

    def completed(self, work: StageWork, *urls: str) -> AttemptRow:
        return self.bench.ledger.completed(self.submitted(work).id, outputs=urls)

    async def collect(self, prediction: Prediction, work: StageWork | None = None) -> Any:
        work = work or edit_work()
        attempts = self.bench.ledger.attempts(key=work.key)
        attempt = attempts[0] if attempts else self.completed(work, *prediction.outputs)
        return await asyncio.wait_for(collect(self.bench, work, attempt, prediction, Stopwatch()), 30)

    def leftovers(self) -> list[Path]:
        return [path for path in (self.folder / "assets" / "incoming").glob("*") if path.is_file()]


async def _no_pause(_seconds: float) -> None:
    return


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    account = ScriptedAccount()
    with workbench_at(tmp_path, account) as bench:
        shelf = Shelf(tmp_path, bench, account)
        bench.remote = RemoteFiles(SERVICE, sleep=_no_pause, transport=httpx.MockTransport(shelf))
        yield shelf


async def test_every_output_is_decoded_kept_and_booked_in_the_service_s_order(shelf: Shelf) -> None:
    first, second = shelf.holds("1.png", whole()), shelf.holds("2.jpg", whole(picture("JPEG")))
    shelf.account.bill = [BillingEntry("p1", "deduct", 20_000, None)]
    assets = await shelf.collect(shelf.prediction(first, second, nsfw=(False, True)))
    assert [(a.media_type, a.width, a.flagged_nsfw) for a in assets] == [
        ("image/png", 300, False),
        ("image/jpeg", 300, True),
    ]
    for asset, content in zip(assets, (picture(), picture("JPEG")), strict=True):
        assert shelf.bench.store.path(asset.sha256).read_bytes() == content
    attempt = the_attempt(shelf.bench, edit_work())
    assert (attempt.state, attempt.charged, attempt.settled_run_id) == (
        AttemptState.STORED,
        20_000,
        shelf.bench.run_id,
    )
    assert shelf.leftovers() == []


@pytest.mark.parametrize("known", [True, False])
async def test_what_is_not_known_of_the_bill_stays_at_risk(shelf: Shelf, known: bool) -> None:
    url, work, progress = shelf.holds("1.png", status(404)), edit_work(), shelf.bench.progress
    shelf.account.results = [shelf.prediction(url)] * TRIES

    async def pending(*_: object, **__: object) -> list[BillingEntry]:
        if not known:
            await asyncio.Event().wait()
        return []

    shelf.account.billings = pending  # type: ignore[method-assign] # a bill that is long in coming
    progress.stage_reserved(work.brief, work.stage, PRICE)
    progress.stage_submitted(work.brief, work.stage)
    with pytest.raises(CampaignError):
        await shelf.collect(shelf.prediction(url))
    await asyncio.sleep(0.01)
    progress.stage_ended(work.brief, work.stage, Outcome.FAILED, 0)
    assert progress.at_risk == (0 if known else PRICE)


async def test_a_clip_is_kept_with_what_is_known_of_it(shelf: Shelf) -> None:
    url = shelf.holds("1.mp4", whole(clip(), "video/mp4"))
    work = edit_work().model_copy(update={"stage": "video"})
    [asset] = await shelf.collect(shelf.prediction(url), work)
    assert (asset.media_type, asset.width, asset.has_sound) == ("video/mp4", 720, False)
    assert float(asset.duration_seconds) == pytest.approx(1.0, abs=0.1)


BROKEN: dict[str, Reply] = {
    "truncated": truncated,
    "quietly truncated": quietly_truncated,
    "a page instead of a picture": whole(b"<html><body>Sign in</body></html>", "text/html"),
    "a page that says it is a picture": whole(b"<html><body>Sign in</body></html>"),
    "a drawing with a script in it": whole(
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    ),
    "a page with a picture behind it": whole(b"<!doctype html><script>alert(1)</script><!--" + picture()),
    "other bytes than announced": whole(GIF),
    "nothing": lambda: httpx.Response(200, content=b""),
    "a server error": status(503),
    "not there": status(404),
    "expired": status(403),
    "to a private address": status(302, Location="https://10.0.0.1/secret.png"),
    "to loopback": status(302, Location="http://127.0.0.1:1/secret.png"),
    "to metadata": status(302, Location="http://169.254.169.254/latest"),
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_passing_fault_is_collected_again(shelf: Shelf, fault: str) -> None:
    # The fetch itself tries a passing failure three times.
    broken = shelf.holds("1.png", BROKEN[fault], BROKEN[fault], BROKEN[fault], whole())
    shelf.account.results = [shelf.prediction(broken)] * TRIES
    [asset] = await shelf.collect(shelf.prediction(broken))
    assert shelf.bench.store.path(asset.sha256).read_bytes() == picture()
    assert the_attempt(shelf.bench, edit_work()).state is AttemptState.STORED
    assert all(url.startswith(SERVICE) for url in shelf.fetched)
    assert shelf.leftovers() == []


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_lasting_fault_leaves_it_to_be_collected_later(shelf: Shelf, fault: str) -> None:
    broken = shelf.holds("1.png", BROKEN[fault])
    shelf.account.results = [shelf.prediction(broken)] * TRIES
    with pytest.raises(
        CampaignError, match="it is paid for; run the command again to collect it free of charge"
    ) as caught:
        await shelf.collect(shelf.prediction(broken))
    assert isinstance(caught.value, Transient | CollectingFailed)
    assert len(shelf.account.asked_results) == TRIES - 1
    attempt = the_attempt(shelf.bench, edit_work())
    assert (attempt.state, attempt.prediction_id, attempt.charged) == (AttemptState.COMPLETED, "p1", None)
    assert shelf.leftovers() == []
    assert not (shelf.folder / "assets" / "objects").exists()

    # Later on the output is there again.
    shelf.holds("1.png", whole())
    [asset] = await shelf.collect(shelf.prediction(broken))
    assert shelf.bench.store.has(asset.sha256)
    attempt = the_attempt(shelf.bench, edit_work())
    assert (attempt.state, attempt.charged, attempt.number) == (AttemptState.STORED, PRICE, 1)


async def test_a_picture_with_a_page_behind_it_is_a_picture_and_nothing_else(shelf: Shelf) -> None:
    """What follows a picture's end is nobody's business: it is kept as it was paid for, under a picture's name."""
    content = picture() + b"<html><script>alert(1)</script></html>"
    [asset] = await shelf.collect(shelf.prediction(shelf.holds("1.html", whole(content, "text/html"))))
    assert shelf.bench.store.path(asset.sha256).read_bytes() == content
    assert asset.media_type == "image/png"


async def test_an_address_that_has_expired_is_asked_for_anew(shelf: Shelf) -> None:
    old, new = shelf.holds("old.png", status(404)), shelf.holds("new.png", whole())
    shelf.account.results = [shelf.prediction(new)]
    await shelf.collect(shelf.prediction(old))
    assert shelf.fetched == [old, new]
    assert shelf.account.asked_results == ["p1"]


async def test_one_of_several_outputs_that_fails_keeps_the_attempt_open(shelf: Shelf) -> None:
    fine, broken = shelf.holds("1.png", whole()), shelf.holds("2.png", whole(GIF))
    shelf.account.results = [shelf.prediction(fine, broken)] * TRIES
    with pytest.raises(CollectingFailed):
        await shelf.collect(shelf.prediction(fine, broken))
    await until(lambda: shelf.bench.store.has(PICTURE_SHA256))
    assert the_attempt(shelf.bench, edit_work()).state is AttemptState.COMPLETED


async def test_outputs_that_vanish_from_the_result(shelf: Shelf) -> None:
    first, second = shelf.holds("1.png", whole()), shelf.holds("2.png", status(404))
    shelf.account.results = [shelf.prediction(first)] * NOT_FOUND_TRIES
    with pytest.raises(PredictionFailed, match="fewer outputs than before"):
        await shelf.collect(shelf.prediction(first, second))
    await until(lambda: shelf.bench.store.has(PICTURE_SHA256))
    assert the_attempt(shelf.bench, edit_work()).state is AttemptState.COMPLETED


async def test_an_endless_output_is_broken_off(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "LARGEST_BYTES", {"image": 500})
    assert len(picture()) > 500
    url = shelf.holds("1.png", whole())
    shelf.account.results = [shelf.prediction(url)] * TRIES
    with pytest.raises(CollectingFailed):
        await shelf.collect(shelf.prediction(url))
    assert shelf.leftovers() == []


async def test_a_full_disk_is_told_at_once_and_loses_nothing(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreUnusable("the disk is full")

    monkeypatch.setattr(shelf.bench.store, "keep", full)
    url = shelf.holds("1.png", whole())
    with pytest.raises(StoreUnusable):
        await shelf.collect(shelf.prediction(url))
    assert len(shelf.fetched) == 1
    assert the_attempt(shelf.bench, edit_work()).state is AttemptState.COMPLETED
    assert shelf.leftovers() == []


async def test_an_interrupt_ends_the_collecting_between_two_tries(shelf: Shelf) -> None:
    url = shelf.holds("1.png", whole(GIF))

    def interrupted() -> Prediction:
        shelf.bench.stop.set(StopReason.INTERRUPTED)
        return shelf.prediction(url)

    shelf.account.results = [interrupted]
    with pytest.raises(Stopped):
        await shelf.collect(shelf.prediction(url))
    assert len(shelf.fetched) == 1
    assert the_attempt(shelf.bench, edit_work()).state is AttemptState.COMPLETED


class Ended:
    """Stands in for the watch: the prediction ended so, or the wait did."""

    def __init__(self, outcome: Prediction | Exception) -> None:
        self.outcome = outcome

    async def wait(self, *_: object, **__: object) -> Watched:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return Watched(self.outcome, polls=3, detected_at=datetime.now(UTC), detect_seconds=0.5)


async def end_of(shelf: Shelf, outcome: Prediction | Exception, watch: Stopwatch | None = None) -> Prediction:
    shelf.bench.watch = cast("Any", Ended(outcome))
    work = edit_work()
    return await await_end(shelf.bench, work, shelf.submitted(work), watch or Stopwatch())


def ended(state: str, code: int = 0, **more: Any) -> Prediction:
    return Prediction(id="p1", model=EDIT_MODEL, status=state, code=code, **more)


async def test_a_completed_prediction_is_written_down_before_it_is_collected(shelf: Shelf) -> None:
    watch = Stopwatch()
    done = ended("completed", outputs=("https://x.example/1.png",), inference_seconds=4.0)
    assert await end_of(shelf, done, watch) == done
    attempt = the_attempt(shelf.bench, edit_work())
    assert (attempt.state, attempt.outputs, attempt.polls) == (AttemptState.COMPLETED, done.outputs, 3)
    assert (watch.seconds("inference_s"), watch.seconds("detect_s"), watch.polls) == (4.0, 0.5, 3)


@pytest.mark.parametrize(
    ("outcome", "error", "code"),
    [
        (ended("failed", 1200), Moderated, "1200"),
        (ended("failed", 5000), ServerSideFailure, "5000"),
        (ended("failed", 1402), InputNotFetched, "1402"),
        (ended("cancelled"), PredictionFailed, "cancelled"),
    ],
)
async def test_a_failed_prediction_is_booked_as_billed(
    shelf: Shelf, outcome: Prediction, error: type[Exception], code: str
) -> None:
    shelf.account.bill = [
        BillingEntry("p1", "deduct", PRICE, None),
        BillingEntry("p1", "refund", PRICE, None),
    ]
    with pytest.raises(error):
        await end_of(shelf, outcome)
    attempt = the_attempt(shelf.bench, edit_work())
    assert (attempt.state, attempt.error_code) == (AttemptState.FAILED, code)
    assert (attempt.charged, attempt.refunded, attempt.prediction_id) == (PRICE, PRICE, "p1")


@pytest.mark.parametrize("error", [DeadlinePassed("p1", 3600), Unavailable("down"), Stopped("interrupted")])
async def test_a_wait_that_ends_early_never_loses_the_id(shelf: Shelf, error: Exception) -> None:
    with pytest.raises(type(error)):
        await end_of(shelf, error)
    attempt = the_attempt(shelf.bench, edit_work())
    assert (attempt.state, attempt.prediction_id) == (AttemptState.SUBMITTED, "p1")


async def test_a_resumed_attempt_asks_for_today_s_addresses(shelf: Shelf) -> None:
    work = edit_work()
    attempt = shelf.completed(work, f"{SERVICE}/outputs/old.png")
    fresh = shelf.prediction(f"{SERVICE}/outputs/new.png")
    shelf.account.results = [fresh]
    assert await await_end(shelf.bench, work, attempt, Stopwatch()) == fresh


ODD = {
    "not known": NotFound("no such prediction"),
    "at work again": Prediction(id="p1", model=EDIT_MODEL, status="processing"),
    "failed": Prediction(id="p1", model=EDIT_MODEL, status="failed"),
    "without outputs": Prediction(id="p1", model=EDIT_MODEL, status="completed"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_an_odd_answer_about_what_had_completed_is_asked_again(shelf: Shelf, odd: Any) -> None:
    work, url = edit_work(), f"{SERVICE}/outputs/1.png"
    attempt = shelf.completed(work, url)
    shelf.account.results = [odd] * (NOT_FOUND_TRIES - 1) + [shelf.prediction(url)]
    assert await await_end(shelf.bench, work, attempt, Stopwatch()) == shelf.prediction(url)
    assert the_attempt(shelf.bench, work).state is AttemptState.COMPLETED


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_a_lasting_odd_answer_holds_it_and_its_outputs_let_it_go_on(shelf: Shelf, odd: Any) -> None:
    work, url = edit_work(), f"{SERVICE}/outputs/1.png"
    attempt = shelf.completed(work, url)
    shelf.account.results = [odd] * NOT_FOUND_TRIES
    with pytest.raises(NeedsPerson, match="run the same command again") as caught:
        await await_end(shelf.bench, work, attempt, Stopwatch())
    assert isinstance(caught.value.__cause__, NotFound)
    assert ("had completed, and now" in str(caught.value)) is isinstance(
        caught.value.__cause__, ShownOtherwise
    )
    assert len(shelf.account.asked_results) == NOT_FOUND_TRIES
    held = the_attempt(shelf.bench, work)
    assert (held.state, held.held_reason) == (AttemptState.HELD, str(caught.value))

    shelf.account.results = [odd] * 2
    with pytest.raises(NeedsPerson):
        await ask_again_for_held(shelf.bench, work, held)
    assert the_attempt(shelf.bench, work) == held
    shelf.account.results = [odd, shelf.prediction(url)]
    gone_on = await ask_again_for_held(shelf.bench, work, held)
    assert (gone_on.state, gone_on.submitted_at) == (AttemptState.COMPLETED, held.submitted_at)


async def test_completed_without_outputs_is_held_with_its_id_until_they_come(shelf: Shelf) -> None:
    work, empty = edit_work(), ended("completed", 1403, error="late")
    with pytest.raises(
        NeedsPerson, match=r"has completed, but the account shows it .*with 0 outputs.*late"
    ) as caught:
        await end_of(shelf, empty)
    assert "WAVESPEED_API_KEY" not in str(caught.value)
    assert "run the same command again, or `campaign reconcile`" in str(caught.value)
    held = the_attempt(shelf.bench, work)
    assert (held.state, held.prediction_id, held.reserved, held.charged) == (
        AttemptState.HELD,
        "p1",
        PRICE,
        None,
    )
    assert held.held_reason == str(caught.value)

    shelf.account.results = [empty] * HELD_TRIES
    with pytest.raises(NeedsPerson, match="has completed, but"):
        await ask_again_for_held(shelf.bench, work, held)
    assert the_attempt(shelf.bench, work) == held
    shelf.account.results = [empty, shelf.prediction("https://x.example/1.png")]
    gone_on = await ask_again_for_held(shelf.bench, work, held)
    assert (gone_on.state, gone_on.prediction_id) == (AttemptState.SUBMITTED, "p1")


async def test_completed_without_outputs_for_seven_days_is_made_again(shelf: Shelf) -> None:
    work = edit_work()
    shelf.bench.watch = cast("Any", Ended(ended("completed")))
    attempt = replace(
        shelf.submitted(work), service_created_at=datetime.now(UTC) - timedelta(days=7, seconds=1)
    )
    with pytest.raises(OutputsExpired):
        await await_end(shelf.bench, work, attempt, Stopwatch())
    assert (the_attempt(shelf.bench, work).state, the_attempt(shelf.bench, work).error_code) == (
        AttemptState.FAILED,
        "expired",
    )


async def test_what_was_held_before_it_was_seen_completed_goes_on_however_it_is_shown(shelf: Shelf) -> None:
    work = edit_work()
    held = shelf.bench.ledger.held(shelf.submitted(work).id, "the account does not have it")
    shelf.account.results = [ended("processing")]
    gone_on = await ask_again_for_held(shelf.bench, work, held)
    assert (gone_on.state, gone_on.submitted_at) == (AttemptState.SUBMITTED, held.submitted_at)
    shelf.account.results = [ended("processing")]
    with pytest.raises(IllegalTransition):
        await ask_again_for_held(shelf.bench, work, held)
