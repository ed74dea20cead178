"""A process that stood still between its intent and its request sends nothing any more."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest
from bench_support import ScriptedAccount, claim, edit_work, the_attempt, workbench_at
from campaign_support import wait_until
from pydantic import SecretStr
from quiet_scene import QuietScene, ended
from simulator_support import KEY, simulator_thread

from blocks.errors import Unreachable
from blocks.ledger import AttemptState, LeaseLost
from blocks.wavespeed import Prediction, WaveSpeedClient
from tasks.paying import departure
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.submitting import submit
from tasks.paying.workbench import Workbench


class Clocks:
    """Both clocks; ``asleep`` is what only the wall clock shows, ``stopped`` what both show."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asleep = self.stopped = self.set_back = 0.0
        fake = SimpleNamespace(
            time=lambda: time.time() + self.asleep + self.stopped - self.set_back,
            monotonic=lambda: time.monotonic() + self.stopped,
        )
        monkeypatch.setattr(departure, "time", fake)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


@pytest.fixture
def account() -> ScriptedAccount:
    return ScriptedAccount()


@pytest.fixture
def bench(tmp_path: Path, account: ScriptedAccount) -> Iterator[Workbench]:
    with workbench_at(tmp_path, account) as bench:
        yield bench


def stand_still_after_the_intent(bench: Workbench, still: object) -> None:
    """``still`` is called when the intent is on disk, the first time."""
    intend = bench.ledger.intend
    calls: list[int] = []

    def held_up(*arguments: object, **keywords: object) -> object:
        row = intend(*arguments, **keywords)  # type: ignore[arg-type] # handed on as they came
        if not calls:
            calls.append(1)
            still()  # type: ignore[operator] # a function
        return row

    bench.ledger.intend = held_up  # type: ignore[method-assign,assignment] # for this one test


@pytest.mark.parametrize("how", ["asleep", "stopped"])
async def test_nothing_leaves_after_a_long_sleep(
    bench: Workbench, account: ScriptedAccount, clocks: Clocks, how: str
) -> None:
    work = edit_work()
    stand_still_after_the_intent(bench, lambda: setattr(clocks, how, 16.0))  # of 30 s, half
    with pytest.raises(Unreachable, match="stood still for 16 s"):
        await submit(bench, work, claim(bench, work), Stopwatch())
    assert account.sent == []
    attempt = the_attempt(bench, work)
    assert attempt.state is AttemptState.RESERVED
    # It is this process's still: the next try sends it, once.
    assert (await submit(bench, work, attempt, Stopwatch())).prediction_id == "p1"


async def test_a_clock_that_was_set_back_hides_no_sleep(
    bench: Workbench, account: ScriptedAccount, clocks: Clocks
) -> None:
    work = edit_work()

    def still() -> None:
        clocks.stopped, clocks.set_back = 16.0, 100.0

    stand_still_after_the_intent(bench, still)
    with pytest.raises(Unreachable):
        await submit(bench, work, claim(bench, work), Stopwatch())
    assert account.sent == []


async def test_a_short_delay_shortens_the_request_s_time(bench: Workbench, clocks: Clocks) -> None:
    """Others take a request for ended when its time is over since the intent, not since it left."""
    work = edit_work()
    seconds: list[float] = []

    async def told(model: str, _body: object, *, seconds: float, before_sending: object) -> Prediction:
        del before_sending
        allowed.append(seconds)
        return Prediction(id="p1", model=model)

    allowed = seconds
    bench.client.submit = told  # type: ignore[method-assign,assignment] # for this one test
    stand_still_after_the_intent(bench, lambda: setattr(clocks, "stopped", 10.0))
    await submit(bench, work, claim(bench, work), Stopwatch())
    assert 15 < allowed[0] <= 20


async def test_work_that_another_took_over_is_not_sent(
    bench: Workbench, account: ScriptedAccount, clocks: Clocks, tmp_path: Path
) -> None:
    """Not so late that its time is over, but its lease is another's already."""
    work = edit_work()

    def taken_over() -> None:
        clocks.stopped = departure.FRESH_SECONDS
        with bench.ledger._database.write() as connection:
            connection.exec_driver_sql(
                "UPDATE generations SET lease_token = 'another', lease_owner = lease_owner"
            )

    stand_still_after_the_intent(bench, taken_over)
    with pytest.raises((Unreachable, LeaseLost)):
        await submit(bench, work, claim(bench, work), Stopwatch())
    assert account.sent == []


@pytest.fixture
def service_url(tmp_path: Path) -> Iterator[str]:
    with simulator_thread(tmp_path / "service") as service:
        yield service.url
        assert service.books.predictions() == []
        assert service.books.calls("/api/v3/kwaivgi") == []


async def test_it_is_looked_at_when_the_connection_stands_and_no_byte_has_left(service_url: str) -> None:
    steps: list[str] = []

    async def refuse() -> None:
        steps.append("asked")
        raise Unreachable("held back")

    real = httpx.AsyncHTTPTransport()

    class Watching(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            inner = request.extensions["trace"]

            async def trace(step: str, details: object) -> None:
                steps.append(step)
                await inner(step, details)

            request.extensions["trace"] = trace
            return await real.handle_async_request(request)

    async with WaveSpeedClient(SecretStr(KEY), service_url, transport=Watching()) as client:
        with pytest.raises(Unreachable, match="held back"):
            await client.submit("kwaivgi/kling-image-v3/edit", {"prompt": "p"}, before_sending=refuse)
    await real.aclose()
    assert steps.index("connection.connect_tcp.complete") < steps.index("asked")
    assert not [step for step in steps if "send_request_headers.complete" in step or "body" in step]


def test_a_stopped_process_that_goes_on_later_pays_nothing_twice(tmp_path: Path) -> None:
    """SIGSTOP after the intent, another process does the work, SIGCONT."""
    scene = QuietScene(tmp_path)
    try:
        scene.briefs("a")
        quick = {"CAMPAIGN_REQUEST_SECONDS": "1", "CAMPAIGN_QUIET_SECONDS": "0.3"}
        sleeper = scene.start(first="test_held_up:stop_after_the_intent", **quick)
        process = psutil.Process(sleeper.pid)
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
        try:
            assert ended(scene.start(first="test_held_up:short_leases", **quick)) == 0, scene.said
            assert scene.billed == ["a"]
        finally:
            process.send_signal(signal.SIGCONT)
        assert ended(sleeper) == 0, scene.said
        assert scene.billed == ["a"], "the process that was stopped sent its request all the same"
        assert len(scene.assets()) == 1
    finally:
        scene.close()


def short_leases() -> None:
    """In the forked process: a lease that nobody renews is over after a second."""
    from blocks.ledger import claims, owners  # noqa: PLC0415 - in the forked process only

    for module in (claims, owners):
        assert "LEASE_SECONDS" in vars(module)
        vars(module)["LEASE_SECONDS"] = 1.0


def stop_after_the_intent() -> None:
    from blocks.ledger import Ledger  # noqa: PLC0415 - in the forked process only

    short_leases()
    intend = Ledger.intend

    def stopped(*arguments: object, **keywords: object) -> object:
        row = intend(*arguments, **keywords)  # type: ignore[arg-type] # handed on as they came
        os.kill(os.getpid(), signal.SIGSTOP)
        return row

    Ledger.intend = stopped  # type: ignore[method-assign,assignment] # in the forked process only
