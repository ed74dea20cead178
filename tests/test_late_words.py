"""What arrives late about a request, or was read before it was sent, decides nothing that it cannot know."""

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from bench_support import ScriptedAccount, claim, edit_work, workbench_at
from ledger_support import HandClock, Worker, work_named
from matching_support import MODEL, NOON, believed, lost, seconds, seen

from blocks.ledger import AttemptState, Ledger, Reply
from blocks.wavespeed import ClockSkew, HistoryReading
from tasks.paying.matching import Rules, may_have_made_one
from tasks.paying.recovery import Look
from tasks.paying.silence import given_up_at

pytest_plugins = ("ledger_fixtures",)
RULES = Rules(quiet=30, deadline=3600, skew=ClockSkew(low=-1, high=1, known=True))


def test_that_it_was_taken_on_is_kept_however_late_it_is_told(ledger_url: str) -> None:
    clock = HandClock()
    with Ledger.open(ledger_url, clock=clock) as ledger, Ledger.open(ledger_url, clock=clock) as elsewhere:
        first, second = Worker.of(ledger), Worker.of(elsewhere)
        attempt = first.bring(work_named("a"), AttemptState.INTENT)
        clock.forward(60)
        elsewhere.heartbeat(second.owner)
        granted = second.claim(work_named("a"))
        assert granted.attempt is not None
        assert second.resume(granted.attempt).reply is None
        assert ledger.unknown(attempt.id, "no id", reply=Reply.ACCEPTED).reply is Reply.ACCEPTED
        assert ledger.unknown(attempt.id, "no answer", reply=Reply.LOST).reply is Reply.ACCEPTED


def test_a_request_that_is_sent_again_is_given_up_anew(ledger_url: str) -> None:
    clock = HandClock()
    with Ledger.open(ledger_url, clock=clock) as ledger:
        worker = Worker.of(ledger)
        attempt = worker.bring(work_named("a"), AttemptState.UNKNOWN)
        ledger.send_again(attempt.id)
        clock.forward(300)
        again = worker.intend(ledger.attempt(attempt.id))
        assert again.intent_at is not None
        assert given_up_at(again) == again.intent_at + timedelta(seconds=30)


def test_a_prediction_of_a_year_to_come_may_be_what_was_refused() -> None:
    refused = dataclasses.replace(lost(), reply=Reply.REFUSED)
    far_off = seen(at=10 * 365 * 86_400.0)
    assert may_have_made_one(refused, [far_off], RULES, believed([refused]))
    assert not may_have_made_one(refused, [seen(at=-4000)], RULES, believed([refused]))
    assert far_off.model == MODEL
    assert refused.intent_at == NOON + seconds(0)


@pytest.fixture
def account() -> ScriptedAccount:
    return ScriptedAccount()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


async def test_what_was_sent_after_the_history_was_read_is_not_decided_about(
    tmp_path: Path, account: ScriptedAccount, stack: ExitStack
) -> None:
    """Its refusal would be believed by a history that was read before it was sent."""
    bench = stack.enter_context(workbench_at(tmp_path, account, settings={"quiet_seconds": 0.0}))

    def intent(name: str) -> int:
        work = edit_work(name)
        claim(bench, work)
        attempt = bench.ledger.reserve(
            work.key, run_id=bench.run_id, owner=bench.owner, estimated=1, worst_case=1
        )
        return bench.ledger.intend(attempt.id, body={}, input_sha256s=[], request_timeout_s=30.0).id

    first = bench.ledger.unknown(intent("a"), "no answer")
    second: list[int] = []

    async def read(_: object) -> HistoryReading:
        second.append(bench.ledger.unknown(intent("b"), "slow down", reply=Reply.REFUSED).id)
        return HistoryReading()

    account.read_history = read  # type: ignore[method-assign,assignment] # the other one is sent just now
    look = Look(bench, first.service, first.model, {None, bench.account.account})
    async with asyncio.timeout(10):
        await look.decide([first])
    assert bench.ledger.attempt(second[0]).state is AttemptState.UNKNOWN
