"""The step that costs money, with a real ledger and a service that answers by script."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from bench_support import (
    EDIT_MODEL,
    PRICE,
    ScriptedAccount,
    claim,
    edit_work,
    sent_or_found,
    the_attempt,
    until,
    workbench_at,
)

from blocks.errors import (
    AccountRefused,
    BudgetRefused,
    InputNotFetched,
    Moderated,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
    Stopped,
    Unavailable,
    Unreachable,
)
from blocks.ledger import AttemptRow, AttemptState, CapReached
from blocks.limits import Kind
from blocks.wavespeed import Quote
from tasks.paying import submitting
from tasks.paying.departure import Departure
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.submitting import submit
from tasks.paying.workbench import Workbench
from tasks.stopping import StopReason
from tasks.work import StageWork

SHORT = 0.01


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "CAP_SECONDS", SHORT)
    monkeypatch.setattr(submitting, "PAUSE_SECONDS", SHORT)


class Desk:
    """Benches of one test, and what is submitted at them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.account = ScriptedAccount()

    def bench(self, *, budget: int | None = None, **settings: float) -> Workbench:
        return self._stack.enter_context(
            workbench_at(self._folder, self.account, budget=budget, settings=settings)
        )

    async def submit(
        self, bench: Workbench, work: StageWork, *, watch: Stopwatch | None = None
    ) -> AttemptRow:
        return await sent_or_found(bench, work, claim(bench, work), watch or Stopwatch())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


async def test_a_submitted_attempt_has_its_id_and_exactly_the_schema_was_sent(desk: Desk) -> None:
    bench, work, watch = desk.bench(), edit_work(), Stopwatch()
    attempt = await desk.submit(bench, work, watch=watch)
    assert (attempt.state, attempt.prediction_id) == (AttemptState.SUBMITTED, "p1")
    assert (attempt.estimated, attempt.reserved) == (PRICE, PRICE)
    assert desk.account.sent == [
        work.parameters | {"image": f"https://api.example.org/files/{work.inputs[0].sha256}.png"}
    ]
    assert attempt.body == desk.account.sent[0]
    assert watch.attempts == 1
    assert not bench.posting


@pytest.mark.parametrize(
    ("quoted", "reserved"),
    [
        (PRICE, 40_000),
        (20_000, 40_000),  # cheaper: the worst case stays what the list says
        (2 * PRICE, 80_000),
        (PRICE + 1, 40_002),  # 40,000 times 28,001/28,000 is 40,001.43: never rounded down
    ],
)
async def test_a_dearer_quote_raises_the_reservation(desk: Desk, quoted: int, reserved: int) -> None:
    bench = desk.bench()
    desk.account.prices = [Quote(EDIT_MODEL, quoted, quoted)]
    attempt = await desk.submit(bench, edit_work(worst_case=40_000))
    assert (attempt.reserved, attempt.estimated) == (reserved, PRICE)
    assert bool(bench.notes) == (abs(quoted - PRICE) > 1)


async def test_what_one_pays_is_the_discounted_price(desk: Desk) -> None:
    desk.account.prices = [Quote(EDIT_MODEL, 4 * PRICE, 2 * PRICE)]
    assert (await desk.submit(desk.bench(), edit_work())).reserved == 2 * PRICE


async def test_a_dearer_quote_does_not_slip_under_the_cap(desk: Desk) -> None:
    desk.account.prices = [Quote(EDIT_MODEL, 2 * PRICE, 2 * PRICE)]
    bench, work = desk.bench(budget=2 * PRICE - 1), edit_work()
    with pytest.raises(CapReached):
        await desk.submit(bench, work)
    assert desk.account.sent == []
    assert bench.ledger.attempts(key=work.key) == []


async def test_the_price_is_asked_once_for_many(desk: Desk) -> None:
    bench = desk.bench()
    asked: list[int] = []

    def quote() -> Quote:
        asked.append(1)
        return Quote(EDIT_MODEL, PRICE, PRICE)

    desk.account.prices = [quote] * 5
    await asyncio.gather(*(desk.submit(bench, edit_work(name)) for name in "abcde"))
    assert len(asked) == 1


