"""Lost replies against a real ledger and a history by script: what is sent again, and on which knowledge."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench_support import EDIT_MODEL, PRICE, SERVICE, ScriptedAccount, claim, edit_work, until, workbench_at
from ledger_support import HandClock

from blocks.errors import AccountRefused, NeedsPerson, Stopped, Unavailable
from blocks.ledger import AsyncLedger, AttemptRow, AttemptState, Ledger
from blocks.wavespeed import ClockSkew, HistoryReading, Prediction
from tasks.paying import waiting_silence
from tasks.paying.matching import CLOSE_SECONDS, FAR_SECONDS
from tasks.paying.recovery import resolve
from tasks.paying.workbench import Workbench
from tasks.stopping import StopReason


class Lost:
    """A bench, and attempts at it whose replies were lost."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.account = ScriptedAccount()
        self._folder, self._stack = folder, stack
        self.bench: Workbench

    def open(self, **settings: float) -> Workbench:
        self.bench = self._stack.enter_context(workbench_at(self._folder, self.account, settings=settings))
        return self.bench

    def attempt(self, name: str = "a", *, state: str = "unknown", timeout: float = 30.0) -> AttemptRow:
        work, ledger = edit_work(name), self.bench.ledger
        claim(self.bench, work)
        attempt = ledger.reserve(
            work.key, run_id=self.bench.run_id, owner=self.bench.owner, estimated=PRICE, worst_case=PRICE
        )
        attempt = ledger.intend(attempt.id, body=self.body(name), input_sha256s=[], request_timeout_s=timeout)
        if state == "unknown":
            return ledger.unknown(attempt.id, "no answer in time")
        return ledger.held(attempt.id, "look at it") if state == "held" else attempt

    def body(self, name: str = "a") -> dict[str, Any]:
        return edit_work(name).parameters | {"image": f"{SERVICE}/files/{'a' * 64}.png"}

    def seen(
        self,
        name: str = "p1",
        *,
        late: float = 0,
        echo: dict[str, Any] | None = None,
        model: str = EDIT_MODEL,
    ) -> Prediction:
        return Prediction(
            id=name,
            model=model,
            status="completed",
            outputs=("https://x.example/1.png",),
            created_at=datetime.now(UTC) + timedelta(seconds=late),
            input=echo,
        )

    async def resolve(self, attempt: AttemptRow) -> AttemptRow:
        return await asyncio.wait_for(resolve(self.bench, attempt), 20)


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Lost]:
    with ExitStack() as stack:
        yield Lost(tmp_path, stack)


async def test_a_prediction_that_shows_late_is_waited_for_and_adopted(lost: Lost) -> None:
    lost.open()
    attempt = lost.attempt()
    lost.account.histories = [[], Unavailable("down"), []]
    lost.account.history = [lost.seen(echo=lost.body())]
    found = await lost.resolve(attempt)
    assert (found.state, found.prediction_id) == (AttemptState.SUBMITTED, "p1")
    assert found.service_created_at == lost.account.history[0].created_at
    assert len(lost.account.asked_since) == 4


async def test_an_unreadable_history_never_counts_as_an_empty_one(lost: Lost) -> None:
    lost.open(quiet_seconds=0.0)
    attempt = lost.attempt(timeout=0.001)
    lost.account.histories = [Unavailable("down")] * 1000
    waiting = asyncio.create_task(lost.resolve(attempt))
    await until(lambda: len(lost.account.asked_since) >= 3)
    assert lost.bench.ledger.attempt(attempt.id).state is AttemptState.UNKNOWN
    lost.bench.stop.set(StopReason.INTERRUPTED)
    with pytest.raises(Stopped):
        await waiting
    assert lost.bench.ledger.attempt(attempt.id).state is AttemptState.UNKNOWN


async def test_an_unreadable_history_is_told_of_once_and_so_is_its_return(
    lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_silence, "QUIET_SECONDS", 0.05)
    bench = lost.open()
    told: list[str] = []
    bench.history_silence.note = told.append
    attempt = lost.attempt()

    def still_down() -> list[Prediction]:
        if told and len(lost.account.asked_since) > 20:
            return [lost.seen(echo=lost.body())]
        lost.account.histories.append(still_down)
        raise Unavailable("down")

    lost.account.histories = [still_down]
    assert (await lost.resolve(attempt)).prediction_id == "p1"
    assert [text.split(" for ")[0].split(", after")[0] for text in told] == [
        "the account's history has not answered",
        "the account's history answers again",
    ]
    assert "Ctrl-C is safe" in told[0]


async def test_an_account_that_refuses_leaves_it_unknown(lost: Lost) -> None:
    lost.open()
    attempt = lost.attempt()
    lost.account.histories = [AccountRefused("no such key")]
    with pytest.raises(AccountRefused):
        await lost.resolve(attempt)
    assert lost.bench.ledger.attempt(attempt.id).state is AttemptState.UNKNOWN


async def test_what_the_history_leaves_open_waits_for_a_person(lost: Lost) -> None:
    lost.open()
    attempt = lost.attempt()
    lost.account.history = [lost.seen("p1"), lost.seen("p2")]
    with pytest.raises(NeedsPerson, match="2 possible: p"):
        await lost.resolve(attempt)
    assert lost.bench.ledger.attempt(attempt.id).state is AttemptState.HELD


