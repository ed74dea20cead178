"""Leases: one piece of work is one worker's at a time, whatever races for it and whoever dies."""

import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import sqlalchemy as sa
from ledger_support import HandClock, Worker, asset_named, python, start_run, work_named

from blocks.ledger import (
    LEASE_SECONDS,
    AlreadyStored,
    AttemptState,
    Busy,
    Granted,
    HeldForPerson,
    IllegalTransition,
    LeaseLost,
    Ledger,
)
from blocks.ledger.owners import Process
from blocks.ledger.tables import owners

pytest_plugins = ("ledger_fixtures",)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def first(ledger_url: str, clock: HandClock) -> Iterator[Worker]:
    """Give a worker a connection, and a memory of leases, of its own."""
    with Ledger.open(ledger_url, clock=clock) as ledger:
        yield Worker.of(ledger)


@pytest.fixture
def second(first: Worker, ledger_url: str, clock: HandClock) -> Iterator[Worker]:
    with Ledger.open(ledger_url, clock=clock) as ledger:
        yield Worker.of(ledger)


def ask(worker: Worker, name: str) -> object:
    return worker.ledger.claim(work_named(name), owner=worker.owner, run_id=worker.run_id)


def test_the_answers_to_a_claim(first: Worker, second: Worker, clock: HandClock) -> None:
    assert ask(first, "mug") == Granted(None)
    busy = ask(second, "mug")
    assert isinstance(busy, Busy)
    assert (busy.owner, busy.run_id) == (first.owner, first.run_id)
    assert (busy.until - clock.moment).total_seconds() == LEASE_SECONDS
    assert isinstance(ask(first, "mug"), Busy)  # another task of the same process
    first.ledger.release(work_named("mug").key, second.owner)
    assert isinstance(ask(second, "mug"), Busy)
    first.ledger.release(work_named("mug").key, first.owner)
    assert ask(second, "mug") == Granted(None)
    second.bring(work_named("held"), AttemptState.HELD)
    held = ask(first, "held")
    assert isinstance(held, HeldForPerson)
    assert held.attempt.held_reason == "look at it"
    second.bring(work_named("kept"), AttemptState.STORED)
    kept = ask(first, "kept")
    assert isinstance(kept, AlreadyStored)
    assert kept.generation.assets == (asset_named("kept"),)


@pytest.mark.parametrize("state", ["reserved", "intent", "unknown", "submitted", "completed"])
def test_an_attempt_that_was_begun_is_resumed(first: Worker, second: Worker, state: str) -> None:
    attempt = first.bring(work_named("begun"), AttemptState(state))
    first.ledger.leave(first.owner)
    granted = second.claim(work_named("begun"))
    assert granted.attempt == attempt
    resumed = second.resume(attempt)
    assert (resumed.id, resumed.run_id, resumed.owner) == (attempt.id, second.run_id, second.owner)
    # The reply to a request that another process sent cannot arrive here.
    assert resumed.state == ("unknown" if state == "intent" else state)


def test_a_heartbeat_keeps_the_lease_and_its_end_loses_it(
    first: Worker, second: Worker, clock: HandClock
) -> None:
    first.claim(work_named("mug"))
    for _ in range(3):
        clock.forward(LEASE_SECONDS - 1)
        first.ledger.heartbeat(first.owner)
        assert isinstance(ask(second, "mug"), Busy)
    clock.forward(LEASE_SECONDS)
    second.ledger.heartbeat(second.owner)
    assert ask(second, "mug") == Granted(None)
    # Its heart beats again, but the lease is gone.
    first.ledger.heartbeat(first.owner)
    assert isinstance(ask(first, "mug"), Busy)
    with pytest.raises(LeaseLost):
        first.reserve(work_named("mug"))
    first.ledger.release(work_named("mug").key, first.owner)
    assert second.reserve(work_named("mug")).number == 1


def test_a_worker_that_slept_cannot_send_what_another_took_over(
    first: Worker, second: Worker, clock: HandClock
) -> None:
    work = work_named("slept")
    attempt = first.bring(work, AttemptState.RESERVED)
    clock.forward(LEASE_SECONDS)
    second.ledger.heartbeat(second.owner)
    granted = second.claim(work)
    assert granted.attempt is not None
    for step in (first.intend, first.resume):
        with pytest.raises(LeaseLost):
            step(attempt)
    second.intend(second.resume(granted.attempt))
    with pytest.raises(LeaseLost):
        first.ledger.submitted(attempt.id, "not-the-second's")
    assert second.ledger.submitted(attempt.id, "id").state is AttemptState.SUBMITTED


