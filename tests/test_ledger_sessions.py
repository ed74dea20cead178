"""PostgreSQL sessions that end: nothing is lost, nothing is done twice, and no run dies of it."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from ledger_support import SERVICE, Worker, sha256_of, start_run, work_named
from postgresql_server import PostgreSQLServer
from quiet_scene import QuietScene, ended
from session_support import BreakingWire, Cut, terminate_all

from blocks.errors import LedgerUnusable
from blocks.ledger import AttemptState, Ledger
from blocks.ledger.sessions import SessionEnded

NAMES = [f"brief-{number:02}" for number in range(12)]

pytest_plugins = ("ledger_fixtures",)


@pytest.fixture
def books(postgresql_url: str) -> Iterator[Ledger]:
    with Ledger.open(postgresql_url, reconnect_seconds=30) as opened:
        yield opened


@pytest.fixture
def wire(postgresql: Path) -> Iterator[BreakingWire]:
    with BreakingWire(postgresql) as made:
        yield made


def _through(wire: BreakingWire, url: str, postgresql: Path) -> str:
    return url.replace(f"host={postgresql}", f"host={wire.folder}")


def _end_the_session_of_the_next(ledger: Ledger, postgresql: Path, statement: str) -> list[str]:
    """End the session right before a statement that begins so; what was ended is listed."""
    done: list[str] = []

    @sa.event.listens_for(ledger._database.engine, "before_cursor_execute")
    def _terminate(
        connection: sa.Connection,
        _cursor: object,
        said: str,
        _parameters: object,
        _context: object,
        _many: object,
    ) -> None:
        if said.startswith(statement) and not done:
            done.append(said)
            driver: Any = connection.connection.dbapi_connection
            pid = driver.info.backend_pid
            with psycopg.connect(
                f"host={postgresql} user=postgres dbname=postgres", autocommit=True
            ) as other:
                assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)

    return done


def test_a_session_that_ends_while_nothing_is_asked(books: Ledger, postgresql: Path) -> None:
    run = start_run(books)
    for _ in range(3):
        assert terminate_all(postgresql) >= 1
        assert books.run("latest").id == run


def test_a_session_that_ends_within_a_read(books: Ledger, postgresql: Path) -> None:
    run = start_run(books)
    done = _end_the_session_of_the_next(books, postgresql, "SELECT runs.id")
    assert books.run("latest").id == run
    assert len(done) == 1


@pytest.mark.parametrize(
    "statement", ["INSERT INTO attempts", "SELECT generations", "SELECT txid_current_if_assigned"]
)
def test_a_session_that_ends_within_a_write(books: Ledger, postgresql: Path, statement: str) -> None:
    worker, work = Worker.of(books, budget=100_000), work_named("a")
    worker.claim(work)
    done = _end_the_session_of_the_next(books, postgresql, statement)
    attempt = worker.reserve(work)
    assert len(done) == 1
    assert [one.id for one in books.attempts()] == [attempt.id]
    assert books.run_money(worker.run_id).reserved == attempt.reserved


def test_keys_that_can_be_read_once_are_asked_for_again(books: Ledger, postgresql: Path) -> None:
    worker, work = Worker.of(books), work_named("a")
    worker.bring(work, AttemptState.STORED)
    done = _end_the_session_of_the_next(books, postgresql, "SELECT generations")
    assert set(books.find_stored(key for key in [work.key])) == {work.key}
    assert len(done) == 1


@pytest.mark.parametrize("cut", ["before COMMIT arrives", "before its answer arrives"])
@pytest.mark.parametrize("step", ["claim", "reserve", "intend", "submitted", "settle"])
def test_a_wire_that_breaks_around_commit(
    wire: BreakingWire, postgresql_url: str, postgresql: Path, cut: Cut, step: str
) -> None:
    """Whether it was written or not, in the end it is there, once."""

    def break_now(name: str) -> None:
        if name == step:
            wire.cut = cut

    with Ledger.open(_through(wire, postgresql_url, postgresql), reconnect_seconds=30) as ledger:
        worker, work = Worker.of(ledger, budget=100_000), work_named("a")
        break_now("claim")
        worker.claim(work)
        break_now("reserve")
        attempt = worker.reserve(work)
        break_now("intend")
        worker.intend(attempt)
        assert ledger.may_send(attempt.id)
        break_now("submitted")
        ledger.submitted(attempt.id, "prediction-1")
        break_now("settle")
        books_of_the_bill = ledger.settle(attempt.id, charged=28_000, refunded=0, run_id=worker.run_id)
        assert wire.broken == 1
    assert books_of_the_bill.charged == 28_000
    with Ledger.open(postgresql_url) as seen:
        (found,) = seen.attempts()
        assert (found.number, found.state, found.prediction_id) == (1, AttemptState.SUBMITTED, "prediction-1")
        assert seen.run_money(worker.run_id).charged == 28_000


def test_where_nobody_says_what_was_written_it_is_not_done_again(
    wire: BreakingWire, postgresql_url: str, postgresql: Path
) -> None:
    with Ledger.open(_through(wire, postgresql_url, postgresql), reconnect_seconds=0.2) as ledger:
        worker, work = Worker.of(ledger), work_named("a")
        worker.claim(work)
        wire.cut, wire.open = "before its answer arrives", False
        with pytest.raises(LedgerUnusable, match="run the same command again") as caught:
            worker.reserve(work)
        assert not isinstance(caught.value, SessionEnded)
        wire.open = True
        # The ledger, once it can be read, says that it was written: it is not reserved twice.
        assert [one.state for one in ledger.attempts()] == [AttemptState.RESERVED]


def test_a_server_that_stays_away_is_not_waited_for_without_end(
    wire: BreakingWire, postgresql_url: str, postgresql: Path
) -> None:
    with Ledger.open(_through(wire, postgresql_url, postgresql), reconnect_seconds=0.2) as ledger:
        start_run(ledger)
        wire.open = False
        terminate_all(postgresql)
        with pytest.raises(LedgerUnusable, match="cannot be reached; make sure that the server runs"):
            ledger.runs()
        wire.open = True
        assert len(ledger.runs()) == 1


def test_a_server_that_was_never_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnusable, match="cannot be reached"):
        Ledger.open(f"postgresql://postgres@/postgres?host={tmp_path}", reconnect_seconds=3600)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_restarted_is_waited_for(by: signal.Signals) -> None:
    server = PostgreSQLServer()
    try:
        url = f"postgresql://postgres@/postgres?host={server.folder}"
        with Ledger.open(url, reconnect_seconds=60) as ledger:
            worker, work = Worker.of(ledger), work_named("a")
            worker.claim(work)
            server.stop(by)
            missed, asked = threading.Event(), list[int]()
            sa.event.listen(ledger._database.engine, "handle_error", lambda _: missed.set())
            asking = threading.Thread(target=lambda: asked.append(worker.reserve(work).id))
            asking.start()
            assert missed.wait(60)
            server.start()
            asking.join(timeout=60)
            assert asked == [one.id for one in ledger.attempts()]
            assert len(asked) == 1
    finally:
        server.remove()


def test_a_decision_is_asked_for_again_and_applied_once(books: Ledger, postgresql: Path) -> None:
    worker, work = Worker.of(books), work_named("a")
    attempt = worker.bring(work, AttemptState.UNKNOWN)
    asked = []

    def decide(listed: list[object], known: set[str]) -> list[object]:
        asked.append(known)
        if len(asked) == 1:
            terminate_all(postgresql)
        return []

    books.decide(SERVICE, attempt.model, [sha256_of("x")], decide)  # type: ignore[arg-type] # a decision for none
    assert asked == [set(), set()]


def test_no_run_dies_of_its_sessions_being_ended(
    tmp_path: Path, postgresql_url: str, postgresql: Path
) -> None:
    scene = QuietScene(tmp_path)
    scene.workplace.environment["CAMPAIGN_LEDGER_URL"] = postgresql_url
    scene.briefs(*NAMES)
    Ledger.open(postgresql_url).close()
    over, rounds = threading.Event(), 0
    try:
        running = scene.start()

        def disturb() -> None:
            nonlocal rounds
            while not over.is_set():
                rounds += terminate_all(postgresql)
                over.wait(0.1)  # many steps fit in between

        disturbing = threading.Thread(target=disturb)
        disturbing.start()
        try:
            status = ended(running)
        finally:
            over.set()
            disturbing.join()
        assert status == 0, scene.said
        assert scene.billed == NAMES
        assert rounds > 2, "the run ended before its sessions did"
    finally:
        scene.close()
