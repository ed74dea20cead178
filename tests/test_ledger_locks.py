"""What another transaction is in the middle of is waited for: held up on purpose, one at a time."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from filelock import FileLock
from ledger_support import MODEL, SERVICE, Worker, work_named

from blocks.errors import LedgerUnusable
from blocks.ledger import AttemptState, Busy, CapReached, Granted, Ledger, budget, opening

pytest_plugins = ("ledger_fixtures",)


class Pause:
    """Stands in for a function and, the first time, goes on only when told to."""

    def __init__(self, function: Callable[..., Any], *, at_call: int = 1) -> None:
        self._function = function
        self._calls_until = at_call
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        result = self._function(*arguments, **keywords)
        self._calls_until -= 1
        if self._calls_until == 0:
            self.reached.set()
            assert self.go_on.wait(30)
        return result


@pytest.fixture
def ledgers(postgresql_url: str) -> Iterator[tuple[Ledger, Ledger]]:
    with Ledger.open(postgresql_url) as first, Ledger.open(postgresql_url) as second:
        yield first, second


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def wait_until_it_waits_or_ends(postgresql: Path, second: "Future[Any]") -> None:
    """Return when a transaction waits for another one's lock, or when ``second`` did not have to."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(f"host={postgresql} user=postgres dbname=postgres", autocommit=True) as connection:
        while not second.done():
            row = connection.execute(waiting).fetchone()
            if row is not None and row[0]:
                return


def test_reservations_of_one_run_wait_for_each_other(
    postgresql: Path,
    ledgers: tuple[Ledger, Ledger],
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Worker.of(ledgers[0], budget=100)
    second = Worker(ledgers[1], ledgers[1].register_owner(), first.run_id)
    first.claim(work_named("one"))
    second.claim(work_named("two"))
    pause = Pause(budget._money)  # it has seen that nothing is reserved
    monkeypatch.setattr(budget, "_money", pause)
    one = pool.submit(first.reserve, work_named("one"), worst_case=60)
    assert pause.reached.wait(30)
    two = pool.submit(second.reserve, work_named("two"), worst_case=60)
    wait_until_it_waits_or_ends(postgresql, two)
    pause.go_on.set()
    assert one.result().reserved == 60
    with pytest.raises(CapReached):
        two.result()


def test_claims_of_one_key_wait_for_each_other(
    postgresql: Path,
    ledgers: tuple[Ledger, Ledger],
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (Worker.of(ledger) for ledger in ledgers)
    work = work_named("mug")
    first.claim(work)
    first.ledger.release(work.key, first.owner)
    # The first look is a quick one; the second is the one that counts.
    pause = Pause(first.ledger._look, at_call=2)
    monkeypatch.setattr(first.ledger, "_look", pause)
    one = pool.submit(first.ledger.claim, work, owner=first.owner, run_id=first.run_id)
    assert pause.reached.wait(30)
    two = pool.submit(second.ledger.claim, work, owner=second.owner, run_id=second.run_id)
    wait_until_it_waits_or_ends(postgresql, two)
    pause.go_on.set()
    assert one.result() == Granted(None)
    assert isinstance(two.result(), Busy)


def test_a_reply_waits_for_the_decision_about_its_attempt(
    postgresql: Path, ledgers: tuple[Ledger, Ledger], pool: ThreadPoolExecutor
) -> None:
    worker = Worker.of(ledgers[0])
    attempt = worker.bring(work_named("mug"), AttemptState.UNKNOWN)
    pause = Pause(lambda *_arguments: [])
    deciding = pool.submit(ledgers[1].decide, SERVICE, MODEL, [], pause)
    assert pause.reached.wait(30)
    reply = pool.submit(worker.ledger.submitted, attempt.id, "id")
    wait_until_it_waits_or_ends(postgresql, reply)
    assert not reply.done()
    pause.go_on.set()
    assert deciding.result() == []
    assert reply.result().prediction_id == "id"


def test_one_migration_at_a_time(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_MIGRATION_SECONDS", 0.05)
    with FileLock(tmp_path / "ledger.sqlite3.lock"):
        with pytest.raises(LedgerUnusable, match="by another process; wait"):
            Ledger.open(sqlite_url)
        assert not (tmp_path / "ledger.sqlite3").exists()
    Ledger.open(sqlite_url).close()
    with FileLock(tmp_path / "ledger.sqlite3.lock"):  # a ledger that is up to date needs no migration
        Ledger.open(sqlite_url).close()