def test_a_reply_that_comes_after_the_lease_was_lost_is_taken(
    first: Worker, second: Worker, clock: HandClock
) -> None:
    work = work_named("late")
    attempt = first.bring(work, AttemptState.INTENT)
    clock.forward(LEASE_SECONDS)
    second.ledger.heartbeat(second.owner)
    second.claim(work)
    assert second.resume(attempt).state is AttemptState.UNKNOWN
    # It was sent and paid for by the first; that there is an id is the truth, whoever has the lease.
    first.ledger.submitted(attempt.id, "paid")
    assert second.ledger.attempt(attempt.id).prediction_id == "paid"
    with pytest.raises(LeaseLost):
        first.ledger.completed(attempt.id, outputs=["https://cdn.example.org/1.png"])
    second.ledger.completed(attempt.id, outputs=["https://cdn.example.org/1.png"])


def test_to_intend_renews_the_lease(first: Worker, second: Worker, clock: HandClock) -> None:
    attempt = first.bring(work_named("mug"), AttemptState.RESERVED)
    clock.forward(LEASE_SECONDS + 5)
    first.intend(attempt)
    assert isinstance(ask(second, "mug"), Busy)


def test_an_owner_that_was_cleared_away_comes_back(first: Worker, second: Worker, clock: HandClock) -> None:
    first.claim(work_named("mug"))
    clock.forward(3 * 24 * 3600)
    second.ledger.register_owner()
    first.ledger.heartbeat(first.owner)
    with pytest.raises(LeaseLost):
        first.reserve(work_named("mug"))
    first.ledger.release(work_named("mug").key, first.owner)
    assert ask(first, "mug") == Granted(None)


def test_threads_race_for_one_lease(ledger: Ledger) -> None:
    workers = [Worker(ledger, ledger.register_owner(), start_run(ledger)) for _ in range(8)]
    for round_number in range(4):
        with ThreadPoolExecutor(len(workers)) as pool:
            answers = list(pool.map(lambda worker: ask(worker, f"round {round_number}"), workers))  # noqa: B023 - the pool ends with the round
        assert Counter(type(answer) for answer in answers) == {Granted: 1, Busy: 7}


RACE = """
from blocks.ledger import Granted, Ledger
from ledger_support import Worker, work_named
worker = Worker.of(Ledger.open(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
granted = []
for number in range(20):
    work = work_named(str(number))
    claim = worker.ledger.claim(work, owner=worker.owner, run_id=worker.run_id)
    if isinstance(claim, Granted):
        granted.append(number)
print(*granted, flush=True)
sys.stdin.readline()
"""


def test_processes_race_for_leases_on_a_fresh_ledger(ledger_url: str) -> None:
    processes = [python(RACE, ledger_url) for _ in range(3)]
    won: list[str] = []
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None
            won += process.stdout.readline().split()
    finally:
        for process in processes:
            process.communicate("\n")
    assert sorted(won, key=int) == [str(number) for number in range(20)]


HOLD = """
from blocks.ledger import AttemptState, Ledger
from ledger_support import Worker, work_named
worker = Worker.of(Ledger.open(sys.argv[1]))
print(worker.bring(work_named("mug"), AttemptState.SUBMITTED).id, flush=True)
sys.stdin.readline()
"""


def test_an_owner_killed_on_this_host_is_replaced_at_once(ledger_url: str) -> None:
    process = python(HOLD, ledger_url)
    assert process.stdout is not None
    attempt_id = int(process.stdout.readline())
    with Ledger.open(ledger_url) as ledger:
        worker = Worker.of(ledger)
        assert isinstance(ask(worker, "mug"), Busy)
        process.kill()
        # Even before its parent has taken note of its end.
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        granted = worker.claim(work_named("mug"))
        assert granted.attempt is not None
        assert granted.attempt.id == attempt_id
        process.communicate()
        assert worker.resume(granted.attempt).state is AttemptState.SUBMITTED