@pytest.mark.parametrize(
    "error", [Unavailable("down"), NotFound("no such call"), RequestRefused("bad"), OutcomeUnknown("?")]
)
async def test_without_a_quote_the_list_s_price_is_used_and_the_run_says_so(
    desk: Desk, error: Exception
) -> None:
    desk.account.prices = [error]
    bench = desk.bench()
    assert (await desk.submit(bench, edit_work())).reserved == PRICE
    assert bench.notes == [f"{EDIT_MODEL}: the service gave no price; the price list's is used"]


async def test_a_refusing_account_at_the_price_question_stops_the_spending(desk: Desk) -> None:
    desk.account.prices = [AccountRefused("no such key")]
    bench = desk.bench()
    with pytest.raises(AccountRefused):
        await desk.submit(bench, edit_work())
    assert bench.stop.reason is StopReason.ACCOUNT_REFUSED
    with pytest.raises(Stopped, match="no such key"):
        await desk.submit(bench, edit_work("b"))
    assert desk.account.sent == []


async def test_the_cap_is_waited_for_while_others_may_turn_out_cheaper(desk: Desk) -> None:
    bench = desk.bench(budget=100_000)
    first = await desk.submit(bench, edit_work("a", worst_case=90_000))
    second = asyncio.create_task(desk.submit(bench, edit_work("b", worst_case=50_000)))
    for _ in range(5):
        await asyncio.sleep(SHORT)
        assert not second.done()
    assert len(desk.account.sent) == 1
    bench.ledger.settle(first.id, charged=PRICE, run_id=bench.run_id)
    assert (await asyncio.wait_for(second, 10)).state is AttemptState.SUBMITTED


async def test_the_cap_is_given_up_on_when_what_was_in_flight_cost_too_much(desk: Desk) -> None:
    bench = desk.bench(budget=100_000)
    first = await desk.submit(bench, edit_work("a", worst_case=90_000))
    second = asyncio.create_task(desk.submit(bench, edit_work("b", worst_case=50_000)))
    await asyncio.sleep(3 * SHORT)
    bench.ledger.settle(first.id, charged=60_000, run_id=bench.run_id)
    with pytest.raises(CapReached):
        await asyncio.wait_for(second, 10)
    assert len(desk.account.sent) == 1


@pytest.mark.parametrize("budget", [0, PRICE - 1])
async def test_with_nothing_in_flight_the_cap_is_given_up_on_at_once(desk: Desk, budget: int) -> None:
    bench = desk.bench(budget=budget)
    with pytest.raises(CapReached) as caught:
        await asyncio.wait_for(desk.submit(bench, edit_work()), 10)
    assert (caught.value.cap, caught.value.wanted, caught.value.reserved) == (budget, PRICE, 0)


async def test_work_that_could_never_fit_does_not_wait_for_what_is_in_flight(desk: Desk) -> None:
    bench = desk.bench(budget=100_000)
    await desk.submit(bench, edit_work("a", worst_case=90_000))
    with pytest.raises(CapReached):
        await asyncio.wait_for(desk.submit(bench, edit_work("b", worst_case=100_001)), 10)


async def test_an_interrupt_ends_the_wait_for_the_cap(desk: Desk) -> None:
    bench = desk.bench(budget=100_000)
    await desk.submit(bench, edit_work("a", worst_case=90_000))
    second = asyncio.create_task(desk.submit(bench, edit_work("b", worst_case=50_000)))
    await asyncio.sleep(3 * SHORT)
    bench.stop.set(StopReason.INTERRUPTED)
    with pytest.raises(Stopped):
        await asyncio.wait_for(second, 10)


async def test_charged_and_reserved_never_pass_the_cap(desk: Desk) -> None:
    bench = desk.bench(budget=5 * PRICE)
    outcomes = await asyncio.gather(
        *(desk.submit(bench, edit_work(f"w{number}")) for number in range(5)), return_exceptions=True
    )
    assert all(isinstance(outcome, AttemptRow) for outcome in outcomes)
    for outcome in outcomes:
        assert isinstance(outcome, AttemptRow)
        bench.ledger.settle(outcome.id, charged=PRICE, run_id=bench.run_id)
    with pytest.raises(CapReached):
        await desk.submit(bench, edit_work("one too many"))
    assert len(desk.account.sent) == 5


