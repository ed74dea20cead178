"""What predictions cost: asked in batches, booked at their price meanwhile, corrected later."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench_support import PRICE, ScriptedAccount
from ledger_support import MODEL, Worker, work_named

from blocks.errors import Unavailable
from blocks.ledger import AsyncLedger, AttemptRow, AttemptState, Ledger
from blocks.ledger import Settlement as Settled
from blocks.wavespeed import BillingEntry
from tasks.paying.settlement import Settlement, settled_by


def deducted(attempt: AttemptRow, amount: int) -> BillingEntry:
    return BillingEntry(str(attempt.prediction_id), "deduct", amount, None)


def refunded(attempt: AttemptRow, amount: int) -> BillingEntry:
    return BillingEntry(str(attempt.prediction_id), "refund", amount, None)


class Counter:
    """A settlement of submitted attempts, and what it told the progress view."""

    def __init__(self, ledger: Ledger) -> None:
        self.books = AsyncLedger(ledger)
        self.worker = Worker.of(ledger)
        self.account = ScriptedAccount()
        self.spent: list[int] = []
        self.settlement = Settlement(
            self.account,  # type: ignore[arg-type]  # a script in the client's place
            self.books,
            self.worker.run_id,
            pause_seconds=0.0,
            show_spent=self.spent.append,
        )

    def submitted(self, name: str) -> AttemptRow:
        return self.worker.bring(work_named(name), AttemptState.SUBMITTED)

    def charged(self, attempt: AttemptRow) -> tuple[int | None, int]:
        row = self.books.ledger.attempt(attempt.id)
        return row.charged, row.refunded


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        yield Counter(ledger)


async def test_one_question_serves_all_that_end_meanwhile(counter: Counter) -> None:
    attempts = [counter.submitted(name) for name in "abc"]
    counter.account.bill = [deducted(attempt, 10_000 + n) for n, attempt in enumerate(attempts)]
    costs = await asyncio.gather(*(counter.settlement.cost_of(attempt) for attempt in attempts))
    assert costs == [Settled(10_000), Settled(10_001), Settled(10_002)]
    assert counter.account.asked_bills == [[attempt.prediction_id for attempt in attempts]]
    assert counter.spent[-1] == 30_003
    await counter.settlement.finish()
    assert len(counter.account.asked_bills) == 1  # nothing was guessed, nothing is asked again


async def test_a_bill_that_shows_nothing_yet_is_corrected_at_the_end(counter: Counter) -> None:
    dearer, right, never = (counter.submitted(name) for name in "abc")
    costs = await asyncio.gather(*(counter.settlement.cost_of(one) for one in (dearer, right, never)))
    assert costs == [Settled(PRICE)] * 3
    for attempt in (dearer, right, never):
        counter.books.ledger.settle(attempt.id, charged=PRICE, run_id=counter.worker.run_id)
    counter.account.bill = [deducted(dearer, 40_000), refunded(dearer, 5_000), deducted(right, PRICE)]
    await counter.settlement.finish()
    assert [counter.charged(one) for one in (dearer, right, never)] == [
        (40_000, 5_000),
        (PRICE, 0),
        (PRICE, 0),
    ]
    assert counter.spent[-1] == 35_000 + PRICE + PRICE


async def test_what_another_run_had_paid_for_is_not_spent_again_nor_forgotten(counter: Counter) -> None:
    attempt = counter.submitted("a")
    earlier = Worker.of(counter.books.ledger).run_id
    assert earlier != counter.worker.run_id
    counter.books.ledger.settle(attempt.id, charged=20_000, refunded=1_000, run_id=earlier)
    again = counter.books.ledger.attempt(attempt.id)
    # The bill cannot be read: what it said before still holds, not the price.
    assert await counter.settlement.cost_of(again) == Settled(20_000, 1_000)
    assert counter.settlement.spent_on(str(again.prediction_id)) == 0
    assert counter.spent == []
    counter.account.bill = [deducted(again, 20_000), refunded(again, 20_000)]
    await counter.settlement.finish()
    assert counter.charged(attempt) == (20_000, 20_000)
    assert counter.spent == []


async def test_what_a_dead_run_left_is_spent_by_its_heir(counter: Counter) -> None:
    attempt = counter.submitted("a")
    counter.books.ledger.settle(attempt.id, charged=PRICE, run_id=counter.worker.run_id)
    counter.settlement.look_again_at([counter.books.ledger.attempt(attempt.id)])
    assert counter.spent == [PRICE]
    counter.account.bill = [deducted(attempt, 20_000)]
    await counter.settlement.finish()
    assert counter.spent == [PRICE, 20_000]
    assert counter.settlement.spent_on(str(attempt.prediction_id)) == 20_000


async def test_a_record_that_cannot_be_read_leaves_the_price_and_says_so(counter: Counter) -> None:
    attempt = counter.submitted("a")
    counter.account.bills = [Unavailable("The service did not answer properly.")] * 2
    assert await counter.settlement.cost_of(attempt) == Settled(PRICE)
    assert counter.settlement.unavailable == "The service did not answer properly."
    await counter.settlement.finish()
    assert counter.charged(attempt) == (None, 0)


async def test_whatever_goes_wrong_nobody_waits_for_ever(counter: Counter) -> None:
    attempts = [counter.submitted(name) for name in "ab"]
    counter.account.bills = [RuntimeError("a mistake in the program")]
    waiting = [asyncio.create_task(counter.settlement.cost_of(attempt)) for attempt in attempts]
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert [type(outcome) for outcome in outcomes] == [RuntimeError, RuntimeError]
    assert await counter.settlement.cost_of(attempts[0]) == Settled(PRICE)  # and the next question is asked


async def test_asking_twice_spends_once(counter: Counter) -> None:
    attempt = counter.submitted("a")
    counter.account.bill = [deducted(attempt, 12_000)]
    both = await asyncio.gather(counter.settlement.cost_of(attempt), counter.settlement.cost_of(attempt))
    assert list(both) == [Settled(12_000)] * 2
    assert await counter.settlement.cost_of(attempt) == Settled(12_000)
    assert counter.spent[-1] == 12_000


async def test_one_who_gives_up_takes_the_answer_from_nobody(counter: Counter) -> None:
    attempt = counter.submitted("a")
    counter.account.bill = [deducted(attempt, 12_000)]
    first = asyncio.create_task(counter.settlement.cost_of(attempt))
    second = asyncio.create_task(counter.settlement.cost_of(attempt))
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.wait_for(second, 5) == Settled(12_000)


def entry(kind: str, amount: int, name: str = "p") -> BillingEntry:
    return BillingEntry(name, "refund" if kind == "refund" else "deduct", amount, None, model=MODEL)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], None),
        ([entry("deduct", 5, "another")], None),
        ([entry("refund", 5)], None),  # a refund of a charge that is not shown yet
        ([entry("deduct", 5)], Settled(5)),
        ([entry("deduct", 5), entry("deduct", 7)], Settled(12)),
        ([entry("deduct", 5), entry("refund", 5)], Settled(5, 5)),
        ([entry("deduct", 0)], Settled(0)),  # the record says that it was free
    ],
)
def test_what_the_record_says(entries: list[BillingEntry], expected: Settled | None) -> None:
    assert settled_by("p", entries) == expected
