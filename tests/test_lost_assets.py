"""Paid for, and gone from the asset store: planned, allowed and collected for what it costs, which is nothing."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from caching_model import CLIP, CLIP_SECONDS, MODELS
from caching_support import (
    PICTURE,
    SECOND,
    PlainService,
    forget_how_young,
    plan_of,
    run,
    settings_at,
    without_network_and_prefect,
    write_campaign,
)
from simulator_support import picture

from blocks.errors import BudgetRefused, NotFound, OutputsExpired
from blocks.ledger import AttemptState, Ledger
from blocks.settings import Settings
from tasks import production
from tasks.endings import ExitStatus
from tasks.paying.generation import generate
from tasks.paying.workbench import Workbench
from tasks.planning.plan import Plan
from tasks.planning.plan_duration import Limits, expected_duration
from tasks.planning.plan_reasons import Cause
from tasks.record import StageRecord
from tasks.work import StageResult, StageWork

CHAIN = {
    "edit_prompt": "warm",
    "edit_image": "mug.png",
    "compose_prompt": "on oak",
    "video_prompt": "snow",
    "video": "clip.mp4",
}
FILM = int(SECOND * CLIP_SECONDS)


class Desk:
    """A chain that was made, in whose store something is missing."""

    def __init__(self, base: Path, service: PlainService) -> None:
        self.settings: Settings = settings_at(base / "home")
        self.service = service
        self.folder = base / "campaign"
        self.csv = self.write({"brief": "a"} | CHAIN)
        (self.folder / "mug.png").write_bytes(picture())
        (self.folder / "clip.mp4").write_bytes(CLIP)
        self.first: tuple[StageRecord, ...] = ()

    def write(self, *rows: dict[str, str]) -> Path:
        return write_campaign(self.folder / "spring.csv", rows)

    async def made(self) -> None:
        self.first = (await run(self.settings, self.csv)).record.stages
        self.service.calls.clear()
        self.service.sent.clear()

    def lose(self, stage: int, *, number: int = 0) -> None:
        sha256 = self.first[stage].assets[number].sha256
        (self.settings.assets / "objects" / sha256[:2] / sha256).unlink()

    async def plan(self) -> Plan:
        return await plan_of(self.settings, self.csv)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with without_network_and_prefect() as service:
        yield Desk(tmp_path, service)


def told(plan: Plan) -> list[tuple[str, Cause]]:
    return [(stage.action, stage.causes[0]) for stage in plan.stages]


CACHED = ("cached", Cause.CACHED)
MISSING = ("generate", Cause.MISSING)


@pytest.mark.parametrize("allowed", [{"frozen": True}, {"budget": 0}, {}], ids=["frozen", "budget", "plain"])
async def test_a_lost_picture_is_collected_and_what_came_of_it_stays_cached(
    desk: Desk, allowed: dict[str, bool]
) -> None:
    await desk.made()
    desk.lose(0)

    plan = await desk.plan()
    assert told(plan) == [MISSING, CACHED, CACHED]
    assert (plan.cost, plan.saved) == (0, PICTURE + FILM)
    assert plan.cost_upper == 2 * PICTURE + FILM, (
        "should the service not have it, all that came of it is made anew"
    )
    assert "collected again free of charge while the service still has it, until 20" in plan.stages[0].reason
    assert not plan.wholly_cached
    assert plan.to_pay == ()
    closed = await run(desk.settings, desk.csv, **allowed)

    assert desk.service.sent == []
    assert sum(stage.charged for stage in closed.record.stages) == 0
    assert [stage.outcome for stage in closed.record.stages] == ["resumed", "cached", "cached"]
    assert [stage.assets for stage in closed.record.stages] == [stage.assets for stage in desk.first]
    assert (await desk.plan()).wholly_cached


async def test_every_stage_of_a_chain_lost_is_collected_as_well(desk: Desk) -> None:
    await desk.made()
    for stage in range(3):
        desk.lose(stage)
    plan = await desk.plan()
    assert told(plan) == [MISSING] * 3
    assert (plan.cost, plan.cost_upper, plan.saved) == (0, 2 * PICTURE + FILM, 0)
    await run(desk.settings, desk.csv, frozen=True)
    assert desk.service.sent == []


async def test_equal_briefs_share_a_lost_picture_and_what_its_loss_could_cost(desk: Desk) -> None:
    desk.csv = desk.write({"brief": "a"} | CHAIN, {"brief": "b"} | CHAIN)
    await desk.made()
    desk.lose(0)
    plan = await desk.plan()
    assert told(plan) == [MISSING, CACHED, CACHED, ("cached", Cause.EQUAL), CACHED, CACHED]
    assert (plan.cost, plan.cost_upper) == (0, 2 * PICTURE + FILM)


async def test_new_work_on_a_lost_picture_is_all_that_is_paid_for(desk: Desk) -> None:
    await desk.made()
    desk.lose(0)
    desk.csv = desk.write({"brief": "a"} | CHAIN | {"compose_prompt": "on slate"})
    plan = await desk.plan()
    assert told(plan) == [MISSING, ("generate", Cause.PROMPT), ("generate", Cause.UPSTREAM)]
    assert (plan.cost, plan.cost_upper) == (PICTURE + FILM, 2 * PICTURE + FILM)
    with pytest.raises(BudgetRefused) as refused:
        await run(desk.settings, desk.csv, frozen=True)
    assert "2 stages are not there yet" in str(refused.value)
    assert "a edit" not in str(refused.value)
    await run(desk.settings, desk.csv, budget=plan.cost)
    assert [sent.model for sent in desk.service.sent] == [MODELS["compose"], MODELS["video"]]


async def test_beyond_the_service_s_seven_days_it_is_paid_for_again_and_the_plan_says_so(desk: Desk) -> None:
    await desk.made()
    desk.lose(0)
    forget_how_young(desk.settings)

    plan = await desk.plan()
    assert told(plan) == [MISSING, ("generate", Cause.UPSTREAM), ("generate", Cause.UPSTREAM)]
    assert "the service kept it for 7 days only: paid for again" in plan.stages[0].reason
    assert plan.cost == 2 * PICTURE + FILM
    for refusing in ({"frozen": True}, {"budget": plan.cost - 1}):
        with pytest.raises(BudgetRefused):
            await run(desk.settings, desk.csv, **refusing)
    assert desk.service.calls == []


async def test_frozen_does_not_pay_where_the_service_turns_out_not_to_have_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.made()
    desk.lose(0)
    assert (await desk.plan()).to_pay == ()

    async def gone(_: str) -> NoReturn:
        raise NotFound("no such prediction")

    reopen = Ledger.reopen

    def reopen_too_late(ledger: Ledger, key: str) -> None:
        # Between the plan and now, the last of the seven days ended.
        reopen(ledger, key)
        forget_how_young(desk.settings)

    async def run_stage(bench: Workbench, work: StageWork) -> StageResult:
        """Tries again, as the task does."""
        with suppress(OutputsExpired):
            return await generate(bench, work)
        return await generate(bench, work)

    monkeypatch.setattr(desk.service, "result", gone)
    monkeypatch.setattr(Ledger, "reopen", reopen_too_late)
    monkeypatch.setattr(production, "run_stage", run_stage)
    closed = await run(desk.settings, desk.csv, frozen=True)

    assert desk.service.sent == []
    [brief] = closed.record.briefs
    assert (brief.status, brief.charged, closed.status) == ("held", 0, ExitStatus.BUDGET)
    assert "--frozen" in str(brief.error)
    # Now it is known to be gone: it is announced at its price, and so is what comes of it.
    plan = await desk.plan()
    assert plan.cost == 2 * PICTURE + FILM
    with pytest.raises(BudgetRefused):
        await run(desk.settings, desk.csv, frozen=True)


async def test_a_collection_that_did_not_come_to_its_end_is_still_free(desk: Desk) -> None:
    await desk.made()
    desk.lose(0)
    key = desk.first[0].generation_key
    assert key is not None
    with Ledger.open(desk.settings.ledger_address) as ledger:
        ledger.reopen(key)
        [attempt] = [one for one in ledger.attempts() if one.generation_key == key]
        assert attempt.state is AttemptState.COMPLETED
    plan = await desk.plan()
    assert told(plan) == [MISSING, CACHED, CACHED]
    assert plan.cost == 0
    await run(desk.settings, desk.csv, frozen=True)
    assert desk.service.sent == []


async def test_a_lost_picture_takes_no_time_to_be_made(desk: Desk) -> None:
    await desk.made()
    new = expected_duration(
        await plan_of(settings_at(desk.folder / "new"), desk.csv), lambda _: [], Limits(1, 9, 9)
    )
    desk.lose(0)
    assert expected_duration(await desk.plan(), lambda _: [], Limits(1, 9, 9)).p90 < new.p50 / 10