async def test_frozen_reserves_nothing(desk: Desk) -> None:
    bench, work = desk.bench(), edit_work()
    bench.frozen = True
    with pytest.raises(BudgetRefused, match="--frozen"):
        await desk.submit(bench, work)
    assert bench.ledger.attempts() == []
    assert desk.account.sent == []


@pytest.mark.parametrize("asked_for", [None, 0.03])
async def test_429_pauses_as_long_as_asked_and_goes_on(desk: Desk, asked_for: float | None) -> None:
    desk.account.submits = [RateLimited("slow down", retry_after=asked_for)] * 2
    bench, work, watch = desk.bench(), edit_work(), Stopwatch()
    began = time.monotonic()
    attempt = await desk.submit(bench, work, watch=watch)
    assert time.monotonic() - began >= 2 * (asked_for or SHORT) * 0.9
    assert attempt.state is AttemptState.SUBMITTED
    assert len(desk.account.sent) == 3
    assert watch.attempts == 1  # what was not created is no attempt
    assert the_attempt(bench, work) == attempt  # and it was one reservation all along


async def test_a_pause_is_as_long_as_the_service_says(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.account.submits = [
        RateLimited("slow down", retry_after=300),
        RateLimited("slow down", retry_after=599),
    ]
    bench, paused = desk.bench(patience_seconds=900), []

    def pause(kind: Kind, seconds: float) -> None:
        assert kind == "image"
        paused.append(seconds)

    monkeypatch.setattr(bench.limits, "pause", pause)
    await desk.submit(bench, edit_work())
    assert paused == [300, 599]


async def test_429_pauses_everybody_of_that_kind(desk: Desk) -> None:
    desk.account.submits = [RateLimited("slow down", retry_after=0.2)]
    bench = desk.bench()
    began = time.monotonic()
    first = asyncio.create_task(desk.submit(bench, edit_work("a")))
    await until(lambda: bool(desk.account.sent))
    await desk.submit(bench, edit_work("b"))
    assert time.monotonic() - began >= 0.18
    await first


async def test_patience_ends_and_the_attempt_keeps_its_reservation(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.account.submits = [RateLimited("slow down", retry_after=0.03)] * 50
    # By this clock only the pauses take time.
    clock = SimpleNamespace(monotonic=lambda: 0.03 * len(desk.account.sent))
    monkeypatch.setattr(submitting, "time", clock)
    bench, work = desk.bench(patience_seconds=0.1), edit_work()
    with pytest.raises(RateLimited):
        await asyncio.wait_for(desk.submit(bench, work), 10)
    assert len(desk.account.sent) == 3
    attempt = the_attempt(bench, work)
    assert (attempt.state, attempt.prediction_id, attempt.reserved) == (AttemptState.RESERVED, None, PRICE)


async def test_a_pause_longer_than_the_patience_is_not_begun(desk: Desk) -> None:
    desk.account.submits = [RateLimited("slow down", retry_after=3600)]
    with pytest.raises(RateLimited):
        await asyncio.wait_for(desk.submit(desk.bench(), edit_work()), 10)


async def test_an_interrupt_ends_a_pause(desk: Desk) -> None:
    desk.account.submits = [RateLimited("slow down", retry_after=60)]
    bench, work = desk.bench(), edit_work()
    waiting = asyncio.create_task(desk.submit(bench, work))
    # The history has been asked whether it was accepted all the same.
    await until(
        lambda: bool(desk.account.asked_since) and the_attempt(bench, work).state is AttemptState.RESERVED
    )
    bench.stop.set(StopReason.INTERRUPTED)
    with pytest.raises(Stopped):
        await asyncio.wait_for(waiting, 10)
    assert the_attempt(bench, work).state is AttemptState.RESERVED


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Unreachable("no connection"), AttemptState.RESERVED),
        (InputNotFetched("1402"), AttemptState.RESERVED),
        (RequestRefused("bad parameter"), AttemptState.WITHDRAWN),
        (Moderated("flagged"), AttemptState.WITHDRAWN),
        (AccountRefused("no credit"), AttemptState.WITHDRAWN),
    ],
)
async def test_what_the_ledger_keeps_of_a_request_that_was_not_accepted(
    desk: Desk, error: Exception, state: AttemptState
) -> None:
    desk.account.submits = [error]
    bench, work = desk.bench(), edit_work()
    with pytest.raises(type(error)):
        await desk.submit(bench, work)
    attempt = the_attempt(bench, work)
    assert (attempt.state, attempt.prediction_id) == (state, None)
    assert attempt.reserved == (PRICE if state is AttemptState.RESERVED else 0)
    assert (bench.stop.reason is StopReason.ACCOUNT_REFUSED) == isinstance(error, AccountRefused)
    assert len(desk.account.sent) == 1


