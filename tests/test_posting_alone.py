"""Where the account's history does not show what was sent, no two requests of a model are under way at once."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bench_support import (
    SERVICE,
    ScriptedAccount,
    claim,
    edit_work,
    sent_or_found,
    source_sha256,
    until,
    workbench_at,
)
from ledger_support import MODEL, HandClock, Worker, work_named
from quiet_scene import QuietScene, ended

from blocks.errors import OutcomeUnknown, Unavailable
from blocks.ledger import AnotherUnderWay, AttemptRow, AttemptState, Ledger
from blocks.wavespeed import Prediction
from tasks.paying import submitting
from tasks.paying.echo import MOST_LOOKS
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.workbench import Workbench
from tasks.stopping import StopReason

pytest_plugins = ("ledger_fixtures",)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "TURN_SECONDS", 0.01)


def alone(worker: Worker, attempt: AttemptRow) -> AttemptRow:
    return worker.ledger.intend(
        attempt.id, body={"prompt": "p"}, input_sha256s=[], request_timeout_s=30.0, alone=True
    )


def reserved(worker: Worker, name: str, *, model: str = MODEL) -> AttemptRow:
    work = work_named(name, model=model)
    worker.claim(work)
    return worker.reserve(work)


def test_only_one_request_of_a_model_is_under_way(ledger_url: str) -> None:
    clock = HandClock()
    with Ledger.open(ledger_url, clock=clock) as ledger, Ledger.open(ledger_url, clock=clock) as elsewhere:
        here, there = Worker.of(ledger), Worker.of(elsewhere)
        first, second = alone(here, reserved(here, "first")), reserved(there, "second")
        with pytest.raises(AnotherUnderWay):
            alone(there, second)
        assert elsewhere.attempt(second.id).state is AttemptState.RESERVED
        # Another model's are told apart by their model.
        alone(there, reserved(there, "third", model="another/model"))
        ledger.unknown(first.id, "no reply")
        with pytest.raises(AnotherUnderWay):
            alone(there, second)  # its fate is being looked for
        ledger.submitted(first.id, "p1")
        alone(there, second)


def test_what_a_dead_process_left_open_holds_nobody_up(ledger_url: str) -> None:
    clock = HandClock()
    with Ledger.open(ledger_url, clock=clock) as ledger:
        dead, living = Worker.of(ledger), Worker.of(ledger)
        alone(dead, reserved(dead, "first"))
        second = reserved(living, "second")
        clock.forward(39)
        ledger.heartbeat(living.owner)
        with pytest.raises(AnotherUnderWay):
            alone(living, second)
        clock.forward(2)
        ledger.heartbeat(living.owner)
        alone(living, second)


class Posts(ScriptedAccount):
    """Counts how many requests are under way, each until it is let through."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = self.most = 0
        self.let_through = asyncio.Semaphore(0)

    async def submit(self, model_id: str, body: Any, **options: Any) -> Prediction:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.let_through.acquire()
            return await super().submit(model_id, body, **options)
        finally:
            self.under_way -= 1


@pytest.fixture
def account() -> Posts:
    return Posts()


@pytest.fixture
def open_bench(tmp_path: Path, account: Posts) -> Iterator[Callable[[], Workbench]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(workbench_at(tmp_path, account))


def shown(number: str, name: str, *, with_inputs: bool = True) -> Prediction:
    """As the history shows a prediction of ``edit_work(name)``."""
    body = edit_work(name).parameters | {"image": f"{SERVICE}/files/{source_sha256()}.png"}
    return Prediction(id=number, model=edit_work().model, input=body if with_inputs else None)


async def submit_all(bench: Workbench, names: str) -> list[AttemptRow]:
    return await asyncio.gather(
        *(sent_or_found(bench, edit_work(name), claim(bench, edit_work(name)), Stopwatch()) for name in names)
    )


async def test_a_fresh_account_starts_with_one_and_goes_on_side_by_side(
    open_bench: Callable[[], Workbench], account: Posts
) -> None:
    bench = open_bench()
    account.newests = [[], lambda: [shown("p1", str(account.sent[0]["prompt"]))]]
    submitting_all = asyncio.create_task(submit_all(bench, "abcde"))
    await until(lambda: account.under_way == 1)
    account.let_through.release()
    await until(lambda: account.under_way == 4)  # it has shown what was sent
    for _ in range(4):
        account.let_through.release()
    assert len({attempt.prediction_id for attempt in await submitting_all}) == 5


@pytest.mark.parametrize("silence", ["no inputs", "others' only", "unreadable"])
async def test_a_silent_history_lets_one_leave_at_a_time(
    open_bench: Callable[[], Workbench], account: Posts, silence: str
) -> None:
    bench = open_bench()
    pages: dict[str, Callable[[], Any]] = {
        "no inputs": lambda: [shown(f"p{n + 1}", "a", with_inputs=False) for n in range(len(account.sent))],
        "others' only": lambda: [shown("theirs", "a")],
        "unreadable": lambda: (_ for _ in ()).throw(Unavailable("down")),
    }
    account.newests = [pages[silence]] * 20
    names = "abcdefgh"
    for _ in names:
        account.let_through.release()
    await asyncio.wait_for(submit_all(bench, names), 20)
    assert account.most == 1
    assert len(account.sent) == len(names)
    # It is not asked for ever.
    assert 20 - len(account.newests) <= MOST_LOOKS


async def test_a_second_run_knows_from_the_first_one_s_predictions(
    open_bench: Callable[[], Workbench], account: Posts
) -> None:
    account.let_through.release()
    await submit_all(open_bench(), "a")
    account.newests = [[shown("p1", "a")]]
    submitting_all = asyncio.create_task(submit_all(open_bench(), "bcde"))
    await until(lambda: account.under_way == 4)
    for _ in range(4):
        account.let_through.release()
    await submitting_all


async def test_who_waits_for_a_lost_reply_can_be_interrupted(
    open_bench: Callable[[], Workbench], account: Posts
) -> None:
    bench = open_bench()
    account.let_through.release()
    account.submits = [OutcomeUnknown("no answer in time")]
    both = asyncio.gather(submit_all(bench, "a"), submit_all(bench, "b"), return_exceptions=True)
    await until(lambda: len(account.asked_since) >= 3)
    assert len(account.sent) == 1, "a second request left while the first one's fate was open"
    bench.stop.set(StopReason.INTERRUPTED)
    await asyncio.wait_for(both, 10)


def test_many_lost_replies_in_a_silent_history_are_all_found(tmp_path: Path) -> None:
    """Two processes at once, each reply lost, nothing echoed: no person has to look, and nothing is paid twice."""
    faults = {
        "switches": {"history_input": "none"},
        "rules": [{"on": "submit", "do": "lose_reply", "times": 4}],
    }
    scene = QuietScene(tmp_path, faults)
    try:
        scene.briefs("a", "b", "c")
        first = scene.start()
        scene.rows(
            [{"brief": name, "edit_prompt": name, "edit_image": scene.image} for name in "def"], "other.csv"
        )
        second = scene.start()
        assert [ended(first), ended(second)] == [0, 0], scene.said
        assert scene.billed == ["a", "b", "c", "d", "e", "f"], scene.said
    finally:
        scene.close()