def test_who_counts_as_dead() -> None:
    here = Process.current()
    assert not here.is_dead()
    assert Process(here.host, here.pid, "0").is_dead()  # its number is another process's by now
    assert Process(here.host, 2**22 + 1, here.start).is_dead()
    assert not Process("elsewhere", 2**22 + 1, here.start).is_dead()
    assert sys.platform != "linux" or here.start.isdigit()


def test_a_process_on_another_host_is_believed_until_its_lease_runs_out(
    first: Worker, second: Worker, clock: HandClock
) -> None:
    first.claim(work_named("mug"))
    with first.ledger._database.write() as connection:
        connection.execute(
            sa.update(owners).where(owners.c.id == first.owner).values(host="elsewhere", process_start="0")
        )
    clock.forward(LEASE_SECONDS - 1)
    assert isinstance(ask(second, "mug"), Busy)
    clock.forward(1)
    assert ask(second, "mug") == Granted(None)


def test_a_paid_result_is_found_until_it_is_forgotten_or_made_anew(ledger: Ledger) -> None:
    worker, work = Worker.of(ledger), work_named("mug")
    attempt = worker.bring(work, AttemptState.COMPLETED)
    assert ledger.find_paid_results([work.key]) == {}, "its bytes never were there"
    ledger.stored(attempt.id, [asset_named("mug")], run_id=worker.run_id, download_s=0.5)
    [stored] = ledger.find_paid_results([work.key, "another"]).values()
    assert (stored.assets, stored.attempt.id) == ((asset_named("mug"),), attempt.id)

    ledger.reopen(work.key)
    [opened] = ledger.find_paid_results([work.key]).values()
    assert (opened.assets, opened.attempt.state) == (stored.assets, AttemptState.COMPLETED)
    # The service does not have it any more: another prediction is under way, whose pictures nobody knows.
    worker.resume(ledger.attempt(worker.claim(work).attempt.id))  # type: ignore[union-attr] # it is handed out
    ledger.failed(attempt.id, code="expired", message="gone", run_id=worker.run_id)
    assert ledger.find_paid_results([work.key]) == {}
    ledger.release(work.key, worker.owner)
    worker.claim(work)
    again = worker.reserve(work)
    worker.intend(again)
    ledger.submitted(again.id, "another prediction")
    ledger.completed(again.id, outputs=["https://cdn.example.org/2.png"], nsfw=[False])
    assert ledger.find_paid_results([work.key]) == {}
    ledger.stored(again.id, [asset_named("other mug")], run_id=worker.run_id, download_s=0.5)
    [new] = ledger.find_paid_results([work.key]).values()
    assert (new.assets, new.attempt.id) == ((asset_named("other mug"),), again.id)
    ledger.forget([work.key])
    assert ledger.find_paid_results([work.key]) == {}


def test_what_is_held_is_granted_only_where_its_prediction_is_known(first: Worker, second: Worker) -> None:
    """Whether the account shows it by now can be asked; nothing else may become of it meanwhile."""
    works = {state: work_named(state) for state in (AttemptState.SUBMITTED, AttemptState.COMPLETED)}
    keys = [work.key for work in works.values()]
    for state, work in works.items():
        attempt = first.bring(work, state)
        held = first.ledger.held(attempt.id, "the account does not have it")
        assert isinstance(ask(second, state), Busy), "its owner may still be asking"
        first.ledger.release(work.key, first.owner)
        assert ask(second, state) == Granted(held)
        with pytest.raises(IllegalTransition):
            second.resume(held)
        with pytest.raises(IllegalTransition):
            second.reserve(work)
        assert set(second.ledger.find_begun(keys)) >= {work.key}
        assert second.ledger.find_held(keys) == {}
        gone_on = second.ledger.go_on(held.id)
        assert (gone_on.state, gone_on.submitted_at) == (state, attempt.submitted_at)
        assert second.resume(gone_on).state is state
        with pytest.raises(IllegalTransition):
            second.ledger.go_on(held.id)
    without = first.bring(work_named("without"), AttemptState.HELD)
    with pytest.raises(IllegalTransition):
        first.ledger.go_on(without.id)
    assert set(first.ledger.find_held([work_named("without").key])) == {work_named("without").key}
    assert first.ledger.find_begun([work_named("without").key]) == {}
