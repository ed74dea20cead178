"""The cap holds at every instant, at any concurrency, and what it refuses changes nothing."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_support import HandClock, Worker, asset_named, python, work_named

from blocks.ledger import (
    AttemptRow,
    AttemptState,
    CapReached,
    IllegalTransition,
    LeaseLost,
    Ledger,
    RunMoney,
)

pytest_plugins = ("ledger_fixtures",)


def test_what_counts_against_the_cap(ledger: Ledger) -> None:
    worker = Worker.of(ledger, budget=100)
    first, second, third = (work_named(name) for name in ("first", "second", "third"))
    for work in (first, second, third):
        worker.claim(work)
    one = worker.reserve(first, worst_case=60)
    with pytest.raises(CapReached) as refused:
        worker.reserve(second, worst_case=41)
    error = refused.value
    assert (error.cap, error.charged, error.reserved, error.wanted, error.per_day) == (100, 0, 60, 41, False)
    assert "$0.0001" in str(error)
    assert ledger.attempts() == [one]
    two = worker.reserve(second, worst_case=40)
    assert ledger.run_money(worker.run_id) == RunMoney(charged=0, reserved=100)
    # The charge takes the reservation's place.
    worker.intend(one)
    ledger.submitted(one.id, "one")
    ledger.settle(one.id, charged=45, run_id=worker.run_id)
    assert ledger.run_money(worker.run_id) == RunMoney(charged=45, reserved=40)
    # A failed prediction counts until the service's books say what it cost.
    ledger.failed(one.id, code="1403", message="failed", run_id=worker.run_id)
    ledger.settle(one.id, charged=45, refunded=45, run_id=worker.run_id)
    assert ledger.run_money(worker.run_id) == RunMoney(charged=0, reserved=40)
    worker.reserve(third, worst_case=60)
    ledger.withdrawn(two.id, "not needed")
    assert ledger.run_money(worker.run_id) == RunMoney(charged=0, reserved=60)


def test_failed_and_held_attempts_hold_their_reservation(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    worker.bring(work_named("failed"), AttemptState.FAILED)
    worker.bring(work_named("held"), AttemptState.HELD)
    worker.bring(work_named("unknown"), AttemptState.UNKNOWN)
    assert ledger.run_money(worker.run_id) == RunMoney(charged=0, reserved=84_000)


def test_without_a_lease_nothing_is_reserved(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    work = work_named("mug")
    worker.claim(work)
    ledger.release(work.key, worker.owner)
    with pytest.raises(LeaseLost):
        worker.reserve(work)
    worker.bring(work_named("stored"), AttemptState.STORED)
    with pytest.raises(LeaseLost):
        worker.reserve(work_named("stored"))
    assert [row.generation_key for row in ledger.attempts()] == [work_named("stored").key]


def test_what_was_sent_moves_to_the_run_that_resumes_it_and_what_was_not_must_fit(ledger: Ledger) -> None:
    earlier = Worker.of(ledger)
    sent = earlier.bring(work_named("sent"), AttemptState.SUBMITTED)
    unsent = earlier.bring(work_named("unsent"), AttemptState.RESERVED)
    ledger.leave(earlier.owner)
    later = Worker.of(ledger, budget=30_000)
    later.claim(work_named("sent"))
    later.claim(work_named("unsent"))
    later.resume(sent)
    assert ledger.run_money(later.run_id) == RunMoney(charged=0, reserved=28_000)
    with pytest.raises(CapReached):
        later.resume(unsent)
    assert ledger.attempt(unsent.id) == unsent
    assert ledger.run_money(earlier.run_id) == RunMoney(charged=0, reserved=28_000)


def test_resuming_in_the_same_run_does_not_count_twice(ledger: Ledger) -> None:
    worker = Worker.of(ledger, budget=28_000)
    work = work_named("mug")
    attempt = worker.bring(work, AttemptState.RESERVED)
    ledger.release(work.key, worker.owner)
    worker.claim(work)
    assert worker.resume(attempt).state is AttemptState.RESERVED
    assert worker.intend(attempt).state is AttemptState.INTENT


def test_nothing_is_sent_by_a_run_that_came_to_be_over_its_cap(ledger: Ledger) -> None:
    earlier = Worker.of(ledger)
    sent = earlier.bring(work_named("sent"), AttemptState.UNKNOWN)
    ledger.leave(earlier.owner)
    later = Worker.of(ledger, budget=50_000)
    reserved = later.bring(work_named("new"), AttemptState.RESERVED)
    later.claim(work_named("sent"))
    later.resume(sent)  # 56,000 by now
    with pytest.raises(CapReached, match="more than that already"):
        later.intend(reserved)
    assert ledger.attempt(reserved.id).state is AttemptState.RESERVED
    with pytest.raises(IllegalTransition):
        later.intend(sent)


def test_a_cap_a_day_spans_runs_and_ends_at_midnight(ledger_url: str) -> None:
    clock = HandClock()
    with Ledger.open(ledger_url, clock=clock) as ledger:
        first, second = Worker.of(ledger), Worker.of(ledger)

        def reserve(worker: Worker, name: str) -> None:
            worker.claim(work_named(name))
            ledger.reserve(
                work_named(name).key,
                run_id=worker.run_id,
                owner=worker.owner,
                estimated=60,
                worst_case=60,
                day_cap=100,
            )

        reserve(first, "one")
        with pytest.raises(CapReached, match="a day") as refused:
            reserve(second, "two")
        assert (refused.value.per_day, refused.value.reserved) == (True, 60)
        clock.forward(12 * 3600)
        reserve(second, "three")


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    prices=st.lists(st.integers(0, 50), min_size=1, max_size=200),
    cap=st.integers(0, 1_000),
    fates=st.randoms(use_true_random=False),
)
def test_many_at_once_never_pass_the_cap(ledger: Ledger, prices: list[int], cap: int, fates: object) -> None:
    worker = Worker.of(ledger, budget=cap)
    seen: list[int] = []
    prefix = worker.run_id
    lots = [fates.random() for _ in prices]  # type: ignore[attr-defined]  # hypothesis' own random.Random
    lock = threading.Lock()

    def look() -> None:
        money = ledger.run_money(worker.run_id)
        with lock:
            seen.append(money.charged + money.reserved)

    def make(number: int) -> bool:
        work = work_named(f"{prefix} {number}")
        worker.claim(work)
        try:
            attempt = worker.reserve(work, worst_case=prices[number])
        except CapReached:
            return False
        look()
        if lots[number] < 0.3:
            ledger.withdrawn(attempt.id, "changed its mind")
        elif lots[number] < 0.6:
            worker.intend(attempt)
            ledger.submitted(attempt.id, work.key)
            ledger.settle(attempt.id, charged=prices[number] // 2, run_id=worker.run_id)
            ledger.completed(attempt.id, outputs=["https://cdn.example.org/1.png"])
            ledger.stored(attempt.id, [asset_named("same")], run_id=worker.run_id)
        look()
        return True

    with ThreadPoolExecutor(min(16, len(prices))) as pool:
        made = list(pool.map(make, range(len(prices))))
    assert max(seen, default=0) <= cap
    total = sum(
        row.charged if row.charged is not None else row.reserved
        for row in ledger.attempts(run_id=worker.run_id)
    )
    assert total <= cap
    if sum(prices) <= cap:
        assert all(made)


@pytest.mark.parametrize("at_once", [1, 2, 20, 100, 500])
def test_the_cap_holds_however_many_reserve_at_the_same_moment(ledger: Ledger, at_once: int) -> None:
    prices = [number % 7 + 1 for number in range(at_once)]
    cap = sum(prices) * 2 // 3
    worker = Worker.of(ledger, budget=cap)
    works = [work_named(f"{worker.run_id} {number}") for number in range(at_once)]
    for work in works:
        worker.claim(work)
    # PostgreSQL takes 100 connections unless told otherwise; the others wait for their turn.
    threads = at_once if ledger._database.is_sqlite else min(at_once, 80)
    together = threading.Barrier(threads)
    waiting = iter(range(threads))

    def reserve(number: int) -> tuple[bool, int]:
        if next(waiting, None) is not None:
            together.wait()
        try:
            worker.reserve(works[number], worst_case=prices[number])
        except CapReached as refused:
            return False, refused.charged + refused.reserved
        money = ledger.run_money(worker.run_id)
        return True, money.charged + money.reserved

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(reserve, range(at_once)))

    assert max(seen for _, seen in answers) <= cap
    reserved = sum(price for price, (made, _) in zip(prices, answers, strict=True) if made)
    assert ledger.run_money(worker.run_id) == RunMoney(charged=0, reserved=reserved)
    # Nothing was refused that had room, whoever came first.
    refused = [price for price, (made, _) in zip(prices, answers, strict=True) if not made]
    assert reserved <= cap < reserved + min(refused)


RESERVE = """
import json
from blocks.ledger import CapReached, Ledger
from ledger_support import Worker, work_named
ledger = Ledger.open(sys.argv[1])
worker = Worker(ledger, run_id=sys.argv[2], owner=ledger.register_owner())
works = [work_named(f"{worker.owner} {number}") for number in range(40)]
for work in works:
    worker.claim(work)
