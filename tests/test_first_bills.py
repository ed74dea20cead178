"""Under a cap, one request of each model and resolution goes first until its bill is read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bench_support import EDIT_MODEL, PRICE, ScriptedAccount, claim, edit_work, until, workbench_at

from blocks.errors import PredictionFailed, Stopped, Unavailable
from blocks.ledger import AttemptRow, AttemptState
from blocks.limits import Kind
from blocks.wavespeed import BillingEntry, Quote
from tasks.paying import asking_prices, submitting
from tasks.paying.asking_prices import place_of
from tasks.paying.first_bills import FirstBills, Probe
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.submitting import submit
from tasks.paying.workbench import Workbench
from tasks.stopping import StopReason

PLACE = (EDIT_MODEL, "1k")
OTHER = (EDIT_MODEL, "2k")


class Door:
    """Who was let in, in order; each stays in until told to leave."""

    def __init__(self, bench: Workbench, *, capped: bool = True, patience_seconds: float = 60.0) -> None:
        self.bench = bench
        self.notes: list[str] = []
        self.bills = FirstBills(
            bench.settlement,
            bench.prices,
            bench.stop,
            capped=capped,
            pause_seconds=0.005,
            patience_seconds=patience_seconds,
            note=self.notes.append,
        )
        self.inside: dict[str, Probe | None] = {}
        self._leave: dict[str, asyncio.Future[None]] = {}

    def come(self, name: str, place: tuple[str, str | None] = PLACE) -> asyncio.Task[None]:
        async def visit() -> None:
            async with self.bills.turn(place) as probe:
                self.inside[name] = probe
                await self._leave.setdefault(name, asyncio.get_running_loop().create_future())

        return asyncio.create_task(visit())

    def leave(self, name: str, error: Exception | None = None) -> None:
        if error is None:
            self._leave[name].set_result(None)
        else:
            self._leave[name].set_exception(error)

    async def sent(self, name: str, work: str = "first") -> AttemptRow:
        first = edit_work(work)
        attempt = await submit(self.bench, first, claim(self.bench, first), Stopwatch())
        probe = self.inside[name]
        assert probe is not None
        probe.sent(attempt)
        return attempt

    async def settled(self) -> None:
        """Everybody has had a turn at the loop who could go on."""
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def door(
    folder: Path, account: ScriptedAccount, *, capped: bool = True, patience_seconds: float = 60.0
) -> AsyncIterator[Door]:
    with workbench_at(folder, account, budget=1_000_000) as bench:
        bench.settlement._prices = bench.prices
        found = Door(bench, capped=capped, patience_seconds=patience_seconds)
        try:
            yield found
        finally:
            await found.bills.close()


async def test_the_others_wait_for_the_first_bill_and_other_kinds_do_not(tmp_path: Path) -> None:
    account = ScriptedAccount()
    async with door(tmp_path, account) as one:
        tasks = [one.come("first"), one.come("second"), one.come("third"), one.come("other", OTHER)]
        await one.settled()
        assert set(one.inside) == {"first", "other"}
        attempt = await one.sent("first")
        await until(lambda: len(account.asked_bills) > 3)
        assert set(one.inside) == {"first", "other"}, "it is under way, and its bill shows nothing yet"
        account.bill = [BillingEntry(str(attempt.prediction_id), "deduct", 2 * PRICE, None)]
        await until(lambda: len(one.inside) == 4)
        assert one.inside["second"] is None
        assert one.bench.ledger.attempt(attempt.id).reserved == 2 * PRICE, "at once, before it is booked"
        assert one.notes == []
        for name in one.inside:
            one.leave(name)
        await asyncio.gather(*tasks)


async def test_without_a_cap_or_with_a_known_bill_nobody_waits(tmp_path: Path) -> None:
    async with door(tmp_path, ScriptedAccount(), capped=False) as one:
        tasks = [one.come(name) for name in "ab"]
        await one.settled()
        assert one.inside == {"a": None, "b": None}
        one.bench.prices.learn_bill(PLACE, PRICE, edit_work().quantity)
        capped = Door(one.bench)
        tasks += [capped.come(name) for name in "ab"]
        await one.settled()
        assert capped.inside == {"a": None, "b": None}
        for name in "ab":
            one.leave(name)
            capped.leave(name)
        await asyncio.gather(*tasks)


@pytest.mark.parametrize("was_sent", [True, False])
async def test_after_one_that_failed_the_next_is_the_first(tmp_path: Path, was_sent: bool) -> None:
    async with door(tmp_path, ScriptedAccount()) as one:
        first, second, third = (one.come(name) for name in ("first", "second", "third"))
        await one.settled()
        if was_sent:
            await one.sent("first")
        one.leave("first", PredictionFailed("no"))
        with pytest.raises(PredictionFailed):
            await first
        await one.settled()
        assert isinstance(one.inside["second"], Probe)
        assert "third" not in one.inside
        one.leave("second")
        await second
        await until(lambda: "third" in one.inside)
        one.leave("third")
        await third


@pytest.mark.parametrize("trouble", [False, True])
async def test_a_bill_that_shows_nothing_is_given_up_on_after_the_prediction_s_end(
    tmp_path: Path, trouble: bool
) -> None:
    account = ScriptedAccount(bills=[Unavailable("not now")] * 1_000 if trouble else [])
    async with door(tmp_path, account, patience_seconds=0.0) as one:
        tasks = [one.come("first"), one.come("second")]
        await one.settled()
        await one.sent("first")
        await until(lambda: len(account.asked_bills) > 2)
        assert set(one.inside) == {"first"}, "not before it has ended"
        one.leave("first")
        await until(lambda: "second" in one.inside)
        assert one.inside["second"] is None
        [note] = one.notes
        assert note == (
            f"{EDIT_MODEL} in 1k: the account's bill does not show yet what one costs; the budget goes by the price "
            "that the service named, and by the bill as soon as there is one"
        )
        one.leave("second")
        await asyncio.gather(*tasks)


async def test_an_interrupt_ends_the_waiting(tmp_path: Path) -> None:
    async with door(tmp_path, ScriptedAccount()) as one:
        first, second = one.come("first"), one.come("second")
        await one.settled()
        await one.sent("first")
        one.bench.stop.set(StopReason.INTERRUPTED)
        one.leave("first", Stopped("interrupted"))
        for task in (first, second):
            with pytest.raises(Stopped):
                await asyncio.wait_for(task, 10)


# What is reserved follows the price.


async def test_a_price_is_asked_again_when_it_is_ten_minutes_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ScriptedAccount(
        prices=[Quote(EDIT_MODEL, PRICE, PRICE), Quote(EDIT_MODEL, 2 * PRICE, 2 * PRICE)]
    )
    with workbench_at(tmp_path, account) as bench:
        for name, reserved in (("a", PRICE), ("b", PRICE)):
            work = edit_work(name)
            assert (await submit(bench, work, claim(bench, work), Stopwatch())).reserved == reserved
        monkeypatch.setattr(asking_prices, "QUOTED_SECONDS", 0.0)
        work = edit_work("c")
        assert (await submit(bench, work, claim(bench, work), Stopwatch())).reserved == 2 * PRICE


@pytest.mark.parametrize("budget", [PRICE + 60_000, PRICE + 59_999])
async def test_what_became_dearer_while_it_waited_is_raised_or_waits_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    monkeypatch.setattr(submitting, "CAP_SECONDS", 0.005)
    account = ScriptedAccount()
    with workbench_at(tmp_path, account, budget=budget) as bench:
        first, second = edit_work("first"), edit_work("second")
        under_way = await submit(bench, first, claim(bench, first), Stopwatch())
        turn = bench.limits.turn

        async def dearer_meanwhile(kind: Kind) -> None:
            bench.prices.learn_bill(place_of(second), 60_000, second.quantity)
            await turn(kind)

        monkeypatch.setattr(bench.limits, "turn", dearer_meanwhile)
        submitted = asyncio.create_task(submit(bench, second, claim(bench, second), Stopwatch()))
        if budget < PRICE + 60_000:
            await until(lambda: len(bench.ledger.attempts(key=second.key)) == 1)
            await until(lambda: bench.ledger.attempts(key=second.key)[0].state is AttemptState.WITHDRAWN)
            assert len(account.sent) == 1
            bench.ledger.settle(under_way.id, charged=PRICE - 1, run_id=bench.run_id)
        attempt = await asyncio.wait_for(submitted, 10)
        assert (attempt.state, attempt.reserved) == (AttemptState.SUBMITTED, 60_000)
        money = bench.ledger.run_money(bench.run_id)
        assert money.charged + money.reserved <= budget