async def test_what_is_known_and_what_is_of_another_model_is_no_candidate(lost: Lost) -> None:
    bench = lost.open(quiet_seconds=0.0)
    other = lost.attempt("other", state="intent")
    bench.ledger.submitted(other.id, "p1")
    attempt = lost.attempt(timeout=0.001)
    later = lost.attempt("later", state="intent")
    bench.ledger.submitted(later.id, "p3")
    lost.account.history = [
        lost.seen("p1"),
        lost.seen("p2", model="kwaivgi/kling-image-o3/edit"),
        lost.seen("p3"),
    ]
    assert (await lost.resolve(attempt)).state is AttemptState.RESERVED


async def test_a_prediction_whose_model_is_not_shown_is_a_candidate(lost: Lost) -> None:
    lost.open(quiet_seconds=0.0)
    attempt = lost.attempt(timeout=0.001)
    lost.account.history = [lost.seen("p1", model="")]
    assert (await lost.resolve(attempt)).prediction_id == "p1"


async def test_one_held_for_a_person_counts_as_a_possible_maker(lost: Lost) -> None:
    lost.open()
    lost.attempt("held", state="held")
    attempt = lost.attempt()
    lost.account.history = [lost.seen("p1")]
    with pytest.raises(NeedsPerson):
        await lost.resolve(attempt)
    assert lost.bench.ledger.attempt(attempt.id).prediction_id is None


async def test_an_old_look_at_the_history_is_not_held_for_a_new_one(lost: Lost) -> None:
    """The quiet period counts up to when the history was asked: it may take longer than that to answer."""
    lost.open(quiet_seconds=1.0)
    attempt = lost.attempt(timeout=1.0)
    decided: list[AttemptState] = []
    answers: list[Callable[[], list[Prediction]]] = []

    async def slow(since: datetime) -> HistoryReading:
        del since
        if not answers:
            answers.append(list)
            # It looked at once and found nothing; by the time its answer is here, the quiet period is over.
            await asyncio.sleep(2.2)
            return HistoryReading()
        decided.append(lost.bench.ledger.attempt(attempt.id).state)
        return HistoryReading((lost.seen(echo=lost.body()),))

    lost.account.read_history = slow  # type: ignore[method-assign]  # for this one test
    assert (await lost.resolve(attempt)).prediction_id == "p1"
    assert decided == [AttemptState.UNKNOWN]


async def test_the_history_is_read_from_before_the_oldest_intent(lost: Lost) -> None:
    bench = lost.open()
    oldest = lost.attempt("oldest")
    attempt = lost.attempt()
    lost.account.clock = ClockSkew(low=-100, high=-98, known=True)
    lost.account.history = [lost.seen(late=-99, echo=lost.body())]
    await lost.resolve(attempt)
    assert oldest.intent_at is not None
    before = (oldest.intent_at - lost.account.asked_since[0]).total_seconds()
    assert 100 + FAR_SECONDS + CLOSE_SECONDS <= before < 100 + FAR_SECONDS + CLOSE_SECONDS + 5
    assert bench.ledger.attempt(oldest.id).state is AttemptState.UNKNOWN


async def test_many_lost_replies_share_one_look(lost: Lost) -> None:
    lost.open()
    attempts = [lost.attempt(name) for name in "abcde"]
    lost.account.history = [lost.seen(f"p-{name}", echo=lost.body(name)) for name in "abcde"]
    found = await asyncio.gather(*(lost.resolve(attempt) for attempt in attempts))
    assert [row.prediction_id for row in found] == [f"p-{name}" for name in "abcde"]
    assert len(lost.account.asked_since) == 1


async def test_another_process_decides_meanwhile(lost: Lost) -> None:
    bench = lost.open()
    attempt = lost.attempt()
    listed = bench.ledger.attempts_without_id

    def decided_in_between(service: str, model: str) -> list[AttemptRow]:
        bench.ledger.adopt(attempt.id, prediction_id="p9")
        return listed(service, model)

    bench.ledger.attempts_without_id = decided_in_between  # type: ignore[method-assign]  # for this one test
    found = await lost.resolve(attempt)
    assert (found.state, found.prediction_id) == (AttemptState.SUBMITTED, "p9")
    assert lost.account.asked_since == []


@pytest.mark.parametrize("ahead", [-1000.0, 1000.0])
async def test_the_ledger_s_clock_may_be_another_machine_s(lost: Lost, tmp_path: Path, ahead: float) -> None:
    """The service's clock is learnt by ours, intents are written by the ledger's: the difference is made up for."""
    bench = lost.open(quiet_seconds=0.0)
    clock = HandClock()
    with Ledger.open(f"sqlite:///{tmp_path / 'elsewhere.sqlite'}", clock=clock) as elsewhere:
        clock.moment = datetime.now(UTC) + timedelta(seconds=ahead)
        run = elsewhere.start_run(
            campaign="c",
            csv_path="c",
            csv_sha256="c",
            service=SERVICE,
            provider="wavespeed",
            out="o",
            budget=None,
        )
        bench.ledger, bench.ask = elsewhere, AsyncLedger(elsewhere).call
        bench.owner, bench.run_id = elsewhere.register_owner(), run.id
        attempt = lost.attempt(timeout=1.0)
        clock.forward(5)
        lost.account.history = [lost.seen()]
        # Nothing is echoed: the time alone says that it is ours.
        assert (await lost.resolve(attempt)).prediction_id == "p1"
