"""A cap a day: over all runs, refused before anything is spent, never passed, and it ends at midnight UTC."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench_support import EDIT_MODEL, PRICE, ScriptedAccount, claim, edit_work, workbench_at
from ledger_support import SERVICE, HandClock, Worker, work_named
from quiet_scene import QuietScene

from blocks.errors import BudgetRefused, InvalidInput
from blocks.ledger import AttemptState, CapReached, Ledger, RunMoney
from blocks.prefect_blocks import CampaignWorkspace
from blocks.settings import load_settings
from blocks.wavespeed import Prediction
from flows.preparation import RunOptions, refuse_what_the_budget_does_not_cover
from tasks.paying.stopwatch import Stopwatch
from tasks.paying.submitting import submit
from tasks.planning.day_budget import DayBudget
from tasks.planning.plan import Plan

pytest_plugins = ("ledger_fixtures",)

CAP = 100


def reserve(worker: Worker, name: str, *, worst_case: int = 60, service: str = SERVICE) -> int:
    work = work_named(name, service=service)
    worker.claim(work)
    return worker.ledger.reserve(
        work.key,
        run_id=worker.run_id,
        owner=worker.owner,
        estimated=worst_case,
        worst_case=worst_case,
        day_cap=CAP,
    ).id


def intend(worker: Worker, attempt: int, cap: int | None = CAP) -> None:
    worker.ledger.intend(attempt, body={"prompt": "p"}, input_sha256s=[], request_timeout_s=30.0, day_cap=cap)


def test_what_was_reserved_yesterday_and_is_sent_today_counts_today(ledger_url: str) -> None:
    clock = HandClock()
    with Ledger.open(ledger_url, clock=clock) as ledger:
        worker = Worker.of(ledger)
        late = reserve(worker, "reserved late")
        clock.forward(12 * 3600)  # midnight
        ledger.heartbeat(worker.owner)
        reserve(worker, "today's")
        with pytest.raises(CapReached, match="goes on from 2026-11-23 00:00 UTC"):
            intend(worker, late)
        assert ledger.attempt(late).state is AttemptState.RESERVED
        assert ledger.day_money(SERVICE)[0] == RunMoney(charged=0, reserved=60)
        clock.forward(24 * 3600)
        ledger.heartbeat(worker.owner)
        intend(worker, late)
        money, until = ledger.day_money(SERVICE)
        assert (money, until) == (RunMoney(0, 60), datetime(2026, 11, 24, tzinfo=UTC))


def test_another_service_s_money_is_its_own(ledger_url: str) -> None:
    with Ledger.open(ledger_url) as ledger:
        worker = Worker.of(ledger)
        reserve(worker, "here")
        reserve(worker, "there", service="https://elsewhere.example")
        with pytest.raises(CapReached):
            reserve(worker, "here too")


def test_a_day_that_came_to_be_over_its_cap_sends_nothing_more(ledger_url: str) -> None:
    with Ledger.open(ledger_url) as ledger:
        worker = Worker.of(ledger)
        first, second = reserve(worker, "first"), reserve(worker, "second", worst_case=40)
        intend(worker, first)
        ledger.submitted(first, "p1")
        ledger.settle(first, charged=70, run_id=worker.run_id)  # dearer than the worst case was
        with pytest.raises(CapReached, match="more than that already"):
            intend(worker, second)
        intend(worker, second, cap=None)


def test_what_nobody_works_on_is_not_waited_for(ledger_url: str) -> None:
    with Ledger.open(ledger_url) as ledger:
        worker, other = Worker.of(ledger), Worker.of(ledger)
        attempt = reserve(other, "theirs")
        worker.claim(work_named("ours"))

        def refused() -> CapReached:
            with pytest.raises(CapReached) as caught:
                reserve_claimed(worker)
            return caught.value

        def reserve_claimed(worker: Worker) -> None:
            ledger.reserve(
                work_named("ours").key,
                run_id=worker.run_id,
                owner=worker.owner,
                estimated=60,
                worst_case=60,
                day_cap=CAP,
            )

        assert (refused().in_flight, refused().may_pass) == (60, True)
        intend(other, attempt)
        ledger.held(attempt, "look at it")
        assert (refused().in_flight, refused().may_pass) == (0, False)
        assert refused().until is not None


async def test_a_submit_that_only_waits_for_the_held_gives_up(tmp_path: Path) -> None:
    """What a person must look at holds its reservation for days: nobody waits for that."""
    with workbench_at(tmp_path, account := ScriptedAccount(), settings={"budget_per_day": "0.03"}) as bench:
        first = edit_work("first")
        claim(bench, first)
        attempt = bench.ledger.reserve(
            first.key, run_id=bench.run_id, owner=bench.owner, estimated=PRICE, worst_case=PRICE
        )
        bench.ledger.intend(attempt.id, body={}, input_sha256s=[], request_timeout_s=1.0)
        bench.ledger.held(attempt.id, "look at it")
        second = edit_work("second")
        account.newests = [[Prediction(id="x", model=EDIT_MODEL)]]
        with pytest.raises(CapReached, match="CAMPAIGN_BUDGET_PER_DAY"):
            await asyncio.wait_for(submit(bench, second, claim(bench, second), Stopwatch()), 10)
        assert account.sent == []


@pytest.mark.parametrize("wrong", ["a lot", "-1", "inf"])
def test_what_is_no_amount_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="CAMPAIGN_BUDGET_PER_DAY"):
        load_settings({"budget_per_day": wrong}, env_file=None)


def test_the_workspace_block_has_it() -> None:
    block = CampaignWorkspace(budget_per_day="12.5")
    assert load_settings(block=block.values(), env_file=None).day_cap == 12_500_000


def test_what_the_refusal_says() -> None:
    plan = Plan("spring", 1, (), ())
    until = datetime(2026, 11, 22, tzinfo=UTC)
    refused = DayBudget(cap=5_000_000, taken=4_000_000, wanted=1_500_000, until=until)
    with pytest.raises(BudgetRefused) as caught:
        refuse_what_the_budget_does_not_cover(plan, RunOptions(Path("a.csv")), refused)
    assert str(caught.value) == (
        "the plan costs $1.5, and of the $5 a day (CAMPAIGN_BUDGET_PER_DAY) $1 are left until 2026-11-22 00:00 UTC; "
        "run it again from then on, raise the cap, or add --partial to make what is left for. Nothing was spent"
    )
    assert "day by day" in DayBudget(1, 0, 2, until).sentence()
    for fine in (DayBudget(5, 4, 1, until), None):
        refuse_what_the_budget_does_not_cover(plan, RunOptions(Path("a.csv")), fine)
    refuse_what_the_budget_does_not_cover(plan, RunOptions(Path("a.csv"), partial=True), refused)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[QuietScene]:
    scene = QuietScene(tmp_path)
    try:
        yield scene
    finally:
        scene.close()


def test_runs_share_the_day_and_the_next_day_goes_on(scene: QuietScene) -> None:
    cap = {"CAMPAIGN_BUDGET_PER_DAY": "0.06"}  # two pictures, and a bit
    scene.briefs("a")
    assert scene.run(**cap) == 0, scene.said

    scene.briefs("a", "b", "c")
    assert scene.run(**cap) == 3
    assert "the plan costs $0.056" in scene.said
    assert "$0.032 are left until" in scene.said
    assert scene.billed == ["a"], "a plan above what is left was not refused before anything was spent"

    assert scene.run(flags="--partial", **cap) == 3, scene.said
    assert len(scene.billed) == 2
    held = [brief for brief in scene.last().briefs if brief.status == "held"]
    assert len(held) == 1
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d 00:00 UTC")
    assert f"it goes on from {tomorrow}" in str(held[0].error)

    assert scene.run(flags="--partial", **cap) == 3, scene.said
    assert len(scene.billed) == 2, "the cap was passed"

    # The next day, by the ledger: what was reserved, was reserved yesterday.
    with scene.ledger() as ledger, ledger._database.write() as connection:
        connection.exec_driver_sql("UPDATE attempts SET reserved_at = datetime(reserved_at, '-1 day')")
    assert scene.run(**cap) == 0, scene.said
    assert scene.billed == ["a", "b", "c"]


def test_a_killed_run_goes_on_within_the_same_day(scene: QuietScene) -> None:
    """What is reserved or sent for the plan's own work is not counted a second time."""
    scene.briefs("a", "b")
    cap = {"CAMPAIGN_BUDGET_PER_DAY": "0.056"}
    assert scene.run(first="test_daily_cap:die_after_an_intent", **cap) == -9
    assert scene.run(**cap) == 0, scene.said
    assert scene.billed == ["a", "b"]


def die_after_an_intent() -> None:
    from crash_points import BY_NAME, arm  # noqa: PLC0415 - in the forked process only

    arm(BY_NAME["after Ledger.intend"], 2)