async def test_an_input_that_the_service_could_not_read_is_uploaded_again(desk: Desk) -> None:
    desk.account.submits = [InputNotFetched("1402")]
    bench, work = desk.bench(), edit_work()
    with pytest.raises(InputNotFetched):
        await desk.submit(bench, work)
    reserved = the_attempt(bench, work)
    assert (await submit(bench, work, reserved, Stopwatch())).id == reserved.id
    assert len(desk.account.uploaded) == 2
    assert (await desk.submit(bench, edit_work("b"))).state is AttemptState.SUBMITTED
    assert len(desk.account.uploaded) == 2  # what is known to be there is not uploaded again


async def test_a_reservation_that_is_resumed_is_not_made_again(desk: Desk) -> None:
    bench, work = desk.bench(), edit_work()
    desk.account.submits = [Unreachable("no connection")]
    with pytest.raises(Unreachable):
        await desk.submit(bench, work)
    again = await submit(bench, work, the_attempt(bench, work), Stopwatch())
    assert (again.number, again.state) == (1, AttemptState.SUBMITTED)


async def test_a_lost_reply_that_the_history_does_not_show_is_never_sent_blindly(desk: Desk) -> None:
    desk.account.submits = [OutcomeUnknown("no answer in time")]
    # Nothing shows, but the request may still be on its way.
    bench, work = desk.bench(request_seconds=600.0), edit_work()
    waiting = asyncio.create_task(desk.submit(bench, work))
    await until(lambda: len(desk.account.asked_since) >= 5)
    assert len(desk.account.sent) == 1
    assert the_attempt(bench, work).state is AttemptState.UNKNOWN
    bench.stop.set(StopReason.INTERRUPTED)
    with pytest.raises(Stopped):
        await asyncio.wait_for(waiting, 10)


async def test_a_lost_reply_of_a_request_that_never_arrived_is_free_to_be_sent_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So short a request would be held back on a machine that is busy for a moment; that has tests of its own.
    monkeypatch.setattr(Departure, "age", 0.0)
    desk.account.submits = [OutcomeUnknown("no answer in time")]
    bench, work = desk.bench(request_seconds=0.05, quiet_seconds=0.05), edit_work()
    attempt = await asyncio.wait_for(desk.submit(bench, work), 10)
    assert attempt.state is AttemptState.RESERVED
    assert attempt.intent_at is not None
    assert len(desk.account.sent) == 1


async def test_a_cancelled_task_still_learns_its_prediction_s_id(desk: Desk) -> None:
    """Ctrl-C in the middle of the POST: the answer is waited for and written down."""
    bench, work = desk.bench(), edit_work()
    arrived, answer = asyncio.Event(), asyncio.Event()
    plain = desk.account.submit

    async def slow(model_id: str, body: dict[str, object], **_: object) -> object:
        arrived.set()
        await answer.wait()
        return await plain(model_id, body)

    desk.account.submit = slow  # type: ignore[method-assign,assignment]  # for this one test
    task = asyncio.create_task(desk.submit(bench, work))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [posting] = bench.posting
    answer.set()
    await posting
    assert the_attempt(bench, work).prediction_id == "p1"
