"""A refused request is believed after one look at the account's history, and never on the word of the answer alone."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench_support import (
    EDIT_MODEL,
    PRICE,
    SERVICE,
    ScriptedAccount,
    claim,
    edit_work,
    sent_or_found,
    source_sha256,
    the_attempt,
    until,
    workbench_at,
)

from blocks.errors import (
    AcceptedWithoutId,
    AccountRefused,
    InputNotFetched,
    Moderated,
    NeedsPerson,
    RateLimited,
    RequestRefused,
    ServiceError,
    Stopped,
    Unavailable,
)
from blocks.ledger import AttemptRow, AttemptState, Reply
from blocks.wavespeed import HistoryReading, Prediction
from tasks.paying import submitting
from tasks.paying.recovery import MARGIN, resolve
from tasks.paying.shared_looks import SharedLooks
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.workbench import Workbench
from tasks.stopping import StopReason
from tasks.work import StageWork

REFUSALS: dict[str, ServiceError] = {
    "429": RateLimited("slow down", retry_after=0.01, status=429),
    "400": RequestRefused("bad parameter", status=400),
    "moderation": Moderated("flagged", status=400),
    "1402": InputNotFetched("unreadable", status=400, code=1402),
    "no credit": AccountRefused("no credit", status=402),
}
BELIEVED = {
    "429": AttemptState.RESERVED,
    "400": AttemptState.WITHDRAWN,
    "moderation": AttemptState.WITHDRAWN,
    "1402": AttemptState.RESERVED,
    "no credit": AttemptState.WITHDRAWN,
}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "PAUSE_SECONDS", 0.01)


class Desk:
    """A bench whose account refuses, and has a history."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.account = ScriptedAccount()
        self._folder, self._stack = folder, stack
        self.bench = self.open()

    def open(self, **settings: float) -> Workbench:
        self.bench = self._stack.enter_context(workbench_at(self._folder, self.account, settings=settings))
        return self.bench

    def side_by_side(self) -> None:
        """The history shows what was sent."""
        self.bench.echo._shows[EDIT_MODEL] = True

    async def submit(self, work: StageWork | None = None) -> AttemptRow:
        work = work or edit_work()
        async with asyncio.timeout(20):
            return await sent_or_found(self.bench, work, claim(self.bench, work), Stopwatch())

    def seen(
        self, name: str = "lost-1", *, late: float = 0, echo: Any = None, model: str = EDIT_MODEL
    ) -> Prediction:
        return Prediction(
            id=name,
            model=model,
            status="completed",
            outputs=("https://x.example/1.png",),
            created_at=datetime.now(UTC) + timedelta(seconds=late),
            input=echo,
        )

    def body(self, name: str = "a") -> dict[str, Any]:
        return edit_work(name).parameters | {"image": f"{SERVICE}/files/{source_sha256()}.png"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_believed_after_one_look(desk: Desk, name: str) -> None:
    refusal = REFUSALS[name]
    # From its first answer on it is refused for good.
    desk.account.submits = [refusal]
    if name == "429":
        assert (await desk.submit()).state is AttemptState.SUBMITTED
        assert len(desk.account.sent) == 2
    else:
        with pytest.raises(type(refusal)) as caught:
            await desk.submit()
        assert caught.value is refusal
        assert len(desk.account.sent) == 1
        assert the_attempt(desk.bench, edit_work()).state is BELIEVED[name]
    assert len(desk.account.asked_since) == 1


@pytest.mark.parametrize("shows_inputs", [True, False])
@pytest.mark.parametrize("name", REFUSALS)
async def test_what_exists_all_the_same_is_adopted_and_not_sent_again(
    desk: Desk, name: str, shows_inputs: bool
) -> None:
    desk.account.submits = [REFUSALS[name]]
    echo = desk.body() if shows_inputs else None
    desk.account.histories = [lambda: desk.account.history]
    desk.account.history = [desk.seen(echo=echo)]
    attempt = await desk.submit()
    assert (attempt.state, attempt.prediction_id) == (AttemptState.SUBMITTED, "lost-1")
    assert (attempt.reply, attempt.reserved) == (Reply.REFUSED, PRICE)
    assert len(desk.account.sent) == 1


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_can_be_nothing_of_it_raises_no_doubt(desk: Desk, name: str) -> None:
    await desk.submit(edit_work("known"))
    [known] = desk.bench.ledger.attempts()
    assert known.prediction_id is not None
    desk.account.history = [
        desk.seen(known.prediction_id, echo=desk.body("known")),
        desk.seen("other-words", echo=desk.body("b")),
        desk.seen("other-model", model="another/model"),
        desk.seen("long-ago", late=-4000),
    ]
    desk.account.submits = [REFUSALS[name]]
    if name == "429":
        await desk.submit()
    else:
        with pytest.raises(type(REFUSALS[name])):
            await desk.submit()
        assert the_attempt(desk.bench, edit_work()).state is BELIEVED[name]
    assert len(desk.account.asked_since) == 1
    assert len(desk.account.sent) == (3 if name == "429" else 2)


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_history_that_cannot_be_read_leaves_it_open_until_it_can(desk: Desk, name: str) -> None:
    refusal, states = REFUSALS[name], []

    def down() -> Exception:
        states.append(the_attempt(desk.bench, edit_work()))
        raise Unavailable("down")

    desk.account.submits = [refusal]
    desk.account.histories = [down, down, down]
    if name == "429":
        assert (await desk.submit()).state is AttemptState.SUBMITTED
    else:
        with pytest.raises(type(refusal)) as caught:
            await desk.submit()
        assert caught.value is refusal
        assert the_attempt(desk.bench, edit_work()).state is BELIEVED[name]
    assert [(one.state, one.reply) for one in states] == [
        (AttemptState.INTENT, None),
        (AttemptState.UNKNOWN, Reply.REFUSED),
        (AttemptState.UNKNOWN, Reply.REFUSED),
    ]
    assert all(one.reserved == PRICE for one in states)
    assert len(desk.account.asked_since) == 4
    assert len(desk.account.sent) == (2 if name == "429" else 1)


async def test_what_the_history_leaves_open_after_a_refusal_waits_for_a_person(desk: Desk) -> None:
    desk.account.submits = [REFUSALS["400"]]
    desk.account.histories = [lambda: [desk.seen("p8"), desk.seen("p9")]] * 2
    with pytest.raises(NeedsPerson, match="p8, p9"):
        await desk.submit()
    assert the_attempt(desk.bench, edit_work()).state is AttemptState.HELD


@pytest.mark.parametrize("number", [401, 403])
async def test_a_refused_key_leaves_it_open_and_the_next_run_looks_before_it_sends(
    desk: Desk, number: int
) -> None:
    desk.account.submits = [AccountRefused("no", status=number)]
    with pytest.raises(AccountRefused):
        await desk.submit()
    attempt = the_attempt(desk.bench, edit_work())
    assert (attempt.state, attempt.reply, attempt.reserved) == (AttemptState.UNKNOWN, Reply.REFUSED, PRICE)
    assert desk.bench.stop.reason is StopReason.ACCOUNT_REFUSED
    assert desk.account.asked_since == []

    resolved = await asyncio.wait_for(resolve(desk.bench, attempt), 10)
    assert (resolved.state, resolved.resent) == (AttemptState.RESERVED, 0)
    assert len(desk.account.asked_since) == 1


async def test_a_refused_key_whose_request_exists_is_found_by_the_next_run(desk: Desk) -> None:
    desk.account.submits = [AccountRefused("no", status=401)]
    with pytest.raises(AccountRefused):
        await desk.submit()
    desk.account.history = [desk.seen(echo=desk.body())]
    found = await asyncio.wait_for(resolve(desk.bench, the_attempt(desk.bench, edit_work())), 10)
    assert (found.state, found.prediction_id) == (AttemptState.SUBMITTED, "lost-1")


async def test_many_refusals_share_their_looks(desk: Desk) -> None:
    desk.side_by_side()
    names = [f"brief-{number}" for number in range(20)]
    desk.account.submits = [REFUSALS["400"]] * len(names)
    read = desk.account.read_history

    async def slow(since: datetime) -> HistoryReading:
        await until(lambda: len(desk.account.sent) == len(names))
        return await read(since)

    desk.account.read_history = slow  # type: ignore[method-assign] # one look takes as long as all requests
    ended = await asyncio.gather(*(desk.submit(edit_work(name)) for name in names), return_exceptions=True)
    assert [type(one) for one in ended] == [RequestRefused] * len(names)
    assert len(desk.account.sent) == len(names)
    assert len(desk.account.asked_since) == 2


async def test_nobody_runs_into_the_same_429_while_the_history_is_asked(desk: Desk) -> None:
    desk.side_by_side()
    looking, go_on = asyncio.Event(), asyncio.Event()
    read = desk.account.read_history

    async def slow(since: datetime) -> HistoryReading:
        looking.set()
        await go_on.wait()
        return await read(since)

    desk.account.read_history = slow  # type: ignore[method-assign] # a history that is long in coming
    desk.account.submits = [RateLimited("slow down", retry_after=0.3, status=429)]
    first = asyncio.create_task(desk.submit(edit_work("a")))
    await asyncio.wait_for(looking.wait(), 10)
    assert desk.bench.limits.pause_left("image") > 0
    assert desk.bench.limits.pause_left("video") == 0
    go_on.set()
    second = await desk.submit(edit_work("b"))
    assert second.state is AttemptState.SUBMITTED
    assert (await first).state is AttemptState.SUBMITTED


async def test_an_interrupt_does_not_wait_for_the_look(desk: Desk) -> None:
    async def never(since: datetime) -> HistoryReading:
        del since
        desk.bench.stop.set(StopReason.INTERRUPTED)
        await asyncio.Event().wait()
        return HistoryReading()

    desk.account.read_history = never  # type: ignore[method-assign] # a history that never comes
    desk.account.submits = [REFUSALS["400"]]
    with pytest.raises(Stopped):
        await desk.submit()
    attempt = the_attempt(desk.bench, edit_work())
    assert (attempt.state, attempt.reply) == (AttemptState.UNKNOWN, Reply.REFUSED)
    assert not desk.bench.posting


async def test_what_was_accepted_without_an_id_is_found_or_held_and_never_sent_again(desk: Desk) -> None:
    desk.open(request_seconds=2.0, quiet_seconds=0.05)
    desk.account.submits = [AcceptedWithoutId("no id", status=200)] * 2
    desk.account.histories = [[], [], lambda: [desk.seen(echo=desk.body())]]
    found = await desk.submit()
    assert (found.state, found.prediction_id, found.reply) == (
        AttemptState.SUBMITTED,
        "lost-1",
        Reply.ACCEPTED,
    )
    with pytest.raises(NeedsPerson, match="took the request on"):
        await desk.submit(edit_work("b"))
    assert len(desk.account.sent) == 2


async def test_looks_are_shared_by_those_who_asked_before_they_began() -> None:
    looks, begun, go_on = SharedLooks(), [], asyncio.Event()
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)

    async def look(since: datetime) -> int:
        begun.append(since)
        number = len(begun)
        await go_on.wait()
        if number == 2:
            raise Unavailable("down")
        return number

    first = looks.look("a", noon, look)
    await until(lambda: len(begun) == 1)
    second = looks.look("a", noon + MARGIN, look)
    assert looks.look("a", noon - MARGIN, look) is second
    assert second is not first
    other = looks.look("b", noon, look)
    await until(lambda: len(begun) == 2)
    assert not second.done()
    go_on.set()
    assert await first == 1
    with pytest.raises(Unavailable):
        await other
    assert await second == 3
    assert begun == [noon, noon, noon - MARGIN]
    assert await looks.look("a", noon, look) == 4
