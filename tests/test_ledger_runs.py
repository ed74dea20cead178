"""Runs, uploads, learnt times, and the ledger in an event loop."""

import asyncio
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from ledger_support import MODEL, SERVICE, HandClock, Worker, start_run, work_named

from blocks.errors import InvalidInput
from blocks.ledger import AsyncLedger, AttemptState, Ledger, UsualSeconds, new_run_id

pytest_plugins = ("ledger_fixtures",)


def test_a_run_id_is_a_safe_file_name() -> None:
    now = datetime(2026, 11, 21, 3, 15, tzinfo=UTC)
    assert re.fullmatch(r"20261121-031500-spring-[0-9a-f]{4}", new_run_id("spring", now))
    assert re.fullmatch(r"20261121-031500-campaign-[0-9a-f]{4}", new_run_id("../…", now))
    for name in ("../x", "a b\n", "CON", "=1+1", "x" * 300, "Frühling", "-rf", "."):
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,70}", new_run_id(name, now)), name


def test_runs_started_in_the_same_second_differ(ledger_url: str) -> None:
    with Ledger.open(ledger_url, clock=HandClock()) as ledger:
        ids = [start_run(ledger) for _ in range(30)]
        assert len(set(ids)) == 30


def test_a_run_from_its_start_to_its_end(ledger_url: str) -> None:
    clock = HandClock()
    with Ledger.open(ledger_url, clock=clock) as ledger:
        for name in ("latest", "20261121-031500-spring-a1b2"):
            with pytest.raises(InvalidInput, match="there is no run"):
                ledger.run(name)
        first = start_run(ledger, budget=5_000_000)
        clock.forward(1)
        second = start_run(ledger)
        run = ledger.run(first)
        assert (run.budget, run.started_at, run.ended_at, run.exit_status) == (
            5_000_000,
            clock.moment - timedelta(seconds=1),
            None,
            None,
        )
        assert ledger.run_record(first) is None
        ended = ledger.end_run(first, exit_status=3, record_json='{"run": "…"}')
        assert (ended.exit_status, ended.ended_at) == (3, clock.moment)
        assert ledger.run_record(first) == '{"run": "…"}'
        assert ledger.run("latest").id == second
        assert [row.id for row in ledger.runs()] == [second, first]


def test_uploads_are_found_while_they_live(ledger_url: str) -> None:
    clock = HandClock()
    with Ledger.open(ledger_url, clock=clock) as ledger:
        expires = clock.moment + timedelta(days=6)
        ledger.remember_upload(SERVICE, "ab", url="https://up.example.org/1", expires_at=expires)
        found = ledger.find_upload(SERVICE, "ab")
        assert found is not None
        assert (found.url, found.uploaded_at, found.expires_at) == (
            "https://up.example.org/1",
            clock.moment,
            expires,
        )
        assert ledger.find_upload("https://other.example.org", "ab") is None
        assert ledger.find_upload(SERVICE, "cd") is None
        assert ledger.find_upload(SERVICE, "ab", expires) is None
        ledger.remember_upload(SERVICE, "ab", url="https://up.example.org/2", expires_at=expires)
        found = ledger.find_upload(SERVICE, "ab")
        assert found is not None
        assert found.url == "https://up.example.org/2"
        ledger.forget_upload(SERVICE, "ab")
        assert ledger.find_upload(SERVICE, "ab") is None


def test_usual_seconds_are_learnt_from_the_last_predictions(sqlite_url: str) -> None:
    with Ledger.open(sqlite_url) as ledger:
        worker = Worker.of(ledger)
        assert ledger.usual_seconds(SERVICE, MODEL) is None
        for seconds in range(10, 0, -1):
            attempt = worker.bring(work_named(str(seconds)), AttemptState.SUBMITTED)
            ledger.completed(
                attempt.id, outputs=["https://cdn.example.org/1.png"], inference_s=float(seconds)
            )
        assert ledger.usual_seconds(SERVICE, MODEL) == UsualSeconds(count=10, p10=1.0, p50=5.0, p90=9.0)
        assert ledger.usual_seconds("simulator", MODEL) is None


async def test_what_was_asked_for_is_done_even_for_a_cancelled_caller(sqlite_url: str) -> None:
    ledger = await asyncio.to_thread(Ledger.open, sqlite_url)
    books = AsyncLedger(ledger)
    gate = threading.Event()
    ahead = asyncio.create_task(books.call(gate.wait))
    asked = asyncio.create_task(books.call(ledger.register_owner))
    late = asyncio.create_task(books.call(start_run, ledger))
    await asyncio.sleep(0)
    asked.cancel()
    late.cancel()
    gate.set()
    outcomes = await asyncio.gather(ahead, asked, late, return_exceptions=True)
    assert outcomes[0] is True
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[1:])
    # The caller heard of its cancellation after the write.
    assert len(await books.call(ledger.runs)) == 1
    await asyncio.to_thread(books.close)


async def test_errors_come_through_and_the_loop_goes_on(sqlite_url: str) -> None:
    ledger = await asyncio.to_thread(Ledger.open, sqlite_url)
    books = AsyncLedger(ledger)
    with pytest.raises(InvalidInput):
        await books.call(ledger.run, "latest")
    gate = threading.Event()
    waiting = asyncio.create_task(books.call(gate.wait))
    await asyncio.sleep(0.01)  # the loop is not the one that waits
    assert not waiting.done()
    gate.set()
    assert await waiting
    await asyncio.to_thread(books.close)