print("ready", flush=True)
sys.stdin.readline()
seen, made = [], 0
for number, work in enumerate(works):
    try:
        worker.reserve(work, worst_case=number % 5 + 1)
        made += number % 5 + 1
    except CapReached:
        pass
    money = ledger.run_money(worker.run_id)
    seen.append(money.charged + money.reserved)
print(json.dumps([made, max(seen)]), flush=True)
"""


def test_two_processes_share_a_cap(ledger_url: str) -> None:
    cap = 137
    with Ledger.open(ledger_url) as ledger:
        run_id = Worker.of(ledger, budget=cap).run_id
        processes = [python(RESERVE, ledger_url, run_id) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]

        assert max(seen for _, seen in answers) <= cap
        assert all(made for made, _ in answers), (
            "only one of them got anything: they did not run at the same time"
        )
        # Both refused in the end even what costs 1, or else 2 to 5 at the tail.
        total = sum(made for made, _ in answers)
        assert cap - 5 < total <= cap
        assert ledger.run_money(run_id) == RunMoney(charged=0, reserved=total)


def test_a_reservation_from_before_a_dearer_price_is_raised_as_it_is_taken_over(ledger: Ledger) -> None:
    earlier = Worker.of(ledger)
    unsent = earlier.bring(work_named("unsent"), AttemptState.RESERVED)
    ledger.leave(earlier.owner)
    poor, rich = Worker.of(ledger, budget=83_999), Worker.of(ledger, budget=84_000)
    poor.claim(work_named("unsent"))
    with pytest.raises(CapReached):
        ledger.resume(unsent.id, run_id=poor.run_id, owner=poor.owner, worst_case=84_000)
    assert (ledger.attempt(unsent.id).run_id, ledger.attempt(unsent.id).reserved) == (earlier.run_id, 28_000)
    ledger.release(work_named("unsent").key, poor.owner)
    rich.claim(work_named("unsent"))
    taken = ledger.resume(unsent.id, run_id=rich.run_id, owner=rich.owner, worst_case=84_000)
    assert (taken.reserved, taken.run_id) == (84_000, rich.run_id)
    assert ledger.run_money(rich.run_id) == RunMoney(charged=0, reserved=84_000)
    again = ledger.resume(unsent.id, run_id=rich.run_id, owner=rich.owner, worst_case=1)
    assert again.reserved == 84_000, "never lowered"


@pytest.mark.parametrize(("budget", "day_cap"), [(99, None), (None, 99)])
def test_right_before_it_is_sent_a_reservation_holds_today_s_price_or_nothing_is_sent(
    ledger: Ledger, budget: int | None, day_cap: int | None
) -> None:
    worker = Worker.of(ledger, budget=budget)
    for name in ("one", "two"):
        worker.claim(work_named(name))
    one, two = (worker.reserve(work_named(name), worst_case=30) for name in ("one", "two"))

    def intend(attempt: AttemptRow, worst_case: int) -> AttemptRow:
        return ledger.intend(
            attempt.id,
            body={},
            input_sha256s=[],
            request_timeout_s=30.0,
            day_cap=day_cap,
            worst_case=worst_case,
        )

    with pytest.raises(CapReached):
        intend(one, 70)
    assert ledger.attempt(one.id) == one
    assert intend(one, 69).reserved == 69
    assert intend(two, 30).reserved == 30
    assert ledger.run_money(worker.run_id) == RunMoney(charged=0, reserved=99)


def test_a_dearer_bill_raises_what_is_held_for_requests_of_its_kind_that_were_sent(ledger: Ledger) -> None:
    worker, other = Worker.of(ledger, budget=1_000), Worker.of(ledger)

    def sent(name: str, *, worker: Worker = worker, resolution: str = "1k", quantity: int = 2) -> AttemptRow:
        worker.claim(work_named(name))
        attempt = ledger.reserve(
            work_named(name).key,
            run_id=worker.run_id,
            owner=worker.owner,
            estimated=20,
            worst_case=20,
            quantity=Decimal(quantity),
        )
        body = {"resolution": resolution}
        return ledger.intend(attempt.id, body=body, input_sha256s=[], request_timeout_s=30.0)

    two, ten = sent("two"), sent("ten", quantity=10)
    others = [sent("another size", resolution="2k"), sent("another run", worker=other)]
    settled = ledger.submitted(sent("settled").id, "settled")
    ledger.settle(settled.id, charged=20, billed=True, run_id=worker.run_id)
    worker.claim(work_named("not sent"))
    not_sent = worker.reserve(work_named("not sent"), worst_case=20)
    ledger.hold_at_least(worker.run_id, two.model, "1k", lambda quantity: int(15 * quantity))
    assert [ledger.attempt(one.id).reserved for one in (two, ten)] == [30, 150]
    assert [ledger.attempt(one.id).reserved for one in (*others, not_sent)] == [20] * 3
    ledger.hold_at_least(worker.run_id, two.model, "1k", lambda _: 1)
    assert ledger.attempt(ten.id).reserved == 150, "never lowered"


def test_only_what_the_bill_showed_teaches_later_runs(ledger: Ledger) -> None:
    worker = Worker.of(ledger)
    rows = {
        name: worker.bring(work_named(name), AttemptState.SUBMITTED) for name in ("guess", "bill", "free")
    }
    ledger.settle(rows["guess"].id, charged=28_000, run_id=worker.run_id)
    ledger.settle(rows["free"].id, charged=0, billed=True, run_id=worker.run_id)
    assert ledger.bills(rows["bill"].service, rows["bill"].model) == []
    ledger.settle(rows["bill"].id, charged=30_000, refunded=30_000, billed=True, run_id=worker.run_id)
    # Its body has no number of pictures, and nobody wrote the quantity down: it cannot be told what one costs.
    assert ledger.bills(rows["bill"].service, rows["bill"].model) == []
    key = work_named("known").key
    worker.claim(work_named("known"))
    known = ledger.reserve(
        key, run_id=worker.run_id, owner=worker.owner, estimated=1, worst_case=1, quantity=Decimal("4.25")
    )
    ledger.submitted(worker.intend(known).id, "known")
    ledger.settle(known.id, charged=30_000, billed=True, run_id=worker.run_id)
    [bill] = ledger.bills(known.service, known.model)
    assert (bill.quantity, bill.charged, bill.resolution) == (Decimal("4.25"), 30_000, None)
    # Booked again at its price, it stays what the bill has shown.
    assert ledger.settle(known.id, charged=30_000, run_id=worker.run_id).billed_at == bill.billed_at
